//! How a Rollout stands, for people who ask.

use crds::{Rollout, RolloutStatus, status::RolloutPhase};

/// How a Rollout stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// In one word.
    pub phase: RolloutPhase,
    /// Why, in words; empty where nothing needs saying.
    pub message: String,
}

/// How `rollout` stands, with its status: what the controller said, if it has seen the last change. Until then it goes
/// on, whatever was said before (`GetRolloutPhase` in Argo Rollouts' `utils/rollout`).
pub fn standing(rollout: &Rollout, status: &RolloutStatus) -> Standing {
    let waits = |why: &str| Standing {
        phase: RolloutPhase::Progressing,
        message: format!("waiting for {why}"),
    };
    let seen = status.observed_generation.as_deref();
    let seen: Option<i64> = seen.and_then(|seen| seen.parse().ok());
    if seen.is_some_and(|seen| Some(seen) < rollout.metadata.generation) {
        return waits("rollout spec update to be observed");
    }
    if status.controller_pause == Some(true) && status.pause_conditions.is_empty() {
        return waits("rollout to unpause");
    }
    match &status.phase {
        Some(phase) => Standing {
            phase: phase.clone(),
            message: status.message.clone().unwrap_or_default(),
        },
        None => waits("a controller"),
    }
}
