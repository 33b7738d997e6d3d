//! Where the canary's failures are counted until they are overwhelming, and the fuse that blows then.
//!
//! There is a [`Fuse`] for each canary of a rollout, which the split reads, and a [`Tripwire`] for each weight of it,
//! which its series holds. A request that the weight sends to the canary carries a [`Stake`]: when it fails, it is
//! counted by the tripwire of the table that sent it, and by no other. Requests that do not fail touch none of this.

use super::{FailureRule, Outcome, Series, Stake};
use crate::{
    Weight,
    trip::{Margins, TripCounts, TripTest},
};
use std::{
    num::NonZeroU64,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

/// Users are told apart by so many words of bits.
const USER_WORDS: usize = 4;

/// A canary that a proxy is to trip by itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Arming {
    /// A number that no other canary of the rollout has, also not the same version tried again.
    pub trial: u64,
    /// Its weight.
    pub weight: Weight,
    /// By how much it may be worse.
    pub margins: Margins,
    /// How many failures must have been seen at least.
    pub least_failures: u64,
    /// Whether users are split, and not requests: then a user's failures count once.
    pub by_user: bool,
    /// What counts as a failure, of both versions.
    pub rule: FailureRule,
}

/// That a canary was tripped, and the counts that convicted it.
#[derive(Clone, Debug, PartialEq)]
pub struct Trip {
    /// The canary, as [`Arming::trial`] told it.
    pub trial: u64,
    /// Its weight then.
    pub weight: Weight,
    /// The margins of the test, as [`Arming::margins`] told them.
    pub margins: Margins,
    /// How many failures must have been seen at least, as [`Arming::least_failures`] told it.
    pub least_failures: u64,
    /// How many tests there had been of this canary before, which share one alpha with this one.
    pub earlier: u32,
    /// What was counted under that weight.
    pub counts: TripCounts,
    /// The logarithm of the evidence, a finite number.
    pub ln_e: f64,
    /// The logarithm of the evidence that convicts.
    pub ln_threshold: f64,
}

// The numbers in it are finite.
impl Eq for Trip {}

/// What a split reads: whether its canary was tripped. On cache lines of its own, as it is read for every request and
/// written once.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(super) struct Fuse(OnceLock<Trip>);

impl Fuse {
    pub(super) fn blown(&self) -> Option<&Trip> {
        self.0.get()
    }
}

/// The split's end of a tripwire.
#[derive(Clone, Debug)]
pub struct Armed {
    wire: NonZeroU64,
    fuse: Arc<Fuse>,
}

impl Armed {
    pub(super) fn new(wire: NonZeroU64, fuse: Arc<Fuse>) -> Self {
        Self { wire, fuse }
    }

    /// Whether the canary was tripped.
    pub fn has_tripped(&self) -> bool {
        self.fuse.blown().is_some()
    }

    /// What a request at `point` of the split carries to the canary.
    pub(crate) fn stake(&self, point: u64) -> Stake {
        Stake::new(self.wire, point)
    }
}

/// The count of one weight's failures.
#[derive(Debug)]
pub(super) struct Tripwire {
    number: NonZeroU64,
    arming: Arming,
    earlier: u32,
    test: TripTest,
    fuse: Arc<Fuse>,
    stable: Arc<Series>,
    /// What the counters of both sides showed when it was armed.
    base: Base,
    failures: AtomicU64,
    /// A bit for each place that failing users hash to: fewer bits than users, never more.
    users: [AtomicU64; USER_WORDS],
    /// The number of failures at which to look again. A canary that fails often is not looked at each time.
    next_look: AtomicU64,
}

#[derive(Clone, Copy, Debug)]
struct Base {
    canary_requests: u64,
    stable_failures: u64,
}

impl Tripwire {
    /// Counts from now on, by `test`, the one after `earlier` ones of the same canary, what `arming` tells of. `canary` is where its requests are counted.
    pub(super) fn new(
        number: NonZeroU64,
        (arming, earlier): (Arming, u32),
        test: TripTest,
        fuse: Arc<Fuse>,
        (stable, canary): (Arc<Series>, &Series),
    ) -> Self {
        Self {
            number,
            base: Base {
                canary_requests: canary.split(),
                stable_failures: stable.failures(&arming.rule),
            },
            next_look: AtomicU64::new(arming.least_failures),
            arming,
            earlier,
            test,
            fuse,
            stable,
            failures: AtomicU64::new(0),
            users: Default::default(),
        }
    }

    /// Counts the `outcome` of a request that carried `stake`, whose series is `canary`, when it is a failure. Gives the
    /// trip that it is the cause of.
    pub(super) fn count(&self, stake: Stake, outcome: Outcome, canary: &Series) -> Option<Trip> {
        if !stake.is_for(self.number) || !self.arming.rule.is_failure(outcome) {
            return None;
        }
        let failures = self.failures.fetch_add(1, Relaxed) + 1;
        self.note(stake.point());
        if failures < self.next_look.load(Relaxed) || self.fuse.blown().is_some() {
            return None;
        }
        let trip = self.convicted(failures, canary);
        if trip.is_none() {
            let next = failures + (failures / 8).max(1);
            self.next_look.store(next, Relaxed);
        }
        // Of several workers that find it at once, one is the first.
        trip.filter(|trip| self.fuse.0.set(trip.clone()).is_ok())
    }

    fn convicted(&self, failures: u64, canary: &Series) -> Option<Trip> {
        let mut counts = TripCounts {
            canary_requests: canary.split().saturating_sub(self.base.canary_requests),
            canary_failures: failures,
            independent: self.independent(failures),
            stable_failures: 0,
        };
        if !self.test.never_worked(&counts) {
            return None;
        }
        // What is under way is read first: a request that ends meanwhile counts twice, and never not at all.
        let under_way = self.stable.under_way();
        let failed = self.stable.failures(&self.arming.rule);
        counts.stable_failures = under_way + failed.saturating_sub(self.base.stable_failures);
        self.test.convicts(&counts).then(|| Trip {
            trial: self.arming.trial,
            weight: self.arming.weight,
            margins: self.arming.margins,
            least_failures: self.arming.least_failures,
            earlier: self.earlier,
            counts,
            ln_e: self.test.ln_e(&counts),
            ln_threshold: self.test.ln_threshold(),
        })
    }

    /// Notes the user that `point` belongs to.
    fn note(&self, point: u64) {
        if self.arming.by_user {
            // Points below the weight are spread over it, so their upper bits are not: they are mixed first.
            let place = (point.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56) as usize;
            self.users[place / 64].fetch_or(1 << (place % 64), Relaxed);
        }
    }

    fn independent(&self, failures: u64) -> u64 {
        if !self.arming.by_user {
            return failures;
        }
        let bits = |word: &AtomicU64| u64::from(word.load(Relaxed).count_ones());
        self.users.iter().map(bits).sum()
    }
}

#[cfg(test)]
mod tests;
