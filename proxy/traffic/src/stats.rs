//! Counters of what became of requests.
//!
//! A [`Series`] belongs to one version of one rollout and has one shard for each worker. Only its worker writes a
//! shard, so that recording is a plain load, add and store on memory that no other core writes; readers add the
//! shards up. Series outlive route tables: a swap of the table never sets a counter back.

use crate::{
    Bucket, Counts, Generation, Histogram, Role, RolloutId, Snapshot, histogram::Recorder,
};
use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

/// Why a request failed at the version that it was sent to. Says nothing of failures that are the client's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Failure {
    /// The version answered with a status of 500 or above.
    Status,
    /// No endpoint is known for the version.
    NoEndpoint,
    /// The connection was refused or could not be made.
    Connect,
    /// The connection was not made in time.
    ConnectTimeout,
    /// The connection ended before the response head came.
    Reset,
    /// The answer was no valid HTTP.
    Protocol,
    /// The response head did not come in time.
    ResponseTimeout,
    /// The response ended before its body was whole.
    BodyCut,
    /// Nothing moved on the response for longer than the idle timeout.
    IdleTimeout,
}

impl Failure {
    /// Every reason, in the order of [`Failure`].
    pub const ALL: [Self; 9] = [
        Self::Status,
        Self::NoEndpoint,
        Self::Connect,
        Self::ConnectTimeout,
        Self::Reset,
        Self::Protocol,
        Self::ResponseTimeout,
        Self::BodyCut,
        Self::IdleTimeout,
    ];

    /// The reason as metric labels, response headers and messages spell it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::NoEndpoint => "no_endpoint",
            Self::Connect => "connect",
            Self::ConnectTimeout => "connect_timeout",
            Self::Reset => "reset",
            Self::Protocol => "protocol",
            Self::ResponseTimeout => "response_timeout",
            Self::BodyCut => "body_cut",
            Self::IdleTimeout => "idle_timeout",
        }
    }
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The version answered in full with this status; 500 and above is a failure.
    Answered(u16),
    /// The version failed; the client got this status, or the status that had been sent before the body broke off.
    Failed {
        /// What the client saw.
        status: u16,
        /// What went wrong.
        reason: Failure,
    },
    /// The client went away first. Counted under status 499, and never against the version.
    Cancelled,
}

/// The status that a cancelled request is counted under, as nginx made it common.
pub const CLIENT_CLOSED_REQUEST: u16 = 499;

const FIRST_STATUS: u16 = 100;
/// Statuses 100 to 599 have a cell each; whatever else a version invents shares the last.
const STATUS_CELLS: usize = 501;
/// Width of a cell of the ring that knows the ages of requests under way, as a power of two of milliseconds: 64 ms.
const AGE_SHIFT: u32 = 6;
/// Cells of that ring. Requests older than the whole ring (65 s) count with those of the age they alias to.
const AGE_CELLS: usize = 1024;

/// One worker's counters of one series. Aligned so that no two workers' counters share a cache line (or its pair,
/// which x86 prefetches along).
#[derive(Debug)]
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
    cells: OnceLock<Cells>,
}

#[derive(Debug)]
struct Cells {
    statuses: Box<[AtomicU64]>,
    latency: Recorder,
    /// Requests under way by the moment they began, in a ring.
    began: Box<[AtomicU64]>,
}

impl Cells {
    fn new() -> Self {
        Self { statuses: zeros(STATUS_CELLS), latency: Recorder::default(), began: zeros(AGE_CELLS) }
    }
}

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

const fn age_cell(at: Duration) -> usize {
    ((at.as_millis() as u64) >> AGE_SHIFT) as usize % AGE_CELLS
}

impl Shard {
    fn new() -> Self {
        Self {
            dispatched: AtomicU64::new(0),
            split: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            cancelled: AtomicU64::new(0),
            latency_nanos: AtomicU64::new(0),
            failures: Default::default(),
            cells: OnceLock::new(),
        }
    }

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
        add(&self.cells().began[age_cell(at)], 1);
    }

    /// Counts the end, at `at`, of a request that [`Shard::begin`] counted at `began`.
    pub fn end(&self, began: Duration, at: Duration, outcome: Outcome) {
        let cells = self.cells();
        add(&cells.began[age_cell(began)], u64::MAX);
        let (status, failure) = match outcome {
            Outcome::Cancelled => {
                add(&self.cancelled, 1);
                add(&cells.statuses[status_cell(CLIENT_CLOSED_REQUEST)], 1);
                return;
            }
            Outcome::Answered(status) => (status, (status >= 500).then_some(Failure::Status)),
            Outcome::Failed { status, reason } => (status, Some(reason)),
        };
        let latency = at.saturating_sub(began);
        cells.latency.record(latency);
        add(&self.latency_nanos, latency.as_nanos() as u64);
        add(&cells.statuses[status_cell(status)], 1);
        if let Some(reason) = failure {
            add(&self.failed, 1);
            add(&self.failures[reason as usize], 1);
        }
    }
}

/// Everything that was counted for one version: what the metrics show.
#[derive(Clone, Debug, Default)]
pub struct Totals {
    /// Requests sent.
    pub dispatched: u64,
    /// Requests whose version the weight decided, not a rule.
    pub split: u64,
    /// Requests that failed.
    pub failed: u64,
    /// Requests that the client gave up.
    pub cancelled: u64,
    /// Requests by exact status, ascending, without zeros. Statuses outside 100 to 599 are counted under 999.
    pub statuses: Vec<(u16, u64)>,
    /// Failures by reason, in the order of [`Failure::ALL`].
    pub failures: [u64; Failure::ALL.len()],
    /// Latency of all requests that were not cancelled.
    pub latency: Histogram,
    /// Sum of those latencies.
    pub latency_sum: Duration,
    /// Requests under way.
    pub in_flight: u64,
}

/// The counters of one version of one rollout.
#[derive(Debug)]
pub struct Series {
    rollout: RolloutId,
    role: Role,
    shards: Box<[Shard]>,
}

impl Series {
    fn new(rollout: RolloutId, role: Role, workers: usize) -> Self {
        Self {
            rollout,
            role,
            shards: (0..workers).map(|_| Shard::new()).collect(),
        }
    }

    /// The rollout that is counted for.
    pub fn rollout(&self) -> &RolloutId {
        &self.rollout
    }

    /// The role that is counted for.
    pub fn role(&self) -> Role {
        self.role
    }

    /// The shard of worker `worker`, which alone may write it.
    ///
    /// # Panics
    /// When there is no such worker.
    pub fn shard(&self, worker: usize) -> &Shard {
        &self.shards[worker]
    }

    /// Requests whose version the weight decided.
    pub fn split(&self) -> u64 {
        self.shards.iter().map(|shard| shard.split.load(Relaxed)).sum()
    }

    /// What a verdict needs, read at `now` (from the process's epoch).
    pub fn counts(&self, now: Duration) -> Counts {
        let mut counts = Counts::default();
        let mut began = vec![0u64; AGE_CELLS];
        for shard in &self.shards {
            // Ends are read before beginnings, so that no request is seen to have ended that was not yet sent.
            counts.failed += shard.failed.load(Relaxed);
            counts.cancelled += shard.cancelled.load(Relaxed);
            if let Some(cells) = shard.cells.get() {
                cells.latency.add_to(&mut counts.latency);
                for (sum, cell) in began.iter_mut().zip(&cells.began) {
                    *sum = sum.wrapping_add(cell.load(Relaxed));
                }
            }
            counts.dispatched += shard.dispatched.load(Relaxed);
        }
        counts.waiting = ages(&began, now);
        counts
    }

    /// Everything that was counted.
    pub fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        let mut statuses = vec![0u64; STATUS_CELLS];
        let mut nanos = 0u64;
        let mut in_flight = 0u64;
        for shard in &self.shards {
            totals.failed += shard.failed.load(Relaxed);
            totals.cancelled += shard.cancelled.load(Relaxed);
            nanos += shard.latency_nanos.load(Relaxed);
            for (sum, cell) in totals.failures.iter_mut().zip(&shard.failures) {
                *sum += cell.load(Relaxed);
            }
            if let Some(cells) = shard.cells.get() {
                cells.latency.add_to(&mut totals.latency);
                for (sum, cell) in statuses.iter_mut().zip(&cells.statuses) {
                    *sum += cell.load(Relaxed);
                }
                for cell in &cells.began {
                    in_flight = in_flight.wrapping_add(cell.load(Relaxed));
                }
            }
            totals.split += shard.split.load(Relaxed);
            totals.dispatched += shard.dispatched.load(Relaxed);
        }
        totals.latency_sum = Duration::from_nanos(nanos);
        // A cell may be read between a request's beginning and end being written; below zero means none.
        totals.in_flight = u64::try_from(in_flight as i64).unwrap_or(0);
        totals.statuses = statuses
            .into_iter()
            .enumerate()
            .filter(|(_, n)| *n > 0)
            .map(|(cell, n)| {
                (
                    if cell == STATUS_CELLS - 1 {
                        999
                    } else {
                        cell as u16 + FIRST_STATUS
                    },
                    n,
                )
            })
            .collect();
        totals
    }
}

/// The ring of beginnings as ages at `now`, each rounded down to the youngest that its cell can hold.
fn ages(began: &[u64], now: Duration) -> Vec<(Bucket, u64)> {
    let current = age_cell(now);
    let mut waiting: Vec<(Bucket, u64)> = Vec::new();
    for cells_ago in 0..AGE_CELLS {
        let requests = began[(current + AGE_CELLS - cells_ago) % AGE_CELLS] as i64;
        if requests <= 0 {
            continue;
        }
        let youngest = (cells_ago as u64).saturating_sub(1) << AGE_SHIFT;
        let bucket = Bucket::of(Duration::from_millis(youngest));
        match waiting.last_mut() {
            Some((last, n)) if *last == bucket => *n += requests as u64,
            _ => waiting.push((bucket, requests as u64)),
        }
    }
    waiting
}

/// The place of each worker in a rollout's low-discrepancy sequence. It outlives route tables, so that the share
/// stays exact across a swap.
#[derive(Debug)]
pub struct Tickets(Box<[Ticket]>);

#[derive(Debug)]
#[repr(align(128))]
struct Ticket(AtomicU64);

impl Tickets {
    fn new(workers: usize) -> Self {
        // The workers begin evenly spread over the circle, so that their first requests do not go the same way.
        let spread = |worker: usize| ((worker as u128) << 64) / workers as u128;
        Self(
            (0..workers)
                .map(|worker| Ticket(AtomicU64::new(spread(worker) as u64)))
                .collect(),
        )
    }

    /// The next point of worker `worker`'s sequence: a Weyl sequence with the golden ratio's step, which spreads any
    /// run of points as evenly as a sequence can. Only that worker may call it.
    pub(crate) fn next(&self, worker: usize) -> u64 {
        const GOLDEN_RATIO: u64 = 0x9E37_79B9_7F4A_7C15;
        let ticket = &self.0[worker].0;
        let point = ticket.load(Relaxed).wrapping_add(GOLDEN_RATIO);
        ticket.store(point, Relaxed);
        point
    }
}

/// All series of the process. Not on a request's way: tables hold the series that their requests need.
#[derive(Debug)]
pub struct Stats {
    workers: usize,
    series: Mutex<BTreeMap<(RolloutId, Role), Arc<Series>>>,
    tickets: Mutex<BTreeMap<RolloutId, Arc<Tickets>>>,
}

impl Stats {
    /// No series yet, for `workers` workers (at least one).
    pub fn new(workers: usize) -> Self {
        Self {
            workers: workers.max(1),
            series: Mutex::default(),
            tickets: Mutex::default(),
        }
    }

    /// The series of `role` in `rollout`, begun when it is asked for first.
    pub fn series(&self, rollout: &RolloutId, role: Role) -> Arc<Series> {
        let mut series = self.series.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || Arc::new(Series::new(rollout.clone(), role, self.workers));
        Arc::clone(series.entry((rollout.clone(), role)).or_insert_with(new))
    }

    /// The workers' places in `rollout`'s split.
    pub fn tickets(&self, rollout: &RolloutId) -> Arc<Tickets> {
        let mut tickets = self.tickets.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(
            tickets
                .entry(rollout.clone())
                .or_insert_with(|| Arc::new(Tickets::new(self.workers))),
        )
    }

    /// All series, by rollout and role.
    pub fn all(&self) -> Vec<Arc<Series>> {
        self.series
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .values()
            .cloned()
            .collect()
    }

    /// Forgets every rollout that `keep` refuses. Requests under way go on counting into what is forgotten.
    pub fn retain(&self, keep: impl Fn(&RolloutId) -> bool) {
        self.series
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|(rollout, _), _| keep(rollout));
        self.tickets
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|rollout, _| keep(rollout));
    }

    /// Both sides of a canary rollout at `now` (from the process's epoch). `generation` is what every worker had
    /// acknowledged, as [`Routes::acknowledged`](crate::Routes::acknowledged) told before this call.
    pub fn snapshot(
        &self,
        rollout: &RolloutId,
        generation: Option<Generation>,
        now: Duration,
    ) -> Snapshot {
        Snapshot {
            at: now,
            generation,
            stable: self.series(rollout, Role::Stable).counts(now),
            canary: self.series(rollout, Role::Canary).counts(now),
        }
    }
}

#[cfg(test)]
mod tests;
