//! The test by which a proxy takes a canary's traffic away by itself: on overwhelming evidence, without the controller.
//!
//! The null hypothesis is the guard's: at every moment the canary fails at most `relative * p + absolute` of its
//! requests, where `p` is what stable fails then, whatever that is and however it moves. Each request that the weight
//! decides goes to the canary with the chance `w`, and multiplies the evidence by
//!
//! ```text
//! sent to the canary and failed   a = 1 + gain
//! sent to the canary, not failed  d = 1 - gain * absolute / (1 - absolute)
//! sent to stable and failed       b = 1 - gain * w * relative / ((1 - w) (1 - absolute))
//! sent to stable, not failed      1
//! ```
//!
//! The mean of that factor is linear in both failure ratios and grows with the canary's, so it is largest on the border
//! of the null. There it is 1 for `p = 0` by the choice of `d`, for every other `p` up to the one at which the canary
//! fails everything by the choice of `b`, and falls from there on. So the product over requests is a test
//! supermartingale for every `gain` that leaves `d` and `b` above 0, and so is the mean over some of them. By Ville's
//! inequality it ever reaches `1/alpha` with a chance of at most `alpha`, at whatever moments one looks. With
//! `absolute = 0` this is the test that asks of each failure which side it is from, the exact one for a stable ratio
//! that nobody knows.
//!
//! Three things make the argument hold on a real proxy:
//!
//! - **Requests under way** are taken for the worst: the canary's for good ones, stable's for failures. The evidence is
//!   then never above what it will be when all have ended, so that no latency of either side can forge it: not a canary
//!   whose failures are fast while stable's are timeouts.
//! - **Rules** send requests of a kind, which fail by a ratio of their own. Of the canary's only those count that the
//!   weight decided; stable's failures count all, which is against conviction.
//! - **Sticky users** are split instead of requests, and one broken client fails all of its requests. There, a user's
//!   failures count once.
//!
//! The places in the sequence that splits requests are not drawn but spread evenly. A side's part of any run of requests
//! then strays from `w` by less than chance would have it; what would break the argument are failures that keep step
//! with the sequence of each worker.
//!
//! Independence given the version is the one thing that is taken for granted, and it breaks where one endpoint of the
//! canary has a hiccup. No `alpha` helps there. So conviction also asks for a canary that never worked: at least half of
//! all that was sent to it under the present weights has failed.
//!
//! **With all traffic on the canary** there is no stable beside it. Then the null is that it fails at most `absolute`,
//! which the controller makes of stable's past.

use crate::Weight;

/// The chance that a canary which is no worse than the margins allow is ever tripped, for all of its weights together. It
/// is in addition to the guard's. Half of it is for the tests, the other half for the bound on stable's past that a canary
/// with all the traffic is compared with.
pub const ALPHA: f64 = 1e-6;
/// Fewer failures than this never trip a canary.
pub const LEAST_FAILURES: u64 = 5;
/// The gains that are mixed, as parts of the largest possible one. A large one convicts soon where stable is well and
/// answers at once, a small one sees past stable's failures and its requests under way.
const GAINS: [f64; 4] = [0.95, 0.6, 0.3, 0.1];
/// A test whose largest gain is below this would take tens of thousands of failures.
const LEAST_GAIN: f64 = 1e-3;

/// By how much the canary may be worse than stable.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Margins {
    /// It may fail so many times as large a share of its requests. At least 1.
    pub relative: f64,
    /// And this share beyond that, from 0 to 1. With all traffic on the canary, the whole share that it may fail.
    pub absolute: f64,
}

/// What a test is made of. All numbers count from when the canary got its present weight.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TripCounts {
    /// Requests that the weight sent to the canary, those under way included.
    pub canary_requests: u64,
    /// Failures among them.
    pub canary_failures: u64,
    /// The failures that say something of their own: with stickiness, one for each user.
    pub independent: u64,
    /// Stable's requests that failed, and all that are under way.
    pub stable_failures: u64,
}

/// A test for one weight of a canary.
#[derive(Clone, Debug, PartialEq)]
pub struct TripTest {
    bets: [Bet; GAINS.len()],
    ln_threshold: f64,
    least_failures: u64,
}

/// The logarithms of the factors for one gain.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Bet {
    canary_failed: f64,
    canary_kept: f64,
    stable_failed: f64,
}

impl TripTest {
    /// The test of a canary with `weight`, the one after `earlier` ones of the same canary; nothing where no failure could
    /// convict it: without any weight, or with all and a margin of (nearly) everything. Whatever `least_failures` are
    /// asked for, there must be [`LEAST_FAILURES`].
    pub fn new(
        weight: Weight,
        margins: Margins,
        least_failures: u64,
        earlier: u32,
    ) -> Option<Self> {
        let most = most(weight, margins);
        // A comparison with NaN is false.
        if !(most >= LEAST_GAIN && margins.relative >= 1.0) {
            return None;
        }
        // The tests of a canary share alpha as 1/(1*2) + 1/(2*3) + ..., which is 1.
        let place = f64::from(earlier) + 1.0;
        Some(Self {
            bets: GAINS.map(|part| Bet::new(part * most, weight, margins)),
            ln_threshold: -(ALPHA / 2.0).ln() + (place * (place + 1.0)).ln(),
            least_failures: least_failures.max(LEAST_FAILURES),
        })
    }

    /// The logarithm of the evidence.
    pub fn ln_e(&self, counts: &TripCounts) -> f64 {
        let kept = counts.canary_requests.saturating_sub(counts.independent);
        let ln = self.bets.map(|bet| {
            bet.canary_failed * counts.independent as f64
                + bet.canary_kept * kept as f64
                + bet.stable_failed * counts.stable_failures as f64
        });
        let most = ln.into_iter().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = ln.into_iter().map(|ln| (ln - most).exp()).sum();
        most + (sum / ln.len() as f64).ln()
    }

    /// The logarithm of the evidence that convicts.
    pub fn ln_threshold(&self) -> f64 {
        self.ln_threshold
    }

    /// Whether the canary's own counts are those of a version that never worked. Stable need not be looked at without.
    pub fn never_worked(&self, counts: &TripCounts) -> bool {
        counts.canary_failures >= self.least_failures
            && counts.canary_failures >= counts.canary_requests.div_ceil(2)
    }

    /// Whether `counts` convict the canary.
    pub fn convicts(&self, counts: &TripCounts) -> bool {
        self.never_worked(counts)
            && counts.independent >= self.least_failures
            && self.ln_e(counts) >= self.ln_threshold
    }
}

/// The gain at which a factor would be 0.
fn most(weight: Weight, margins: Margins) -> f64 {
    let Margins { relative, absolute } = margins;
    let by_kept = (1.0 - absolute) / absolute.max(f64::MIN_POSITIVE);
    if weight == Weight::FULL {
        return by_kept;
    }
    let (canary, stable) = (weight.fraction(), weight.complement().fraction());
    if weight == Weight::ZERO {
        return 0.0;
    }
    by_kept.min(stable * (1.0 - absolute) / (canary * relative))
}

impl Bet {
    fn new(gain: f64, weight: Weight, margins: Margins) -> Self {
        let Margins { relative, absolute } = margins;
        let lost = gain / (1.0 - absolute);
        let odds = weight.fraction() / weight.complement().fraction();
        let stable_failed = if weight == Weight::FULL {
            0.0
        } else {
            (-lost * relative * odds).ln_1p()
        };
        Self {
            canary_failed: gain.ln_1p(),
            canary_kept: (-lost * absolute).ln_1p(),
            stable_failed,
        }
    }
}

#[cfg(test)]
mod tests;
