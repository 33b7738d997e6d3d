//! One rollback test under way: its evidence, its counts, and when its window closes.

use super::{
    block::{Block, Gains, Margin},
    config::Parameters,
    mixture::{ABOVE, Mixture, alternative},
    onset::Onset,
};
use serde::{Deserialize, Serialize};

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
}

impl Blocks {
    pub(super) fn take(&mut self, tick: &Tick) {
        let open = self.open.get_or_insert_with(|| Open {
            start: tick.start,
            stable_ratio: tick.stable_ratio,
            seen: Seen::default(),
        });
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
        })
    }
}

/// A sequential test of "the canary is no worse than the margin allows".
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Watch {
    blocks: Blocks,
    mixture: Mixture,
    onset: Onset,
    /// When the window closes, in seconds since the canary began.
    window_ends: f64,
    /// What the window's gain may be, and what convicts.
    ln_threshold: f64,
    canary: Tally,
    stable: Tally,
    /// The canary's counts of this step.
    step: Tally,
}

/// Requests and the bad ones of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Tally {
    pub(super) requests: u64,
    pub(super) bad: u64,
}

impl Tally {
    pub(super) fn add(&mut self, requests: u64, bad: u64) {
        self.requests += requests;
        self.bad += bad;
    }
}

/// Clocks of different resolutions meet here: a window may close so much early, in seconds.
const SLACK: f64 = 1e-3;

impl Watch {
    pub(super) fn new(alpha: f64, step_starts: usize) -> Self {
        Self {
            blocks: Blocks::default(),
            mixture: Mixture::new(ABOVE.len()),
            onset: Onset::new(step_starts),
            window_ends: 0.0,
            ln_threshold: -alpha.ln(),
            canary: Tally::default(),
            stable: Tally::default(),
            step: Tally::default(),
        }
    }

    pub(super) fn start_step(&mut self) {
        self.onset.step_starts();
        self.step = Tally::default();
    }

    /// Takes one tick's counts into the block under way.
    pub(super) fn take(&mut self, tick: &Tick) {
        self.blocks.take(tick);
    }

    pub(super) fn is_in_block(&self) -> bool {
        self.blocks.is_open()
    }

    /// Ends the block under way and judges it.
    pub(super) fn close(&mut self, margin: Margin, parameters: &Parameters) {
        let Some(closed) = self.blocks.close() else {
            return;
        };
        if closed.start + SLACK >= self.window_ends {
            self.window_ends = closed.start + parameters.burst_window.as_secs_f64();
            let horizon = parameters.horizon.as_secs_f64();
            self.mixture
                .open_window(self.onset.take(self.window_ends, horizon));
        }
        let block = closed.block;
        self.canary.add(block.canary, block.canary_bad);
        self.stable.add(block.stable, block.stable_bad);
        self.step.add(block.canary, block.canary_bad);
        let never_worked = self.step.bad as f64 >= parameters.fast_path * self.step.requests as f64;
        let cap = if never_worked {
            f64::INFINITY
        } else {
            self.ln_threshold / 2.0
        };
        self.mixture
            .add(ln_s(&ABOVE, margin, closed.stable_ratio, block), cap);
    }

    pub(super) fn convicts(&self, min_bad: u64) -> bool {
        self.canary.bad >= min_bad && self.ln_e() >= self.ln_threshold
    }

    pub(super) fn ln_e(&self) -> f64 {
        self.mixture.ln_e()
    }

    pub(super) fn ln_threshold(&self) -> f64 {
        self.ln_threshold
    }

    pub(super) fn canary(&self) -> Tally {
        self.canary
    }

    pub(super) fn stable(&self) -> Tally {
        self.stable
    }
}

/// A block's `ln S` for the alternatives at `offsets` from the margin: above it for offsets above 0, below it for
/// others. An alternative that finds no room on its side of the border is no evidence.
pub(super) fn ln_s(
    offsets: &[f64],
    margin: Margin,
    stable_ratio: f64,
    block: Block,
) -> impl Iterator<Item = f64> {
    gains(
        offsets,
        margin,
        stable_ratio,
        block.canary as f64,
        block.stable as f64,
    )
    .map(move |gains| gains.ln_s(&block))
}

/// What one request adds to each alternative's evidence, in blocks of `n_c` and `n_s` requests.
pub(super) fn gains(
    offsets: &[f64],
    margin: Margin,
    stable_ratio: f64,
    n_c: f64,
    n_s: f64,
) -> impl Iterator<Item = Gains> {
    let border = margin.at(stable_ratio);
    offsets.iter().map(move |offset| {
        let guess = alternative(border, *offset);
        let is_outside = if *offset > 0.0 {
            guess > border
        } else {
            guess < border
        };
        if is_outside {
            Gains::of(guess, stable_ratio, n_c, n_s, margin)
        } else {
            Gains::default()
        }
    })
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

    #[test]
    fn a_stable_that_always_fails_leaves_no_room_for_a_worse_canary() {
        let margin = Margin {
            relative: 1.1,
            absolute: 0.001,
        };
        let block = Block {
            canary: 10,
            canary_bad: 10,
            stable: 90,
            stable_bad: 90,
        };
        assert!(ln_s(&ABOVE, margin, 0.95, block).all(|ln_s| ln_s == 0.0));
    }
}
