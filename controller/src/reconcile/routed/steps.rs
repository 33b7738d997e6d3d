//! When a step of a canary is passed whose traffic the proxies split.

use crds::sluice;
use crds::status::{
    PauseReason, RolloutStatus, StepPluginOperation, StepPluginPhase, StepPluginStatus,
};
use jiff::Timestamp;
use rollout::{Acceptance, EvidenceSays, EvidenceStep, Judgement, OnInconclusive, Reason};
use traffic::Weight;

use crate::fleet::Split;
use crate::reconcile::spec::{Canary, Routing, Step};
use crate::reconcile::work::Work;

/// What a canary waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::reconcile) struct Wait {
    /// In words.
    pub(in crate::reconcile) why: String,
    /// Whom or what it waits for.
    pub(in crate::reconcile) on: WaitsOn,
}

/// Whom or what a canary waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::reconcile) enum WaitsOn {
    /// The proxies, which should serve what is wanted at once: a deadline counts.
    Proxies,
    /// The guard, which holds it.
    Guard,
    /// Evidence, which has a time of its own.
    Evidence,
}

impl Work<'_> {
    /// Whether the step at `index` is done. What it waits for is noted.
    pub(in crate::reconcile) fn is_routed_step_done(
        &mut self,
        canary: &Canary<'_>,
        routing: &Routing<'_>,
        index: usize,
    ) -> bool {
        let Some(step) = canary.steps.get(index).copied() else {
            return false;
        };
        if self.has_persons_word(step) {
            return true;
        }
        if self.waits_for_proxies() || self.waits_for_guard(routing) {
            return false;
        }
        match step {
            Step::SetHeaderRoute(_) | Step::SetMirrorRoute(_) => true,
            Step::SetCanaryScale(_) => self.has_routed_pods(canary, routing),
            Step::SetWeight(_) => self.has_weight(canary, routing),
            Step::Pause(None) => false,
            Step::Pause(Some(duration)) => {
                let Some(since) = self.paused_since(&PauseReason::CanaryPauseStep) else {
                    return false;
                };
                match evidence(routing, index) {
                    _ if self.goes_forward(routing) => true,
                    Some(paced) => self.has_evidence(canary, &paced, since, index),
                    None => self.is_over(since, duration),
                }
            }
            Step::Evidence => self.is_evidence_step_done(canary, routing, index),
        }
    }

    /// Whether somebody has said "go on" where the controller had paused.
    fn has_persons_word(&self, step: Step<'_>) -> bool {
        match step {
            Step::Pause(_) => self.was_resumed(&PauseReason::CanaryPauseStep),
            Step::Evidence => self.was_resumed(&PauseReason::InconclusiveAnalysisRun),
            _ => false,
        }
    }

    fn goes_forward(&self, routing: &Routing<'_>) -> bool {
        matches!(self.judgement(routing), Some(Judgement::RollForward { .. }))
    }

    /// Whether a canary past its steps may become stable: all proxies send everything to it. A Rollout without pods has
    /// nothing to send.
    pub(in crate::reconcile) fn has_all_traffic(&mut self, routing: &Routing<'_>) -> bool {
        if self.spec.replicas == 0 {
            return true;
        }
        if self.waits_for_proxies() || self.waits_for_guard(routing) {
            return false;
        }
        let wanted = self.wanted_split();
        let wanted = wanted.filter(|wanted| wanted.weight == Weight::FULL);
        wanted.is_some_and(|wanted| self.waits_to_be_served(&wanted).is_none())
    }

    /// Whether the canary's Service may become stable's, where it does so with the canary: it leads there. A Rollout without
    /// pods has nothing that it could lead to.
    pub(in crate::reconcile) fn may_swap(&mut self, routing: &Routing<'_>) -> bool {
        let canary = routing.services.by(&self.status).canary;
        let may = !routing.services.take_turns()
            || self.spec.replicas == 0
            || self.leads_to(canary) == Some(&self.hash);
        if !may {
            let why = format!(
                "waiting for all proxies to send nothing to Service {canary:?}, which is to be the new version's"
            );
            self.waits(WaitsOn::Proxies, why);
        }
        may
    }

    /// Whether the step's weight is served, by the pods that it asks for. A canary that is to have no pods gets none.
    fn has_weight(&mut self, canary: &Canary<'_>, routing: &Routing<'_>) -> bool {
        if !self.has_routed_pods(canary, routing) {
            return false;
        }
        let target = self.weight(canary);
        let pods = self.routed_counts(canary, routing, target).canary;
        match self.wanted_split() {
            Some(wanted) if wanted.weight == target || pods == 0 => {
                self.waits_to_be_served(&wanted).is_none()
            }
            _ => false,
        }
    }

    fn is_evidence_step_done(
        &mut self,
        canary: &Canary<'_>,
        routing: &Routing<'_>,
        index: usize,
    ) -> bool {
        let reason = PauseReason::InconclusiveAnalysisRun;
        if self.paused_since(&reason).is_some() {
            self.waits(WaitsOn::Evidence, Reason::Inconclusive.to_string());
            return false;
        }
        let Some(step) = evidence(routing, index).filter(|_| !self.goes_forward(routing)) else {
            return true;
        };
        let entered = entered(&self.status, index);
        self.has_evidence(canary, &step, entered.unwrap_or(self.now), index)
    }

    /// Whether there is evidence that the next weight does little harm, measured at this step and while its weight was
    /// served.
    fn has_evidence(
        &mut self,
        canary: &Canary<'_>,
        step: &EvidenceStep,
        entered: Timestamp,
        index: usize,
    ) -> bool {
        let finding = self.world.traffic.finding.as_ref();
        let finding = finding.filter(|finding| finding.canary == self.hash);
        let said = finding.and_then(|finding| finding.evidence);
        let target = self.weight(canary);
        let wanted = self.wanted_split();
        let is_served =
            wanted.is_some_and(|wanted| wanted.weight == target && self.is_served(&wanted));
        let met = is_served && said == Some((index, Acceptance::Met));
        match step.says(entered, met, self.now) {
            EvidenceSays::Pass | EvidenceSays::Inconclusive(OnInconclusive::Promote) => true,
            EvidenceSays::Met { until } => {
                self.wake_at(until);
                self.waits(WaitsOn::Evidence, Reason::EvidenceMet { until }.to_string());
                false
            }
            EvidenceSays::Pending { until } => {
                self.wake_at(until);
                self.waits(
                    WaitsOn::Evidence,
                    Reason::EvidencePending { until }.to_string(),
                );
                false
            }
            EvidenceSays::Inconclusive(OnInconclusive::Hold) => {
                self.pauses.add.push(PauseReason::InconclusiveAnalysisRun);
                self.waits(WaitsOn::Evidence, Reason::Inconclusive.to_string());
                false
            }
            EvidenceSays::Inconclusive(OnInconclusive::Abort) => {
                let cause = rollout::Cause::Inconclusive { step: index };
                self.pauses.abort = Some(cause.to_string());
                false
            }
        }
    }

    /// What is kept of the evidence steps: the one under way is noted when it is entered, so that whoever goes on knows
    /// since when. Another version begins anew.
    pub(super) fn plugin_statuses(&self, next: &RolloutStatus) -> Vec<StepPluginStatus> {
        let Some((canary, _)) = self.routed() else {
            return Vec::new();
        };
        if !self.is_under_way() || self.has_changed(canary) || self.is_aborted() {
            return Vec::new();
        }
        let known = self.status.canary.as_ref();
        let mut known = known.map_or_else(Vec::new, |known| known.step_plugin_statuses.clone());
        let index = next.current_step_index;
        let index = index.and_then(|index| usize::try_from(index).ok());
        for entry in &mut known {
            let is_over = index.is_none_or(|index| !is_of(entry, index));
            if is_over && entry.phase == Some(StepPluginPhase::Running) {
                entry.phase = Some(StepPluginPhase::Successful);
                entry.finished_at = Some(self.now.into());
            }
        }
        if let Some(index) = index
            && canary.steps.get(index) == Some(&Step::Evidence)
            && !known.iter().any(|entry| is_of(entry, index))
        {
            known.push(begun(index, self.now));
        }
        known
    }

    fn waits(&mut self, on: WaitsOn, why: String) {
        self.wait = Some(Wait { why, on });
    }

    fn waits_for_proxies(&mut self) -> bool {
        let is_alone = self.world.traffic.proxies == 0;
        if is_alone {
            let why =
                "no proxy is live: nobody splits the traffic, and no step is passed until one does";
            self.waits(WaitsOn::Proxies, why.to_owned());
        }
        is_alone
    }

    fn waits_for_guard(&mut self, routing: &Routing<'_>) -> bool {
        if self.status.promote_full == Some(true) {
            return false;
        }
        let Some(why) = self.hold(routing).map(str::to_owned) else {
            return false;
        };
        self.waits(WaitsOn::Guard, Reason::Held { why }.to_string());
        true
    }

    /// Notes that `wanted` is not served, if it is not.
    fn waits_to_be_served(&mut self, wanted: &Split) -> Option<()> {
        if self.is_served(wanted) {
            return None;
        }
        let traffic = &self.world.traffic;
        let why = match traffic.serving() {
            Some(_) => "they serve what was wanted before",
            None => "they differ, or one of them cannot be asked",
        };
        let count = traffic.proxies;
        let weight = wanted.weight;
        let why =
            format!("waiting for each of {count} proxies to serve {weight} to the canary; {why}");
        self.waits(WaitsOn::Proxies, why);
        Some(())
    }
}

/// When the evidence step at `index` was entered, by what `status` says.
pub(super) fn entered(status: &RolloutStatus, index: usize) -> Option<Timestamp> {
    let known = status.canary.as_ref()?;
    let mut known = known.step_plugin_statuses.iter();
    let entry = known.find(|entry| is_of(entry, index))?;
    entry.started_at.map(Timestamp::from)
}

/// What the step at `index` asks of the evidence, if it does.
fn evidence(routing: &Routing<'_>, index: usize) -> Option<EvidenceStep> {
    match routing.asks.steps.get(index)? {
        rollout::Step::Evidence(step) => Some(step.clone()),
        _ => None,
    }
}

fn is_of(entry: &StepPluginStatus, index: usize) -> bool {
    entry.name == sluice::EVIDENCE && usize::try_from(entry.index) == Ok(index)
}

fn begun(index: usize, now: Timestamp) -> StepPluginStatus {
    StepPluginStatus {
        index: i32::try_from(index).unwrap_or(i32::MAX),
        name: sluice::EVIDENCE.to_owned(),
        operation: StepPluginOperation::Run,
        phase: Some(StepPluginPhase::Running),
        message: None,
        started_at: Some(now.into()),
        updated_at: None,
        finished_at: None,
        backoff: None,
        executions: None,
        disabled: None,
        status: None,
    }
}
