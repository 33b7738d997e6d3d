//! The step that ends when the canary is shown to be harmless, and not after a fixed time.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};

use super::{Fault, steps::Seconds};

/// Asks for evidence that the next weight would do little harm.
#[derive(Clone, Debug, PartialEq)]
pub struct EvidenceStep {
    /// The most additional failures that the next weight may bring, as a share of all requests: above 0, at most 1.
    pub harm_budget: f64,
    /// The chance of advancing with a canary that does more harm than that: above 0, at most 0.5.
    pub beta: f64,
    /// The least time at the step, however soon the evidence is there.
    pub min_duration: Duration,
    /// The time after which missing evidence is inconclusive. Not below `min_duration`.
    pub max_duration: Duration,
    /// What happens then.
    pub on_inconclusive: OnInconclusive,
}

impl EvidenceStep {
    /// What is wrong with it as the step with the index `step`.
    pub(super) fn faults(&self, step: usize) -> Vec<Fault> {
        let mut faults = Vec::new();
        let mut fault = |field, found: String, allowed: String| {
            faults.push(Fault {
                step,
                field,
                found,
                allowed,
            });
        };
        // Written so that a NaN is a fault too.
        if !(self.harm_budget > 0.0 && self.harm_budget <= 1.0) {
            let found = self.harm_budget.to_string();
            fault("harmBudget", found, "above 0, at most 1".to_owned());
        }
        if !(self.beta > 0.0 && self.beta <= 0.5) {
            let found = self.beta.to_string();
            fault("confidence", found, "above 0, at most 0.5".to_owned());
        }
        if self.max_duration < self.min_duration || self.max_duration.is_zero() {
            fault(
                "maxDuration",
                Seconds(self.max_duration).to_string(),
                format!(
                    "above 0, not below minDuration ({})",
                    Seconds(self.min_duration)
                ),
            );
        }
        faults
    }
}

/// What to do with a canary that was not shown harmless in time, nor harmful.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum OnInconclusive {
    /// Pause until somebody decides.
    #[default]
    Hold,
    /// Go on as if the evidence were there.
    Promote,
    /// Abort.
    Abort,
}

impl OnInconclusive {
    /// The word that the spec uses.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hold => "hold",
            Self::Promote => "promote",
            Self::Abort => "abort",
        }
    }
}

impl fmt::Display for OnInconclusive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
