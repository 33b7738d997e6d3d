//! The phase: one word and a sentence for people, `kubectl argo rollouts status` and Argo CD
//! (`CalculateRolloutPhase` in Argo's `utils/rollout`).

use crds::status::{RolloutPhase, RolloutStatus};

use super::conditions::{ABORTED, INVALID, TIMED_OUT};
use super::spec::Strategy;
use super::work::Work;

impl Work<'_> {
    /// Writes the phase that follows from the rest of `next`.
    pub(super) fn calculate_phase(&self, next: &mut RolloutStatus) {
        let (phase, message) = self.phase(next);
        next.phase = Some(phase);
        next.message = Some(message).filter(|message| !message.is_empty());
    }

    fn phase(&self, next: &RolloutStatus) -> (RolloutPhase, String) {
        if let Some(degraded) = degraded(next) {
            return (RolloutPhase::Degraded, degraded);
        }
        if self.spec.paused {
            return (RolloutPhase::Paused, "manually paused".to_owned());
        }
        if let Some(pause) = next.pause_conditions.first() {
            let reason = serde_json::to_value(&pause.reason).unwrap_or_default();
            let reason = reason.as_str().unwrap_or_default();
            let message = match &self.wait {
                Some(wait) => format!("{reason}: {}", wait.why),
                None => reason.to_owned(),
            };
            return (RolloutPhase::Paused, self.or_as_said(message));
        }
        if let Some(wait) = &self.wait {
            return (RolloutPhase::Progressing, self.or_as_said(wait.why.clone()));
        }
        match self.missing(next) {
            Some(missing) => (RolloutPhase::Progressing, missing.to_owned()),
            None => (RolloutPhase::Healthy, String::new()),
        }
    }

    /// `message`, or what the status says where that differs by its numbers only: the guard counts on while it holds, and
    /// nobody is helped by a write for each count.
    fn or_as_said(&self, message: String) -> String {
        let words = |text: &str| text.replace(|letter: char| letter.is_ascii_digit(), "");
        let said = self.status.message.as_ref();
        let is_held = message.contains("held: ");
        let said = said.filter(|said| is_held && words(said) == words(&message));
        said.cloned().unwrap_or(message)
    }

    /// What is waited for, if something is.
    fn missing(&self, next: &RolloutStatus) -> Option<&'static str> {
        let count = |count: Option<i32>| count.unwrap_or(0);
        let updated = count(next.updated_replicas);
        let is_promoted = super::status::is_complete(next);
        if self.spec.restart_at.is_some() && next.restarted_at != self.spec.restart_at {
            return Some("rollout is restarting");
        }
        if i64::from(updated) < i64::from(self.spec.replicas) {
            return Some("more replicas need to be updated");
        }
        if count(next.available_replicas) < updated {
            return Some("updated replicas are still becoming available");
        }
        match &self.spec.strategy {
            Strategy::BlueGreen(_) => {
                let status = next.blue_green.as_ref();
                let active = status.and_then(|status| status.active_selector.as_ref());
                if active.is_none() || active != next.current_pod_hash.as_ref() {
                    return Some("active service cutover pending");
                }
                (!is_promoted).then_some("waiting for post-promotion verification to complete")
            }
            Strategy::Canary(_) => {
                if !self.is_routed() && count(next.replicas) > updated {
                    return Some("old replicas are pending termination");
                }
                (!is_promoted).then_some("waiting for all steps to complete")
            }
        }
    }
}

/// Why the Rollout is degraded, if it is.
pub(super) fn degraded(next: &RolloutStatus) -> Option<String> {
    next.conditions.iter().find_map(|condition| {
        if condition.kind == INVALID {
            return Some(format!("{INVALID}: {}", condition.message));
        }
        [ABORTED, TIMED_OUT]
            .contains(&condition.reason.as_str())
            .then(|| format!("{}: {}", condition.reason, condition.message))
    })
}
