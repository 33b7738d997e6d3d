//! Ticks put together to blocks.

use super::block::Block;
use serde::{Deserialize, Serialize};

/// Requests and the bad ones of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Tally {
    pub(super) requests: u64,
    pub(super) bad: u64,
}

/// No test counts more: three thousand years of a million requests a second. So many can be added up.
pub(super) const MOST: u64 = 100_000_000_000_000_000;

impl Tally {
    /// Whether more can be added to it.
    pub(super) fn is_sound(&self) -> bool {
        self.requests <= MOST && self.bad <= MOST
    }

    pub(super) fn add(&mut self, requests: u64, bad: u64) {
        self.requests += requests;
        self.bad += bad;
    }
}

/// Bad outcomes that were seen in a tick with too few requests to hold them, as a request ends later than it is sent.
/// They count in the next tick that has room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Carry(u64);

impl Carry {
    /// What of `bad` and what was carried fits into `requests`.
    pub(super) fn fit(&mut self, bad: u64, requests: u64) -> u64 {
        let due = self.0 + bad;
        let fits = due.min(requests);
        self.0 = due - fits;
        fits
    }
}

/// A tick as a rollback test sees it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tick {
    /// Seconds from the canary's begin to the tick's start.
    pub(super) start: f64,
    /// Requests and bad outcomes, which may be more.
    pub(super) seen: Seen,
    /// The stable's usual ratio before this tick.
    pub(super) stable_ratio: f64,
    /// The canary's requests under way at the tick's end, whose outcomes are still to be seen.
    pub(super) unanswered: u64,
}

/// What was counted of both sides, before it is made to fit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Seen {
    pub(super) canary: Tally,
    pub(super) stable: Tally,
}

/// A block that takes in ticks. What was guessed before its first tick holds for all of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Open {
    start: f64,
    stable_ratio: f64,
    seen: Seen,
    #[serde(default)]
    unanswered: u64,
}

/// Puts ticks together to blocks in which the bad outcomes fit the requests.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Blocks {
    open: Option<Open>,
    canary_carry: Carry,
    stable_carry: Carry,
}

/// A block that is complete.
#[derive(Clone, Copy, Debug)]
pub(super) struct Closed {
    pub(super) start: f64,
    pub(super) stable_ratio: f64,
    pub(super) block: Block,
    /// The canary's requests under way at its end.
    pub(super) unanswered: u64,
}

impl Blocks {
    pub(super) fn take(&mut self, tick: &Tick) {
        let open = self.open.get_or_insert_with(|| Open {
            start: tick.start,
            stable_ratio: tick.stable_ratio,
            seen: Seen::default(),
            unanswered: 0,
        });
        open.unanswered = tick.unanswered;
        let Seen { canary, stable } = tick.seen;
        open.seen.canary.add(canary.requests, canary.bad);
        open.seen.stable.add(stable.requests, stable.bad);
    }

    pub(super) fn is_open(&self) -> bool {
        self.open.is_some()
    }

    pub(super) fn close(&mut self) -> Option<Closed> {
        let open = self.open.take()?;
        let Seen { canary, stable } = open.seen;
        Some(Closed {
            start: open.start,
            stable_ratio: open.stable_ratio,
            block: Block {
                canary: canary.requests,
                canary_bad: self.canary_carry.fit(canary.bad, canary.requests),
                stable: stable.requests,
                stable_bad: self.stable_carry.fit(stable.bad, stable.requests),
            },
            unanswered: open.unanswered,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_carried() {
        let mut carry = Carry::default();
        assert_eq!(carry.fit(5, 3), 3);
        assert_eq!(carry.fit(0, 1), 1);
        assert_eq!(carry.fit(0, 0), 0);
        assert_eq!(carry.fit(1, 9), 2);
        assert_eq!(carry.fit(0, 9), 0);
    }
}
