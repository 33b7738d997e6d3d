//! `restartAt`: pods that are older are evicted, few at a time, and their ReplicaSets make new ones.

use std::cmp::Reverse;
use std::ops::ControlFlow;
use std::time::Duration;

use jiff::Timestamp;

use super::spec::Strategy;
use super::work::{Work, after};
use super::{Pod, Write};

/// When to look again while pods are to go: a PodDisruptionBudget may have refused one.
const LOOK_AGAIN: Duration = Duration::from_secs(30);

impl Work<'_> {
    /// Evicts pods that are older than `restartAt`, as many as may be missing, the stable version's first. Breaks when
    /// nothing else is to be decided: the counts of pods are not true any more.
    pub(super) fn restart(&mut self) -> ControlFlow<()> {
        let Some(written) = self.spec.restart_at else {
            return ControlFlow::Continue(());
        };
        let restart_at = Timestamp::from(written);
        if self.status.restarted_at == Some(written) {
            return ControlFlow::Continue(());
        }
        if self.now <= restart_at {
            self.wake_at(after(restart_at, Duration::from_secs(1)));
            return ControlFlow::Continue(());
        }
        let Some(pods) = self.pods() else {
            return ControlFlow::Break(());
        };
        let mut old: Vec<_> = pods.iter().filter(|pod| pod.created < restart_at).collect();
        if old.is_empty() {
            self.restarted = Some(written);
            return ControlFlow::Continue(());
        }
        old.retain(|pod| !pod.is_going);
        old.sort_by_key(|pod| (Reverse(self.rank(pod)), pod.created));
        self.wake_at(after(self.now, LOOK_AGAIN));
        let goes = self.spare(pods);
        for pod in old.iter().take(goes) {
            self.write(Write::EvictPod {
                name: pod.name.clone(),
            });
        }
        if goes > 0 && !old.is_empty() && matches!(self.spec.strategy, Strategy::Canary(_)) {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }

    /// How many pods may go now: one at least while all are there.
    fn spare(&self, pods: &[Pod]) -> usize {
        let waits = Duration::from_secs(u64::try_from(self.spec.min_ready_seconds).unwrap_or(0));
        let is_available = |pod: &&Pod| {
            let ready = pod.ready_since.map(|since| after(since, waits));
            !pod.is_going && ready.is_some_and(|ready| ready <= self.now)
        };
        let available = pods.iter().filter(is_available).count();
        let wanted: u32 = self.sets.iter().map(|set| set.wanted).sum();
        let missing = self.spec.unavailable.max(1);
        let least = wanted.max(self.spec.replicas).saturating_sub(missing);
        available.saturating_sub(least as usize)
    }

    /// Stable before new before older.
    fn rank(&self, pod: &Pod) -> u8 {
        let is = |index: Option<usize>| index.is_some_and(|index| self.sets[index].uid == pod.set);
        match (is(self.stable), is(self.new)) {
            (true, _) => 2,
            (false, true) => 1,
            (false, false) => 0,
        }
    }
}
