//! Whether there is anything to judge: requests that reach the canary, and enough of them altogether.
//!
//! Neither is evidence against a version by itself, so both hold a rollout. A rate that is too low may be asked to
//! convict: for versions that lose traffic, as a page that sends no further requests does.

use super::{
    block::Dispersion,
    blocks::Tally,
    config::{Config, OnLowRate, Parameters},
    journal::{Journal, Judged, LATEST, Log, Sequential, Tick},
    mixture::{Mixture, ln_add},
    onset::Onset,
    reading::{Limit, Shortfall, Test, TestReading},
};
use serde::{Deserialize, Serialize};
use std::{collections::VecDeque, mem};
use traffic::Weight;

/// A canary that should have had so many requests by now and had none is not reached at all. The split is exact, so that
/// only stickiness to few users gets there by chance.
const EXPECTED: f64 = 10.0;

/// Whether requests come to the canary in this step.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Arrivals {
    /// The share that the canary is to have, from 0 to 1.
    share: f64,
    canary: u64,
    stable: u64,
}

impl Arrivals {
    /// Of a step that gives the canary `weight`.
    pub(super) fn at(weight: Weight) -> Self {
        Self {
            share: weight.fraction(),
            canary: 0,
            stable: 0,
        }
    }

    pub(super) fn add(&mut self, canary: u64, stable: u64) {
        self.canary += canary;
        self.stable += stable;
    }

    /// That no request reached the canary, though there is traffic and the canary is to have some of it.
    pub(super) fn shortfall(&self) -> Option<Shortfall> {
        let expected = self.share / (1.0 - self.share) * self.stable as f64;
        (self.canary == 0 && self.share < 1.0 && expected >= EXPECTED).then_some(
            Shortfall::NoCanaryRequests {
                stable_requests: self.stable,
            },
        )
    }
}

/// Rates below the least one that are looked for, as shares of it. Not 0, so that a single request destroys no evidence.
const BELOW: [f64; 5] = [0.9, 0.75, 0.5, 0.25, 0.01];
/// How far back the present rate looks, in seconds.
const MINUTE: f64 = 60.0;
/// The evidence at which the last minute's rate counts as too low, 1 in 100. It holds a rollout and convicts nobody, so
/// it is looked at afresh each tick.
const LN_LOW: f64 = 4.605170185988091;

/// Whether the rollout's requests, those of both versions together, come at a rate of at least `least` a second. For
/// Poisson arrivals of any rate that is no lower, and every `f < 1`, `f^n e^(least (1-f) t)` of `n` requests in `t` seconds
/// has an expectation of at most 1; mixtures of its products over ticks are test martingales as in
/// [`mixture`](super::mixture).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct RateWatch {
    /// Requests a second, above 0.
    least: f64,
    /// Requests and seconds of the ticks of the last minute.
    minute: VecDeque<(u64, f64)>,
    /// What the whole of them says, where it may convict.
    ever: Option<Ever>,
}

/// The evidence since the canary began.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Ever {
    mixture: Mixture,
    onset: Onset,
    /// In seconds since the canary began.
    window_ends: f64,
    ln_threshold: f64,
    requests: u64,
    #[serde(skip)]
    journal: Journal<Self>,
}

impl Ever {
    fn start_step(&mut self) {
        let mut journal = mem::take(&mut self.journal);
        journal.step_starts(self);
        self.begin_step();
        self.journal = journal;
    }

    fn take(&mut self, tick: Tick, parameters: &Parameters) {
        let mut journal = mem::take(&mut self.journal);
        journal.tick(self, tick, tick.start >= self.window_ends);
        self.tick(tick, parameters);
        self.journal = journal;
    }

    /// How the evidence came about.
    fn log(&self) -> Log<Self> {
        self.journal.log(|| Self {
            journal: Journal::default(),
            ..self.clone()
        })
    }

    pub(super) fn convicts(&self) -> bool {
        self.mixture.ln_e() >= self.ln_threshold
    }

    pub(super) fn ln_threshold(&self) -> f64 {
        self.ln_threshold
    }

    /// Whether it is one that judging leads to, or close enough to be judged with.
    pub(super) fn is_sound(&self) -> bool {
        let Self { requests, .. } = *self;
        let tally = Tally { requests, bad: 0 };
        self.mixture.is_sound(BELOW.len())
            && self.onset.is_sound()
            && (0.0..=LATEST).contains(&self.window_ends)
            && self.ln_threshold.is_finite()
            && tally.is_sound()
    }
}

impl Sequential for Ever {
    fn begin_step(&mut self) {
        self.onset.step_starts();
    }

    /// It judges ticks, of both versions together.
    fn judge(&mut self, _: &Judged, _: &Parameters) {}

    fn tick(&mut self, tick: Tick, parameters: &Parameters) {
        let Tick {
            start,
            seconds,
            requests,
        } = tick;
        if start >= self.window_ends {
            self.window_ends = start + parameters.burst_window.as_secs_f64();
            let horizon = parameters.horizon.as_secs_f64();
            let mass = self.onset.take(self.window_ends, horizon);
            self.mixture.open_window(mass);
        }
        self.requests += requests;
        let least = parameters.min_request_rate.unwrap_or_default();
        self.mixture
            .add(ln_s(least, requests, seconds), f64::INFINITY);
    }

    fn ln_e(&self) -> f64 {
        self.mixture.ln_e()
    }

    /// Both versions' requests, which are told as the canary's.
    fn counts(&self) -> (Tally, Tally) {
        let Self { requests, .. } = *self;
        (Tally { requests, bad: 0 }, Tally::default())
    }
}

impl RateWatch {
    /// The test, if `config` sets a least rate.
    pub(super) fn new(config: &Config, step_starts: usize) -> Option<Self> {
        let parameters = config.parameters();
        let ever = || Ever {
            mixture: Mixture::new(BELOW.len()),
            onset: Onset::new(step_starts),
            window_ends: 0.0,
            ln_threshold: -config.rate_alpha().ln(),
            requests: 0,
            journal: Journal::default(),
        };
        Some(Self {
            least: parameters.min_request_rate?,
            minute: VecDeque::new(),
            ever: (parameters.on_low_request_rate == OnLowRate::RollBack).then(ever),
        })
    }

    pub(super) fn start_step(&mut self) {
        if let Some(ever) = &mut self.ever {
            ever.start_step();
        }
    }

    /// Takes a tick of `seconds` that began `start` seconds after the canary did.
    pub(super) fn take(&mut self, start: f64, requests: u64, seconds: f64, config: &Config) {
        self.minute.push_back((requests, seconds));
        let mut total: f64 = self.minute.iter().map(|(_, seconds)| seconds).sum();
        while let Some((_, first)) = self.minute.front()
            && total - first >= MINUTE
        {
            total -= first;
            self.minute.pop_front();
        }
        if let Some(ever) = &mut self.ever {
            let tick = Tick {
                start,
                seconds,
                requests,
            };
            ever.take(tick, config.parameters());
        }
    }

    fn minute(&self) -> (u64, f64) {
        self.minute
            .iter()
            .fold((0, 0.0), |(n, t), (requests, seconds)| {
                (n + requests, t + seconds)
            })
    }

    pub(super) fn shortfall(&self) -> Option<Shortfall> {
        let (requests, seconds) = self.minute();
        let ln_e = ln_s(self.least, requests, seconds).reduce(ln_add)?;
        (ln_e - (BELOW.len() as f64).ln() >= LN_LOW).then(|| Shortfall::LowRate {
            requests_per_second: requests as f64 / seconds.max(f64::MIN_POSITIVE),
            least: self.least,
        })
    }

    pub(super) fn convicts(&self) -> bool {
        self.ever.as_ref().is_some_and(Ever::convicts)
    }

    /// How the evidence came about, where it may convict.
    pub(super) fn log(&self) -> Option<Log<Ever>> {
        self.ever.as_ref().map(Ever::log)
    }

    /// Where the test stands, if it may convict.
    pub(super) fn reading(&self) -> Option<TestReading> {
        let ever = self.ever.as_ref()?;
        let (requests, seconds) = self.minute();
        Some(TestReading {
            test: Test::RequestRate,
            ln_e: ever.mixture.ln_e(),
            ln_threshold: ever.ln_threshold,
            canary_requests: ever.requests,
            canary_events: 0,
            stable_requests: 0,
            stable_events: 0,
            limit: Limit::Rate {
                least: self.least,
                now: requests as f64 / seconds.max(1.0),
            },
            dispersion: Dispersion::NONE,
        })
    }
}

fn ln_s(least: f64, requests: u64, seconds: f64) -> impl Iterator<Item = f64> {
    BELOW
        .iter()
        .map(move |below| requests as f64 * below.ln() + least * (1.0 - below) * seconds)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{analysis::Parameters, sim::Random};

    #[test]
    fn a_canary_that_nobody_comes_to_is_noticed_where_somebody_should() {
        let check = |percent: u8, canary, stable, wanted: bool| {
            let mut arrivals = Arrivals::at(Weight::from_percent(percent).unwrap());
            arrivals.add(canary, stable);
            let found = arrivals.shortfall().is_some();
            assert_eq!(found, wanted, "{percent} %: {canary}, {stable}");
        };
        check(10, 0, 80, false);
        check(10, 0, 90, true);
        check(10, 1, 90_000, false);
        check(1, 0, 900, false);
        check(1, 0, 1000, true);
        check(50, 0, 10, true);
        check(0, 0, 1_000_000, false);
        // With all the traffic there is nobody to compare it with.
        check(100, 0, 1000, false);
        // Nobody is harmed where nobody comes.
        check(50, 0, 0, false);
    }

    fn config(least: f64) -> Config {
        Config::new(Parameters {
            min_request_rate: Some(least),
            on_low_request_rate: OnLowRate::RollBack,
            ..Parameters::default()
        })
        .unwrap()
    }

    /// Ticks of 100 ms until the rate is held against a rollout with `rps` requests a second, and until it convicts;
    /// within `ticks`.
    fn found(least: f64, rps: f64, ticks: u32, random: &mut Random) -> [Option<u32>; 2] {
        let config = config(least);
        let mut watch = RateWatch::new(&config, 1).unwrap();
        watch.start_step();
        let (mut held, mut convicted) = (None, None);
        for tick in 0..ticks {
            // As many arrivals as a thousand chances bring: Poisson but for a few in a thousand.
            let requests = random.binomial(1000, rps / 10_000.0);
            watch.take(f64::from(tick) * 0.1, requests, 0.1, &config);
            held = held.or_else(|| watch.shortfall().map(|_| tick));
            convicted = convicted.or_else(|| watch.convicts().then_some(tick));
        }
        [held, convicted]
    }

    #[test]
    fn a_rate_that_is_too_low_is_found_and_one_that_is_not_is_not() {
        let random = &mut Random::new(7);
        let check = |rps: f64, within: u32, random: &mut Random| {
            for _ in 0..20 {
                let [held, convicted] = found(100.0, rps, 1200, random);
                assert!(held.is_some_and(|tick| tick < within), "{rps}: {held:?}");
                let latest = 2 * within;
                assert!(
                    convicted.is_some_and(|tick| tick < latest),
                    "{rps}: {convicted:?}"
                );
            }
        };
        check(0.0, 2, random);
        check(20.0, 10, random);
        check(50.0, 30, random);
        check(80.0, 200, random);
        let runs = 500;
        let wrong = (0..runs)
            .filter(|_| found(100.0, 100.0, 1200, random)[1].is_some())
            .count();
        let allowed = config(100.0).rate_alpha() * runs as f64;
        assert!(wrong as f64 <= allowed.ceil(), "{wrong} of {runs}");
    }

    #[test]
    fn a_rate_that_comes_back_is_no_shortfall_any_more() {
        let config = config(10.0);
        let mut watch = RateWatch::new(&config, 1).unwrap();
        for tick in 0..100 {
            watch.take(f64::from(tick) * 0.1, 0, 0.1, &config);
        }
        let Some(Shortfall::LowRate {
            requests_per_second,
            ..
        }) = watch.shortfall()
        else {
            panic!("no requests at all")
        };
        assert_eq!(requests_per_second, 0.0);
        for tick in 100..800 {
            watch.take(f64::from(tick) * 0.1, 1, 0.1, &config);
        }
        assert_eq!(watch.shortfall(), None);
    }

    #[test]
    fn numbers_stay_finite() {
        let config = config(1e9);
        for requests in [0, 1, 1_000_000_000_000] {
            let mut watch = RateWatch::new(&config, 1).unwrap();
            for tick in 0..50 {
                watch.take(f64::from(tick), requests, 1.0, &config);
                assert!(watch.reading().unwrap().ln_e.is_finite(), "{requests}");
            }
        }
    }
}
