//! How many ticks make a block.
//!
//! A block says something only if it holds requests of both versions, and says most if it holds them in their usual
//! proportion. Where traffic is thin, ticks are therefore put together until about as many requests have come as bring
//! the canary its part. Only the number of requests decides that, never which version got them or what became of them,
//! so the bound on errors stays; and no block reaches across two route tables, as a weight may have changed.

use serde::{Deserialize, Serialize};

/// A block is to hold about so many requests of the canary. Simulated, more of them cost a failed request or two before
/// a dead canary is found.
const CANARY_REQUESTS: f64 = 1.0;
/// And at least so many of both versions.
const LEAST: f64 = 6.0;
/// But lasts no longer than this, in seconds.
const LONGEST: f64 = 10.0;
/// What is thought of the canary's share before there are requests: one in ten.
const PRIOR: (f64, f64) = (1.0, 10.0);

/// The block under way.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Pace {
    /// Requests of both versions since the block began.
    requests: u64,
    seconds: f64,
    /// At so many it ends. Fixed when it begins.
    enough: f64,
    /// Requests since the route table changed.
    canary: u64,
    all: u64,
}

impl Pace {
    /// Takes a tick's requests and tells whether the block ends with it.
    pub(super) fn ends_with(&mut self, canary: u64, stable: u64, seconds: f64) -> bool {
        if self.seconds == 0.0 {
            let share = (self.canary as f64 + PRIOR.0) / (self.all as f64 + PRIOR.1);
            self.enough = (CANARY_REQUESTS / share).max(LEAST);
        }
        self.requests += canary + stable;
        self.seconds += seconds;
        self.canary += canary;
        self.all += canary + stable;
        let ends = self.requests as f64 >= self.enough || self.seconds >= LONGEST;
        if ends {
            self.requests = 0;
            self.seconds = 0.0;
        }
        ends
    }

    /// The split may have changed: the block is over and the share unknown.
    pub(super) fn begin_anew(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_hold_about_one_canary_request() {
        let check = |canary_every: u64, per_tick: u64, wanted: std::ops::RangeInclusive<usize>| {
            let mut pace = Pace::default();
            let (mut sent, mut last, mut length) = (0, 0, 0);
            for tick in 0..2_000 {
                let before = sent / canary_every;
                sent += per_tick;
                let canary = sent / canary_every - before;
                if pace.ends_with(canary, per_tick - canary, 0.1) {
                    (length, last) = (tick - last, tick);
                }
            }
            assert!(
                wanted.contains(&length),
                "1 in {canary_every}, {per_tick}: {length}"
            );
        };
        check(10, 100, 1..=1);
        check(10, 1, 10..=11);
        check(2, 1, 6..=6);
        check(20, 10, 2..=3);
        // No longer than ten seconds.
        check(1_000, 1, 99..=101);
    }
}
