//! A canary: its steps, and its pods where its share of the requests is its share of them.

use crds::status::{PauseReason, RolloutStatus};
use rollout::pods::{Counts, Pods, alone, beside, is_available, retire};
use traffic::Weight;

use super::spec::{Canary, Step};
use super::work::Work;

impl Work<'_> {
    pub(super) fn canary(&mut self, canary: &Canary<'_>) {
        if self.has_changed(canary) {
            return self.finish_canary(canary);
        }
        self.limit_history();
        self.canary_services(canary);
        if !self.canary_sets(canary) {
            self.pause_canary(canary);
        }
        self.finish_canary(canary);
    }

    /// Only sizes, as the Rollout was scaled: no step is passed, and no Service switched.
    pub(super) fn scale_canary(&mut self, canary: &Canary<'_>) {
        self.canary_sets(canary);
        let mut next = self.status.clone();
        self.count_canary(&mut next);
        self.persist(next);
    }

    /// The pod template or the steps are not those of the status.
    pub(super) fn has_changed(&self, canary: &Canary<'_>) -> bool {
        self.status.current_step_hash.as_deref() != Some(&canary.hash) || self.has_new_template()
    }

    /// The step that the canary is at, or past the last; nothing where there are no steps. Anybody may patch the status that it
    /// is read from, with an index that no step has: below the first it is taken as the first, above the last as past it.
    pub(super) fn step_index(&self) -> Option<usize> {
        let steps = match &self.spec.strategy {
            super::spec::Strategy::Canary(canary) => canary.steps.len(),
            super::spec::Strategy::BlueGreen(_) => 0,
        };
        let index = self.status.current_step_index.unwrap_or(0);
        (steps > 0).then(|| usize::try_from(index).unwrap_or(0).min(steps))
    }

    /// Scales the sets, one way at a time. Whether something was scaled.
    fn canary_sets(&mut self, canary: &Canary<'_>) -> bool {
        if self.is_halted() {
            return false;
        }
        self.forget_deadlines();
        if let Some(routing) = &canary.routing {
            return self.routed_sets(canary, routing);
        }
        let counts = self.counts(canary);
        if let Some(stable) = self.stable_beside()
            && self.scale(stable, counts.stable)
        {
            return true;
        }
        if let Some(new) = self.new {
            let shrinks = counts.canary < self.sets[new].wanted;
            let scaled = self.scale(new, counts.canary);
            self.replace_workload(shrinks);
            if scaled {
                return true;
            }
        }
        self.retire_others(canary)
    }

    /// Older versions get requests as long as they have pods, so they go as soon as availability allows.
    fn retire_others(&mut self, canary: &Canary<'_>) -> bool {
        let mut others = self.others();
        others.sort_by_key(|index| std::cmp::Reverse(self.sets[*index].revision()));
        let pods: Vec<Pods> = others
            .iter()
            .map(|index| self.sets[*index].pods())
            .collect();
        let kept = self.sets.iter().map(|set| set.pods().kept()).sum();
        let wanted = retire(canary.budget, kept, &pods);
        let mut scaled = false;
        for (index, wanted) in others.into_iter().zip(wanted) {
            if self.sets[index].wanted > 0 {
                scaled |= self.scale(index, wanted);
            }
        }
        scaled
    }

    /// How many pods the two versions are to have.
    fn counts(&self, canary: &Canary<'_>) -> Counts {
        let older = self.others().into_iter();
        let older = older.map(|index| self.sets[index].wanted).sum();
        let new = self.new_set().map_or_else(Pods::default, |set| set.pods());
        match self.stable_beside() {
            None => Counts {
                canary: alone(canary.budget, new, older),
                stable: 0,
            },
            Some(stable) => {
                let stable = self.sets[stable].pods();
                beside(canary.budget, self.weight(canary), new, stable, older)
            }
        }
    }

    /// The share that the canary is to have.
    pub(super) fn weight(&self, canary: &Canary<'_>) -> Weight {
        if self.status.promote_full == Some(true) || self.is_promoted() {
            return Weight::FULL;
        }
        if self.status.abort == Some(true) {
            return Weight::ZERO;
        }
        let Some(index) = self
            .step_index()
            .filter(|index| *index < canary.steps.len())
        else {
            return Weight::FULL;
        };
        canary.weight_at(index)
    }

    /// Whether pods are as the present weight asks.
    fn has_its_pods(&self, canary: &Canary<'_>) -> bool {
        let counts = self.counts(canary);
        let new = self.new_set().map_or_else(Pods::default, |set| set.pods());
        let stable = self.stable_set();
        let others = self.others().into_iter();
        is_available(canary.threshold, new, counts.canary)
            && stable
                .is_some_and(|set| set.wanted == counts.stable && set.replicas == counts.stable)
            && others.map(|index| self.sets[index].available).sum::<u32>() == 0
    }

    /// Pauses where the step says so.
    fn pause_canary(&mut self, canary: &Canary<'_>) {
        if self.spec.paused || self.status.promote_full == Some(true) {
            return;
        }
        let step = self.step_index().and_then(|index| canary.steps.get(index));
        let Some(Step::Pause(_)) = step else {
            return;
        };
        let reason = PauseReason::CanaryPauseStep;
        if self.paused_since(&reason).is_none() && !self.was_resumed(&reason) {
            self.pauses.add.push(reason);
        }
    }

    /// Whether the present step is done.
    fn is_step_done(&mut self, canary: &Canary<'_>) -> bool {
        let Some(index) = self.step_index().filter(|_| !self.spec.paused) else {
            return false;
        };
        if let Some(routing) = &canary.routing {
            return self.is_routed_step_done(canary, routing, index);
        }
        match canary.steps.get(index).copied() {
            // Those that only a router makes sense of are refused without one.
            None
            | Some(
                Step::SetCanaryScale(_)
                | Step::SetHeaderRoute(_)
                | Step::SetMirrorRoute(_)
                | Step::Evidence,
            ) => false,
            Some(Step::SetWeight(_)) => self.has_its_pods(canary),
            Some(Step::Pause(duration)) => {
                let reason = PauseReason::CanaryPauseStep;
                if self.was_resumed(&reason) {
                    return true;
                }
                match (duration, self.paused_since(&reason)) {
                    (Some(duration), Some(since)) => self.is_over(since, duration),
                    _ => false,
                }
            }
        }
    }

    /// The status that follows from what the turn saw and wrote.
    pub(super) fn finish_canary(&mut self, canary: &Canary<'_>) {
        let mut next = self.base_status();
        next.canary = self.slots_kept();
        self.count_canary(&mut next);
        next.selector = Some(super::selector::text(self.spec.selector));
        next.current_step_hash = Some(canary.hash.clone());
        let steps = canary.steps.len();
        let last = (steps > 0).then(|| i32::try_from(steps).unwrap_or(i32::MAX));
        let stays_aborted = self.is_routed() && self.is_aborted() && !self.has_new_template();
        if self.has_changed(canary) && !stays_aborted {
            self.reset(&mut next, last);
            return self.persist(next);
        }
        let mut index = self.step_index();
        if self.pauses.abort.is_some() {
            // Who wanted it in full wanted it before this was known.
            next.promote_full = None;
        } else if self.status.promote_full == Some(true)
            || (self.is_within_window() && !stays_aborted)
        {
            self.pauses.clear = true;
            self.pauses.remove_abort = true;
            index = index.map(|_| steps);
        }
        if let Some(reason) = self.promotes_canary(canary) {
            next.current_step_index = last;
            self.promote(&mut next, &reason);
            return self.persist(next);
        }
        let done = index.filter(|_| !self.is_aborted() && self.is_step_done(canary));
        if self.is_aborted() {
            let back = if next.stable_rs == next.current_pod_hash {
                last
            } else {
                Some(0)
            };
            next.current_step_index = last.and(back);
            return self.persist(next);
        }
        if let Some(passed) = done {
            let done = passed + 1;
            let step = canary.steps[passed];
            let message = format!("Rollout step {done}/{steps} completed ({step})");
            self.tell("RolloutStepCompleted", message);
            self.pauses.remove.push(PauseReason::CanaryPauseStep);
            self.pauses
                .remove
                .push(PauseReason::InconclusiveAnalysisRun);
            index = Some(done);
        }
        next.current_step_index = index.map(|index| i32::try_from(index).unwrap_or(i32::MAX));
        self.persist(next);
    }

    /// A canary starts at its first step, or past the last when it goes back to what is known to be good.
    fn reset(&mut self, next: &mut RolloutStatus, last: Option<i32>) {
        self.reset_status(next);
        next.current_step_index = last.map(|_| 0);
        let Some(new) = self.new_set().filter(|_| last.is_some()) else {
            return;
        };
        let back = if self.status.stable_rs.as_deref() == new.hash() {
            "Rollback to stable ReplicaSets"
        } else if self.is_within_window() && new.wanted > 0 {
            "Rollback to active ReplicaSets within RollbackWindow"
        } else {
            return;
        };
        self.tell("SkipSteps", back.to_owned());
        next.current_step_index = last;
    }

    /// Why the new version becomes stable, if it does.
    fn promotes_canary(&mut self, canary: &Canary<'_>) -> Option<String> {
        let why = self.may_promote_canary(canary)?;
        let waits_for_traffic =
            self.stable_beside().is_some() && self.status.promote_full != Some(true);
        match &canary.routing {
            Some(routing) if self.stable_beside().is_some() && !self.may_swap(routing) => None,
            Some(routing) if waits_for_traffic => self.has_all_traffic(routing).then_some(why),
            _ => Some(why),
        }
    }

    /// Why the new version may become stable by its steps and pods, if it may.
    fn may_promote_canary(&self, canary: &Canary<'_>) -> Option<String> {
        let new = self.new_set()?;
        if self.stable_set().is_none() {
            return Some("Initial deploy".to_owned());
        }
        if self.is_aborted() {
            return None;
        }
        let replicas = self.spec.replicas;
        if new.available < replicas && !is_available(canary.threshold, new.pods(), replicas) {
            return None;
        }
        if self.status.promote_full == Some(true) {
            return Some("Full promotion requested".to_owned());
        }
        if let Some(why) = self.fast_rollback() {
            return Some(why.to_owned());
        }
        let steps = canary.steps.len();
        let passed = self.step_index().is_none_or(|index| index == steps);
        passed.then(|| format!("Completed all {steps} canary steps"))
    }

    fn count_canary(&self, next: &mut RolloutStatus) {
        next.available_replicas = super::status::number(self.available());
        let replicas = self.sets.iter().map(|set| set.replicas).sum();
        next.hpa_replicas = super::status::number(replicas);
    }
}
