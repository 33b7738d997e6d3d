//! The block e-variable: how much one tick's counts speak against a linear margin between two failure ratios.
//!
//! A block holds the requests of one tick: `n` of each side and the `e` of them that went wrong. The null hypothesis
//! is `p_c <= rho p_s + delta` (or `>=`), a convex set. For a guess `(theta_c, theta_s)` outside that set, made from
//! earlier ticks only, let `(psi_c, psi_s)` be the point of the set nearest to it:
//!
//! ```text
//! (psi_c, psi_s) = argmin over p_c = rho p_s + delta of  n_c kl(theta_c || psi_c) + n_s kl(theta_s || psi_s)
//! ln S = e_c ln(theta_c/psi_c) + (n_c-e_c) ln((1-theta_c)/(1-psi_c)) + the same of the stable
//! ```
//!
//! Then `E[S] <= 1` for every point of the null and any block sizes: `E[S] = (1+A)^n_c (1+B)^n_s` with
//! `A = (p_c-psi_c)(theta_c-psi_c)/(psi_c(1-psi_c))` and `B` likewise, the projection on a convex set makes
//! `n_c A + n_s B <= 0`, and `ln E[S] <= n_c A + n_s B`. A product of such `S` over ticks is a test martingale
//! whatever the ratios do between ticks, so by Ville's inequality it ever reaches `1/alpha` with a chance of at most
//! alpha. After Turner, Ly and Grünwald, "Generic e-variables for exact sequential k-sample tests" (2024), here for
//! unequal blocks and linear margins.

use serde::{Deserialize, Serialize};

/// The border of the null hypothesis: `p_c = relative * p_s + absolute`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Margin {
    /// What the stable's ratio is multiplied by: at least 1, but for users who are known to fail less than the
    /// stable's.
    pub relative: f64,
    /// What is added, 0 to 0.5.
    pub absolute: f64,
}

impl Margin {
    /// No difference at all.
    pub const NONE: Self = Self {
        relative: 1.0,
        absolute: 0.0,
    };

    /// The canary's ratio on the border, for this ratio of the stable.
    pub fn at(self, stable: f64) -> f64 {
        self.relative * stable + self.absolute
    }
}

/// Requests of both sides in one tick, and those of them that count as bad.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Block {
    /// The canary's requests.
    pub canary: u64,
    /// The bad ones of them, at most all.
    pub canary_bad: u64,
    /// The stable's requests.
    pub stable: u64,
    /// The bad ones of them, at most all.
    pub stable_bad: u64,
}

/// How many requests of each side of a block tell as much as one whose outcome depends on no other: at least 1. See
/// [`dispersion`](super::dispersion).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Dispersion {
    /// Of the canary's.
    pub canary: f64,
    /// Of the stable's.
    pub stable: f64,
}

impl Dispersion {
    /// Each outcome by itself.
    pub const NONE: Self = Self {
        canary: 1.0,
        stable: 1.0,
    };
}

impl Default for Dispersion {
    fn default() -> Self {
        Self::NONE
    }
}

/// The ln of the e-variable's four factors: what one request adds to `ln S`.
///
/// ```
/// use rollout::analysis::block::{Block, Gains, Margin};
/// // A canary that fails half of its requests, on a stable that fails one in a thousand.
/// let gains = Gains::of(0.5, 0.001, 10.0, 90.0, Margin::NONE);
/// // Here the projection is the pooled ratio: (10 * 0.5 + 90 * 0.001) / 100 = 0.0509.
/// assert!((gains.canary_bad - (0.5_f64 / 0.0509).ln()).abs() < 1e-9);
/// // Five of ten failed: e^8 to one against "the canary is no worse".
/// let block = Block { canary: 10, canary_bad: 5, stable: 90, stable_bad: 0 };
/// assert!((gains.ln_s(&block) - 12.8309).abs() < 1e-3);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Gains {
    /// For a bad request of the canary.
    pub canary_bad: f64,
    /// For a good request of the canary.
    pub canary_good: f64,
    /// For a bad request of the stable.
    pub stable_bad: f64,
    /// For a good request of the stable.
    pub stable_good: f64,
}

impl Gains {
    /// The factors for the guess `canary`, `stable` (both within 0 to 1, exclusive) and a block of `n_c` and `n_s`
    /// requests. All zero, which is no evidence, when the block has but one side, or when the guess lies on the
    /// border.
    pub fn of(canary: f64, stable: f64, n_c: f64, n_s: f64, margin: Margin) -> Self {
        if n_c <= 0.0 || n_s <= 0.0 {
            return Self::default();
        }
        let psi = project(canary, stable, n_c, n_s, margin);
        Self::between((canary, stable), (-stable).ln_1p(), psi, [true; 4])
    }

    /// The factors between a guess and its projection. `ln_good` is the logarithm of the stable's guessed success
    /// ratio. Factors that are not `needed`, in the order of the fields, are left at zero.
    fn between(
        (canary, stable): (f64, f64),
        ln_good: f64,
        (psi_c, psi_s): (f64, f64),
        needed: [bool; 4],
    ) -> Self {
        let when = |needed: bool, ln: &dyn Fn() -> f64| if needed { ln() } else { 0.0 };
        let [canary_bad, canary_good, stable_bad, stable_good] = needed;
        let ln_psi_c = (-psi_c).ln_1p();
        // Without a margin, both projections are one.
        let ln_psi_s = if psi_s == psi_c {
            ln_psi_c
        } else {
            (-psi_s).ln_1p()
        };
        let gains = Self {
            canary_bad: when(canary_bad, &|| (canary / psi_c).ln()),
            canary_good: when(canary_good, &|| (-canary).ln_1p() - ln_psi_c),
            stable_bad: when(stable_bad, &|| (stable / psi_s).ln()),
            stable_good: when(stable_good, &|| ln_good - ln_psi_s),
        };
        if gains.is_finite() {
            gains
        } else {
            Self::default()
        }
    }

    fn is_finite(&self) -> bool {
        let Self {
            canary_bad,
            canary_good,
            stable_bad,
            stable_good,
        } = self;
        (canary_bad + canary_good + stable_bad + stable_good).is_finite()
    }

    /// The evidence of `block`.
    pub fn ln_s(&self, block: &Block) -> f64 {
        self.expected(
            block.canary_bad as f64,
            (block.canary - block.canary_bad) as f64,
            block.stable_bad as f64,
            (block.stable - block.stable_bad) as f64,
        )
    }

    /// The evidence of so many bad and good requests of each side, which need not be whole.
    pub fn expected(&self, c_bad: f64, c_good: f64, s_bad: f64, s_good: f64) -> f64 {
        c_bad * self.canary_bad
            + c_good * self.canary_good
            + s_bad * self.stable_bad
            + s_good * self.stable_good
    }
}

/// The evidence of one block for many guesses of the canary's ratio: what [`Gains::ln_s`] tells, in a third of the
/// time. Logarithms are most of the work, and most blocks have no bad requests.
#[derive(Clone, Copy, Debug)]
pub struct Evidence {
    block: Block,
    /// The guess of the stable's ratio.
    stable: f64,
    margin: Margin,
    dispersion: Dispersion,
    ln_good: f64,
    needed: [bool; 4],
}

impl Evidence {
    /// For the guess `stable` of the stable's ratio, within 0 to 1, exclusive.
    pub fn new(block: Block, stable: f64, margin: Margin) -> Self {
        let needed = [
            block.canary_bad > 0,
            block.canary_bad < block.canary,
            block.stable_bad > 0,
            block.stable_bad < block.stable,
        ];
        Self {
            block,
            stable,
            margin,
            dispersion: Dispersion::NONE,
            ln_good: (-stable).ln_1p(),
            needed,
        }
    }

    /// With the counts of each side divided by its dispersion.
    pub fn dispersed(self, dispersion: Dispersion) -> Self {
        Self { dispersion, ..self }
    }

    /// For the guess `canary` of the canary's ratio, within 0 to 1, exclusive.
    pub fn ln_s(&self, canary: f64) -> f64 {
        let Block {
            canary: n_c,
            canary_bad: e_c,
            stable: n_s,
            stable_bad: e_s,
        } = self.block;
        if n_c == 0 || n_s == 0 {
            return 0.0;
        }
        let c = |requests: u64| requests as f64 / self.dispersion.canary;
        let s = |requests: u64| requests as f64 / self.dispersion.stable;
        let psi = project(canary, self.stable, c(n_c), s(n_s), self.margin);
        Gains::between((canary, self.stable), self.ln_good, psi, self.needed).expected(
            c(e_c),
            c(n_c - e_c),
            s(e_s),
            s(n_s - e_s),
        )
    }
}

/// The point of the margin's border that is nearest to the guess, weighted by the block's sizes (both above 0).
pub fn project(canary: f64, stable: f64, n_c: f64, n_s: f64, margin: Margin) -> (f64, f64) {
    if margin == Margin::NONE {
        let pooled = (n_c * canary + n_s * stable) / (n_c + n_s);
        return (pooled, pooled);
    }
    let Margin { relative, absolute } = margin;
    let level = (canary - absolute) / relative;
    let top = ((1.0 - absolute) / relative).min(1.0) - 1e-12;
    let (low, high) = if canary > margin.at(stable) {
        (stable, level.min(top))
    } else {
        (level.max(1e-12), stable.min(top))
    };
    // What it would be without a margin is never far.
    let pooled = (n_c * canary + n_s * margin.at(stable)) / (n_c + n_s);
    let psi_s = root(
        Slope::new(canary, stable, n_c, n_s, margin),
        (low.min(high), high),
        (pooled - absolute) / relative,
    );
    (margin.at(psi_s), psi_s)
}

/// The derivative of the distance along the border,
/// `n_c rho (theta_c-q)/(q(1-q)) + n_s (theta_s-s)/(s(1-s))` with `q = rho s + delta`, times the positive
/// `q(1-q) s(1-s)`: a cubic in `s` with the same sign and no division.
#[derive(Clone, Copy)]
struct Slope([f64; 4]);

impl Slope {
    fn new(canary: f64, stable: f64, n_c: f64, n_s: f64, margin: Margin) -> Self {
        let Margin { relative, absolute } = margin;
        let (c, u) = (canary - absolute, 1.0 - absolute);
        let n_r = n_c * relative;
        let twist = relative * (u - absolute);
        Self([
            n_s * stable * absolute * u,
            n_r * c + n_s * (stable * twist - absolute * u),
            -n_r * (c + relative) - n_s * (stable * relative * relative + twist),
            n_r * relative + n_s * relative * relative,
        ])
    }

    /// The value and the derivative.
    fn at(self, s: f64) -> (f64, f64) {
        let [a, b, c, d] = self.0;
        (
            a + s * (b + s * (c + s * d)),
            b + s * (2.0 * c + s * 3.0 * d),
        )
    }
}

/// Where the slope, positive at `low` and negative at `high`, changes its sign: Newton's method from `start`, with a
/// bisection wherever that leaves the bracket or does not at least halve its last step.
fn root(slope: Slope, (mut low, mut high): (f64, f64), start: f64) -> f64 {
    let mut s = if low < start && start < high {
        start
    } else {
        0.5 * (low + high)
    };
    let mut last_step = high - low;
    // Bisections alone would be done after sixty rounds; Newton's method needs about five.
    for _ in 0..100 {
        let (value, derivative) = slope.at(s);
        if value > 0.0 {
            low = s;
        } else {
            high = s;
        }
        let newton = s - value / derivative;
        let step = (newton - s).abs();
        // The next step would be the square of this one, and lost in the slope's own rounding.
        if step <= 1e-12 * s {
            return newton.max(low).min(high);
        }
        let converges = step <= 0.5 * last_step;
        let next = if converges && newton > low && newton < high {
            newton
        } else {
            0.5 * (low + high)
        };
        last_step = (next - s).abs();
        s = next;
    }
    s
}

#[cfg(test)]
mod tests;
