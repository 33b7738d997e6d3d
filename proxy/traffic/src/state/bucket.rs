//! Token buckets, by the generic cell rate algorithm (ITU-T I.371): of a bucket nothing is kept but the time at which it
//! is full again.

use crate::action::RateLimit;
use std::{
    hash::{BuildHasher, Hash, RandomState},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

/// A rate and a burst, in nanoseconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// From one token to the next, rounded up: the rate is never exceeded.
    interval: u64,
    /// How long it takes to fill the bucket.
    full: u64,
}

impl Pace {
    /// What `limit` says. A rate that is no positive number gives no token beyond the burst.
    pub(super) fn of(limit: &RateLimit) -> Self {
        let interval = if limit.per_second > 0.0 {
            ((1e9 / limit.per_second).ceil() as u64).max(1)
        } else {
            u64::MAX
        };
        Self {
            interval,
            full: interval.saturating_mul(limit.burst.get().into()),
        }
    }

    /// Takes a token at `now` from a bucket that is full at `full_at`: when it is full then.
    ///
    /// # Errors
    /// How long it takes until there is a token.
    fn take(self, full_at: u64, now: u64) -> Result<u64, Duration> {
        let after = full_at.max(now).saturating_add(self.interval);
        let latest = now.saturating_add(self.full);
        if after <= latest {
            Ok(after)
        } else {
            Err(Duration::from_nanos(after - latest))
        }
    }
}

/// `time` in whole nanoseconds; the last value is reached after 584 years.
fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// One bucket. Taking from it waits for nobody.
#[derive(Debug, Default)]
pub(super) struct Bucket {
    full_at: AtomicU64,
}

impl Bucket {
    /// Takes a token at `now` (from the process's epoch).
    ///
    /// # Errors
    /// How long it takes until there is a token.
    pub(super) fn take(&self, pace: Pace, now: Duration) -> Result<(), Duration> {
        let now = nanoseconds(now);
        let mut full_at = self.full_at.load(Relaxed);
        loop {
            let after = pace.take(full_at, now)?;
            match self
                .full_at
                .compare_exchange_weak(full_at, after, Relaxed, Relaxed)
            {
                Ok(_) => return Ok(()),
                Err(changed) => full_at = changed,
            }
        }
    }
}

/// Buckets that are kept at the same time.
pub(super) const BUCKETS: usize = 65_536;
/// Buckets that one lock guards, and among which a new key finds its place.
const SET: usize = 16;

/// Buckets by key, at most [`BUCKETS`] of them (1 MiB). When a key finds no place, the bucket of its set that is full
/// soonest makes room: a full bucket is as good as none, so that nothing is forgotten as long as a place is left, and a
/// flood of new keys does not free those that have spent their tokens.
#[derive(Debug)]
pub(super) struct Buckets {
    /// Keyed, so that nobody can choose keys that share a bucket.
    hasher: RandomState,
    sets: Box<[Mutex<[Keyed; SET]>]>,
}

/// A bucket and the hash of its key.
#[derive(Clone, Copy, Debug, Default)]
struct Keyed {
    key: u64,
    full_at: u64,
}

impl Default for Buckets {
    fn default() -> Self {
        Self {
            hasher: RandomState::new(),
            sets: (0..BUCKETS / SET).map(|_| Mutex::default()).collect(),
        }
    }
}

impl Buckets {
    /// Takes a token of `key` at `now` (from the process's epoch).
    ///
    /// # Errors
    /// How long it takes until there is a token.
    pub(super) fn take(&self, key: impl Hash, pace: Pace, now: Duration) -> Result<(), Duration> {
        let now = nanoseconds(now);
        // Zero is the key of a place that was never taken.
        let key = self.hasher.hash_one(key).max(1);
        let at = key as usize % self.sets.len();
        let Some(set) = self.sets.get(at) else {
            return Ok(());
        };
        let mut set = set.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = set.iter_mut().find(|place| place.key == key) {
            known.full_at = pace.take(known.full_at, now)?;
            return Ok(());
        }
        let full_at = pace.take(0, now)?;
        if let Some(place) = set.iter_mut().min_by_key(|place| place.full_at) {
            *place = Keyed { key, full_at };
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
