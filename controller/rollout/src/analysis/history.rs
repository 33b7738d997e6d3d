//! The error test of a canary that has all the traffic: beside it is no stable, so that it is compared with what the
//! stable was known for.
//!
//! The null hypothesis is `p <= q = relative * u + absolute`, where `u` bounds the stable's failure ratio from above
//! by its history, taken once when the canary gets all traffic: Chernoff's bound, wrong with a chance of half the
//! test's alpha. Given `u`, for a guess `theta > q` made beforehand, `(theta/q)^e ((1-theta)/(1-q))^(n-e)` has an
//! expectation of at most 1 under every `p <= q`, so that mixtures of its products over ticks are test martingales,
//! as in [`mixture`](super::mixture). They convict at `2/alpha`. The chance of a false rollback during the watch is
//! at most alpha, in addition to that of the steps before, and as long as the world stays as the history knows it.
//! Without a history, `u` is 1 and nothing convicts.

use super::{
    block::{Dispersion, Margin},
    blocks::{Seen, Tally, Tick},
    config::Config,
    reading::{Limit, Test, TestReading},
    watch::{Null, Watch},
};
use serde::{Deserialize, Serialize};

/// The test under way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct HistoryWatch {
    /// When it began, in seconds since the canary did.
    begun: f64,
    /// The failure ratio that is allowed.
    border: f64,
    /// The stable's requests and failures that the border is made of.
    history: (f64, f64),
    above: Watch,
}

impl HistoryWatch {
    /// Begins `begun` seconds after the canary did, with the stable's requests and failures in `history`.
    pub(super) fn new(begun: f64, history: (f64, f64), margin: Margin, config: &Config) -> Self {
        let half = alpha(config);
        let mut above = Watch::new(half, 1);
        above.start_step();
        Self {
            begun,
            border: border(history, half, margin),
            history,
            above,
        }
    }

    /// The failure ratio that the stable's history allows, wrong with a chance of at most `alpha`.
    pub(super) fn limit(&self, alpha: f64, margin: Margin) -> f64 {
        border(self.history, alpha, margin)
    }

    /// The stable's requests and failures that the border is made of.
    pub(super) fn history(&self) -> (f64, f64) {
        self.history
    }

    /// Judges the canary's counts of a tick that began `start` seconds after the canary did.
    /// `unanswered` of its requests are under way at the tick's end.
    pub(super) fn take(
        &mut self,
        start: f64,
        canary: Tally,
        unanswered: u64,
        dispersion: Dispersion,
        config: &Config,
    ) {
        self.above.take(&Tick {
            start: (start - self.begun).max(0.0),
            seen: Seen {
                canary,
                stable: Tally::default(),
            },
            stable_ratio: 0.0,
            unanswered,
        });
        // Each tick is a block: of one side alone, a short one proves as much as a long one.
        self.above
            .close(Null::AtMost(self.border), dispersion, config.parameters());
    }

    pub(super) fn convicts(&self, min_bad: u64) -> bool {
        self.above.convicts(min_bad)
    }

    pub(super) fn watch(&self) -> &Watch {
        &self.above
    }

    pub(super) fn reading(&self, margin: Margin, dispersion: Dispersion) -> TestReading {
        let (requests, failures) = self.history;
        TestReading {
            test: Test::History,
            dispersion,
            ln_e: self.above.ln_e(),
            ln_threshold: self.above.ln_threshold(),
            canary_requests: self.above.canary().requests,
            canary_events: self.above.canary().bad,
            stable_requests: requests.round() as u64,
            stable_events: failures.round() as u64,
            limit: Limit::Ratio(margin),
        }
    }
}

/// The failure ratio that `margin` allows by the stable's requests and failures in `history`, wrong with a chance of at
/// most `alpha`. At most 1.
pub(super) fn border(history: (f64, f64), alpha: f64, margin: Margin) -> f64 {
    margin.at(upper_bound(history, alpha)).min(1.0)
}

/// The test's part of alpha: the other half of the error test's is the bound's.
pub(super) fn alpha(config: &Config) -> f64 {
    config.errors_alpha() / 2.0
}

/// A ratio that `failures` of `requests` came from a higher one than with a chance of at most `alpha`: the least `p`
/// above theirs with `requests * kl(failures/requests || p) >= ln(1/alpha)`. Faded counts weigh less than whole ones
/// of the same sum, which errs on the safe side. 1 when nothing is known.
fn upper_bound((requests, failures): (f64, f64), alpha: f64) -> f64 {
    let ratio = (failures / requests.max(f64::MIN_POSITIVE)).clamp(0.0, 1.0);
    let distance = |p: f64| {
        let bad = if ratio > 0.0 {
            ratio * (ratio / p).ln()
        } else {
            0.0
        };
        let good = (1.0 - ratio) * ((-ratio).ln_1p() - (-p).ln_1p());
        requests * (bad + if ratio < 1.0 { good } else { 0.0 })
    };
    let (mut low, mut high) = (ratio, 1.0);
    for _ in 0..60 {
        let middle = 0.5 * (low + high);
        if middle < 1.0 && distance(middle) < -alpha.ln() {
            low = middle;
        } else {
            high = middle;
        }
    }
    high
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        analysis::{baseline::Baseline, errors},
        sim::Random,
    };

    fn margin() -> Margin {
        errors::margin(Config::default().parameters())
    }

    #[test]
    fn the_bound_holds_what_the_counts_allow() {
        let check = |requests: f64, failures: f64, wanted: f64| {
            let bound = upper_bound((requests, failures), 0.0025);
            assert!(
                (bound - wanted).abs() <= 1e-3 * wanted,
                "{failures} of {requests}: {bound}"
            );
        };
        check(0.0, 0.0, 1.0);
        // Without a failure: (1-p)^n = alpha.
        check(10.0, 0.0, 1.0 - 0.0025_f64.powf(0.1));
        check(1e6, 0.0, 1.0 - 0.0025_f64.powf(1e-6));
        check(100.0, 100.0, 1.0);
        check(1e12, 1e9, 1e-3);
    }

    /// 100 ticks of 50 requests with so many failures each, against a history.
    fn convicts(history: (u64, u64), failures: u64) -> bool {
        let config = Config::default();
        let baseline = Baseline::of_counts(history.0 as f64, history.1 as f64);
        let mut watch = HistoryWatch::new(10.0, baseline.counted(), margin(), &config);
        for tick in 0..100 {
            let canary = Tally {
                requests: 50,
                bad: failures,
            };
            watch.take(
                10.0 + f64::from(tick) * 0.1,
                canary,
                0,
                Dispersion::NONE,
                &config,
            );
        }
        watch.convicts(3)
    }

    #[test]
    fn a_canary_that_is_worse_than_history_is_convicted() {
        let check = |history, failures, wanted| {
            assert_eq!(
                convicts(history, failures),
                wanted,
                "{history:?} {failures}"
            );
        };
        check((100_000, 100), 0, false);
        check((100_000, 100), 1, true);
        check((100_000, 100), 50, true);
        // The stable was no better.
        check((100_000, 10_000), 5, false);
        check((100_000, 10_000), 50, true);
        // Nothing is known, so nothing is worse.
        check((0, 0), 50, false);
    }

    /// How many of `runs` canaries, each 60 s at 500 requests a second with the failure ratio `canary`, are convicted
    /// at any moment against a history of 20,000 requests at the ratio `stable`.
    fn convicted(runs: u64, stable: f64, canary: f64) -> u64 {
        let config = Config::default();
        let run = |seed: &u64| {
            let mut random = Random::new(*seed);
            let failures = random.binomial(20_000, stable);
            let baseline = Baseline::of_counts(20_000.0, failures as f64);
            let mut watch = HistoryWatch::new(0.0, baseline.counted(), margin(), &config);
            (0..600).any(|tick| {
                let tally = Tally {
                    requests: 50,
                    bad: random.binomial(50, canary),
                };
                watch.take(f64::from(tick) * 0.1, tally, 0, Dispersion::NONE, &config);
                watch.convicts(3)
            })
        };
        (0..runs).filter(run).count() as u64
    }

    #[test]
    fn a_canary_on_the_margin_is_seldom_convicted_and_a_bad_one_always() {
        let allowed = Config::default().errors_alpha();
        for stable in [0.001, 0.01, 0.05] {
            let runs = 1000;
            let wrong = convicted(runs, stable, margin().at(stable));
            let most = (runs as f64 * allowed).ceil() as u64;
            assert!(wrong <= most, "{stable}: {wrong} of {runs}");
            let right = convicted(50, stable, 2.0 * stable + 0.02);
            assert_eq!(right, 50, "{stable}");
        }
    }

    #[test]
    fn numbers_stay_finite() {
        let config = Config::default();
        for history in [(0.0, 0.0), (1.0, 1.0), (1e12, 0.0), (1e12, 1e12)] {
            let baseline = Baseline::of_counts(history.0, history.1);
            for requests in [0, 1, 1_000_000_000_000] {
                for bad in [0, requests] {
                    let mut watch = HistoryWatch::new(0.0, baseline.counted(), margin(), &config);
                    for tick in 0..30 {
                        watch.take(
                            f64::from(tick),
                            Tally { requests, bad },
                            0,
                            Dispersion::NONE,
                            &config,
                        );
                    }
                    let reading = watch.reading(margin(), Dispersion::NONE);
                    assert!(reading.ln_e.is_finite(), "{history:?} {requests} {bad}");
                }
            }
        }
    }
}
