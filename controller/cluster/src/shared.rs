//! What the parts of a term share: what is known, and what is due.

use crate::{
    fleet::Fleet,
    key::Key,
    metrics::Counts,
    objects::WorkloadKind,
    queue::{Left, Queue, Taken},
    shard::Shard,
    view::View,
};
use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};
use tokio::sync::{Notify, watch};

/// What is known and what is due in one term of a leader.
#[derive(Debug)]
pub(crate) struct Shared {
    shard: Shard,
    view: Mutex<View>,
    queue: Mutex<Queue<Key>>,
    /// Rung when something is due that was not before, or all is known.
    bell: Notify,
    /// The kinds of workloads that Rollouts take their templates from.
    sources: watch::Sender<BTreeSet<WorkloadKind>>,
    /// What is known of requests.
    pub(crate) fleet: Fleet,
    pub(crate) counts: Arc<Counts>,
}

impl Shared {
    pub(crate) fn new(counts: Arc<Counts>, shard: Shard) -> Self {
        Self {
            shard,
            view: Mutex::default(),
            queue: Mutex::default(),
            bell: Notify::new(),
            sources: watch::Sender::default(),
            fleet: Fleet::default(),
            counts,
        }
    }

    /// What is known. Nobody waits while he holds it.
    pub(crate) fn view(&self) -> MutexGuard<'_, View> {
        // No look at it and no change of it can panic half-way and leave a lie behind that a list would not mend.
        self.view.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn queue(&self) -> MutexGuard<'_, Queue<Key>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes Rollouts due. Those of other shards, which a Service may name, are left to others.
    pub(crate) fn wake(&self, rollouts: &[Key]) {
        let now = Instant::now();
        let ours = rollouts
            .iter()
            .filter(|key| self.shard.has(&key.namespace, &key.name));
        let mut queue = self.queue();
        let added = ours.filter(|key| queue.wake(key, now)).count();
        drop(queue);
        if added > 0 {
            self.counts.queued(added);
            self.bell.notify_one();
        }
    }

    /// Rollouts take, or took, their templates from workloads of these kinds.
    pub(crate) fn tell_sources(&self, kinds: &BTreeSet<WorkloadKind>) {
        self.sources.send_if_modified(|known| {
            let is_news = known != kinds;
            if is_news {
                known.clone_from(kinds);
            }
            is_news
        });
    }

    /// Returns when a Rollout takes its template from a workload of this kind.
    pub(crate) async fn takes_from(&self, kind: WorkloadKind) {
        let mut kinds = self.sources.subscribe();
        // Whoever tells is not gone before this is.
        let _ = kinds.wait_for(|kinds| kinds.contains(&kind)).await;
    }

    /// All is known.
    pub(crate) fn ring(&self) {
        self.bell.notify_one();
    }

    /// Returns when [`Shared::wake`] or [`Shared::ring`] was called since the last time.
    pub(crate) async fn rung(&self) {
        self.bell.notified().await;
    }

    /// Takes the Rollout that is due for the longest, if all is known.
    pub(crate) fn take(&self) -> Option<Taken<Key>> {
        if !self.view().is_complete() {
            return None;
        }
        self.queue().take(Instant::now())
    }

    /// Gives a Rollout back.
    pub(crate) fn leave(&self, key: &Key, left: Left, random: u32) {
        self.queue().leave(key, left, Instant::now(), random);
    }

    /// How many Rollouts are due.
    pub(crate) fn depth(&self) -> usize {
        self.queue().len()
    }

    /// Whether a Rollout is due or being worked on.
    pub(crate) fn is_busy(&self) -> bool {
        self.queue().is_busy()
    }

    /// When the next Rollout becomes due by itself.
    pub(crate) fn next_timer(&self) -> Option<Instant> {
        self.queue().next_timer()
    }
}
