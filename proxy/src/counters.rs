//! Counters of connections, and of requests that go to no version.
//!
//! Each worker writes its own cells only, as a plain load, add and store on memory that no other core writes; a
//! reader adds them up.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The counters of all workers.
#[derive(Debug)]
pub struct Counters(Box<[WorkerCounters]>);

/// What all workers counted since the process began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CountersRead {
    /// Client connections that were accepted.
    pub accepted: u64,
    /// Client connections that the worker which accepted them passed on to one with fewer.
    pub passed: u64,
    /// Client connections that are open now, tunnels included.
    pub open: u64,
    /// Tunnels (upgraded connections) that are open now.
    pub tunnels: u64,
    /// Times that accepting failed for lack of a resource, such as file descriptors.
    pub accept_failures: u64,
    /// Requests that no route was for. They got a 404.
    pub no_route: u64,
    /// Requests that were refused for what they are: no valid host, target, method or framing.
    pub bad_requests: u64,
    /// Client connections that were closed at once, as there were as many as may be.
    pub refused: u64,
    /// Client connections that ended in a PROXY header or a TLS handshake that was no good.
    pub handshakes_failed: u64,
    /// Requests that were answered with 503 for lack of memory, descriptors or ports.
    pub shed: u64,
    /// Requests that the canary failed and that were sent to stable.
    pub rescued: u64,
    /// Long-lived exchanges that were closed because their version had lost its weight.
    pub drained: u64,
    /// Connections, and requests by HTTP/2, that were given up because the proxy panicked: a defect of it.
    pub panics: u64,
}

/// One worker's cells. Aligned so that no two workers' cells share a cache line (or its pair, which x86 prefetches
/// along).
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct WorkerCounters {
    pub(crate) accepted: Cell,
    /// Connections that it accepted and another worker serves.
    pub(crate) passed: Cell,
    /// Connections that ended.
    pub(crate) closed: Cell,
    pub(crate) tunnels_begun: Cell,
    pub(crate) tunnels_ended: Cell,
    pub(crate) accept_failures: Cell,
    pub(crate) no_route: Cell,
    pub(crate) bad_requests: Cell,
    pub(crate) refused: Cell,
    pub(crate) handshakes_failed: Cell,
    pub(crate) shed: Cell,
    pub(crate) rescued: Cell,
    pub(crate) drained: Cell,
    pub(crate) panics: Cell,
}

/// A number that one thread writes and all may read.
#[derive(Debug, Default)]
pub(crate) struct Cell(AtomicU64);

impl Cell {
    /// Adds one. Only the worker that the cell belongs to may call it.
    pub(crate) fn count(&self) {
        self.0.store(self.0.load(Relaxed).wrapping_add(1), Relaxed);
    }

    fn read(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

impl Counters {
    pub(crate) fn new(workers: usize) -> Self {
        Self((0..workers).map(|_| WorkerCounters::default()).collect())
    }

    /// The cells of worker `worker`, which alone may write them.
    pub(crate) fn worker(&self, worker: usize) -> &WorkerCounters {
        &self.0[worker]
    }

    /// Adds up what the workers counted.
    pub fn read(&self) -> CountersRead {
        self.by_worker()
            .fold(CountersRead::default(), CountersRead::plus)
    }

    /// What each worker counted.
    pub fn by_worker(&self) -> impl Iterator<Item = CountersRead> {
        self.0.iter().map(WorkerCounters::read)
    }
}

impl WorkerCounters {
    fn read(&self) -> CountersRead {
        // Ends are read before beginnings, so that what is open cannot seem to be below zero.
        let (closed, tunnels_ended) = (self.closed.read(), self.tunnels_ended.read());
        let accepted = self.accepted.read();
        CountersRead {
            accepted,
            passed: self.passed.read(),
            open: accepted.saturating_sub(closed),
            tunnels: self.tunnels_begun.read().saturating_sub(tunnels_ended),
            accept_failures: self.accept_failures.read(),
            no_route: self.no_route.read(),
            bad_requests: self.bad_requests.read(),
            refused: self.refused.read(),
            handshakes_failed: self.handshakes_failed.read(),
            shed: self.shed.read(),
            rescued: self.rescued.read(),
            drained: self.drained.read(),
            panics: self.panics.read(),
        }
    }
}

impl CountersRead {
    fn plus(self, other: Self) -> Self {
        Self {
            accepted: self.accepted + other.accepted,
            passed: self.passed + other.passed,
            open: self.open + other.open,
            tunnels: self.tunnels + other.tunnels,
            accept_failures: self.accept_failures + other.accept_failures,
            no_route: self.no_route + other.no_route,
            bad_requests: self.bad_requests + other.bad_requests,
            refused: self.refused + other.refused,
            handshakes_failed: self.handshakes_failed + other.handshakes_failed,
            shed: self.shed + other.shed,
            rescued: self.rescued + other.rescued,
            drained: self.drained + other.drained,
            panics: self.panics + other.panics,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_are_added_up() {
        let counters = Counters::new(2);
        counters.worker(0).accepted.count();
        counters.worker(1).accepted.count();
        counters.worker(1).closed.count();
        counters.worker(1).no_route.count();
        let expected = CountersRead {
            accepted: 2,
            open: 1,
            no_route: 1,
            ..CountersRead::default()
        };
        assert_eq!(counters.read(), expected);
        let accepted: Vec<_> = counters.by_worker().map(|worker| worker.accepted).collect();
        assert_eq!(accepted, [1, 1]);
    }
}
