//! Pauses and aborts: the status' words for who has to go on.

use crds::status::{PauseCondition, PauseReason, RolloutStatus};
use jiff::Timestamp;

use super::spec::{Step, Strategy};
use super::work::{Work, after};

impl Work<'_> {
    /// Since when the Rollout is paused for `reason`, by what was seen.
    pub(super) fn paused_since(&self, reason: &PauseReason) -> Option<Timestamp> {
        let conditions = self.status.pause_conditions.iter();
        let mut known = conditions.filter(|condition| condition.reason == *reason);
        known.next().map(|condition| condition.start_time.into())
    }

    /// The controller had paused, and somebody has taken the reasons away: that is how the API says "go on".
    pub(super) fn was_resumed(&self, reason: &PauseReason) -> bool {
        self.status.controller_pause == Some(true) && self.paused_since(reason).is_none()
    }

    /// Whether nothing is to be scaled or switched. An abort and a scale of the whole go on.
    pub(super) fn is_halted(&self) -> bool {
        let inconclusive = PauseReason::InconclusiveAnalysisRun;
        self.spec.paused || self.paused_since(&inconclusive).is_some()
    }

    /// Whether this is a pause that only a person ends.
    pub(super) fn needs_person(&self, reason: &PauseReason) -> bool {
        match (reason, &self.spec.strategy) {
            (PauseReason::InconclusiveAnalysisRun | PauseReason::InconclusiveExperiment, _) => true,
            (PauseReason::CanaryPauseStep, Strategy::Canary(canary)) => {
                let step = self.step_index().and_then(|index| canary.steps.get(index));
                step == Some(&Step::Pause(None))
            }
            (PauseReason::BlueGreenPause, Strategy::BlueGreen(blue_green)) => {
                !blue_green.promotes_itself
            }
            _ => false,
        }
    }

    /// Whether the pause that began at `since` is over, and when it will be.
    pub(super) fn is_over(&mut self, since: Timestamp, duration: std::time::Duration) -> bool {
        let until = after(since, duration);
        if self.now < until {
            self.wake_at(until);
        }
        until <= self.now
    }

    /// Writes abort and pauses into `next`.
    pub(super) fn calculate_pauses(&self, next: &mut RolloutStatus) {
        next.pause_conditions.clear();
        next.controller_pause = None;
        next.abort = None;
        next.aborted_at = None;
        if self.is_aborted() {
            next.abort = Some(true);
            next.aborted_at = self.status.aborted_at.or_else(|| Some(self.now.into()));
            return;
        }
        if self.pauses.clear {
            return;
        }
        let seen = &self.status.pause_conditions;
        let kept = seen
            .iter()
            .filter(|condition| !self.pauses.remove.contains(&condition.reason));
        let mut conditions: Vec<_> = kept.cloned().collect();
        let mut by_controller = self.status.controller_pause;
        for reason in &self.pauses.add {
            if !seen.iter().any(|condition| condition.reason == *reason) {
                conditions.push(PauseCondition {
                    reason: reason.clone(),
                    start_time: self.now.into(),
                });
                by_controller = Some(true);
            }
        }
        if !conditions.is_empty() {
            next.controller_pause = by_controller;
            next.pause_conditions = conditions;
        }
    }
}
