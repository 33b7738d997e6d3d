//! What an origin does, request by request: pure, with time and chance passed in.

use crate::random::Random;
use std::time::Duration;

/// How a version behaves.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Behaviour {
    /// The share of requests that are answered with a 500. From 0 to 1.
    pub failure_ratio: f64,
    /// The median latency.
    pub latency: Duration,
    /// The mean time between bursts, in each of which every request fails for [`BURST`]; nothing: there are none.
    pub bursts: Option<Duration>,
}

/// How long a burst lasts.
pub const BURST: Duration = Duration::from_secs(1);

/// The spread of latencies, which are log-normal: the standard deviation of their logarithm.
const SPREAD: f64 = 0.5;

/// What to do with one request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Answer {
    pub(crate) fails: bool,
    pub(crate) after: Duration,
}

/// A request that came.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Arrival {
    /// When, in the origin's time.
    pub(crate) at: Duration,
    /// Whether it failed.
    pub(crate) fails: bool,
}

/// A behaviour as time passes.
#[derive(Clone, Debug)]
pub(crate) struct Script {
    behaviour: Behaviour,
    random: Random,
    /// When the next burst begins, or the one under way began.
    burst: Option<Duration>,
}

impl Script {
    /// The behaviour from `now` on.
    pub(crate) fn new(behaviour: Behaviour, now: Duration, seed: u64) -> Self {
        let mut random = Random::new(seed);
        let burst = behaviour
            .bursts
            .map(|apart| now + apart.mul_f64(random.exponential()));
        Self {
            behaviour,
            random,
            burst,
        }
    }

    /// The answer to a request that comes at `now`, which never goes back.
    pub(crate) fn answer(&mut self, now: Duration) -> Answer {
        let is_in_burst = self.is_in_burst(now);
        let Behaviour {
            failure_ratio,
            latency,
            ..
        } = self.behaviour;
        Answer {
            fails: self.random.unit() < failure_ratio || is_in_burst,
            after: latency.mul_f64((SPREAD * self.random.normal()).exp()),
        }
    }

    /// The requests that would come from `now` on, `rate` a second as a Poisson process, without an end.
    pub(crate) fn arrivals(mut self, now: Duration, rate: f64) -> impl Iterator<Item = Arrival> {
        let mut at = now;
        std::iter::repeat_with(move || {
            at += Duration::from_secs_f64(self.random.exponential() / rate);
            let fails = self.answer(at).fails;
            Arrival { at, fails }
        })
    }

    fn is_in_burst(&mut self, now: Duration) -> bool {
        let (Some(begins), Some(apart)) = (&mut self.burst, self.behaviour.bursts) else {
            return false;
        };
        while *begins + BURST <= now {
            *begins += BURST + apart.mul_f64(self.random.exponential());
        }
        *begins <= now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The share of failures and the median latency of requests that come every 10 ms.
    fn check(failure_ratio: f64, bursts: Option<u64>, wanted: f64) {
        let latency = Duration::from_millis(20);
        let behaviour = Behaviour {
            failure_ratio,
            latency,
            bursts: bursts.map(Duration::from_secs),
        };
        let mut script = Script::new(behaviour, Duration::ZERO, 5);
        let answers: Vec<_> = (0..200_000)
            .map(|request| script.answer(Duration::from_millis(10) * request))
            .collect();
        let failed = answers.iter().filter(|answer| answer.fails).count();
        let found = failed as f64 / answers.len() as f64;
        assert!(
            (found - wanted).abs() <= 0.003 + wanted / 10.0,
            "{behaviour:?}: {found}"
        );
        let slower = answers.iter().filter(|answer| answer.after > latency);
        let slower = slower.count() as f64 / answers.len() as f64;
        assert!((slower - 0.5).abs() < 0.01, "{slower}");
    }

    #[test]
    fn requests_fail_and_take_as_long_as_scripted() {
        check(0.0, None, 0.0);
        check(0.02, None, 0.02);
        check(1.0, None, 1.0);
        check(0.0, Some(19), 0.05);
    }

    #[test]
    fn requests_that_would_come_keep_to_the_rate() {
        let script = Script::new(super::super::cell::failing(0.2), Duration::ZERO, 7);
        let begin = Duration::from_secs(30);
        let end = begin + Duration::from_secs(1_000);
        let arrivals: Vec<_> = script
            .arrivals(begin, 20.0)
            .take_while(|arrival| arrival.at < end)
            .collect();
        assert!((19_400..20_600).contains(&arrivals.len()));
        let failed = arrivals.iter().filter(|arrival| arrival.fails).count();
        assert!((3_700..4_300).contains(&failed), "{failed}");
    }
}
