//! One rollback test under way: its evidence, its counts, and when its window closes.

use super::{
    block::{Block, Dispersion, Evidence, Gains, Margin},
    blocks::{Blocks, Closed, Tally, Tick},
    config::Parameters,
    mixture::{ABOVE, Mixture, alternative},
    onset::Onset,
};
use serde::{Deserialize, Serialize};

/// What a canary is taken for until its counts speak against it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Null {
    /// No worse than the margin to the stable allows.
    Within(Margin),
    /// Failing at most this share of its requests, above 0, whatever the stable does. Nothing speaks against 1.
    AtMost(f64),
}

/// A sequential test of a [`Null`], the same one for every block.
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

    /// Ends the block under way and judges it, by as many requests as tell something for themselves.
    pub(super) fn close(&mut self, null: Null, dispersion: Dispersion, parameters: &Parameters) {
        if let Some(closed) = self.blocks.close() {
            self.judge(&closed, null, dispersion, parameters);
        }
    }

    fn judge(
        &mut self,
        closed: &Closed,
        null: Null,
        dispersion: Dispersion,
        parameters: &Parameters,
    ) {
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
        let cap = if self.never_worked(closed.unanswered, parameters) {
            f64::INFINITY
        } else {
            self.ln_threshold / 2.0
        };
        match null {
            Null::Within(margin) => {
                let evidence = Evidence::new(block, closed.stable_ratio, margin);
                let evidence = evidence.dispersed(dispersion);
                let border = margin.at(closed.stable_ratio);
                self.mixture.add(ln_s(&ABOVE, border, evidence), cap);
            }
            Null::AtMost(limit) => {
                let ln_s = ln_s_above(limit, block);
                let ln_s = ln_s.map(|ln_s| ln_s / dispersion.canary);
                self.mixture.add(ln_s, cap);
            }
        }
    }

    /// Whether so many of this step's requests went wrong that this is no hiccup. Those without an outcome yet do not
    /// speak for the canary. The cap that this lifts only ever lowers the evidence, so any rule would do for alpha.
    fn never_worked(&self, unanswered: u64, parameters: &Parameters) -> bool {
        let answered = self.step.requests.saturating_sub(unanswered);
        self.step.bad > 0 && self.step.bad as f64 >= parameters.fast_path * answered as f64
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

/// A block's `ln S` for the alternatives at `offsets` from the border of the margin: above it for offsets above 0, below
/// it for others. An alternative that finds no room on its side of the border is no evidence.
pub(super) fn ln_s(offsets: &[f64], border: f64, evidence: Evidence) -> impl Iterator<Item = f64> {
    offsets
        .iter()
        .map(move |offset| guess(border, *offset).map_or(0.0, |guess| evidence.ln_s(guess)))
}

/// The canary's part of a block against "it fails at most `limit` of its requests", for each alternative `theta`:
/// `e ln(theta/limit) + (n-e) ln((1-theta)/(1-limit))`. An e-variable, as its mean is at most 1 for every ratio up to the
/// limit and any number of requests.
fn ln_s_above(limit: f64, block: Block) -> impl Iterator<Item = f64> {
    let (bad, requests) = (block.canary_bad as f64, block.canary as f64);
    ABOVE.iter().map(move |offset| {
        guess(limit, *offset).map_or(0.0, |guess| {
            let good = (-guess).ln_1p() - (-limit).ln_1p();
            bad * (guess / limit).ln() + (requests - bad) * good
        })
    })
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
    use crate::analysis::blocks::Seen;

    #[test]
    fn evidence_is_a_number_at_one_request_and_at_a_trillion() {
        const MANY: u64 = 1_000_000_000_000;
        let parameters = Parameters::default();
        let check = |null: Null, requests: u64, canary_bad: u64, stable_bad: u64| {
            let mut watch = Watch::new(1e-6, 1);
            watch.start_step();
            for second in 0..50 {
                let tally = |bad| Tally { requests, bad };
                watch.take(&Tick {
                    start: f64::from(second),
                    seen: Seen {
                        canary: tally(canary_bad),
                        stable: tally(stable_bad),
                    },
                    stable_ratio: 0.001,
                    unanswered: 0,
                });
                watch.close(null, Dispersion::NONE, &parameters);
                let case = format!("{null:?}, {requests}: {canary_bad}, {stable_bad}");
                assert!(watch.ln_e().is_finite(), "{case}");
                let stored = serde_json::to_string(&watch).unwrap();
                let read: Watch = serde_json::from_str(&stored).unwrap();
                assert_eq!(read, watch, "{case}");
            }
            watch.ln_e() >= watch.ln_threshold()
        };
        let shipped = Margin {
            relative: 1.1,
            absolute: 0.001,
        };
        for null in [
            Null::Within(Margin::NONE),
            Null::Within(shipped),
            Null::AtMost(0.0001),
            Null::AtMost(0.99),
        ] {
            for requests in [1, MANY] {
                for canary_bad in [0, 1, requests / 2, requests] {
                    for stable_bad in [0, 1, requests] {
                        check(null, requests, canary_bad, stable_bad);
                    }
                }
            }
            // Nothing is lost: one failure in a trillion is no evidence, and a trillion of them are all that is needed.
            assert!(!check(null, MANY, 1, 1), "{null:?}");
            assert!(check(null, MANY, MANY, 0), "{null:?}");
        }
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
        let evidence = Evidence::new(block, 0.95, margin);
        assert!(ln_s(&ABOVE, margin.at(0.95), evidence).all(|ln_s| ln_s == 0.0));
    }
}
