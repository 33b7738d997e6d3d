//! Proxies of the imagined cluster: all of them serve what the Rollout's status says, after a while.

use jiff::{SignedDuration, Timestamp};
use rollout::{Acceptance, Judgement};
use serde_json::Value;
use traffic::Weight;

use super::Cluster;
use crate::fleet::Split;
use crate::reconcile::{Finding, Traffic, Write, judging};

const HASH: &str = "rollouts-pod-template-hash";

/// The proxies, and what their leader finds.
pub(super) struct Proxies {
    pub(super) live: usize,
    /// How long they take to serve a new split, in seconds. Meanwhile they differ.
    pub(super) lag: i64,
    /// One of them cannot be asked what it serves.
    pub(super) is_one_mute: bool,
    /// They get no news, and go on with what they serve.
    pub(super) are_deaf: bool,
    /// What all of them served last.
    served: Option<Served>,
    /// What some of them serve already, and when all do.
    next: Option<(Served, Timestamp)>,
    pub(super) finding: Option<Finding>,
    /// What the leader made of the Rollout as it last saw it.
    seen: (Value, bool, Option<Served>),
}

/// A split, and the Services that get the two sides' requests.
#[derive(Clone, Debug, PartialEq)]
struct Served {
    split: Split,
    stable: String,
    canary: String,
}

impl Default for Proxies {
    fn default() -> Self {
        Self {
            live: 2,
            lag: 1,
            is_one_mute: false,
            are_deaf: false,
            served: None,
            next: None,
            finding: None,
            seen: (Value::Null, false, None),
        }
    }
}

impl Proxies {
    /// So many are live, and take so many seconds for another split. Where none was, they know nothing of before.
    pub(super) fn change(&mut self, live: usize, lag: i64) {
        if self.live == 0 {
            (self.served, self.next) = (None, None);
        }
        (self.live, self.lag) = (live, lag);
    }

    pub(super) fn traffic(&self) -> Traffic {
        let next = self.next.as_ref().map(|(served, _)| served);
        let all = next.into_iter().map(Some).chain([self.served.as_ref()]);
        let served: Option<Vec<Split>> = all
            .map(|served| Some(served?.split.clone()))
            .filter(|_| self.live > 0 && !self.is_one_mute)
            .collect();
        let mut served = served.unwrap_or_default();
        served.dedup();
        Traffic {
            proxies: self.live,
            served,
            finding: self.finding.clone(),
        }
    }
}

impl Cluster {
    /// What proxies and leader do. Whether it shows.
    pub(super) fn run_proxies(&mut self) -> bool {
        let before = self.proxies.traffic();
        if self.proxies.seen.0 != self.rollout {
            let judging = judging(&self.world().rollout);
            let on_trial = judging.as_ref().is_some_and(|judging| judging.on_trial);
            let split = judging.and_then(|judging| judging.split);
            let served = split.map(|split| {
                let (stable, canary) = self.sides();
                Served {
                    split,
                    stable,
                    canary,
                }
            });
            self.proxies.seen = (self.rollout.clone(), on_trial, served);
        }
        let proxies = &mut self.proxies;
        if !proxies.seen.1 {
            proxies.finding = None;
        }
        let wanted = proxies.seen.2.clone().filter(|_| !proxies.are_deaf);
        if let Some((served, at)) = proxies.next.take() {
            if at <= self.now {
                proxies.served = Some(served);
            } else {
                proxies.next = Some((served, at));
            }
        }
        let goes_to = proxies.next.as_ref().map(|(served, _)| served);
        let goes_to = goes_to.or(proxies.served.as_ref());
        if let Some(wanted) = wanted.filter(|wanted| Some(wanted) != goes_to) {
            let lag = SignedDuration::from_secs(proxies.lag);
            proxies.next = Some((wanted, self.now.checked_add(lag).unwrap()));
        }
        self.proxies.traffic() != before
    }

    /// The leader finds something about the version that is wanted now.
    pub(super) fn find(&mut self, judgement: Judgement) {
        self.find_of(None, judgement, None);
    }

    pub(super) fn find_of(
        &mut self,
        canary: Option<&str>,
        judgement: Judgement,
        evidence: Option<(usize, Acceptance)>,
    ) {
        let canary = canary.map(str::to_owned);
        self.proxies.finding = Some(Finding {
            canary: canary.unwrap_or_else(|| self.status().current_pod_hash.unwrap()),
            judgement,
            evidence,
        });
        self.settle();
    }

    /// The canary's weight by the status, in per cent.
    pub(super) fn canary_weight(&self) -> Option<i32> {
        let weights = self.status().canary?.weights?;
        Some(weights.canary.weight)
    }

    fn image(&self, hash: &str) -> &str {
        let mut sets = self.sets.iter();
        let set = sets.find(|set| set.object.labels[HASH] == hash);
        set.map_or("nothing", |set| set.image.as_str())
    }

    fn available_of(&self, hash: &str) -> u32 {
        let mut sets = self.sets.iter();
        let set = sets.find(|set| set.object.labels[HASH] == hash);
        set.map_or(0, |set| set.object.available)
    }

    /// Notes in the trace what requests depend on.
    pub(super) fn note(&mut self, write: &Write) {
        match write {
            Write::PatchService { name, patch } => {
                if let Some(hash) = patch["spec"]["selector"][HASH].as_str() {
                    let line = format!("{name} leads to {}", self.image(hash));
                    self.trace.push(line);
                }
            }
            Write::CreateReplicaSet { object } => {
                let spec = &object["spec"];
                if let Some(pods) = spec["replicas"].as_u64().filter(|pods| *pods > 0) {
                    let image = spec["template"]["spec"]["containers"][0]["image"].as_str();
                    self.trace
                        .push(format!("{} has {pods} pods", image.unwrap()));
                }
            }
            Write::PatchReplicaSet { name, patch } => {
                if let Some(pods) = patch["spec"]["replicas"].as_u64() {
                    let mut sets = self.sets.iter();
                    let image = &sets.find(|set| set.object.name == *name).unwrap().image;
                    let line = format!("{image} has {pods} pods");
                    self.trace.push(line);
                }
            }
            Write::PatchStatus { patch } => {
                let status = &patch["status"];
                let mut lines = Vec::new();
                if let Some(weight) = status["canary"]["weights"]["canary"]["weight"].as_i64() {
                    lines.push(format!("weight {weight}"));
                }
                if status["abort"] == true {
                    lines.push("aborted".to_owned());
                }
                if let Some(index) = status["currentStepIndex"].as_i64() {
                    lines.push(format!("step {index}"));
                }
                if let Some(slot) = status["canary"]["stablePingPong"].as_str() {
                    lines.push(format!("{slot} is stable's"));
                }
                if let Some(hash) = status["stableRS"].as_str() {
                    lines.push(format!("{} is stable", self.image(hash)));
                }
                self.trace
                    .extend((!lines.is_empty()).then(|| lines.join(", ")));
            }
            _ => {}
        }
    }

    /// What holds of the weights in every status.
    pub(super) fn check_weights(&self) {
        let status = self.status();
        let Some(weights) = status.canary.and_then(|canary| canary.weights) else {
            return;
        };
        assert_eq!(weights.canary.weight + weights.stable.weight, 100);
        let names = (
            weights.stable.service_name.unwrap(),
            weights.canary.service_name.unwrap(),
        );
        assert_eq!(names, self.sides());
        let canary = weights.canary.pod_template_hash.unwrap();
        if Some(&canary) != status.stable_rs.as_ref() && weights.canary.weight > 0 {
            assert!(
                self.available_of(&canary) > 0,
                "a canary without pods has weight {}",
                weights.canary.weight
            );
        }
    }

    /// A version that some proxy sends requests to, and that has no pod for them.
    pub(super) fn starved(&self) -> Option<&str> {
        let sent = self.served().flat_map(|Served { split, .. }| {
            let stable = (&split.stable, split.weight < Weight::FULL);
            [(&split.canary, split.weight > Weight::ZERO), stable]
        });
        let mut starved = sent.filter(|(hash, is_sent)| *is_sent && self.available_of(hash) == 0);
        starved.next().map(|(hash, _)| self.image(hash))
    }

    /// What some proxy serves.
    fn served(&self) -> impl Iterator<Item = &Served> {
        let next = self.proxies.next.as_ref().map(|(served, _)| served);
        next.into_iter().chain(self.proxies.served.as_ref())
    }

    fn canary_spec(&self) -> &Value {
        &self.rollout["spec"]["strategy"]["canary"]
    }

    /// The Services of stable and of the canary by the spec and the status.
    fn sides(&self) -> (String, String) {
        let canary = self.canary_spec();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let slots = &canary["pingPong"];
        if slots.is_null() {
            return (
                text(&canary["stableService"]),
                text(&canary["canaryService"]),
            );
        }
        let (ping, pong) = (text(&slots["pingService"]), text(&slots["pongService"]));
        match self.rollout["status"]["canary"]["stablePingPong"] == "ping" {
            true => (ping, pong),
            false => (pong, ping),
        }
    }

    /// A Service by which some proxy sends requests to another version than it is to. Where Services do not take turns, that of
    /// the canary may lead to stable, as it does at once after an abort, and stable's to what a person wants in full.
    pub(super) fn misled(&self) -> Option<String> {
        let takes_turns = !self.canary_spec()["pingPong"].is_null();
        if self.proxies.live == 0 {
            return None;
        }
        let stable = self.status().stable_rs.filter(|_| !takes_turns);
        let wrong = |service: &String, hash: &String, is_sent: bool| {
            let leads = self.services[service].selector.get(HASH);
            let is_right = |leads: &String| leads == hash || Some(leads) == stable.as_ref();
            let is_wrong = is_sent && leads.is_some_and(|leads| !is_right(leads));
            is_wrong.then(|| format!("{service} instead of {}", self.image(hash)))
        };
        let mut served = self.served();
        served.find_map(|served| {
            let Split {
                stable,
                canary,
                weight,
            } = &served.split;
            wrong(&served.canary, canary, *weight > Weight::ZERO).or_else(|| {
                wrong(
                    &served.stable,
                    stable,
                    takes_turns && *weight < Weight::FULL,
                )
            })
        })
    }
}
