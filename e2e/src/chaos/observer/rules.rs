//! What must hold of a Rollout and its ReplicaSets at every moment, whatever fails.

use crate::chaos::{kind::Kind, version::Merit};
use k8s_openapi::{api::apps::v1::ReplicaSet, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    mem,
    time::{Duration, Instant},
};

/// How late a controller may be that is cut off now and then. Pods that others take away meanwhile are not its fault: the
/// controller of ReplicaSets does, when it is not told that a Pod is gone which it deleted.
const LATELY: Duration = Duration::from_secs(10);

/// A Rollout as far as it is of interest.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::chaos) struct Rollout {
    /// Whether its controller has acted on what was shipped last.
    pub(in crate::chaos) is_observed: bool,
    pub(in crate::chaos) revision: Option<u32>,
    pub(in crate::chaos) phase: String,
    pub(in crate::chaos) message: String,
    /// `status.currentPodHash`.
    pub(in crate::chaos) current: String,
    /// `status.stableRS`.
    pub(in crate::chaos) stable: String,
    pub(in crate::chaos) is_aborted: bool,
    /// `status.abortedAt`.
    pub(in crate::chaos) aborted_at: String,
    pub(in crate::chaos) is_paused: bool,
    pub(in crate::chaos) step: i64,
    /// The weights of canary and stable.
    weights: Option<[i64; 2]>,
}

impl Rollout {
    pub(super) fn of(data: &Value, metadata: &ObjectMeta) -> Self {
        let status = &data["status"];
        let text = |name: &str| status[name].as_str().unwrap_or_default().to_owned();
        let annotations = metadata.annotations.as_ref();
        let revision = annotations.and_then(|all| all.get("rollout.argoproj.io/revision"));
        let generation = metadata.generation.map(|last| last.to_string());
        Self {
            is_observed: status["observedGeneration"].as_str() == generation.as_deref(),
            revision: revision.and_then(|revision| revision.parse().ok()),
            phase: text("phase"),
            message: text("message"),
            current: text("currentPodHash"),
            stable: text("stableRS"),
            is_aborted: status["abort"] == true,
            aborted_at: text("abortedAt"),
            is_paused: status["pauseConditions"]
                .as_array()
                .is_some_and(|all| !all.is_empty()),
            step: status["currentStepIndex"].as_i64().unwrap_or(0),
            weights: weights(&status["canary"]["weights"]),
        }
    }
}

fn weights(written: &Value) -> Option<[i64; 2]> {
    let weight = |side: &str| written[side]["weight"].as_i64();
    (!written.is_null()).then(|| ["canary", "stable"].map(|side| weight(side).unwrap_or(0)))
}

/// A ReplicaSet as far as it is of interest.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::chaos) struct Set {
    pub(super) owner: String,
    uid: String,
    pub(in crate::chaos) hash: String,
    image: String,
    pub(in crate::chaos) wanted: i32,
    pub(in crate::chaos) available: i32,
    /// How many were available, and until when.
    lately: Vec<(Instant, i32)>,
}

impl Set {
    pub(super) fn of(set: &ReplicaSet) -> Self {
        let metadata = &set.metadata;
        let owner = metadata.owner_references.iter().flatten().next();
        let labels = metadata.labels.as_ref();
        let spec = set.spec.as_ref();
        let template = spec.and_then(|spec| spec.template.as_ref()?.spec.as_ref());
        let container = template.and_then(|pod| pod.containers.first());
        let status = set.status.as_ref();
        Self {
            owner: owner.map(|owner| owner.name.clone()).unwrap_or_default(),
            uid: metadata.uid.clone().unwrap_or_default(),
            hash: labels
                .and_then(|all| all.get("rollouts-pod-template-hash").cloned())
                .unwrap_or_default(),
            image: container
                .and_then(|container| container.image.clone())
                .unwrap_or_default(),
            wanted: spec.and_then(|spec| spec.replicas).unwrap_or(0),
            available: status
                .and_then(|status| status.available_replicas)
                .unwrap_or(0),
            lately: Vec::new(),
        }
    }

    /// Pods that were available lately, and that nobody takes away.
    fn kept(&self) -> i32 {
        let lately = self.lately.iter().map(|(_, available)| *available).max();
        self.wanted.min(lately.unwrap_or(0))
    }

    /// This ReplicaSet, which was `before` until `at`.
    pub(super) fn after(mut self, before: Option<&Self>, at: Instant) -> Self {
        let lately = before.map_or(&[][..], |before| &before.lately);
        let lately = lately
            .iter()
            .filter(|(then, _)| at.duration_since(*then) < LATELY);
        self.lately = lately.copied().chain([(at, self.available)]).collect();
        self
    }
}

/// What is wrong with what a Rollout became, if anything is. Where somebody tries its version again, `is_retry_due` says whether
/// that was not seen yet.
pub(super) fn follows(
    before: Option<&Rollout>,
    now: &Rollout,
    is_retry_due: Option<&mut bool>,
) -> Option<String> {
    if now.phase == "Healthy" && now.is_observed && now.stable != now.current {
        return Some(format!(
            "it is Healthy, but not with what it ships: {now:?}"
        ));
    }
    let before = before.filter(|before| before.current == now.current)?;
    if before.is_aborted && !now.is_aborted && !is_retry_due.is_some_and(mem::take) {
        return Some(format!(
            "nobody retried what was aborted: {before:?}, then {now:?}"
        ));
    }
    let goes_back =
        now.step < before.step && !now.is_aborted && now.is_observed && before.is_observed;
    goes_back.then(|| format!("it went back to a step: {before:?}, then {now:?}"))
}

/// What is wrong with how the requests are shared, if anything is. Of an aborted version whose controller has said so the
/// weight is 0: that is written first, or with it.
pub(super) fn is_split_whole(now: &Rollout) -> Option<String> {
    let [canary, stable] = now.weights?;
    if canary + stable != 100 || canary.min(stable) < 0 {
        return Some(format!("its weights are not 100 together: {now:?}"));
    }
    let is_told = now.is_aborted && now.is_observed && now.phase == "Degraded";
    (is_told && canary > 0).then(|| format!("an aborted version has traffic: {now:?}"))
}

/// What is wrong with the stable version, if anything is: one that must not be promoted. `was_retried` tells whether somebody
/// has tried the version with a hash again.
pub(super) fn is_stable_good(
    name: &str,
    rollout: &Rollout,
    sets: &BTreeMap<String, Set>,
    was_retried: impl Fn(&str) -> bool,
) -> Option<String> {
    let of_it = |set: &&Set| set.owner == name && set.hash == rollout.stable;
    let stable = sets.values().find(of_it)?;
    let may_be_stable = match Merit::of(&stable.image) {
        Merit::Good => true,
        Merit::GoodWhenRetried => was_retried(&stable.hash),
        Merit::None => false,
    };
    (!may_be_stable).then(|| format!("{} was promoted: {rollout:?}", stable.image))
}

/// What was seen of pods so far.
#[derive(Debug, Default)]
pub(super) struct Before {
    /// The identities of ReplicaSets by Rollout and hash.
    identities: BTreeMap<(String, String), String>,
}

impl Before {
    /// What is wrong with the ReplicaSets of one Rollout, if anything is.
    pub(super) fn pods(&mut self, owner: &str, sets: &[&Set]) -> Option<String> {
        for set in sets {
            let key = (owner.to_owned(), set.hash.clone());
            let first = self
                .identities
                .entry(key)
                .or_insert_with(|| set.uid.clone());
            if *first != set.uid {
                return Some(format!("a ReplicaSet was made once more: {set:?}"));
            }
        }
        let wanted: i32 = sets.iter().map(|set| set.wanted).sum();
        let most = Kind::of(owner).most_pods();
        if wanted > most {
            return Some(format!(
                "{wanted} pods are wanted, at most {most} are allowed: {sets:?}"
            ));
        }
        None
    }
}

/// What is wrong where a ReplicaSet gives pods away, if anything is: others must have as many, or must have had them lately.
pub(super) fn gives_away(before: &Set, now: &Set, all: &[&Set]) -> Option<String> {
    let serving = |wanted: i32| wanted.min(before.available);
    if serving(now.wanted) >= serving(before.wanted) {
        return None;
    }
    let kept = all.iter().map(|set| set.kept());
    let kind = Kind::of(&now.owner);
    let left = match kind.keeps_one_whole() {
        true => kept.max().unwrap_or(0),
        false => kept.sum(),
    };
    let least = kind.replicas();
    (left < least)
        .then(|| format!("{left} pods are left, {least} must be: {before:?}, now {all:?}"))
}

#[cfg(test)]
mod tests;
