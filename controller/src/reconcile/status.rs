//! The status that a turn ends with.

use crds::status::{CompletionStatus, RolloutStatus};
use serde_json::{Map, Value, json};

use super::Write;
use super::conditions::{self, INVALID};
use super::work::Work;

impl Work<'_> {
    /// The spec's template is not the one that the status is about.
    pub(super) fn has_new_template(&self) -> bool {
        let known = self.status.current_pod_hash.as_deref();
        known.is_some_and(|known| known != self.hash)
    }

    /// What every status says, with what is carried over from the one before.
    pub(super) fn base_status(&self) -> RolloutStatus {
        let seen = &self.status;
        let sum = |count: fn(&super::ReplicaSet) -> u32| number(self.sets.iter().map(count).sum());
        let mut conditions = seen.conditions.clone();
        conditions::remove(&mut conditions, INVALID);
        RolloutStatus {
            current_pod_hash: Some(self.hash.clone()),
            stable_rs: seen.stable_rs.clone(),
            replicas: sum(|set| set.replicas),
            updated_replicas: number(self.new_set().map_or(0, |set| set.replicas)),
            ready_replicas: sum(|set| set.ready),
            collision_count: seen.collision_count,
            promote_full: seen.promote_full.filter(|full| *full),
            restarted_at: self.restarted.or(seen.restarted_at),
            duration: seen.duration.clone(),
            alb: seen.alb.clone(),
            albs: seen.albs.clone(),
            conditions,
            ..RolloutStatus::default()
        }
    }

    /// A new version begins: what was said of the one before is gone.
    pub(super) fn reset_status(&mut self, next: &mut RolloutStatus) {
        self.pauses.clear = true;
        self.pauses.remove_abort = true;
        next.promote_full = None;
        // No pod of it can be older than this.
        next.restarted_at = self.spec.restart_at;
    }

    /// The new version is stable now.
    pub(super) fn promote(&mut self, next: &mut RolloutStatus, reason: &str) {
        self.pauses.clear = true;
        self.pauses.remove_abort = true;
        next.promote_full = None;
        self.retire_workload();
        if next.stable_rs == next.current_pod_hash {
            return;
        }
        if let Some(duration) = &mut next.duration
            && duration.completion_status.is_none()
        {
            let fully = self.status.promote_full == Some(true);
            duration.completion_status = Some(if fully {
                CompletionStatus::FastPromoted
            } else {
                CompletionStatus::Promoted
            });
        }
        next.stable_rs.clone_from(&next.current_pod_hash);
        self.swap_slots(next);
        let message = format!(
            "Rollout completed update to revision {} ({}): {reason}",
            self.revision(),
            self.hash
        );
        self.tell("RolloutCompleted", message);
    }

    /// Completes `next` and writes what differs.
    pub(super) fn persist(&mut self, mut next: RolloutStatus) {
        self.observe_generation(&mut next);
        next.workload_observed_generation = self.workload_generation();
        self.abort_when_late(&next);
        self.weigh(&mut next);
        self.calculate_pauses(&mut next);
        self.calculate_conditions(&mut next);
        self.calculate_phase(&mut next);
        next.duration = self.calculate_duration(&next);
        if self.patch_status(&next) {
            self.tell_of_pauses(&next);
        }
        self.wake_when_late(&next);
    }

    pub(super) fn observe_generation(&self, next: &mut RolloutStatus) {
        let generation = self.world.rollout.metadata.generation;
        next.observed_generation = generation.map(|generation| generation.to_string());
    }

    /// Writes what differs between the status that was seen and `next`. Whether something does.
    pub(super) fn patch_status(&mut self, next: &RolloutStatus) -> bool {
        let Some(write) = write(&self.status, next) else {
            return false;
        };
        self.write(write);
        true
    }

    fn tell_of_pauses(&mut self, next: &RolloutStatus) {
        let was = !self.status.pause_conditions.is_empty();
        match (was, next.pause_conditions.first()) {
            (false, Some(pause)) => {
                let reason = serde_json::to_value(&pause.reason).unwrap_or_default();
                let reason = reason.as_str().unwrap_or_default();
                self.tell("RolloutPaused", format!("Rollout is paused ({reason})"));
            }
            (true, None) if next.aborted_at.is_none() => {
                self.tell("RolloutResumed", "Rollout is resumed".to_owned());
            }
            _ => {}
        }
    }
}

/// A count as the status writes it: none for 0.
pub(super) fn number(count: u32) -> Option<i32> {
    i32::try_from(count).ok().filter(|count| *count != 0)
}

/// The write that leads from one status to another, by a JSON merge patch (RFC 7386); nothing where they are the same.
pub(super) fn write(from: &RolloutStatus, to: &RolloutStatus) -> Option<Write> {
    let from = serde_json::to_value(from).unwrap_or_default();
    let to = serde_json::to_value(to).unwrap_or_default();
    let patch = difference(&from, &to)?;
    Some(Write::PatchStatus {
        patch: json!({"status": patch}),
    })
}

/// Whether the version that the status is about is the stable one.
pub(super) fn is_complete(status: &RolloutStatus) -> bool {
    status.stable_rs.is_some() && status.stable_rs == status.current_pod_hash
}

/// The JSON merge patch (RFC 7386) that makes `to` of `from`; nothing where they are the same.
pub(super) fn difference(from: &Value, to: &Value) -> Option<Value> {
    let (Value::Object(from_fields), Value::Object(to_fields)) = (from, to) else {
        return (from != to).then(|| to.clone());
    };
    let mut patch = Map::new();
    for (key, value) in to_fields {
        let change = match from_fields.get(key) {
            None => Some(value.clone()),
            Some(known) => difference(known, value),
        };
        if let Some(change) = change {
            patch.insert(key.clone(), change);
        }
    }
    for key in from_fields
        .keys()
        .filter(|key| !to_fields.contains_key(*key))
    {
        patch.insert(key.clone(), Value::Null);
    }
    (!patch.is_empty()).then_some(Value::Object(patch))
}
