//! One e-process out of many: alternatives of different sizes, and different moments at which a regression begins.
//!
//! Nobody knows beforehand how bad a canary is or when it turns bad. So the evidence is a weighted sum: over
//! alternatives `j`, and over start times, where each start gets a share `gamma` of the mass of 1:
//!
//! ```text
//! W_j <- (W_j + gamma / J) S_j        E = sum of W_j + the mass that is not yet given out
//! ```
//!
//! A sum of e-processes with weights that sum to 1 is an e-process (Shin, Ramdas and Rinaldo, "E-detectors", 2023).
//!
//! Mass is given out when a window opens. Inside a window an alternative gains at most `cap`, so that one burst is not
//! enough. That only ever lowers the evidence, so the guarantee stays.

use serde::{Deserialize, Serialize};

/// Stands for the logarithm of nothing: far below any evidence, and still a number that can be stored.
const LN_NOTHING: f64 = -690.0;

/// The distances, in logits, of the alternatives above a rollback test's margin.
pub const ABOVE: [f64; 12] = [0.3, 0.5, 0.8, 1.2, 1.7, 2.3, 3.0, 4.0, 5.0, 6.5, 8.5, 11.0];
/// The distances, in logits, of the alternatives below an acceptance test's margin.
pub const BELOW: [f64; 8] = [-0.25, -0.5, -0.9, -1.4, -2.0, -3.0, -4.5, -6.5];
/// No alternative lies above this, so that one success never destroys all evidence.
const MAX_RATIO: f64 = 0.9995;
const MIN_RATIO: f64 = 1e-6;

/// The failure ratio at `offset` logits from `border`.
///
/// ```
/// use rollout::analysis::mixture::alternative;
/// // Odds of 1:9, three times as high: 1:3.
/// assert!((alternative(0.1, 3f64.ln()) - 0.25).abs() < 1e-12);
/// ```
pub fn alternative(border: f64, offset: f64) -> f64 {
    let border = border.clamp(MIN_RATIO, MAX_RATIO);
    let odds = border / (1.0 - border) * offset.exp();
    (odds / (1.0 + odds)).min(MAX_RATIO)
}

/// `ln(e^a + e^b)`.
pub fn ln_add(a: f64, b: f64) -> f64 {
    let (low, high) = if a < b { (a, b) } else { (b, a) };
    high + (low - high).exp().ln_1p()
}

/// The weighted evidence, in logarithms.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Mixture {
    /// `ln W_j` when the window opened.
    base: Vec<f64>,
    /// What each alternative has gained since, without the cap.
    raw: Vec<f64>,
    /// And with it.
    capped: Vec<f64>,
    /// The mass that no start has got yet.
    unspent: f64,
}

impl Mixture {
    /// No evidence yet, for so many alternatives.
    pub fn new(alternatives: usize) -> Self {
        Self {
            base: vec![LN_NOTHING; alternatives],
            raw: vec![0.0; alternatives],
            capped: vec![0.0; alternatives],
            unspent: 1.0,
        }
    }

    /// Closes the window and opens the next, with `mass` for a regression that begins now. No more is given out than
    /// is left.
    pub fn open_window(&mut self, mass: f64) {
        let mass = mass.clamp(0.0, self.unspent);
        self.unspent -= mass;
        let share = mass / self.base.len() as f64;
        for (base, capped) in self.base.iter_mut().zip(&self.capped) {
            *base += capped;
            if share > 0.0 {
                *base = ln_add(*base, share.ln());
            }
            *base = base.max(LN_NOTHING);
        }
        self.raw.fill(0.0);
        self.capped.fill(0.0);
    }

    /// Adds one block's `ln S` of each alternative, of which the window as a whole keeps at most `cap`.
    pub fn add(&mut self, ln_s: impl Iterator<Item = f64>, cap: f64) {
        for ((raw, capped), ln_s) in self.raw.iter_mut().zip(&mut self.capped).zip(ln_s) {
            // Below the floor, more evidence for the null changes nothing.
            *raw = (*raw + ln_s).max(LN_NOTHING);
            *capped = raw.min(cap);
        }
    }

    /// Whether it can be gone on with: it is of so many alternatives and holds numbers as `add` leaves them.
    pub(super) fn is_sound(&self, alternatives: usize) -> bool {
        let Self {
            base,
            raw,
            capped,
            unspent,
        } = self;
        let are_sound = |part: &Vec<f64>| {
            part.len() == alternatives && part.iter().all(|ln| *ln >= LN_NOTHING && ln.is_finite())
        };
        are_sound(base) && are_sound(raw) && are_sound(capped) && (0.0..=1.0).contains(unspent)
    }

    /// `ln W_j` of each alternative.
    pub fn ln_weights(&self) -> impl Iterator<Item = f64> + '_ {
        self.base.iter().zip(&self.capped).map(|(b, c)| b + c)
    }

    /// The evidence: `ln E`.
    pub fn ln_e(&self) -> f64 {
        let largest = self.ln_weights().fold(LN_NOTHING, f64::max);
        let sum: f64 = self.ln_weights().map(|w| (w - largest).exp()).sum();
        let weights = largest + sum.ln();
        if self.unspent > 0.0 {
            ln_add(weights, self.unspent.ln())
        } else {
            weights
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::block::{Block, Gains, Margin};

    #[test]
    fn golden_trace() {
        let margin = Margin {
            relative: 1.1,
            absolute: 0.001,
        };
        let (mut requests, mut failures) = (30_000.0, 30.0);
        let mut mixture = Mixture::new(ABOVE.len());
        let ticks = [
            (10, 0, 90, 0, -0.160305),
            (9, 1, 91, 0, 0.742019),
            (11, 2, 89, 1, 2.427701),
            (10, 1, 90, 0, 4.165901),
            (10, 3, 90, 0, 10.175547),
        ];
        for (tick, (canary, canary_bad, stable, stable_bad, wanted)) in
            ticks.into_iter().enumerate()
        {
            let block = Block {
                canary,
                canary_bad,
                stable,
                stable_bad,
            };
            let lump = if tick == 0 { 0.5 } else { 0.0 };
            mixture.open_window(lump + 0.5 / 9000.0);
            let theta = (failures + 10.0 * 1e-3) / (requests + 10.0);
            let ln_s = ABOVE.iter().map(|offset| {
                let guess = alternative(margin.at(theta), *offset);
                Gains::of(guess, theta, canary as f64, stable as f64, margin).ln_s(&block)
            });
            mixture.add(ln_s, f64::INFINITY);
            requests += stable as f64;
            failures += stable_bad as f64;
            let got = mixture.ln_e();
            assert!(
                (got - wanted).abs() < 1e-6,
                "tick {tick}: {got}, not {wanted}"
            );
        }
    }

    #[test]
    fn a_window_keeps_no_more_than_its_cap() {
        let mut mixture = Mixture::new(1);
        mixture.open_window(1.0);
        for _ in 0..10 {
            mixture.add([1.0].into_iter(), 2.5);
        }
        assert!((mixture.ln_e() - 2.5).abs() < 1e-12);
        mixture.open_window(0.0);
        mixture.add([1.0].into_iter(), 2.5);
        assert!((mixture.ln_e() - 3.5).abs() < 1e-12);
        // Evidence for the null lowers what the cap cut off, too.
        mixture.add([-2.0].into_iter(), 2.5);
        assert!((mixture.ln_e() - 1.5).abs() < 1e-12);
    }

    #[test]
    fn mass_is_given_out_once() {
        let mut mixture = Mixture::new(12);
        for _ in 0..10 {
            mixture.open_window(0.3);
            assert!(mixture.ln_e().abs() < 1e-12);
        }
        assert_eq!(mixture.unspent, 0.0);
    }

    #[test]
    fn crushing_evidence_for_the_null_stays_a_number() {
        let mut mixture = Mixture::new(12);
        for _ in 0..100 {
            mixture.open_window(0.01);
            mixture.add(std::iter::repeat_n(-1e9, 12), 2.6);
        }
        assert!(mixture.ln_e().is_finite());
        let json = serde_json::to_string(&mixture).unwrap();
        assert_eq!(serde_json::from_str::<Mixture>(&json).unwrap(), mixture);
    }
}
