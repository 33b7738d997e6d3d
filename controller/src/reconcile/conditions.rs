//! Conditions: what holds of a Rollout, and since when (Argo's `utils/conditions`).

use crds::status::{Condition, ConditionStatus};
use jiff::Timestamp;

pub(super) const INVALID: &str = "InvalidSpec";
pub(super) const AVAILABLE: &str = "Available";
pub(super) const PROGRESSING: &str = "Progressing";
pub(super) const REPLICA_FAILURE: &str = "ReplicaFailure";
pub(super) const PAUSED: &str = "Paused";
pub(super) const COMPLETED: &str = "Completed";
pub(super) const HEALTHY: &str = "Healthy";

/// The reason of `Progressing` when an update was aborted.
pub(super) const ABORTED: &str = "RolloutAborted";
/// The reason of `Progressing` when an update made no progress in time.
pub(super) const TIMED_OUT: &str = "ProgressDeadlineExceeded";
/// The reason of `Progressing` and `Paused` when somebody or something has to go on.
pub(super) const IS_PAUSED: &str = "RolloutPaused";

/// The reason of `Progressing` when the guard holds a canary where it is. It is Sluice's own, and keeps that no time counted
/// meanwhile.
pub(super) const IS_HELD: &str = "RolloutHeld";

pub(super) fn new(
    kind: &str,
    status: ConditionStatus,
    reason: &str,
    message: impl Into<String>,
    now: Timestamp,
) -> Condition {
    Condition {
        kind: kind.to_owned(),
        status,
        last_update_time: now.into(),
        last_transition_time: now.into(),
        reason: reason.to_owned(),
        message: message.into(),
    }
}

pub(super) fn get<'c>(conditions: &'c [Condition], kind: &str) -> Option<&'c Condition> {
    conditions.iter().find(|condition| condition.kind == kind)
}

/// Whether the condition of this kind has this reason.
pub(super) fn has(conditions: &[Condition], kind: &str, reason: &str) -> bool {
    get(conditions, kind).is_some_and(|condition| condition.reason == reason)
}

/// Puts `condition` in the place of the one of its kind, unless that says the same in status and reason. Whether it did.
pub(super) fn set(conditions: &mut Vec<Condition>, mut condition: Condition) -> bool {
    if let Some(known) = get(conditions, &condition.kind)
        && known.status == condition.status
    {
        if known.reason == condition.reason {
            return false;
        }
        condition.last_transition_time = known.last_transition_time;
    }
    remove(conditions, &condition.kind.clone());
    conditions.push(condition);
    true
}

pub(super) fn remove(conditions: &mut Vec<Condition>, kind: &str) {
    conditions.retain(|condition| condition.kind != kind);
}

pub(super) fn truth(holds: bool) -> ConditionStatus {
    if holds {
        ConditionStatus::True
    } else {
        ConditionStatus::False
    }
}
