//! How a version of the demo's app behaves, and how one request fares with it.

use std::time::Duration;

use super::random::{normal, uniform};
use crate::cli::duration;

/// How a version behaves.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Behaviour {
    /// The share of requests that are answered with 500, 0 to 1.
    pub(crate) failures: f64,
    /// The share of requests that are never answered, 0 to 1.
    pub(crate) hangs: f64,
    /// Half of all answers take longer than this.
    pub(crate) latency: Duration,
    /// How widely latencies spread: the deviation of their logarithm (0 is no spread, 0.5 makes p99 3.2 times p50).
    pub(crate) spread: f64,
}

/// How one request fares.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Fate {
    /// It is answered after this time, with success or not.
    Answered {
        /// How long the answer takes.
        after: Duration,
        /// Whether it is a failure.
        failed: bool,
    },
    /// It is never answered.
    Hung,
}

impl Behaviour {
    /// A service as it should be: 10 ms, and one request in a thousand fails, as happens to good services.
    pub(crate) const STEADY: Self = Self {
        failures: 0.001,
        hangs: 0.0,
        latency: Duration::from_millis(10),
        spread: 0.3,
    };

    /// The same with another share of failures.
    pub(crate) const fn failing(self, failures: f64) -> Self {
        Self { failures, ..self }
    }

    /// The same with another median latency.
    pub(crate) const fn taking(self, latency: Duration) -> Self {
        Self { latency, ..self }
    }

    /// The same with another share of requests that are never answered.
    pub(crate) const fn hanging(self, hangs: f64) -> Self {
        Self { hangs, ..self }
    }

    /// How the `index`th request of the sequence `seed` fares.
    pub(crate) fn fate(&self, seed: u64, index: u64) -> Fate {
        let draw = uniform(seed, index);
        if draw < self.hangs {
            return Fate::Hung;
        }
        // What is left of the draw, once hangs are taken out, decides on failure.
        let failed = (draw - self.hangs) < self.failures;
        // Beyond three deviations a demo would wait for something that happens once in an hour.
        let factor = (self.spread * normal(seed ^ 0x5EED, index).clamp(-3.0, 3.0)).exp();
        Fate::Answered {
            after: self.latency.mul_f64(factor),
            failed,
        }
    }

    /// Changes one property, named and valued as in the query of the app's control endpoint.
    ///
    /// # Errors
    /// What was found and what is allowed.
    pub(crate) fn change(&mut self, name: &str, value: &str) -> Result<(), String> {
        match name {
            "failures" => self.failures = ratio(name, value)?,
            "hangs" => self.hangs = ratio(name, value)?,
            "latency" => {
                self.latency = duration(value)
                    .ok()
                    .filter(|latency| *latency <= MAX_LATENCY)
                    .ok_or_else(|| {
                        format!("latency: found `{value}`, allowed is 0ms to 1m, such as 200ms")
                    })?;
            }
            "spread" => {
                self.spread = number(value)
                    .filter(|spread| (0.0..=MAX_SPREAD).contains(spread))
                    .ok_or_else(|| {
                        format!("spread: found `{value}`, allowed is 0 to {MAX_SPREAD}")
                    })?;
            }
            _ => {
                return Err(format!(
                    "found `{name}`, allowed are failures, hangs, latency, spread"
                ));
            }
        }
        Ok(())
    }
}

impl std::fmt::Display for Behaviour {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            failures,
            hangs,
            latency,
            spread,
        } = self;
        write!(
            f,
            "failures={failures} hangs={hangs} latency={latency:?} spread={spread}"
        )
    }
}

const MAX_LATENCY: Duration = Duration::from_secs(60);
const MAX_SPREAD: f64 = 2.0;

fn ratio(name: &str, value: &str) -> Result<f64, String> {
    number(value)
        .filter(|ratio| (0.0..=1.0).contains(ratio))
        .ok_or_else(|| format!("{name}: found `{value}`, allowed is 0 to 1"))
}

fn number(value: &str) -> Option<f64> {
    value.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Behaviour, Fate};

    #[test]
    fn requests_fare_as_the_behaviour_says() {
        let behaviour = Behaviour {
            failures: 0.3,
            hangs: 0.1,
            ..Behaviour::STEADY
        };
        let fates: Vec<Fate> = (0..20_000).map(|index| behaviour.fate(1, index)).collect();
        let hung = fates.iter().filter(|fate| **fate == Fate::Hung).count();
        let failed = fates
            .iter()
            .filter(|fate| matches!(fate, Fate::Answered { failed: true, .. }))
            .count();
        let slower = fates
            .iter()
            .filter(
                |fate| matches!(fate, Fate::Answered { after, .. } if *after > behaviour.latency),
            )
            .count();
        // Five deviations of a binomial count of 20000 are at most 354.
        assert!(hung.abs_diff(2_000) < 360, "{hung} hung");
        assert!(failed.abs_diff(6_000) < 360, "{failed} failed");
        assert!(
            slower.abs_diff(9_000) < 360,
            "{slower} took longer than the median"
        );
    }

    #[test]
    fn changes_are_checked() {
        let check = |name: &str, value: &str, expected: Result<Behaviour, &str>| {
            let mut behaviour = Behaviour::STEADY;
            let changed = behaviour.change(name, value).map(|()| behaviour);
            assert_eq!(changed, expected.map_err(str::to_owned), "{name}={value}");
        };
        check("failures", "0.3", Ok(Behaviour::STEADY.failing(0.3)));
        check("hangs", "1", Ok(Behaviour::STEADY.hanging(1.0)));
        check(
            "latency",
            "200ms",
            Ok(Behaviour::STEADY.taking(Duration::from_millis(200))),
        );
        check(
            "failures",
            "1.1",
            Err("failures: found `1.1`, allowed is 0 to 1"),
        );
        check(
            "failures",
            "NaN",
            Err("failures: found `NaN`, allowed is 0 to 1"),
        );
        check(
            "latency",
            "2h",
            Err("latency: found `2h`, allowed is 0ms to 1m, such as 200ms"),
        );
        check(
            "latency",
            "fast",
            Err("latency: found `fast`, allowed is 0ms to 1m, such as 200ms"),
        );
        check(
            "spread",
            "inf",
            Err("spread: found `inf`, allowed is 0 to 2"),
        );
        check(
            "color",
            "red",
            Err("found `color`, allowed are failures, hangs, latency, spread"),
        );
    }
}
