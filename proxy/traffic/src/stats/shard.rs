//! One worker's counters.

mod ages;

use super::{
    Failure, FailureRule, GrpcCode, Outcome, Totals,
    statuses::{ByStatus, Sums},
};
use crate::{Bucket, Counts, histogram::Recorder};
use ages::Ages;
use std::{
    collections::BTreeMap,
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

/// One worker's counters of one series. Aligned so that no two workers' counters share a cache line (or its pair,
/// which x86 prefetches along).
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct Shard {
    dispatched: AtomicU64,
    /// Requests among `dispatched` whose version the weight decided, not a rule.
    split: AtomicU64,
    cancelled: AtomicU64,
    latency_nanos: AtomicU64,
    /// Requests without a whole answer, by reason.
    broken: [AtomicU64; Failure::ALL.len()],
    /// The large part, which a version that gets no requests through this worker does without.
    cells: OnceLock<Box<Cells>>,
}

#[derive(Debug)]
#[repr(align(128))]
struct Cells {
    /// Whole answers that are judged by their status.
    answered: ByStatus,
    /// Whole answers that are judged by their gRPC code, all with status 200.
    called: [AtomicU64; GrpcCode::ALL.len()],
    /// Requests without a whole answer, by what the client saw.
    broken: ByStatus,
    latency: Recorder,
    /// How long clients waited who gave up.
    patience: Recorder,
    ages: Ages,
}

impl Cells {
    fn new() -> Box<Self> {
        Box::new(Self {
            answered: ByStatus::default(),
            called: [const { AtomicU64::new(0) }; GrpcCode::ALL.len()],
            broken: ByStatus::default(),
            latency: Recorder::default(),
            patience: Recorder::default(),
            ages: Ages::default(),
        })
    }
}

/// Adds to a counter that only this thread writes: a plain load, add and store.
pub(super) fn add(cell: &AtomicU64, n: u64) {
    cell.store(cell.load(Relaxed).wrapping_add(n), Relaxed);
}

fn zeros(n: usize) -> Box<[AtomicU64]> {
    (0..n).map(|_| AtomicU64::new(0)).collect()
}

impl Shard {
    fn cells(&self) -> &Cells {
        self.cells.get_or_init(Cells::new)
    }

    /// Counts a request that leaves for the version at `at` (from the process's epoch). `by_weight` says that the
    /// split decided its version, not a rule.
    pub fn begin(&self, at: Duration, by_weight: bool) {
        add(&self.dispatched, 1);
        if by_weight {
            add(&self.split, 1);
        }
        self.cells().ages.begin(at);
    }

    /// Counts the end, at `at`, of a request that [`Shard::begin`] counted at `began`.
    pub fn end(&self, began: Duration, at: Duration, outcome: Outcome) {
        let cells = self.cells();
        cells.ages.end(began, at);
        let latency = at.saturating_sub(began);
        match outcome {
            Outcome::Cancelled => {
                add(&self.cancelled, 1);
                cells.patience.record(latency);
                return;
            }
            Outcome::Answered(status) => cells.answered.count(status),
            Outcome::Called(code) => add(&cells.called[code as usize], 1),
            Outcome::Failed { status, reason } => {
                add(&self.broken[reason as usize], 1);
                cells.broken.count(status);
            }
        }
        cells.latency.record(latency);
        add(&self.latency_nanos, latency.as_nanos() as u64);
    }

    /// Requests whose version the weight decided.
    pub(super) fn split(&self) -> u64 {
        self.split.load(Relaxed)
    }

    /// Requests that failed by `rule`.
    pub(super) fn failures(&self, rule: &FailureRule) -> u64 {
        let broken: u64 = self.broken.iter().map(|n| n.load(Relaxed)).sum();
        broken + self.whole(rule)
    }

    /// Whole answers that are failures by `rule`.
    fn whole(&self, rule: &FailureRule) -> u64 {
        let Some(cells) = self.cells.get() else {
            return 0;
        };
        let called = |code: GrpcCode| cells.called[code as usize].load(Relaxed);
        cells.answered.failures(rule) + rule.codes().map(called).sum::<u64>()
    }

    /// Requests under way.
    pub(super) fn under_way(&self) -> u64 {
        self.cells.get().map_or(0, |cells| cells.ages.count())
    }

    /// Adds what a verdict needs, read at `now`, to `counts`, with the failures by `rule`, and the requests under way by
    /// age to `waiting`.
    pub(super) fn add_counts(
        &self,
        now: Duration,
        rule: &FailureRule,
        counts: &mut Counts,
        waiting: &mut BTreeMap<Bucket, u64>,
    ) {
        // Ends are read before beginnings, so that no request is seen to have ended that was not yet sent.
        counts.failed += self.failures(rule);
        counts.client_errors += self.whole(&rule.client_errors());
        counts.cancelled += self.cancelled.load(Relaxed);
        if let Some(cells) = self.cells.get() {
            cells.latency.add_to(&mut counts.latency);
            cells.patience.add_to(&mut counts.abandoned);
            cells.ages.add_to(now, waiting);
        }
        counts.dispatched += self.dispatched.load(Relaxed);
    }

    /// Adds everything to `totals`, except what is said of statuses: the whole answers by status go to `answered`, the
    /// requests without one to `broken`.
    pub(super) fn add_totals(&self, totals: &mut Totals, answered: &mut Sums, broken: &mut Sums) {
        totals.cancelled += self.cancelled.load(Relaxed);
        totals.latency_sum += Duration::from_nanos(self.latency_nanos.load(Relaxed));
        for (sum, cell) in totals.failures.iter_mut().zip(&self.broken) {
            *sum += cell.load(Relaxed);
        }
        if let Some(cells) = self.cells.get() {
            cells.latency.add_to(&mut totals.latency);
            cells.answered.add_to(answered);
            cells.broken.add_to(broken);
            for (sum, cell) in totals.called.iter_mut().zip(&cells.called) {
                *sum += cell.load(Relaxed);
            }
            totals.in_flight += cells.ages.count();
        }
        totals.split += self.split.load(Relaxed);
        totals.dispatched += self.dispatched.load(Relaxed);
    }
}
