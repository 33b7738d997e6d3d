//! What one proxy tells of its requests, as it goes over the wire.

#[cfg(test)]
mod tests;

use super::{
    Split,
    history::Span,
    side::{Side, Users},
};
use rollout::analysis::Tripped;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, time::Duration};
use traffic::{FailureRule, RolloutId, Snapshot};

/// What one proxy tells of itself. All numbers only grow while its process lives.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// The process, by a name that no other has: another one's counters begin at 0.
    pub process: String,
    /// When the counters were read, in seconds since the process began.
    pub at: f64,
    /// What it knows of Rollouts, by `NAMESPACE/NAME`.
    pub rollouts: BTreeMap<String, RolloutReport>,
}

/// What one proxy tells of one Rollout.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RolloutReport {
    /// The split that each of its workers serves; nothing while one still serves an earlier one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub serving: Option<Split>,
    /// Grows whenever the way in which requests are shared changes: what was counted between two reports with the same
    /// number that both say what is served was sent by one split. One that is made anew goes on with larger numbers,
    /// while its counts begin at 0.
    pub changes: u64,
    /// What counts as a failure in the counts.
    #[serde(with = "rollout::failure_rule")]
    pub failures: FailureRule,
    /// That it took the traffic of the present canary away by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tripped: Option<TripReport>,
    pub(super) stable: Side,
    pub(super) canary: Side,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) users: Option<Users>,
    /// How it came to these counts, as far as it is remembered, oldest first; told when it is asked for, by proxies that
    /// remember.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) history: Vec<Span>,
}

/// What a proxy tells of a canary that it tripped.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TripReport {
    /// The canary, by its pod template hash.
    pub canary: String,
    /// The counts that convicted it.
    pub trip: Tripped,
}

/// A report that no proxy of this version gives.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: found {found}, allowed {allowed}")]
pub struct Unreadable {
    pub(super) field: &'static str,
    pub(super) found: String,
    pub(super) allowed: String,
}

impl Report {
    /// The name of `rollout` among [`Report::rollouts`].
    pub fn name(rollout: &RolloutId) -> String {
        format!("{}/{}", rollout.namespace, rollout.name)
    }
}

impl RolloutReport {
    /// What a proxy tells that serves `serving` and has counted `snapshot` by `failures`.
    pub fn new(
        serving: Option<Split>,
        changes: u64,
        failures: FailureRule,
        snapshot: &Snapshot,
    ) -> Self {
        let users = snapshot.users.as_ref();
        let users = users.filter(|users| users.counting.rule == failures);
        Self {
            serving,
            changes,
            failures,
            tripped: None,
            stable: Side::of(&snapshot.stable),
            canary: Side::of(&snapshot.canary),
            users: users.map(Users::of),
            history: Vec::new(),
        }
    }

    /// Whether the counts can be read.
    ///
    /// # Errors
    /// As [`RolloutReport::snapshot`].
    pub(super) fn check(&self) -> Result<(), Unreadable> {
        self.snapshot(Duration::ZERO).map(drop)
    }

    /// The counts, as they were `at` the time since the process began. Without a generation, which is the reader's to say.
    ///
    /// # Errors
    /// A bucket or a sector that there is none of.
    pub fn snapshot(&self, at: Duration) -> Result<Snapshot, Unreadable> {
        let users = self.users.as_ref();
        Ok(Snapshot {
            at,
            generation: None,
            stable: self.stable.counts()?,
            canary: self.canary.counts()?,
            users: users.map(|users| users.counts(self.failures)).transpose()?,
            trip: None,
        })
    }
}
