//! What one worker knows of the load of an endpoint.

use std::{cell::Cell, f64::consts::LN_2, time::Duration};

/// A mean of latencies that follows what is worse at once and forgets half of it within ten seconds (peak EWMA). So an
/// endpoint that begins to hang is left alone after its first slow answer; and one that nobody asks any more, for being
/// slow, is asked again in time.
#[derive(Debug, Default)]
pub(super) struct Latency {
    /// In seconds; none before the first sample.
    mean: Cell<Option<f64>>,
    at: Cell<Duration>,
}

/// The time in which the mean forgets half, in seconds.
const HALF_LIFE: f64 = 10.0;

/// A mean is not brought up to date for a shorter time than this: it would change by less than 1 %.
const FRESH: Duration = Duration::from_millis(100);

/// What a failure makes of the mean. An endpoint that refuses at once would otherwise look like the fastest of all.
const FAILURE_FACTOR: f64 = 4.0;

/// Failures raise the mean no further, in seconds.
const FAILURE_MOST: f64 = 10.0;

impl Latency {
    /// The mean at `now`, in seconds; `default` before the first sample.
    pub(super) fn mean(&self, default: f64, now: Duration) -> f64 {
        let Some(mean) = self.mean.get() else {
            return default;
        };
        let age = now.saturating_sub(self.at.get());
        if age < FRESH { mean } else { mean * kept(age) }
    }

    /// Takes in a latency that was seen at `now`.
    pub(super) fn observe(&self, latency: Duration, now: Duration) {
        let sample = latency.as_secs_f64();
        let mean = match self.mean.get() {
            Some(mean) if mean > sample => {
                let kept = kept(now.saturating_sub(self.at.get()));
                sample + (mean - sample) * kept
            }
            _ => sample,
        };
        self.set(mean, now);
    }

    /// Takes in a failure after `latency`, seen at `now`, of an endpoint that had a mean of `default` before its first
    /// sample.
    pub(super) fn observe_failure(&self, latency: Duration, default: f64, now: Duration) {
        let mean = self.mean(default, now).max(latency.as_secs_f64());
        self.set((mean * FAILURE_FACTOR).min(FAILURE_MOST).max(mean), now);
    }

    fn set(&self, mean: f64, now: Duration) {
        self.mean.set(Some(mean));
        self.at.set(now.max(self.at.get()));
    }
}

/// The part of a mean that is left after `age`.
fn kept(age: Duration) -> f64 {
    if age < FRESH {
        // The tangent, which is off by less than 0.00003 here.
        return 1.0 - age.as_secs_f64() * (LN_2 / HALF_LIFE);
    }
    (-age.as_secs_f64() / HALF_LIFE).exp2()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const fn millis(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    fn check(latency: &Latency, now: u64, expected: f64) {
        let mean = latency.mean(7.0, millis(now));
        assert!((mean - expected).abs() < 1e-6, "{mean} at {now} ms");
    }

    #[test]
    fn what_is_worse_counts_at_once_and_is_forgotten_by_and_by() {
        let latency = Latency::default();
        check(&latency, 0, 7.0);
        latency.observe(millis(100), millis(0));
        check(&latency, 50, 0.1);
        latency.observe(millis(900), millis(0));
        check(&latency, 0, 0.9);
        latency.observe(millis(100), millis(10_000));
        check(&latency, 10_000, 0.5);
        check(&latency, 20_000, 0.25);
    }

    #[test]
    fn failures_make_an_endpoint_dear_however_fast_they_are() {
        let latency = Latency::default();
        latency.observe(millis(100), millis(0));
        latency.observe_failure(millis(1), 7.0, millis(0));
        check(&latency, 0, 0.4);
        latency.observe_failure(millis(1000), 7.0, millis(0));
        check(&latency, 0, 4.0);
        latency.observe_failure(millis(1), 7.0, millis(0));
        check(&latency, 0, 10.0);
        latency.observe_failure(millis(20_000), 7.0, millis(0));
        check(&latency, 0, 20.0);
    }

    proptest! {
        #[test]
        fn the_mean_stays_within_what_was_seen(
            samples in prop::collection::vec((0u64..5000, 1u64..30_000), 1..50)
        ) {
            let latency = Latency::default();
            let (mut now, mut most) = (0, 0);
            for (wait, sample) in samples {
                now += wait;
                most = most.max(sample);
                latency.observe(millis(sample), millis(now));
                let mean = latency.mean(0.0, millis(now));
                prop_assert!(mean >= millis(sample).as_secs_f64() - 1e-9);
                prop_assert!(mean <= millis(most).as_secs_f64() + 1e-9);
            }
        }
    }
}
