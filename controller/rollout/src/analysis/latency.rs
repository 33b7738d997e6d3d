//! The latency tests: is the canary slower than the stable by more than the allowed increase?
//!
//! For a quantile `q`, let `x` be the bound of the bucket that holds the stable's usual `q`-quantile. A canary that is
//! slower by at most `increase` has no larger share of requests above `(1 + increase) x` than the stable has above
//! `x`, whatever the law of the latencies and however it drifts. So these two exceedances go through the same test as
//! failures do, without a margin: the margin is in the time. `x` comes from earlier blocks only and may move between
//! blocks; within a block it stays.
//!
//! Slow answers of one endpoint agree as its failures do, so counts are divided as theirs: see
//! [`dispersion`](super::dispersion).
//!
//! A request that is still under way counts as soon as its age passes the bound, so a canary that hangs is seen long
//! before its requests time out.

use super::{
    baseline::Baseline,
    blocks::{Seen, Tally, Tick},
    config::LatencyConfig,
    distribution::Distribution,
    interval::{Grown, Interval},
    watch::Watch,
};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use traffic::Bucket;

/// The test of one quantile.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct LatencyWatch {
    pub(super) quantile: f64,
    pub(super) watch: Watch,
    bounds: Option<Bounds>,
    /// How far what is slow agreed at one endpoint before the block under way began.
    #[serde(default)]
    agreement: f64,
}

/// What counts as slow in a block. Buckets by their index.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Bounds {
    stable: usize,
    canary: usize,
    /// The stable's usual share of slow requests.
    stable_ratio: f64,
}

impl LatencyWatch {
    pub(super) fn new(quantile: f64, alpha: f64, step_starts: usize) -> Self {
        Self {
            quantile,
            watch: Watch::new(alpha, step_starts),
            bounds: None,
            agreement: 0.0,
        }
    }

    /// Sets what counts as slow in the block that begins, by what the stable is known for: `total` is the number of its
    /// usual latencies.
    pub(super) fn aim(&mut self, baseline: &Baseline, total: f64, config: &LatencyConfig) {
        self.bounds = self.bounds(baseline.latency(), total, config);
        self.agreement = baseline.slowness(self.quantile);
    }

    /// How far what is slow agrees at one endpoint.
    pub(super) fn agreement(&self) -> f64 {
        self.agreement
    }

    /// Takes the slow requests of `interval`. Nothing is slow while the stable's latency is unknown or without a
    /// bound.
    pub(super) fn take(&mut self, start: f64, interval: &Interval<'_>) {
        let Some(bounds) = self.bounds else {
            return;
        };
        let slower = |grown: &Grown<'_>, index| Tally {
            requests: grown.requests(),
            bad: Bucket::at(index).map_or(0, |bound| grown.slower_than(bound)),
        };
        self.watch.take(&Tick {
            start,
            seen: Seen {
                canary: slower(interval.canary(), bounds.canary),
                stable: slower(interval.stable(), bounds.stable),
            },
            stable_ratio: bounds.stable_ratio,
            // Known to be slow or not as soon as they are.
            unanswered: 0,
        });
    }

    fn bounds(&self, usual: &Distribution, total: f64, config: &LatencyConfig) -> Option<Bounds> {
        let (stable, above) = usual.quantile(self.quantile, total)?;
        let canary = allowed(stable, config)?;
        Some(Bounds {
            stable: stable.index(),
            canary: canary.index(),
            stable_ratio: Baseline::slow_ratio(self.quantile, above, total),
        })
    }

    /// The latest bounds of stable and canary in seconds.
    pub(super) fn seconds(&self) -> Option<(f64, f64)> {
        let bounds = self.bounds?;
        let seconds = |index| Bucket::at(index).map(Bucket::upper_bound);
        Some((seconds(bounds.stable)?, seconds(bounds.canary)?))
    }
}

/// The canary's bound for a stable's: longer by `increase` and by no less than what is negligible. Nothing where the
/// histogram has no bounds any more.
fn allowed(stable: Bucket, config: &LatencyConfig) -> Option<Bucket> {
    let seconds = stable.upper_bound();
    if !seconds.is_finite() {
        return None;
    }
    let longer = Bucket::of(Duration::from_secs_f64(seconds) + config.negligible);
    let allowed = stable.times(1.0 + config.increase).max(longer);
    (allowed < Bucket::LAST).then_some(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_moves_by_the_increase_or_by_what_is_negligible() {
        let config = LatencyConfig::default();
        let check = |stable: Duration, wanted: Duration| {
            let bound = allowed(Bucket::of(stable), &config).unwrap().upper_bound();
            let ratio = bound / wanted.as_secs_f64();
            assert!((0.99..1.1).contains(&ratio), "{stable:?}: {bound}");
        };
        check(Duration::from_millis(100), Duration::from_millis(140));
        check(Duration::from_millis(1), Duration::from_millis(6));
        assert_eq!(allowed(Bucket::LAST, &config), None);
    }
}
