//! The traffic that versions are tried out on.

use super::{number, record::Record};
use crate::{cli, view};
use rollout::sim::Behaviour;
use std::{fmt, str::FromStr, time::Duration};

/// What `--traffic` is when nobody says it.
pub(super) const DEFAULT: &str = "rps=200,errors=0.1%,latency=50ms";

/// Traffic as it is at one time: how much, and how stable answers it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Steady {
    /// Requests a second.
    pub(super) rps: f64,
    /// Stable's failures and latency.
    pub(super) stable: Behaviour,
}

/// Traffic over time.
#[derive(Clone, Debug)]
pub(super) enum Load {
    /// It stays as it is.
    Steady(Steady),
    /// It goes as it went.
    Recorded(Record),
}

impl Load {
    /// The traffic at `time`. A record that ends begins again.
    pub(super) fn at(&self, time: Duration) -> Steady {
        match self {
            Self::Steady(steady) => *steady,
            Self::Recorded(record) => record.at(time),
        }
    }

    /// How long it takes to begin again; 0 where it never changes.
    pub(super) fn period(&self) -> Duration {
        match self {
            Self::Steady(_) => Duration::ZERO,
            Self::Recorded(record) => record.period(),
        }
    }
}

impl fmt::Display for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Steady(Steady { rps, stable }) => write!(
                f,
                "{rps} requests/s, of which stable fails {} and answers half within {}",
                view::percent(stable.failure_ratio * 100.0),
                view::seconds(stable.latency.as_secs_f64()),
            ),
            Self::Recorded(record) => write!(
                f,
                "{} of recorded traffic, begun at random moments",
                view::seconds(record.period().as_secs_f64())
            ),
        }
    }
}

impl FromStr for Steady {
    type Err = String;

    /// Reads `rps=200,errors=0.1%,latency=50ms,spread=0.5`; what is left out is as in the default.
    fn from_str(text: &str) -> Result<Self, String> {
        let mut steady = Self {
            rps: 200.0,
            stable: Behaviour::default(),
        };
        for part in text.split(',') {
            let (key, value) = part.split_once('=').unwrap_or((part, ""));
            let stable = &mut steady.stable;
            let read = match key.trim() {
                "rps" => number::rate(value).map(|rps| steady.rps = rps),
                "errors" => number::share(value).map(|share| stable.failure_ratio = share),
                "latency" => cli::duration(value.trim()).map(|median| stable.latency = median),
                "spread" => spread(value).map(|spread| stable.spread = spread),
                _ => {
                    return Err(format!(
                        "found `{part}`, allowed are rps=, errors=, latency=, spread="
                    ));
                }
            };
            read.map_err(|error| format!("{key}: {error}"))?;
        }
        Ok(steady)
    }
}

/// The standard deviation of the logarithm of latencies: from 0, which is all alike, to 3.
fn spread(text: &str) -> Result<f64, String> {
    number::number(text)
        .filter(|spread| (0.0..=3.0).contains(spread))
        .ok_or_else(|| format!("found `{text}`, allowed is a number from 0 to 3"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traffic_is_read_and_checked() {
        let behaviour = |failure_ratio, milliseconds, spread| Behaviour {
            failure_ratio,
            latency: Duration::from_millis(milliseconds),
            spread,
            ..Behaviour::default()
        };
        let allowed = "allowed are rps=, errors=, latency=, spread=";
        let cases = [
            (DEFAULT, Ok((200.0, behaviour(0.001, 50, 0.5)))),
            ("rps=5", Ok((5.0, behaviour(0.001, 50, 0.5)))),
            (
                "errors=0.02, latency=1s, spread=0",
                Ok((200.0, behaviour(0.02, 1000, 0.0))),
            ),
            ("", Err(format!("found ``, {allowed}"))),
            ("rate=5", Err(format!("found `rate=5`, {allowed}"))),
            (
                "rps=-1",
                Err("rps: found `-1`, allowed is a number above 0, at most 1000000".to_owned()),
            ),
            (
                "errors=101%",
                Err(
                    "errors: found `101%`, allowed is a share such as 0.1% or 0.001, at most 100%"
                        .to_owned(),
                ),
            ),
            (
                "spread=NaN",
                Err("spread: found `NaN`, allowed is a number from 0 to 3".to_owned()),
            ),
        ];
        for (text, expected) in cases {
            let expected = expected.map(|(rps, stable)| Steady { rps, stable });
            assert_eq!(text.parse(), expected, "{text}");
        }
    }
}
