//! ReplicaSets of earlier versions: how long they keep their pods, and how many of them stay.

use std::time::Duration;

use crds::Time;
use jiff::Timestamp;

use super::Write;
use super::names::{EXPERIMENT, SCALE_DOWN_DEADLINE};
use super::spec::{Abort, BlueGreen, Strategy};
use super::work::{Work, after};

impl Work<'_> {
    /// Says when a set is to be scaled down.
    pub(super) fn set_deadline(&mut self, index: usize, deadline: Timestamp) {
        let written = Time::from(deadline).to_string();
        self.annotate(index, &[(SCALE_DOWN_DEADLINE, Some(written))]);
        self.wake_at(deadline);
    }

    /// New and stable sets do not wait to be scaled down, though they may have when another version was wanted.
    pub(super) fn forget_deadlines(&mut self) {
        let new = self.new.filter(|_| !self.delays_abort());
        let stable = self.stable.filter(|stable| Some(*stable) != new);
        for index in [new, stable].into_iter().flatten() {
            if self.sets[index]
                .annotations
                .contains_key(SCALE_DOWN_DEADLINE)
            {
                self.annotate(index, &[(SCALE_DOWN_DEADLINE, None)]);
            }
        }
    }

    /// Earlier versions keep their pods for a time after the switch, so that who still looks up the old one is served,
    /// and the way back is short.
    pub(super) fn retire_after_delay(&mut self, blue_green: &BlueGreen<'_>) {
        let mut others = self.others();
        others.sort_by_key(|index| std::cmp::Reverse(self.sets[*index].revision()));
        let mut waiting = 0;
        for index in others {
            let set = &self.sets[index];
            if set.wanted == 0 || self.is_referred_to(blue_green, set.hash()) {
                continue;
            }
            waiting += 1;
            if waiting > blue_green.delayed || blue_green.scale_down_delay.is_zero() {
                self.scale(index, 0);
            } else {
                self.retire_in(index, blue_green.scale_down_delay, self.spec.replicas);
            }
        }
    }

    /// Scales a set down `delay` after this was first asked for; until then it has `kept` pods. Whether it was scaled.
    pub(super) fn retire_in(&mut self, index: usize, delay: Duration, kept: u32) -> bool {
        match self.sets[index].deadline() {
            Some(deadline) if deadline <= self.now => self.scale(index, 0),
            Some(deadline) => {
                self.wake_at(deadline);
                self.scale(index, kept)
            }
            None => {
                self.set_deadline(index, after(self.now, delay));
                false
            }
        }
    }

    /// An aborted new version keeps its pods for a time.
    pub(super) fn delays_abort(&self) -> bool {
        let delays = match &self.spec.strategy {
            Strategy::Canary(canary) => {
                let routing = canary.routing.as_ref();
                routing.is_some_and(|routing| routing.abort != Abort::Never)
            }
            Strategy::BlueGreen(blue_green) => blue_green.abort_delay.is_some(),
        };
        delays && self.is_aborted() && self.stable.is_some()
    }

    /// Scales an aborted new version down `delay` after the old one is able to take everything. Whether it was scaled.
    pub(super) fn retire_aborted(&mut self, new: usize, delay: Duration) -> bool {
        let kept = self.sets[new].wanted;
        if self.sets[new].deadline().is_some() {
            return self.retire_in(new, delay, kept);
        }
        let scaled = self.scale(new, kept);
        let stable = self.stable_set();
        if kept > 0 && stable.is_some_and(|stable| stable.available >= self.spec.replicas) {
            self.set_deadline(new, after(self.now, delay));
        }
        scaled
    }

    /// Whether a Service leads to the version with `hash`, or did when it was last looked at.
    fn is_referred_to(&self, blue_green: &BlueGreen<'_>, hash: Option<&str>) -> bool {
        let status = self.status.blue_green.as_ref();
        let known = [
            self.status.stable_rs.as_deref(),
            self.status.current_pod_hash.as_deref(),
            status.and_then(|status| status.active_selector.as_deref()),
            status.and_then(|status| status.preview_selector.as_deref()),
            self.leads_to(blue_green.active),
            blue_green
                .preview
                .and_then(|preview| self.leads_to(preview)),
        ];
        hash.is_some() && known.contains(&hash)
    }

    /// Deletes the oldest sets that have no pods, beyond `revisionHistoryLimit`.
    pub(super) fn limit_history(&mut self) {
        let others = self.others().into_iter();
        let mut others: Vec<_> = others.filter(|index| !self.sets[*index].is_going).collect();
        let surplus = others.len().saturating_sub(self.spec.history);
        others.sort_by_key(|index| (self.sets[*index].created, self.sets[*index].name.clone()));
        for index in others.into_iter().take(surplus) {
            let set = &self.sets[index];
            let is_settled = set.generation <= set.observed_generation;
            if set.replicas == 0 && set.wanted == 0 && is_settled {
                let write = Write::DeleteReplicaSet {
                    name: set.name.clone(),
                    uid: set.uid.clone(),
                };
                self.write(write);
            }
        }
    }

    /// Why the way to the new version is short, if it is: because it was good before.
    pub(super) fn fast_rollback(&self) -> Option<&'static str> {
        let (new, stable) = (self.new_set()?, self.stable_set()?);
        if self.is_within_window() {
            return Some("Rollback within window");
        }
        let is_back = new.created < stable.created && self.is_within_delay();
        (new.hash() == stable.hash() || is_back).then_some("Fast rollback")
    }

    /// Whether the new version was stable not long before the stable one.
    pub(super) fn is_within_window(&self) -> bool {
        let (Some(new), Some(stable)) = (self.new_set(), self.stable_set()) else {
            return false;
        };
        let between = |created: Timestamp| new.created < created && created < stable.created;
        let sets = self.sets.iter();
        let between = sets
            .filter(|set| !set.annotations.contains_key(EXPERIMENT) && between(set.created))
            .count();
        new.created < stable.created && between < self.spec.window
    }

    /// Whether the new version still had the pods of a blue-green version that was switched away from.
    fn is_within_delay(&self) -> bool {
        let seen = self.new.and_then(|new| self.world.replica_sets.get(new));
        let deadline = seen.and_then(|set| set.deadline());
        let is_blue_green = matches!(self.spec.strategy, Strategy::BlueGreen(_));
        is_blue_green && deadline.is_some_and(|deadline| deadline > self.now)
    }
}
