//! The conditions that a turn ends with: whether the Rollout is available, healthy, complete, and gets on.

use crds::status::{Condition, ConditionStatus, RolloutStatus};

use super::conditions::{
    self, ABORTED, AVAILABLE, COMPLETED, HEALTHY, IS_HELD, IS_PAUSED, PAUSED, PROGRESSING,
    REPLICA_FAILURE, TIMED_OUT, truth,
};
use super::routed::{Wait, WaitsOn};
use super::spec::{Step, Strategy};
use super::work::{Work, after};

impl Work<'_> {
    /// Writes what the status says of pauses and aborts into the conditions, when somebody else changed it. Whether
    /// something was written: then the next turn goes on from there.
    pub(super) fn follow_pauses(&mut self) -> bool {
        let mut seen = RolloutStatus::default();
        self.observe_generation(&mut seen);
        if seen.observed_generation != self.status.observed_generation {
            return false;
        }
        let known = &self.status.conditions;
        let is_paused = self.is_paused(&self.status);
        let was_aborted = conditions::has(known, PROGRESSING, ABORTED);
        let was_paused = conditions::has(known, PROGRESSING, IS_PAUSED);
        let is_complete = self.status.stable_rs.is_some() && self.is_promoted();
        let mut next = self.status.clone();
        let mut set = |kind, status, reason, message: &str| {
            let condition = conditions::new(kind, status, reason, message, self.now);
            conditions::set(&mut next.conditions, condition);
        };
        if is_paused != was_paused && !was_aborted && !is_complete {
            let (reason, message) = if is_paused {
                (IS_PAUSED, "Rollout is paused")
            } else {
                ("RolloutResumed", "Rollout is resumed")
            };
            set(PROGRESSING, ConditionStatus::Unknown, reason, message);
        }
        if self.status.abort != Some(true) && was_aborted {
            let message = "Retrying Rollout after abort";
            set(
                PROGRESSING,
                ConditionStatus::Unknown,
                "RolloutRetry",
                message,
            );
        }
        let said = conditions::get(known, PAUSED);
        let said = said.is_some_and(|condition| condition.status == ConditionStatus::True);
        if is_paused != said && !was_aborted {
            set(PAUSED, truth(is_paused), IS_PAUSED, "Rollout is paused");
        }
        if next.conditions == self.status.conditions {
            return false;
        }
        self.calculate_phase(&mut next);
        next.duration = self.calculate_duration(&next);
        self.patch_status(&next)
    }

    pub(super) fn calculate_conditions(&mut self, next: &mut RolloutStatus) {
        let became_unhealthy = self.say_healthy(next);
        if self.is_aborted() {
            self.say_aborted(next);
        } else {
            self.say_progress(next, became_unhealthy);
        }
        self.say_available(next);
        match self.failure() {
            Some(failure) => {
                conditions::set(&mut next.conditions, failure);
            }
            None => conditions::remove(&mut next.conditions, REPLICA_FAILURE),
        }
        self.say_complete(next);
    }

    /// Whether it was healthy before and is not any more.
    fn say_healthy(&self, next: &mut RolloutStatus) -> bool {
        let healthy = !self.is_paused(next) && self.is_healthy(next);
        let known = conditions::get(&self.status.conditions, HEALTHY).is_some();
        if !healthy && !known {
            return false;
        }
        let message = if healthy {
            "Rollout is healthy"
        } else {
            "Rollout is not healthy"
        };
        let condition =
            conditions::new(HEALTHY, truth(healthy), "RolloutHealthy", message, self.now);
        conditions::set(&mut next.conditions, condition) && !healthy
    }

    fn say_aborted(&mut self, next: &mut RolloutStatus) {
        let mut message = format!("Rollout aborted update to revision {}", self.revision());
        if let Some(why) = &self.pauses.abort {
            message = format!("{message}: {why}");
        }
        let status = ConditionStatus::False;
        let condition = conditions::new(PROGRESSING, status, ABORTED, message.clone(), self.now);
        if conditions::set(&mut next.conditions, condition) {
            self.warn(ABORTED, message);
        }
    }

    fn say_progress(&self, next: &mut RolloutStatus, became_unhealthy: bool) {
        let set = self
            .new_set()
            .map(|set| set.name.as_str())
            .unwrap_or_default();
        let known = conditions::get(&self.status.conditions, PROGRESSING);
        let now = self.now;
        if self.is_healthy(next) {
            let message = format!("ReplicaSet {set:?} has successfully progressed.");
            let (status, reason) = (ConditionStatus::True, "NewReplicaSetAvailable");
            let condition = conditions::new(PROGRESSING, status, reason, message, now);
            conditions::set(&mut next.conditions, condition);
        } else if became_unhealthy || self.has_progressed(next) {
            let is_stable = next.stable_rs == next.current_pod_hash;
            let (reason, message) = if became_unhealthy && is_stable {
                let message = "Rollout does not have minimum availability";
                ("ReplicaSetNotAvailable", message.to_owned())
            } else {
                (
                    "ReplicaSetUpdated",
                    format!("ReplicaSet {set:?} is progressing."),
                )
            };
            let status = ConditionStatus::True;
            let mut condition = conditions::new(PROGRESSING, status, reason, message, now);
            // Progress is told anew each time, as the deadline counts from the last one.
            if let Some(known) = known.filter(|known| known.status == ConditionStatus::True) {
                condition.last_transition_time = known.last_transition_time;
            }
            conditions::remove(&mut next.conditions, PROGRESSING);
            next.conditions.push(condition);
        } else if let Some(wait) = self.held().filter(|_| !self.is_paused(next)) {
            let (status, message) = (ConditionStatus::Unknown, wait.why.clone());
            let condition = conditions::new(PROGRESSING, status, IS_HELD, message, now);
            conditions::set(&mut next.conditions, condition);
        } else if !self.may_take_time() && self.is_late(next) {
            let message = self.late();
            let status = ConditionStatus::False;
            let condition = conditions::new(PROGRESSING, status, TIMED_OUT, message, now);
            conditions::set(&mut next.conditions, condition);
        }
    }

    fn say_available(&self, next: &mut RolloutStatus) {
        let is_available = match &self.spec.strategy {
            Strategy::Canary(_) => self.available() >= self.spec.replicas,
            Strategy::BlueGreen(_) => {
                let active = next.blue_green.as_ref();
                let active = active.and_then(|status| status.active_selector.as_deref());
                let active =
                    active.and_then(|hash| self.sets.iter().find(|set| set.hash() == Some(hash)));
                active.is_some_and(|set| self.is_saturated(set))
            }
        };
        let message = if is_available {
            "Rollout has minimum availability"
        } else {
            "Rollout does not have minimum availability"
        };
        let status = truth(is_available);
        let condition = conditions::new(AVAILABLE, status, "AvailableReason", message, self.now);
        conditions::set(&mut next.conditions, condition);
    }

    fn say_complete(&mut self, next: &mut RolloutStatus) {
        let is_complete = super::status::is_complete(next);
        let (status, word) = (truth(is_complete), "RolloutCompleted");
        let condition = conditions::new(COMPLETED, status, word, word, self.now);
        if conditions::set(&mut next.conditions, condition) && !is_complete {
            let message = format!(
                "Rollout not completed, started update to revision {} ({})",
                self.revision(),
                self.hash
            );
            self.tell("RolloutNotCompleted", message);
        }
    }

    /// Why pods cannot be made: the new version's failure, or else that of any.
    fn failure(&self) -> Option<Condition> {
        let sets = self.new_set().into_iter().chain(&self.sets);
        let failure = sets.filter_map(|set| set.failure.as_ref()).next()?;
        let status = match failure.status.as_str() {
            "True" => ConditionStatus::True,
            "False" => ConditionStatus::False,
            _ => ConditionStatus::Unknown,
        };
        let (reason, message) = (failure.reason.as_str(), failure.message.clone());
        Some(conditions::new(
            REPLICA_FAILURE,
            status,
            reason,
            message,
            failure.since,
        ))
    }

    /// Whether all pods are those of the version that the spec asks for, and nothing is under way.
    fn is_healthy(&self, next: &RolloutStatus) -> bool {
        let all = super::status::number(self.spec.replicas);
        let is_promoted = super::status::is_complete(next);
        let is_done = match &self.spec.strategy {
            Strategy::Canary(canary) => {
                let steps = i32::try_from(canary.steps.len()).ok();
                let passed = canary.steps.is_empty()
                    || next.current_step_index.is_none()
                    || next.current_step_index == steps;
                passed && is_promoted && next.replicas == all
            }
            Strategy::BlueGreen(blue_green) => {
                let status = next.blue_green.as_ref();
                let leads = |hash: Option<&String>| hash == next.current_pod_hash.as_ref();
                leads(status.and_then(|status| status.active_selector.as_ref()))
                    && (blue_green.preview.is_none()
                        || leads(status.and_then(|status| status.preview_selector.as_ref())))
            }
        };
        is_done
            && next.updated_replicas == all
            && next.available_replicas == all
            && self.status.observed_generation == next.observed_generation
    }

    /// Whether anything came nearer to its end since the status that was seen.
    fn has_progressed(&self, next: &RolloutStatus) -> bool {
        let seen = &self.status;
        let count = |count: Option<i32>| count.unwrap_or(0);
        let older =
            |status: &RolloutStatus| count(status.replicas) - count(status.updated_replicas);
        let by_strategy = match &self.spec.strategy {
            Strategy::Canary(_) => {
                let indexes = (seen.current_step_index, next.current_step_index);
                seen.stable_rs != next.stable_rs
                    || seen.current_step_hash != next.current_step_hash
                    || matches!(indexes, (Some(before), Some(now)) if before != now)
            }
            Strategy::BlueGreen(_) => {
                let leads = |status: &RolloutStatus| {
                    let status = status.blue_green.clone().unwrap_or_default();
                    (status.active_selector, status.preview_selector)
                };
                leads(seen) != leads(next)
            }
        };
        let is_released = conditions::has(&seen.conditions, PROGRESSING, IS_HELD);
        by_strategy
            || seen.current_pod_hash != next.current_pod_hash
            || (is_released && self.held().is_none())
            || seen.updated_replicas != next.updated_replicas
            || older(next) < older(seen)
            || count(next.ready_replicas) > count(seen.ready_replicas)
            || count(next.available_replicas) > count(seen.available_replicas)
    }

    /// Whether what is waited for may take any time: a pause, or old pods that stay for a while.
    fn may_take_time(&self) -> bool {
        let step = match &self.spec.strategy {
            Strategy::Canary(canary) => self.step_index().and_then(|index| canary.steps.get(index)),
            Strategy::BlueGreen(_) => None,
        };
        let paused = conditions::get(&self.status.conditions, PAUSED);
        let is_paused = paused.is_some_and(|paused| paused.status == ConditionStatus::True);
        let mut others = self.others().into_iter().map(|index| &self.sets[index]);
        matches!(step, Some(Step::Pause(_) | Step::Evidence))
            || self
                .wait
                .as_ref()
                .is_some_and(|wait| wait.on != WaitsOn::Proxies)
            || is_paused
            // An aborted version keeps its deadline when its pods are gone.
            || others.any(|set| set.wanted > 0 && set.deadline().is_some())
    }

    /// Whether the last progress is longer ago than `progressDeadlineSeconds`.
    fn is_late(&self, status: &RolloutStatus) -> bool {
        let known = conditions::get(&status.conditions, PROGRESSING);
        known.is_some_and(|known| match known.reason.as_str() {
            ABORTED | IS_PAUSED | IS_HELD => false,
            TIMED_OUT => true,
            _ => after(known.last_update_time.into(), self.spec.deadline) < self.now,
        })
    }

    /// Whether it is paused, by what `status` says or by hand.
    fn is_paused(&self, status: &RolloutStatus) -> bool {
        self.spec.paused || !status.pause_conditions.is_empty()
    }

    /// Why the guard holds the canary, if it does.
    fn held(&self) -> Option<&Wait> {
        self.wait.as_ref().filter(|wait| wait.on == WaitsOn::Guard)
    }

    /// That the update makes no progress in time, with what it waits for where that is known.
    fn late(&self) -> String {
        let set = self.new_set().map(|set| set.name.as_str());
        let late = format!(
            "ReplicaSet {:?} has timed out progressing",
            set.unwrap_or_default()
        );
        match &self.wait {
            Some(wait) => format!("{late}: {}", wait.why),
            None => format!("{late}."),
        }
    }

    /// Aborts an update that makes no progress in time, where the spec asks for that.
    pub(super) fn abort_when_late(&mut self, next: &RolloutStatus) {
        let is_complete = super::status::is_complete(next);
        if !self.spec.deadline_aborts
            || self.is_aborted()
            || is_complete
            || self.has_progressed(next)
            || self.may_take_time()
            || !self.is_late(&self.status)
        {
            return;
        }
        let message = self.late();
        self.pauses.abort = Some(message.clone());
        self.warn(ABORTED, message);
    }

    /// Asks for a turn at the time by which progress must have been made.
    pub(super) fn wake_when_late(&mut self, next: &RolloutStatus) {
        let Some(known) = conditions::get(&next.conditions, PROGRESSING) else {
            return;
        };
        if known.reason == TIMED_OUT
            || self.is_paused(next)
            || next.abort == Some(true)
            || self.is_healthy(next)
            || self.may_take_time()
        {
            return;
        }
        // A second more, as the time of the last progress is written in whole seconds.
        let deadline = after(known.last_update_time.into(), self.spec.deadline);
        self.wake_at(after(deadline, std::time::Duration::from_secs(1)));
    }
}
