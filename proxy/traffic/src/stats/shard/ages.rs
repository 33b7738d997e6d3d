//! The ages of the requests under way.
//!
//! A ring has a cell for each of the latest ticks; a request is counted in the cell of the tick in which it began, and
//! taken out of it when it ends. When the ring moves on, what is left in the cell that is used again has outlived the
//! ring and is counted as old. So the age of every request is known to a tick, at a cost that does not depend on how
//! many there are.

use super::{add, zeros};
use crate::Bucket;
use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

/// Length of a tick, as a power of two of milliseconds: 64 ms.
const TICK_SHIFT: u32 = 6;
/// Cells of the ring, which so knows ages up to 16 s. Nothing that a verdict asks for depends on the age of older ones.
const CELLS: u64 = 256;

/// Requests under way, by the tick in which they began.
#[derive(Debug)]
pub(super) struct Ages {
    /// The latest tick that the ring has moved to.
    tick: AtomicU64,
    ring: Box<[AtomicU64]>,
    /// Requests that began before the ring's first tick.
    old: AtomicU64,
}

impl Default for Ages {
    fn default() -> Self {
        Self {
            tick: AtomicU64::new(0),
            ring: zeros(CELLS as usize),
            old: AtomicU64::new(0),
        }
    }
}

const fn tick_of(at: Duration) -> u64 {
    (at.as_millis() as u64) >> TICK_SHIFT
}

impl Ages {
    fn cell(&self, tick: u64) -> &AtomicU64 {
        &self.ring[(tick % CELLS) as usize]
    }

    /// Moves the ring on to `tick`. Only the writer calls it.
    fn advance(&self, tick: u64) {
        let current = self.tick.load(Relaxed);
        if tick <= current {
            return;
        }
        // After a pause longer than the ring, each cell needs to be emptied only once.
        for next in (current + 1).max(tick.saturating_sub(CELLS - 1))..=tick {
            let cell = self.cell(next);
            let left = cell.load(Relaxed);
            if left != 0 {
                add(&self.old, left);
                cell.store(0, Relaxed);
            }
        }
        self.tick.store(tick, Relaxed);
    }

    pub(super) fn begin(&self, at: Duration) {
        let tick = tick_of(at);
        self.advance(tick);
        add(self.cell(tick), 1);
    }

    pub(super) fn end(&self, began: Duration, at: Duration) {
        self.advance(tick_of(at));
        let began = tick_of(began);
        let is_old = began + CELLS <= self.tick.load(Relaxed);
        let cell = if is_old { &self.old } else { self.cell(began) };
        add(cell, u64::MAX);
    }

    /// Requests under way.
    pub(super) fn count(&self) -> u64 {
        self.ring
            .iter()
            .chain([&self.old])
            .map(|cell| positive(cell.load(Relaxed)))
            .sum()
    }

    /// Adds the requests under way to `waiting`, by the bucket of their age at `now`. An age is rounded down to the
    /// youngest that its tick allows, so it is never overestimated.
    pub(super) fn add_to(&self, now: Duration, waiting: &mut BTreeMap<Bucket, u64>) {
        let (latest, present) = (self.tick.load(Relaxed), tick_of(now));
        let mut count = |cell: &AtomicU64, ticks_ago: u64| {
            let requests = positive(cell.load(Relaxed));
            if requests > 0 {
                let youngest = Duration::from_millis(ticks_ago.saturating_sub(1) << TICK_SHIFT);
                *waiting.entry(Bucket::of(youngest)).or_default() += requests;
            }
        };
        for tick in latest.saturating_sub(CELLS - 1)..=latest {
            count(self.cell(tick), present.saturating_sub(tick));
        }
        count(&self.old, present.saturating_sub(latest) + CELLS);
    }
}

/// A count that may be read between a request's move from one cell to another; below zero means none.
fn positive(count: u64) -> u64 {
    u64::try_from(count as i64).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Against a plain list of the requests under way.
        #[test]
        fn every_request_has_its_age(
            events in proptest::collection::vec((0u64..30_000, any::<bool>(), any::<prop::sample::Index>()), 1..100),
        ) {
            let ages = Ages::default();
            let mut under_way: Vec<u64> = Vec::new();
            let mut now = 0;
            for (pause, ends, which) in events {
                now += pause;
                let at = Duration::from_millis(now);
                if ends && !under_way.is_empty() {
                    let began = under_way.swap_remove(which.index(under_way.len()));
                    ages.end(Duration::from_millis(began), at);
                } else {
                    ages.begin(at);
                    under_way.push(now);
                }
                let mut waiting = BTreeMap::new();
                ages.add_to(at, &mut waiting);
                prop_assert_eq!(ages.count(), under_way.len() as u64);
                prop_assert_eq!(waiting.values().sum::<u64>(), under_way.len() as u64);
                for bound in [100, 1_000, 5_000, 10_000] {
                    let bucket = Bucket::of(Duration::from_millis(bound));
                    let slower: u64 = waiting.iter().filter(|(age, _)| **age > bucket).map(|(_, n)| n).sum();
                    // An age is at most two ticks and a bucket's width (4.4 %) too small, and never too large.
                    let surely = |slack: u64| under_way.iter().filter(|began| now - **began > bound + slack).count();
                    prop_assert!(slower <= surely(0) as u64, "{slower} slower than {bound} ms");
                    prop_assert!(slower >= surely(128 + bound / 10) as u64, "{slower} slower than {bound} ms");
                }
            }
        }
    }
}
