//! One rollback test under way: its evidence, its counts, and when its window closes.

use super::{
    block::{Block, Evidence, Gains, Margin},
    blocks::{Blocks, Tally, Tick},
    config::Parameters,
    mixture::{ABOVE, Mixture, alternative},
    onset::Onset,
};
use serde::{Deserialize, Serialize};

/// A sequential test of "the canary is no worse than the margin allows".
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Watch {
    blocks: Blocks,
    mixture: Mixture,
    onset: Onset,
    /// When the window closes, in seconds since the canary began.
    window_ends: f64,
    /// The evidence that convicts.
    ln_threshold: f64,
    canary: Tally,
    stable: Tally,
    /// The canary's counts of this step.
    step: Tally,
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
    let border = margin.at(stable_ratio);
    let evidence = Evidence::new(block, stable_ratio, margin);
    offsets
        .iter()
        .map(move |offset| guess(border, *offset).map_or(0.0, |guess| evidence.ln_s(guess)))
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
        guess(border, *offset).map_or_else(Gains::default, |guess| {
            Gains::of(guess, stable_ratio, n_c, n_s, margin)
        })
    })
}

/// The alternative at `offset` from the border, if there is room on its side.
fn guess(border: f64, offset: f64) -> Option<f64> {
    let guess = alternative(border, offset);
    let is_outside = if offset > 0.0 {
        guess > border
    } else {
        guess < border
    };
    is_outside.then_some(guess)
}

#[cfg(test)]
mod tests {
    use super::*;

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
