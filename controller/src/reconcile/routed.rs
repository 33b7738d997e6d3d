//! A canary whose share of the requests the proxies of Sluice keep, whatever the numbers of pods are.
//!
//! What is to be served is in `status.canary.weights`, and what is served comes back as [`Traffic`](super::Traffic). On the
//! way up Services come first, then weights, then the pods that are not needed any more; an abort writes the weight before
//! anything else.

use rollout::{Judgement, analysis::Target};
use traffic::Weight;

use super::conditions::{self, ABORTED, PROGRESSING};
use super::spec::{self, Canary, Routing, Strategy};
use super::work::Work;
use crate::fleet::{Judging, Split};

mod pods;
mod steps;
mod weights;

pub(super) use steps::{Wait, WaitsOn};

/// What is to be judged of `rollout`, by its spec and status as they stand; nothing where its traffic is not split by the
/// proxies, or its spec is wrong.
pub fn judging(rollout: &crds::Rollout) -> Option<Judging> {
    let (asks, hash) = spec::routed(rollout)?;
    let status = super::work::status_of(rollout);
    let is_new = status.stable_rs.is_some()
        && status.current_pod_hash.is_some()
        && status.stable_rs != status.current_pod_hash;
    let on_trial = is_new && status.abort != Some(true);
    let is_of_steps = status.current_step_hash == Some(hash);
    let index = status
        .current_step_index
        .filter(|_| on_trial && is_of_steps);
    let target = index.and_then(|index| {
        let step = usize::try_from(index).ok()?;
        let rollout::Step::Evidence(evidence) = asks.steps.get(step)? else {
            return None;
        };
        Some(Target {
            step,
            from: asks.steps.share(rollout::Place::Step(step)).weight,
            to: asks.steps.next_weight(step),
            harm_budget: evidence.harm_budget,
            beta: evidence.beta,
        })
    });
    Some(Judging {
        split: weights::split(&status),
        on_trial,
        target,
        step_since: target.and_then(|target| steps::entered(&status, target.step)),
        step_starts: asks.steps.len().max(1),
        config: asks.config.clone(),
    })
}

impl Work<'_> {
    /// The canary whose traffic is split, if it is.
    fn routed(&self) -> Option<(&Canary<'_>, &Routing<'_>)> {
        match &self.spec.strategy {
            Strategy::Canary(canary) => Some((canary, canary.routing.as_ref()?)),
            Strategy::BlueGreen(_) => None,
        }
    }

    pub(super) fn is_routed(&self) -> bool {
        self.routed().is_some()
    }

    /// Whether the canary's traffic is to be taken away, and nothing else done before that is written: the guard convicts
    /// it, or somebody has aborted it.
    pub(super) fn stops_at_once(&mut self) -> bool {
        let Some((_, routing)) = self.routed() else {
            return false;
        };
        if !self.is_under_way() {
            return false;
        }
        if let Some(why) = self.conviction(routing) {
            self.pauses.abort = Some(why);
            return true;
        }
        let has_traffic = self
            .split()
            .is_some_and(|split| split.weight > Weight::ZERO);
        self.is_aborted() && has_traffic
    }

    /// Whether the version that the spec asks for is the canary of the status.
    fn is_under_way(&self) -> bool {
        self.status.stable_rs.is_some()
            && !self.is_promoted()
            && self.status.current_pod_hash.as_deref() == Some(&self.hash)
    }

    /// Why the guard convicts the canary, if it does and that was not known.
    fn conviction(&self, routing: &Routing<'_>) -> Option<String> {
        let judgement = self.judgement(routing)?;
        if self.is_aborted() || self.is_retrying() {
            return None;
        }
        match judgement {
            Judgement::RollBack { why } | Judgement::Tripped { why } => Some(why.clone()),
            Judgement::Undecided | Judgement::RollForward { .. } | Judgement::Hold { .. } => None,
        }
    }

    /// What the guard says of this canary, where it acts.
    fn judgement(&self, routing: &Routing<'_>) -> Option<&Judgement> {
        let finding = self.world.traffic.finding.as_ref()?;
        let is_about = routing.asks.guard && finding.canary == self.hash && self.is_under_way();
        is_about.then_some(&finding.judgement)
    }

    /// Why the canary is to stay as it is, if it is.
    fn hold(&self, routing: &Routing<'_>) -> Option<&str> {
        match self.judgement(routing)? {
            Judgement::Hold { why } => Some(why),
            _ => None,
        }
    }

    /// Whether somebody wants an aborted canary tried again, and it has had no traffic since: what is found of it may be of
    /// the trial before.
    fn is_retrying(&self) -> bool {
        let known = &self.status.conditions;
        let begins = conditions::has(known, PROGRESSING, ABORTED)
            || conditions::has(known, PROGRESSING, "RolloutRetry");
        self.status.abort != Some(true) && begins && self.held_weight() == Weight::ZERO
    }

    /// The split that the status holds.
    fn split(&self) -> Option<Split> {
        weights::split(&self.status)
    }
}
