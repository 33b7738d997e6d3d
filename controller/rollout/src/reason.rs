//! Why a rollout is where it is.

use std::fmt;

use jiff::Timestamp;
use traffic::Weight;

use crate::plan::Revision;
use crate::state::{Cause, Outcome};

/// Why a rollout is where it is. The one source of the status message, the event, the log line and, by
/// [`label`](Reason::label), the metric label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// There is no canary.
    Healthy {
        /// The revision that serves.
        revision: Revision,
        /// How it became stable.
        outcome: Outcome,
    },
    /// There is no canary, and nothing to serve with.
    StableHasNoEndpoints {
        /// The revision that should serve.
        revision: Revision,
    },
    /// A canary begins, without traffic.
    Started {
        /// Its revision.
        canary: Revision,
    },
    /// The canary gets no traffic until it has endpoints.
    CanaryHasNoEndpoints,
    /// Not every proxy serves the wanted weight yet.
    WeightNotServed {
        /// The canary's weight that is wanted.
        wanted: Weight,
        /// The weight that all of them serve; nothing while they differ.
        serving: Option<Weight>,
    },
    /// The step is a pause.
    PauseStep {
        /// When it ends; nothing when a person ends it.
        until: Option<Timestamp>,
    },
    /// A person paused the rollout.
    PausedManually,
    /// The spec pauses the rollout.
    PausedBySpec,
    /// The step's evidence is there, but not its least duration.
    EvidenceMet {
        /// When the step ends.
        until: Timestamp,
    },
    /// The step's evidence is not there yet.
    EvidencePending {
        /// When that becomes inconclusive.
        until: Timestamp,
    },
    /// The step's evidence stayed away for the step's longest duration.
    Inconclusive,
    /// The canary has all traffic, and the old version is kept warm.
    Watched {
        /// The old version.
        old: Revision,
        /// When the canary becomes stable.
        until: Timestamp,
    },
    /// The canary waits for longer than the plan's deadline.
    NoProgress {
        /// What it waits for, in words.
        waits: String,
    },
    /// The guard cannot tell, so the canary stays as it is.
    Held {
        /// The guard's reason in words.
        why: String,
    },
    /// The canary was stopped.
    Aborted {
        /// The revision that was stopped.
        canary: Revision,
        /// Why.
        cause: Cause,
    },
}

impl Reason {
    /// The variant's name: the metric label and the event's reason. Never holds data, so there are few of them.
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Healthy { .. } => "Healthy",
            Self::StableHasNoEndpoints { .. } => "StableHasNoEndpoints",
            Self::Started { .. } => "Started",
            Self::CanaryHasNoEndpoints => "CanaryHasNoEndpoints",
            Self::WeightNotServed { .. } => "WeightNotServed",
            Self::PauseStep { .. } => "PauseStep",
            Self::PausedManually => "PausedManually",
            Self::PausedBySpec => "PausedBySpec",
            Self::EvidenceMet { .. } => "EvidenceMet",
            Self::EvidencePending { .. } => "EvidencePending",
            Self::Inconclusive => "Inconclusive",
            Self::Watched { .. } => "Watched",
            Self::NoProgress { .. } => "NoProgress",
            Self::Held { .. } => "Held",
            Self::Aborted { .. } => "Aborted",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Healthy { revision, outcome } => {
                let how = match outcome {
                    Outcome::Deployed => "is the first",
                    Outcome::Promoted => "was promoted",
                    Outcome::PromotedInFull => "was promoted past all steps",
                    Outcome::Returned => "was asked for again",
                };
                write!(f, "revision {revision} {how} and serves all requests")
            }
            Self::StableHasNoEndpoints { revision } => {
                write!(f, "revision {revision} is stable but has no endpoints")
            }
            Self::Started { canary } => {
                write!(f, "revision {canary} begins as the canary, without traffic")
            }
            Self::CanaryHasNoEndpoints => {
                write!(
                    f,
                    "the canary has no endpoints and gets no traffic until it has some"
                )
            }
            Self::WeightNotServed {
                wanted,
                serving: Some(serving),
            } => write!(
                f,
                "waiting for the proxies to serve {wanted} to the canary; they serve {serving}"
            ),
            Self::WeightNotServed {
                wanted,
                serving: None,
            } => {
                write!(
                    f,
                    "waiting for every proxy to serve {wanted} to the canary; they differ"
                )
            }
            Self::PauseStep { until: Some(until) } => {
                write!(f, "paused by the step until {until:.0}")
            }
            Self::PauseStep { until: None } => {
                write!(f, "paused by the step until promoted or resumed")
            }
            Self::PausedManually => write!(f, "paused by a person until resumed"),
            Self::PausedBySpec => write!(f, "paused by spec.paused"),
            Self::EvidenceMet { until } => {
                write!(
                    f,
                    "the evidence is there; the step's least duration ends at {until:.0}"
                )
            }
            Self::EvidencePending { until } => {
                write!(
                    f,
                    "waiting for evidence that more traffic does little harm, until {until:.0}"
                )
            }
            Self::Inconclusive => {
                write!(
                    f,
                    "the evidence stayed inconclusive; promote, resume or abort decides"
                )
            }
            Self::Watched { old, until } => write!(
                f,
                "the canary has all traffic; revision {old} is kept warm for a way back until {until:.0}"
            ),
            Self::NoProgress { waits } => write!(f, "no progress in time: {waits}"),
            Self::Held { why } => write!(f, "held: {why}"),
            Self::Aborted { canary, cause } => write!(f, "revision {canary}: {cause}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_the_variants_name_and_holds_no_data() {
        let until = Timestamp::UNIX_EPOCH;
        let revision = || Revision::new("v1");
        let reasons = [
            Reason::Healthy {
                revision: revision(),
                outcome: Outcome::Promoted,
            },
            Reason::StableHasNoEndpoints {
                revision: revision(),
            },
            Reason::Started { canary: revision() },
            Reason::CanaryHasNoEndpoints,
            Reason::WeightNotServed {
                wanted: Weight::FULL,
                serving: None,
            },
            Reason::PauseStep { until: None },
            Reason::PausedManually,
            Reason::PausedBySpec,
            Reason::EvidenceMet { until },
            Reason::EvidencePending { until },
            Reason::Inconclusive,
            Reason::Watched {
                old: revision(),
                until,
            },
            Reason::NoProgress {
                waits: "why".to_owned(),
            },
            Reason::Held {
                why: "why".to_owned(),
            },
            Reason::Aborted {
                canary: revision(),
                cause: Cause::Inconclusive { step: 1 },
            },
        ];
        for reason in reasons {
            let debug = format!("{reason:?}");
            assert_eq!(debug.split(' ').next(), Some(reason.label()));
        }
    }
}
