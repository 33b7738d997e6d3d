//! What makes failures, or slow answers, come together: endpoints with hiccups, and a day's ups and downs.
//!
//! Tests of ratios are easy to fool by failures that do not come one by one. [`Weather`] changes how both versions
//! behave as time passes, alike in the long run, to see whether a guard is fooled.

use super::{Endpoint, Random, Traffic};
use std::{f64::consts::TAU, time::Duration};

/// What happens to both versions, and how often.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Climate {
    /// Endpoints that fail all their requests now and then.
    pub bursts: Option<Bursts>,
    /// Rate and failures that rise and fall together, for both versions at once.
    pub drift: Option<Drift>,
}

/// Each endpoint fails everything, or is slow, for some time, at random moments and independently of the others.
/// Requests are spread over a version's endpoints at random.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bursts {
    /// The endpoints of the stable and of the canary.
    pub endpoints: [usize; 2],
    /// The mean time from one burst of an endpoint to its next.
    pub apart: Duration,
    /// How long one lasts.
    pub lasts: Duration,
    /// What becomes of the requests that come then.
    pub then: Burst,
}

/// What becomes of the requests to an endpoint in a burst.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Burst {
    /// They fail.
    Fails,
    /// They take so many times as long.
    Slower(f64),
}

/// A sine: the request rate and both versions' failure ratios go up and down with it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Drift {
    /// The length of a day.
    pub period: Duration,
    /// How far the rate goes from its mean, as a share of it. From 0 to 1.
    pub rate: f64,
    /// How far the failure ratio goes from its mean, as a share of it. From 0 to 1.
    pub failures: f64,
}

/// How many requests there are at a moment, and how many of them fail.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Conditions {
    /// Requests a second.
    pub rps: f64,
    /// The share of the stable's requests that fail.
    pub stable: f64,
    /// The share of the canary's requests that fail.
    pub canary: f64,
}

/// A [`Climate`] as time passes.
#[derive(Clone, Debug)]
pub struct Weather {
    climate: Climate,
    random: Random,
    fair: Conditions,
    /// Of each endpoint of each version, when its last burst began or its next one will.
    bursts: [Vec<f64>; 2],
    /// Where in the day it begins.
    phase: f64,
}

impl Weather {
    /// The climate over what is so in fair weather.
    pub fn new(climate: Climate, fair: Conditions, seed: u64) -> Self {
        let mut random = Random::new(seed);
        let phase = random.unit();
        let bursts = climate.bursts.map_or_else(Default::default, |bursts| {
            bursts.endpoints.map(|endpoints| {
                let firsts = (0..endpoints).map(|_| next(&bursts, 0.0, &mut random));
                firsts.collect()
            })
        });
        Self {
            climate,
            fair,
            bursts,
            phase,
            random,
        }
    }

    /// Makes `traffic` as it is at this moment. To be called before each turn.
    pub fn change(&mut self, traffic: &mut Traffic) {
        let Conditions {
            rps,
            stable,
            canary,
        } = self.at(traffic.at);
        traffic.rps = rps;
        traffic.stable.failure_ratio = stable;
        traffic.canary.failure_ratio = canary;
        if self.climate.bursts.is_some() {
            traffic.endpoints = self.endpoints(traffic.at);
        }
    }

    /// What it is like at `now`, which never goes back.
    pub fn at(&mut self, now: Duration) -> Conditions {
        let [stable, canary] = self.endpoints(now).map(|endpoints| {
            let ratios = endpoints.iter().map(|endpoint| endpoint.failure_ratio);
            ratios.sum::<f64>() / endpoints.len().max(1) as f64
        });
        let (rate, _) = self.drift(now);
        Conditions {
            rps: self.fair.rps * rate,
            stable,
            canary,
        }
    }

    /// How each endpoint of stable and canary does at `now`, which never goes back. One endpoint a side where there are
    /// no bursts.
    pub fn endpoints(&mut self, now: Duration) -> [Vec<Endpoint>; 2] {
        let (_, failures) = self.drift(now);
        let usual = [self.fair.stable, self.fair.canary].map(|usual| usual * failures);
        let usual = usual.map(|usual| Endpoint {
            failure_ratio: usual.clamp(0.0, 1.0),
            slower: 1.0,
        });
        let Some(bursts) = self.climate.bursts else {
            return usual.map(|usual| vec![usual]);
        };
        let (now, lasts) = (now.as_secs_f64(), bursts.lasts.as_secs_f64());
        let mut side = |usual: Endpoint, endpoints: &mut Vec<f64>| {
            let of_each = endpoints.iter_mut().map(|begins| {
                while *begins + lasts <= now {
                    *begins = next(&bursts, *begins + lasts, &mut self.random);
                }
                match bursts.then {
                    _ if *begins > now => usual,
                    Burst::Fails => Endpoint {
                        failure_ratio: 1.0,
                        ..usual
                    },
                    Burst::Slower(slower) => Endpoint { slower, ..usual },
                }
            });
            of_each.collect()
        };
        let [stable, canary] = &mut self.bursts;
        [side(usual[0], stable), side(usual[1], canary)]
    }

    /// What the rate and the failure ratios are multiplied by.
    fn drift(&self, now: Duration) -> (f64, f64) {
        self.climate.drift.map_or((1.0, 1.0), |drift| {
            let days = now.as_secs_f64() / drift.period.as_secs_f64();
            let sine = (TAU * (days + self.phase)).sin();
            (1.0 + drift.rate * sine, 1.0 + drift.failures * sine)
        })
    }
}

/// When an endpoint's next burst after `from` begins.
fn next(bursts: &Bursts, from: f64, random: &mut Random) -> f64 {
    from + random.exponential() * bursts.apart.as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;
    /// The mean failure ratios and the mean rate over `seconds`.
    fn means(climate: Climate, seconds: u32) -> (f64, f64, f64) {
        let fair = Conditions {
            rps: 100.0,
            stable: 0.001,
            canary: 0.001,
        };
        let mut weather = Weather::new(climate, fair, 7);
        let moments = 10 * seconds;
        let (mut stable, mut canary, mut rps) = (0.0, 0.0, 0.0);
        for moment in 0..moments {
            let now = weather.at(Duration::from_millis(100) * moment);
            stable += now.stable;
            canary += now.canary;
            rps += now.rps;
        }
        let moments = f64::from(moments);
        (stable / moments, canary / moments, rps / moments)
    }

    #[test]
    fn bursts_are_as_long_and_as_frequent_as_asked() {
        let climate = Climate {
            bursts: Some(Bursts {
                endpoints: [4, 1],
                apart: Duration::from_secs(99),
                lasts: Duration::from_secs(1),
                then: Burst::Fails,
            }),
            drift: None,
        };
        let (stable, canary, _) = means(climate, 200_000);
        for ratio in [stable, canary] {
            assert!((ratio - 0.011).abs() < 0.001, "{ratio}");
        }
    }

    #[test]
    fn a_day_changes_no_mean_and_hits_both_alike() {
        let climate = Climate {
            bursts: None,
            drift: Some(Drift {
                period: Duration::from_secs(900),
                rate: 0.5,
                failures: 0.8,
            }),
        };
        let (stable, canary, rps) = means(climate, 9_000);
        assert_eq!(stable, canary);
        assert!((stable - 0.001).abs() < 1e-6 && (rps - 100.0).abs() < 0.1);
    }

    #[test]
    fn fair_weather_changes_nothing() {
        let (stable, canary, rps) = means(Climate::default(), 10);
        assert!((stable - 0.001).abs() < 1e-12 && (canary - 0.001).abs() < 1e-12);
        assert!((rps - 100.0).abs() < 1e-9);
    }
}
