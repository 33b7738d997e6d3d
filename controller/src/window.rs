//! Rate, errors and duration of the last seconds, for people to look at. Verdicts do not use it.

use std::{collections::VecDeque, time::Duration};
use traffic::{FailureRule, stats::Totals};

/// How far back the rates look.
pub const SPAN: Duration = Duration::from_secs(5);
/// How often a sample is kept.
const SPACING: Duration = Duration::from_millis(500);

/// Both sides' totals at one moment.
#[derive(Clone, Debug, Default)]
pub struct Sample {
    /// When, from the process's epoch.
    pub at: Duration,
    /// The stable version's.
    pub stable: Totals,
    /// The canary's.
    pub canary: Totals,
}

/// Rate, errors and duration of one side.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Red {
    /// Requests per second.
    pub rps: f64,
    /// Share of the requests that failed, 0 to 1; none without requests.
    pub failure_ratio: Option<f64>,
    /// Latency in seconds at p50, p90 and p99; none without requests that ended.
    pub latency: Option<[f64; 3]>,
}

/// The samples of the last seconds.
#[derive(Debug, Default)]
pub struct Window(VecDeque<Sample>);

impl Window {
    /// Whether a sample is due at `now`.
    pub fn due(&self, now: Duration) -> bool {
        self.0
            .back()
            .is_none_or(|last| now.saturating_sub(last.at) >= SPACING)
    }

    /// Keeps `sample` and forgets those older than [`SPAN`].
    pub fn push(&mut self, sample: Sample) {
        let horizon = sample.at.saturating_sub(SPAN);
        self.0.push_back(sample);
        while self.0.get(1).is_some_and(|next| next.at <= horizon) {
            self.0.pop_front();
        }
    }

    /// Forgets all: what was measured under another weight or for another version is not this one's.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// Rates up to `now`, of the stable version and of the canary, with the failures by `rule`.
    pub fn red(&self, now: &Sample, rule: &FailureRule) -> (Red, Red) {
        let Some(then) = self.0.front() else {
            return (Red::default(), Red::default());
        };
        let elapsed = now.at.saturating_sub(then.at).as_secs_f64();
        (
            red(&then.stable, &now.stable, elapsed, rule),
            red(&then.canary, &now.canary, elapsed, rule),
        )
    }

    /// The canary's share, 0 to 1, of the requests whose side the weight decided; none without such requests.
    pub fn share(&self, now: &Sample) -> Option<f64> {
        let then = self.0.front()?;
        let canary = now.canary.split.saturating_sub(then.canary.split);
        let stable = now.stable.split.saturating_sub(then.stable.split);
        ratio(canary, canary + stable)
    }
}

fn ratio(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

fn red(then: &Totals, now: &Totals, elapsed: f64, rule: &FailureRule) -> Red {
    let sent = now.dispatched.saturating_sub(then.dispatched);
    let failed = now.failed_by(rule).saturating_sub(then.failed_by(rule));
    let mut latency = now.latency.clone();
    latency.subtract(&then.latency);
    let at = |quantile| {
        latency
            .quantile(quantile)
            .map(traffic::Bucket::upper_bound)
            .filter(|s| s.is_finite())
    };
    Red {
        rps: if elapsed > 0.0 {
            sent as f64 / elapsed
        } else {
            0.0
        },
        failure_ratio: ratio(failed.min(sent), sent),
        latency: at(0.5)
            .zip(at(0.9))
            .zip(at(0.99))
            .map(|((p50, p90), p99)| [p50, p90, p99]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use traffic::{Outcome, Role, RolloutId, Stats};

    #[test]
    fn rates_are_of_the_last_seconds_only() {
        let stats = Stats::new(1);
        let rollout = RolloutId::new("default", "shop");
        let (stable, canary) = (
            stats.series(&rollout, Role::Stable),
            stats.series(&rollout, Role::Canary),
        );
        let mut window = Window::default();
        let sample = |at| Sample {
            at,
            stable: stable.totals(),
            canary: canary.totals(),
        };
        let mut now = Duration::ZERO;
        for second in 0..10u64 {
            for i in 0..100 {
                let shard = if i < 10 {
                    canary.shard(0)
                } else {
                    stable.shard(0)
                };
                shard.begin(now, true);
                // The canary fails in the first five seconds only.
                let status = if i < 10 && second < 5 { 500 } else { 200 };
                shard.end(
                    now,
                    now + Duration::from_millis(20),
                    Outcome::Answered(status),
                );
            }
            now += Duration::from_secs(1);
            assert!(window.due(now));
            window.push(sample(now));
        }
        let (stable_red, canary_red) = window.red(&sample(now), &FailureRule::DEFAULT);
        assert!((stable_red.rps - 90.0).abs() < 1e-9, "{stable_red:?}");
        assert!((canary_red.rps - 10.0).abs() < 1e-9, "{canary_red:?}");
        assert_eq!(canary_red.failure_ratio, Some(0.0));
        assert_eq!(window.share(&sample(now)), Some(0.1));
        let [p50, ..] = stable_red.latency.unwrap();
        assert!((0.02..0.021).contains(&p50), "{p50}");
        window.clear();
        assert_eq!(window.share(&sample(now)), None);
    }
}
