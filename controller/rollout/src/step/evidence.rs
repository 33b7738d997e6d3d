//! When a step that asks for evidence is over.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::plan::{EvidenceStep, OnInconclusive};

/// What an evidence step says at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EvidenceSays {
    /// The evidence is there.
    Pass,
    /// It is there, but the step's least duration lasts until then.
    Met {
        /// When the step ends.
        until: Timestamp,
    },
    /// It is not there yet.
    Pending {
        /// When that becomes inconclusive.
        until: Timestamp,
    },
    /// It stayed away for the step's longest duration.
    Inconclusive(OnInconclusive),
}

impl EvidenceStep {
    /// What the step says at `now`, when it was entered at `entered_at`. `met` tells whether the evidence is there; at the
    /// moment of entering it is not asked, as what was observed then was measured for an earlier step.
    pub fn says(&self, entered_at: Timestamp, met: bool, now: Timestamp) -> EvidenceSays {
        let least = later(entered_at, self.min_duration);
        let longest = later(entered_at, self.max_duration);
        if met && entered_at < now {
            return if least <= now {
                EvidenceSays::Pass
            } else {
                EvidenceSays::Met { until: least }
            };
        }
        if now < longest {
            EvidenceSays::Pending { until: longest }
        } else {
            EvidenceSays::Inconclusive(self.on_inconclusive)
        }
    }
}

/// `from` and so long after it.
pub(super) fn later(from: Timestamp, by: Duration) -> Timestamp {
    let by = SignedDuration::try_from(by).unwrap_or(SignedDuration::MAX);
    from.saturating_add(by).unwrap_or(Timestamp::MAX)
}
