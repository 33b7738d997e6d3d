//! Places in the sequence that splits requests.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The place of each worker in a rollout's low-discrepancy sequence. It outlives route tables, so that the share
/// stays exact across a swap.
#[derive(Debug)]
pub struct Tickets(Box<[Ticket]>);

#[derive(Debug)]
#[repr(align(128))]
struct Ticket(AtomicU64);

impl Tickets {
    pub(super) fn new(workers: usize) -> Self {
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
