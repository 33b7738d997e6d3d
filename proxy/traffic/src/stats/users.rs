//! How stable's requests went, by where their users stand on the circle that a split cuts.
//!
//! Users who are kept on one version are a fixed set, and may fail more than others whatever version they get. So while
//! stable is alone, its requests are counted by sector of the circle: when a canary gets a weight, what its users met
//! before is then known. See [`Sticky`](crate::Sticky).
//!
//! A request is counted when it ends, as nobody looks at these counts in haste. What the client gave up is left out.
//! Only here is a failure counted and not a fact: facts by sector would take 64 times the memory of a version's. So the
//! counts belong to one [`FailureRule`], as they belong to one salt, and begin anew with another.

use super::{FailureRule, Outcome, Stake};
use crate::snapshot::{SECTORS, SectorCounts, UserCounts};
use std::{
    num::NonZeroU64,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

/// By what rule users stand where they do, and what is counted of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counting {
    /// The salt of the split's [`Sticky`](crate::Sticky): another one puts users elsewhere.
    pub salt: u64,
    /// What counts as a failure.
    pub rule: FailureRule,
}

/// The split's end of the counters of users.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counted(NonZeroU64);

impl Counted {
    /// What a request at `point` of the split carries to stable.
    pub(crate) fn stake(self, point: u64) -> Stake {
        Stake::new(self.0, point)
    }
}

/// The counters of stable's users: a shard for each worker, which alone writes it.
#[derive(Debug)]
pub(super) struct Users {
    number: NonZeroU64,
    counting: Counting,
    shards: Box<[Shard]>,
}

/// One worker's counters. Aligned as those of a version are.
#[derive(Debug)]
#[repr(align(128))]
struct Shard([Sector; SECTORS]);

#[derive(Debug)]
struct Sector {
    requests: AtomicU64,
    failed: AtomicU64,
}

impl Users {
    /// The counters with this number, which no earlier ones of the same series have.
    pub(super) fn new(number: NonZeroU64, counting: Counting, workers: usize) -> Self {
        let sector = || Sector {
            requests: AtomicU64::new(0),
            failed: AtomicU64::new(0),
        };
        let shard = |_| Shard(std::array::from_fn(|_| sector()));
        Self {
            number,
            counting,
            shards: (0..workers).map(shard).collect(),
        }
    }

    pub(super) fn counting(&self) -> &Counting {
        &self.counting
    }

    pub(super) fn counted(&self) -> Counted {
        Counted(self.number)
    }

    /// Counts the `outcome` of a request of worker `worker` that carried `stake`, if that was for these counters.
    pub(super) fn count(&self, worker: usize, stake: Stake, outcome: Outcome) {
        if !stake.is_for(self.number) || outcome == Outcome::Cancelled {
            return;
        }
        let sector = &self.shards[worker].0[sector_of(stake.point())];
        super::shard::add(&sector.requests, 1);
        if self.counting.rule.is_failure(outcome) {
            super::shard::add(&sector.failed, 1);
        }
    }

    /// What was counted.
    pub(super) fn counts(&self) -> UserCounts {
        let mut sectors = [SectorCounts::default(); SECTORS];
        for shard in &self.shards {
            for (sum, sector) in sectors.iter_mut().zip(&shard.0) {
                // A failure is counted after its request, and so is read before it.
                sum.failed += sector.failed.load(Relaxed);
                sum.requests += sector.requests.load(Relaxed);
            }
        }
        UserCounts {
            counting: self.counting,
            sectors: Box::new(sectors),
        }
    }
}

/// The sector of `point`: they are equal parts of all `u64` values, in their order.
fn sector_of(point: u64) -> usize {
    (point >> (u64::BITS - SECTORS.ilog2())) as usize
}

#[cfg(test)]
mod tests;
