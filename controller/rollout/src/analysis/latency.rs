//! The latency tests: is the canary slower than the stable by more than the allowed increase?
//!
//! For a quantile `q`, let `x` be the bound of the bucket that holds the stable's usual `q`-quantile. A canary that is
//! slower by at most `increase` has no larger share of requests above `(1 + increase) x` than the stable has above
//! `x`, whatever the law of the latencies and however it drifts. So these two exceedances go through the same test as
//! failures do, without a margin: the margin is in the time. `x` comes from earlier ticks only and may move between
//! ticks; within a tick both its ends are counted with the same bound.
//!
//! A request that is still under way counts as soon as its age passes the bound, so a canary that hangs is seen long
//! before its requests time out.

use super::{
    baseline::Baseline,
    block::{Block, Margin},
    config::LatencyConfig,
    interval::Interval,
    watch::{Tick, Watch},
};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use traffic::Bucket;

/// The test of one quantile.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct LatencyWatch {
    pub(super) quantile: f64,
    pub(super) watch: Watch,
    /// The bounds of the last tick in seconds, stable's and canary's.
    pub(super) bounds: Option<(f64, f64)>,
}

impl LatencyWatch {
    pub(super) fn new(quantile: f64, alpha: f64, step_starts: usize) -> Self {
        Self {
            quantile,
            watch: Watch::new(alpha, step_starts),
            bounds: None,
        }
    }

    /// The exceedances of `interval`, or nothing while the stable's latency is unknown or without a bound.
    pub(super) fn tick(
        &mut self,
        start: f64,
        interval: &Interval<'_>,
        usual: (&Baseline, f64),
        config: &LatencyConfig,
    ) -> Option<Tick> {
        let (baseline, total) = usual;
        let (stable_bound, above) = baseline.latency().quantile(self.quantile, total)?;
        let canary_bound = allowed(stable_bound, config)?;
        self.bounds = Some((stable_bound.upper_bound(), canary_bound.upper_bound()));
        let (canary, stable) = (interval.canary(), interval.stable());
        Some(Tick {
            start,
            seen: Block {
                canary: canary.requests(),
                canary_bad: canary.slower_than(canary_bound),
                stable: stable.requests(),
                stable_bad: stable.slower_than(stable_bound),
            },
            stable_ratio: Baseline::slow_ratio(self.quantile, above, total),
            margin: Margin::NONE,
        })
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
