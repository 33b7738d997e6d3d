//! A rollout in the words of its printed status.

use std::fmt;

use serde::{Deserialize, Serialize};
use traffic::Weight;

use crate::effect::Effects;
use crate::plan::{EvidenceStep, Place, Plan, Step, Strategy};
use crate::state::{Canary, Pause, State};

/// A rollout in the words of its printed status.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// The phase.
    pub phase: Phase,
    /// Why it is in that phase, in the words that other tools look for; empty when healthy.
    pub message: String,
    /// How many steps are passed.
    pub step: usize,
    /// How many steps there are.
    pub steps: usize,
    /// The weight that the canary is to have now.
    #[serde(with = "crate::basis_points")]
    pub weight: Weight,
}

/// The phase of a rollout, with the API's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Phase {
    /// A canary is under way.
    Progressing,
    /// A canary waits, or the spec pauses the rollout.
    Paused,
    /// The wanted revision serves all requests.
    Healthy,
    /// The wanted revision was stopped.
    Degraded,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Progressing => "Progressing",
            Self::Paused => "Paused",
            Self::Healthy => "Healthy",
            Self::Degraded => "Degraded",
        })
    }
}

impl State {
    /// This state in the words of the printed status. The first that holds counts: aborted, paused by the spec or a
    /// person, paused by a step, under way, healthy.
    pub fn summary(&self, plan: &Plan) -> Summary {
        let (phase, message) = self.phase(plan);
        let steps = plan.steps.len();
        Summary {
            phase,
            message,
            step: match self {
                Self::Empty => 0,
                Self::Healthy(_) => steps,
                // As the API has it: an aborted canary is back at the beginning.
                Self::Aborted(_) => 0,
                Self::Progressing(canary) | Self::Paused { canary, .. } => {
                    canary.place.passed(&plan.steps)
                }
            },
            steps,
            weight: Effects::of(self).weight,
        }
    }

    fn phase(&self, plan: &Plan) -> (Phase, String) {
        let unseen = "waiting for rollout spec update to be observed";
        let (phase, message) = match self {
            Self::Aborted(aborted) if aborted.canary == plan.revision => {
                return (
                    Phase::Degraded,
                    format!("RolloutAborted: {}", aborted.cause),
                );
            }
            Self::Progressing(canary) if canary.late => (
                Phase::Degraded,
                "ProgressDeadlineExceeded: the canary has made no progress in progressDeadlineSeconds",
            ),
            _ if plan.paused => (Phase::Paused, "manually paused"),
            Self::Paused { pause, .. } => {
                let message = match pause {
                    Pause::Step => match plan.terms.strategy {
                        Strategy::Canary => "CanaryPauseStep",
                        Strategy::BlueGreen => "BlueGreenPause",
                    },
                    Pause::Manual | Pause::Spec => "manually paused",
                    Pause::Inconclusive => "InconclusiveAnalysisRun",
                };
                (Phase::Paused, message)
            }
            Self::Progressing(canary) => (Phase::Progressing, under_way(canary, plan)),
            Self::Healthy(healthy) if healthy.stable.revision == plan.revision => {
                (Phase::Healthy, "")
            }
            Self::Healthy(_) | Self::Aborted(_) | Self::Empty => (Phase::Progressing, unseen),
        };
        (phase, message.to_owned())
    }
}

/// What a canary under way is told to wait for, in the API's words.
fn under_way(canary: &Canary, plan: &Plan) -> &'static str {
    match (canary.place, plan.terms.strategy) {
        (Place::Watch, _) => "waiting for post-promotion verification to complete",
        (_, Strategy::BlueGreen) => "active service cutover pending",
        (_, Strategy::Canary) => "waiting for all steps to complete",
    }
}

/// What the evidence of a step is to show.
#[derive(Clone, Debug, PartialEq)]
pub struct AcceptanceTarget<'a> {
    /// The step's index, counted from 0.
    pub step: usize,
    /// The canary's weight at the step.
    pub from: Weight,
    /// The weight that comes after it; never 0.
    pub to: Weight,
    /// The step.
    pub evidence: &'a EvidenceStep,
}

/// What the evidence of the present step is to show; nothing when the rollout is at no evidence step.
pub fn acceptance_target<'a>(plan: &'a Plan, state: &State) -> Option<AcceptanceTarget<'a>> {
    let canary = state.canary()?;
    let Place::Step(step) = canary.place else {
        return None;
    };
    match plan.steps.get(step)? {
        Step::Evidence(evidence) if canary.steps_hash == plan.steps.hash() => {
            Some(AcceptanceTarget {
                step,
                from: canary.share.weight,
                to: plan.steps.next_weight(step),
                evidence,
            })
        }
        Step::Evidence(_)
        | Step::SetWeight(_)
        | Step::Pause(_)
        | Step::SetHeaderRoute(_)
        | Step::SetMirrorRoute(_)
        | Step::NoEffect { .. } => None,
    }
}

#[cfg(test)]
mod tests;
