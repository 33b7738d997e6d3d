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
    /// The last split that all of them served.
    served: Option<Split>,
    /// The split that some of them serve already, and when all do.
    next: Option<(Split, Timestamp)>,
    pub(super) finding: Option<Finding>,
    /// What the leader made of the Rollout as it last saw it.
    seen: (Value, bool, Option<Split>),
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
    pub(super) fn traffic(&self) -> Traffic {
        let agree = self.live > 0 && self.next.is_none() && !self.is_one_mute;
        Traffic {
            proxies: self.live,
            serving: self.served.clone().filter(|_| agree),
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
            self.proxies.seen = (self.rollout.clone(), on_trial, split);
        }
        let proxies = &mut self.proxies;
        if !proxies.seen.1 {
            proxies.finding = None;
        }
        let wanted = proxies.seen.2.clone().filter(|_| !proxies.are_deaf);
        if let Some((split, at)) = proxies.next.take() {
            if at <= self.now {
                proxies.served = Some(split);
            } else {
                proxies.next = Some((split, at));
            }
        }
        let goes_to = proxies.next.as_ref().map(|(split, _)| split);
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
        let next = self.proxies.next.as_ref().map(|(split, _)| split);
        let splits = next.into_iter().chain(self.proxies.served.as_ref());
        let sent = splits.flat_map(|split| {
            let stable = (&split.stable, split.weight < Weight::FULL);
            [(&split.canary, split.weight > Weight::ZERO), stable]
        });
        let mut starved = sent.filter(|(hash, is_sent)| *is_sent && self.available_of(hash) == 0);
        starved.next().map(|(hash, _)| self.image(hash))
    }
}
