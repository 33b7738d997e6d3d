//! What became of the requests of one version, by endpoint.

use super::{FailureRule, Outcome};
use crate::{EndpointCounts, HalfOctaves, histogram::HalfRecorder};
use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

/// The counters of a version's endpoints. A worker asks for those of an endpoint once, and keeps them for as long as it
/// sends requests there.
#[derive(Debug, Default)]
pub(super) struct Endpoints(Mutex<BTreeMap<SocketAddr, Arc<EndpointSeries>>>);

/// The counters of one endpoint of one version: a cell for each worker, which alone writes it.
#[derive(Debug)]
pub struct EndpointSeries(Box<[Cell]>);

/// One worker's counters, half a kilobyte. Aligned as [`Shard`](super::Shard)s are.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Cell {
    dispatched: AtomicU64,
    failed: AtomicU64,
    /// How long requests took that ended, or were given up.
    took: HalfRecorder,
}

/// Adds one to a counter that only this thread writes.
fn count(cell: &AtomicU64) {
    cell.store(cell.load(Relaxed).wrapping_add(1), Relaxed);
}

impl Endpoints {
    /// The counters of the endpoint at `address`, for `workers` workers. Those of endpoints that no worker holds any more
    /// are forgotten, so that a version whose endpoints come and go does not gather them all.
    pub(super) fn of(&self, address: SocketAddr, workers: usize) -> Arc<EndpointSeries> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|known, series| *known == address || Arc::strong_count(series) > 1);
        let new = || {
            Arc::new(EndpointSeries(
                (0..workers).map(|_| Cell::default()).collect(),
            ))
        };
        Arc::clone(known.entry(address).or_insert_with(new))
    }

    /// The counts of each endpoint, in the order of their addresses.
    pub(super) fn counts(&self) -> Vec<EndpointCounts> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let counts = known
            .iter()
            .map(|(address, series)| series.counts(*address));
        counts.collect()
    }
}

impl EndpointSeries {
    /// Counts a request whose first attempt goes there. Only worker `worker` may call it under this number.
    ///
    /// # Panics
    /// When there is no such worker.
    pub fn begin(&self, worker: usize) {
        count(&self.0[worker].dispatched);
    }

    /// Counts the outcome of a request that [`EndpointSeries::begin`] counted and that took so long, also one that its
    /// client gave up. What failed is by [`FailureRule::DEFAULT`], whatever rule the version is judged by: how far outcomes
    /// agree is asked, not how many are bad.
    ///
    /// # Panics
    /// When there is no such worker.
    pub fn end(&self, worker: usize, outcome: Outcome, took: Duration) {
        let cell = &self.0[worker];
        cell.took.record(took);
        if FailureRule::DEFAULT.is_failure(outcome) {
            count(&cell.failed);
        }
    }

    fn counts(&self, address: SocketAddr) -> EndpointCounts {
        // Ends are read before beginnings, so that no more have failed than were sent.
        let sum =
            |of: fn(&Cell) -> &AtomicU64| self.0.iter().map(|cell| of(cell).load(Relaxed)).sum();
        let failed = sum(|cell| &cell.failed);
        let mut took = HalfOctaves::default();
        for cell in &self.0 {
            cell.took.add_to(&mut took);
        }
        EndpointCounts {
            address,
            dispatched: sum(|cell| &cell.dispatched),
            failed,
            took,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Failure;
    use proptest::prelude::*;

    fn address(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    #[test]
    fn failures_are_counted_where_the_request_went() {
        let endpoints = Endpoints::default();
        let (second, first) = (endpoints.of(address(2), 2), endpoints.of(address(1), 2));
        let reset = Outcome::Failed {
            status: 502,
            reason: Failure::Reset,
        };
        for (series, worker, outcome) in [
            (&first, 0, Outcome::Answered(499)),
            (&first, 1, Outcome::Answered(503)),
            (&second, 0, reset),
            (&second, 0, Outcome::Cancelled),
            (&second, 1, Outcome::Answered(200)),
        ] {
            series.begin(worker);
            series.end(worker, outcome, Duration::from_millis(10));
        }
        first.begin(0);
        let counts = endpoints.counts();
        let ended = counts.iter().map(|counts| counts.took.count());
        assert_eq!(ended.collect::<Vec<_>>(), [2, 3]);
        let counts = counts
            .iter()
            .map(|c| (c.address.port(), c.dispatched, c.failed));
        assert_eq!(counts.collect::<Vec<_>>(), [(1, 3, 1), (2, 3, 1)]);
    }

    proptest! {
        /// Whatever workers take up and leave, an endpoint's counts only fall to nothing, and only when nobody had it.
        #[test]
        fn counts_of_an_endpoint_that_is_held_only_grow(
            turns in prop::collection::vec((0u16..4, 0usize..2, 0u8..4), 1..60)
        ) {
            let endpoints = Endpoints::default();
            let mut held = BTreeMap::new();
            let mut sent = BTreeMap::<u16, u64>::new();
            for (port, worker, what) in turns {
                if what == 0 {
                    held.remove(&(port, worker));
                    continue;
                }
                let others_hold = held.keys().any(|(held, _)| *held == port);
                let before = endpoints.counts();
                let series: &Arc<EndpointSeries> = held
                    .entry((port, worker))
                    .or_insert_with(|| endpoints.of(address(port), 2));
                series.begin(worker);
                let known = before.iter().find(|counts| counts.address == address(port));
                prop_assert!(known.is_some() || !others_hold);
                let now = sent.entry(port).or_default();
                *now = known.map_or(0, |_| *now) + 1;
                let counts = endpoints.counts();
                let counted = counts.iter().find(|counts| counts.address == address(port));
                prop_assert_eq!(counted.map(|counts| counts.dispatched), Some(*now));
            }
        }
    }
}
