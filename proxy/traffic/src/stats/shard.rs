//! One worker's counters.

mod ages;

use super::{CLIENT_CLOSED_REQUEST, Failure, Outcome, Totals};
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

const FIRST_STATUS: u16 = 100;
/// Statuses 100 to 599 have a cell each; whatever else a version invents shares the last.
const STATUS_CELLS: usize = 501;
/// The number that the last cell is told under.
const OTHER_STATUS: u16 = 999;

/// One worker's counters of one series. Aligned so that no two workers' counters share a cache line (or its pair,
/// which x86 prefetches along).
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct Shard {
    dispatched: AtomicU64,
    /// Requests among `dispatched` whose version the weight decided, not a rule.
    split: AtomicU64,
    failed: AtomicU64,
    cancelled: AtomicU64,
    latency_nanos: AtomicU64,
    failures: [AtomicU64; Failure::ALL.len()],
    /// The large part, which a version that gets no requests through this worker does without.
    cells: OnceLock<Box<Cells>>,
}

#[derive(Debug)]
struct Cells {
    statuses: Box<[AtomicU64]>,
    latency: Recorder,
    /// How long clients waited who gave up.
    patience: Recorder,
    ages: Ages,
}

impl Cells {
    fn new() -> Box<Self> {
        Box::new(Self {
            statuses: zeros(STATUS_CELLS),
            latency: Recorder::default(),
            patience: Recorder::default(),
            ages: Ages::default(),
        })
    }
}

/// Adds to a counter that only this thread writes: a plain load, add and store.
fn add(cell: &AtomicU64, n: u64) {
    cell.store(cell.load(Relaxed).wrapping_add(n), Relaxed);
}

fn zeros(n: usize) -> Box<[AtomicU64]> {
    (0..n).map(|_| AtomicU64::new(0)).collect()
}

const fn status_cell(status: u16) -> usize {
    match status.checked_sub(FIRST_STATUS) {
        Some(cell) if (cell as usize) < STATUS_CELLS - 1 => cell as usize,
        _ => STATUS_CELLS - 1,
    }
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
        let (status, failure) = match outcome {
            Outcome::Cancelled => {
                add(&self.cancelled, 1);
                add(&cells.statuses[status_cell(CLIENT_CLOSED_REQUEST)], 1);
                cells.patience.record(latency);
                return;
            }
            Outcome::Answered(status) => (status, (status >= 500).then_some(Failure::Status)),
            Outcome::Failed { status, reason } => (status, Some(reason)),
        };
        cells.latency.record(latency);
        add(&self.latency_nanos, latency.as_nanos() as u64);
        add(&cells.statuses[status_cell(status)], 1);
        if let Some(reason) = failure {
            add(&self.failed, 1);
            add(&self.failures[reason as usize], 1);
        }
    }

    /// Requests whose version the weight decided.
    pub(super) fn split(&self) -> u64 {
        self.split.load(Relaxed)
    }

    /// Requests that failed.
    pub(super) fn failures(&self) -> u64 {
        self.failed.load(Relaxed)
    }

    /// Requests under way.
    pub(super) fn under_way(&self) -> u64 {
        self.cells.get().map_or(0, |cells| cells.ages.count())
    }

    /// Adds what a verdict needs, read at `now`, to `counts`, and the requests under way by age to `waiting`.
    pub(super) fn add_counts(
        &self,
        now: Duration,
        counts: &mut Counts,
        waiting: &mut BTreeMap<Bucket, u64>,
    ) {
        // Ends are read before beginnings, so that no request is seen to have ended that was not yet sent.
        counts.failed += self.failed.load(Relaxed);
        counts.cancelled += self.cancelled.load(Relaxed);
        if let Some(cells) = self.cells.get() {
            cells.latency.add_to(&mut counts.latency);
            cells.patience.add_to(&mut counts.abandoned);
            cells.ages.add_to(now, waiting);
        }
        counts.dispatched += self.dispatched.load(Relaxed);
    }

    /// Adds everything to `totals`, and the requests by status to `statuses`.
    pub(super) fn add_totals(&self, totals: &mut Totals, statuses: &mut Statuses) {
        totals.failed += self.failed.load(Relaxed);
        totals.cancelled += self.cancelled.load(Relaxed);
        totals.latency_sum += Duration::from_nanos(self.latency_nanos.load(Relaxed));
        for (sum, cell) in totals.failures.iter_mut().zip(&self.failures) {
            *sum += cell.load(Relaxed);
        }
        if let Some(cells) = self.cells.get() {
            cells.latency.add_to(&mut totals.latency);
            for (sum, cell) in statuses.0.iter_mut().zip(&cells.statuses) {
                *sum += cell.load(Relaxed);
            }
            totals.in_flight += cells.ages.count();
        }
        totals.split += self.split.load(Relaxed);
        totals.dispatched += self.dispatched.load(Relaxed);
    }
}

/// Requests by status while shards are added up.
pub(super) struct Statuses(Vec<u64>);

impl Default for Statuses {
    fn default() -> Self {
        Self(vec![0; STATUS_CELLS])
    }
}

impl Statuses {
    /// The statuses that occurred, ascending.
    pub(super) fn occurred(self) -> Vec<(u16, u64)> {
        let named = |cell| {
            if cell == STATUS_CELLS - 1 {
                OTHER_STATUS
            } else {
                cell as u16 + FIRST_STATUS
            }
        };
        let counted = self.0.into_iter().enumerate().filter(|(_, n)| *n > 0);
        counted.map(|(cell, n)| (named(cell), n)).collect()
    }
}
