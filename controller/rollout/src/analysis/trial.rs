//! The judging of one canary, from its begin to its end.

use super::{
    acceptance::{AcceptanceTest, Circumstances, Target},
    allowance::Allowance,
    baseline::{Baseline, Health},
    block::{Dispersion, Margin},
    blocks::{Seen, Tally},
    ceiling::{Ceiling, Fault},
    client_errors::ClientErrors,
    config::{Config, OnUnhealthyBaseline},
    cure::Cure,
    dispersion::Dispersal,
    errors,
    history::HistoryWatch,
    interval::Interval,
    latency::LatencyWatch,
    pace::Pace,
    reading::{Acceptance, Judgement, Limit, Test, TestReading},
    record::{Attribution, Parts, Record, Tested, Tripped},
    shortfall::{Arrivals, RateWatch},
    side::Account,
    users::{PrePeriod, Users},
    watch::{Null, Watch},
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use traffic::{Bucket, Counts, Weight};

/// Ages of requests under way are told in cells of 64 ms and rounded down, so they may be short by so much.
const AGE_ERROR: f64 = 0.128;
/// An earlier canary's requests are forgiven for no longer than this: ages above a minute are not told apart.
const LONGEST_FORGIVEN: f64 = 60.0;
/// Clocks of different resolutions meet here: the warm-up may be so much shorter, in seconds.
const SLACK: f64 = 1e-3;

/// One canary's evidence and counts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Trial {
    begun: Timestamp,
    pace: Pace,
    errors: Watch,
    #[serde(default)]
    allowance: Allowance,
    /// While the canary has all the traffic.
    #[serde(default)]
    history: Option<HistoryWatch>,
    #[serde(default)]
    ceiling: Option<Ceiling>,
    #[serde(default)]
    client_errors: Option<ClientErrors>,
    latency: Vec<LatencyWatch>,
    acceptance: Option<AcceptanceTest>,
    #[serde(default)]
    arrivals: Arrivals,
    #[serde(default)]
    rate: Option<RateWatch>,
    /// Where a broken stable is to be rolled forward from.
    #[serde(default)]
    cure: Option<Cure>,
    /// The step of the last target.
    last_step: Option<usize>,
    canary: Account,
    stable: Account,
    /// By when the canary had got its first request, in seconds since it began.
    first_request: Option<f64>,
    /// Requests of an earlier canary that are still under way. Their failures are not this canary's.
    leftover: u64,
    #[serde(default)]
    dispersal: Dispersal,
    /// The stable's requests and failures of the last minute when the canary was convicted.
    #[serde(default)]
    convicted_beside: Option<(u64, u64)>,
    /// That the proxy took the canary's traffic away by itself.
    #[serde(default)]
    trip: Option<Tripped>,
}

impl Trial {
    pub(super) fn new(
        config: &Config,
        begun: Timestamp,
        step_starts: usize,
        leftover: u64,
    ) -> Self {
        let quantiles = config
            .parameters()
            .latency
            .iter()
            .flat_map(|l| &l.quantiles);
        let latency = quantiles
            .map(|quantile| LatencyWatch::new(*quantile, config.latency_alpha(), step_starts));
        let mut trial = Self {
            begun,
            pace: Pace::default(),
            errors: Watch::new(config.errors_alpha(), step_starts),
            allowance: Allowance::default(),
            history: None,
            ceiling: Ceiling::new(config, step_starts),
            client_errors: ClientErrors::new(config, step_starts),
            latency: latency.collect(),
            acceptance: None,
            arrivals: Arrivals::default(),
            rate: RateWatch::new(config, step_starts),
            cure: (config.parameters().on_unhealthy_baseline == OnUnhealthyBaseline::RollForward)
                .then(Cure::default),
            last_step: None,
            canary: Account::default(),
            stable: Account::default(),
            first_request: None,
            leftover,
            dispersal: Dispersal::default(),
            convicted_beside: None,
            trip: None,
        };
        trial.start_step(Weight::ZERO, None, config);
        trial
    }

    /// A step begins to send `weight` of the traffic; `users` are known where they are kept on one version.
    pub(super) fn start_step(&mut self, weight: Weight, users: Option<&Users>, config: &Config) {
        self.begin_block_anew(config);
        self.allowance.begin(weight, users);
        self.history = None;
        self.errors.start_step();
        if let Some(ceiling) = &mut self.ceiling {
            ceiling.start_step();
        }
        if let Some(client_errors) = &mut self.client_errors {
            client_errors.start_step();
        }
        for latency in &mut self.latency {
            latency.watch.start_step();
        }
        if let Some(rate) = &mut self.rate {
            rate.start_step();
        }
        self.arrivals = Arrivals::at(weight);
        if let Some(cure) = &mut self.cure {
            cure.start_step(weight);
        }
        self.canary.forget_rate();
        self.stable.forget_rate();
    }

    /// The canary begins to have all the traffic, of which the stable has known `history`, its requests and failures.
    pub(super) fn start_watch(
        &mut self,
        users: Option<&Users>,
        history: (f64, f64),
        config: &Config,
        now: Timestamp,
    ) {
        self.start_step(Weight::FULL, users, config);
        let elapsed = now.duration_since(self.begun).as_secs_f64().max(0.0);
        let margin = self.margin(config);
        self.history = Some(HistoryWatch::new(elapsed, history, margin, config));
    }

    /// By how much the canary may fail more than stable at its present weight.
    pub(super) fn margin(&self, config: &Config) -> Margin {
        self.allowance.margin(config.parameters())
    }

    /// What the users of the present weight met before, where they are kept on one version.
    pub(super) fn pre_period(&self) -> Option<PrePeriod> {
        self.allowance.pre_period()
    }

    /// Takes over what the step asks; another target begins without evidence.
    pub(super) fn aim(
        &mut self,
        target: Option<Target>,
        users: Option<&Users>,
        config: &Config,
        now: Timestamp,
    ) {
        let current = self.acceptance.as_ref().map(|test| *test.target());
        if current == target {
            return;
        }
        if let Some(Target { step, from, .. }) = target {
            // The first step began with the canary.
            if self.last_step.is_some_and(|last| last != step) {
                self.start_step(from, users, config);
            } else {
                self.allowance.begin(from, users);
            }
            self.last_step = Some(step);
        }
        let known = self.allowance.pre_period();
        self.acceptance = target.map(|target| AcceptanceTest::new(target, known, now));
    }

    /// Takes the counts of an interval that ended at `now`.
    pub(super) fn observe(
        &mut self,
        interval: &Interval<'_>,
        baseline: &Baseline,
        config: &Config,
        now: Timestamp,
    ) {
        let end = now.duration_since(self.begun).as_secs_f64().max(0.0);
        let start = (end - interval.seconds()).max(0.0);
        let seam = !interval.is_of_one_generation();
        if seam {
            self.begin_block_anew(config);
        }
        let forgiven = self.forgive(interval.canary().after(), end);
        let parameters = config.parameters();
        let seconds = interval.seconds();
        self.allowance.pass(seconds, parameters);
        let stable_ratio = self.allowance.stable_ratio(baseline);
        let errors = errors::tick(start, interval, forgiven, stable_ratio);
        let Seen { canary, stable } = errors.seen;
        self.canary.add(interval.canary(), canary.bad, seconds);
        self.stable.add(interval.stable(), stable.bad, seconds);
        if !self.errors.is_in_block() {
            self.dispersal.begin_block(baseline.agreement());
        }
        let rps = (self.canary.rps(), self.stable.rps());
        self.dispersal.take(interval, rps, parameters);
        self.errors.take(&errors);
        if let Some(history) = &mut self.history {
            let dispersion = self.dispersal.dispersion();
            history.take(start, canary, errors.unanswered, dispersion, config);
        }
        if let Some(ceiling) = &mut self.ceiling {
            ceiling.take(&errors);
        }
        if let Some(client_errors) = &mut self.client_errors {
            client_errors.take(start, interval, forgiven, baseline);
        }
        if let Some(latency) = &parameters.latency
            && self.is_warm(interval, start, parameters.warm_up)
        {
            // Told once, as it is a sum over all buckets.
            let mut total = None;
            for test in &mut self.latency {
                if !test.watch.is_in_block() {
                    let total = *total.get_or_insert_with(|| baseline.latency().total());
                    test.aim(baseline, total, latency);
                }
                test.take(start, interval);
            }
        }
        if let Some(acceptance) = &mut self.acceptance {
            // An earlier canary's failures may delay a promotion; what hides some of this one's must not ease it.
            acceptance.take(&errors::tick(start, interval, 0, stable_ratio), interval);
        }
        self.arrivals.add(canary.requests, stable.requests);
        if let Some(rate) = &mut self.rate {
            rate.take(start, canary.requests + stable.requests, seconds, config);
        }
        if let Some(cure) = &mut self.cure
            && !seam
        {
            let counts = |tally: Tally| (tally.requests, tally.bad);
            cure.take(now.as_second(), counts(canary), counts(stable));
        }
        if seam {
            self.begin_block_anew(config);
        } else if self
            .pace
            .ends_with(canary.requests, stable.requests, seconds)
        {
            self.close_block(config);
        }
    }

    /// The split may have changed: what was counted before and what comes now is not compared together.
    fn begin_block_anew(&mut self, config: &Config) {
        self.close_block(config);
        self.pace.begin_anew();
    }

    fn close_block(&mut self, config: &Config) {
        let parameters = config.parameters();
        let margin = self.allowance.margin(parameters);
        let dispersion = self.dispersal.dispersion();
        self.errors
            .close(Null::Within(margin), dispersion, parameters);
        if let Some(ceiling) = &mut self.ceiling {
            ceiling.close(dispersion, self.allowance.none(), parameters);
        }
        if let Some(client_errors) = &mut self.client_errors {
            client_errors.close(parameters);
        }
        for latency in &mut self.latency {
            let dispersion = self.dispersal.of(latency.agreement());
            latency
                .watch
                .close(Null::Within(Margin::NONE), dispersion, parameters);
        }
        if let Some(acceptance) = &mut self.acceptance {
            acceptance.close(dispersion, parameters);
        }
    }

    /// Whether latency is judged: the canary's caches are warm, and no earlier canary's requests are in the counts.
    fn is_warm(&mut self, interval: &Interval<'_>, start: f64, warm_up: Duration) -> bool {
        if self.first_request.is_none() && interval.canary().requests() > 0 {
            // It came at the end at the latest, which is long after the start where proxies told what they remember.
            self.first_request = Some(start + interval.seconds());
        }
        let warm = self
            .first_request
            .is_some_and(|first| start + SLACK >= first + warm_up.as_secs_f64());
        warm && self.leftover == 0
    }

    /// How many of an earlier canary's requests ended by now. Any of them may have failed.
    fn forgive(&mut self, canary: &Counts, elapsed: f64) -> u64 {
        if self.leftover == 0 {
            return 0;
        }
        let oldest_of_ours = Duration::from_secs_f64((elapsed - AGE_ERROR).max(0.0));
        let old = if elapsed > LONGEST_FORGIVEN {
            0
        } else {
            older_than(canary, Bucket::of(oldest_of_ours)).min(self.leftover)
        };
        let ended = self.leftover - old;
        self.leftover = old;
        ended
    }

    /// The first test that convicts the canary.
    pub(super) fn conviction(&self, health: &Health, config: &Config) -> Option<Test> {
        let min_bad = config.parameters().min_canary_failures;
        if self.errors.convicts(min_bad) {
            return Some(Test::Errors);
        }
        if self
            .history
            .as_ref()
            .is_some_and(|test| test.convicts(min_bad))
        {
            return Some(Test::History);
        }
        if self.fault(health, config) == Some(Fault::Canary) {
            return Some(Test::FailureLimit);
        }
        if self
            .client_errors
            .as_ref()
            .is_some_and(|test| test.convicts(config))
        {
            return Some(Test::ClientErrors);
        }
        if self.rate.as_ref().is_some_and(RateWatch::convicts) {
            return Some(Test::RequestRate);
        }
        self.latency
            .iter()
            .find(|latency| latency.watch.convicts(min_bad))
            .map(|latency| Test::Latency {
                quantile: latency.quantile,
            })
    }

    /// The failure ratio that the stable's past allows a canary with all the traffic.
    pub(super) fn past_limit(&self, alpha: f64, config: &Config) -> Option<f64> {
        Some(self.history.as_ref()?.limit(alpha, self.margin(config)))
    }

    /// The canary is convicted while the stable's last minute is `health`.
    pub(super) fn convicted(&mut self, health: &Health) {
        self.convicted_beside = Some(health.counts());
    }

    /// A proxy took the canary's traffic away by itself.
    pub(super) fn tripped(&mut self, trip: Tripped) {
        self.trip = Some(trip);
    }

    fn fault(&self, health: &Health, config: &Config) -> Option<Fault> {
        let allowance = self.allowance.none();
        self.ceiling
            .as_ref()?
            .fault(health, allowance, config.parameters())
    }

    /// That the canary is above the failure limit and nothing shows whose fault that is.
    pub(super) fn unattributed(&self, health: &Health, config: &Config) -> Option<Judgement> {
        let ceiling = self.ceiling.as_ref()?;
        if self.fault(health, config) != Some(Fault::Unknown) {
            return None;
        }
        let canary = ceiling.watch().canary();
        let (stable_requests, stable_failures) = health.counts();
        Some(Judgement::Unattributed {
            canary_requests: canary.requests,
            canary_failures: canary.bad,
            stable_requests,
            stable_failures,
            limit: ceiling.limit(),
        })
    }

    /// That the canary refuses more of its clients than the stable.
    pub(super) fn refusing(&self, config: &Config) -> Option<Judgement> {
        self.client_errors.as_ref()?.hold(config)
    }

    /// That the canary may be the cure of a stable that is not well.
    pub(super) fn roll_forward(&self, config: &Config) -> Option<Judgement> {
        let allowed = config.parameters().baseline_unhealthy_above;
        self.cure.as_ref()?.judgement(allowed)
    }

    /// That there is too little to judge by.
    pub(super) fn shortfall(&self) -> Option<Judgement> {
        let rate = || self.rate.as_ref()?.shortfall();
        self.arrivals
            .shortfall()
            .or_else(rate)
            .map(Judgement::TooLittle)
    }

    fn circumstances<'a>(
        &self,
        baseline: &'a Baseline,
        config: &'a Config,
        now: Timestamp,
        rolled_back: bool,
    ) -> Circumstances<'a> {
        let parameters = config.parameters();
        Circumstances {
            now,
            rolled_back,
            unhealthy: baseline
                .health()
                .is_unhealthy(parameters.baseline_unhealthy_above),
            baseline,
            parameters,
            rps: (self.canary.rps(), self.stable.rps()),
            dispersion: self.dispersal.dispersion(),
        }
    }

    pub(super) fn is_accepted(&self, baseline: &Baseline, config: &Config, now: Timestamp) -> bool {
        self.acceptance.as_ref().is_some_and(|test| {
            let circumstances = self.circumstances(baseline, config, now, false);
            test.waits_for(&circumstances).is_none()
        })
    }

    pub(super) fn acceptance(
        &self,
        baseline: &Baseline,
        config: &Config,
        now: Timestamp,
        rolled_back: bool,
    ) -> Option<Acceptance> {
        let circumstances = self.circumstances(baseline, config, now, rolled_back);
        Some(self.acceptance.as_ref()?.reading(&circumstances))
    }

    pub(super) fn tests(&self, config: &Config) -> Vec<TestReading> {
        let margin = self.margin(config);
        let limit = Limit::Ratio(margin);
        let dispersion = self.dispersal.dispersion();
        let errors = test_reading(Test::Errors, &self.errors, limit, dispersion);
        let increase = config.parameters().latency.as_ref().map(|l| l.increase);
        let latency = self.latency.iter().map(|latency| {
            let limit = Limit::Latency {
                stable: latency.seconds().map(|(stable, _)| stable),
                canary: latency.seconds().map(|(_, canary)| canary),
                increase: increase.unwrap_or_default(),
            };
            let test = Test::Latency {
                quantile: latency.quantile,
            };
            let dispersion = self.dispersal.of(latency.agreement());
            test_reading(test, &latency.watch, limit, dispersion)
        });
        let history = self
            .history
            .as_ref()
            .map(|test| test.reading(margin, dispersion));
        let ceiling = self.ceiling.as_ref().map(|ceiling| {
            let limit = Limit::Absolute(ceiling.limit());
            test_reading(Test::FailureLimit, ceiling.watch(), limit, dispersion)
        });
        let client_errors = self.client_errors.as_ref();
        std::iter::once(errors)
            .chain(history)
            .chain(ceiling)
            .chain(self.rate.as_ref().and_then(RateWatch::reading))
            .chain(latency)
            .chain(client_errors.map(|test| test.reading(config)))
            .collect()
    }

    /// What the tests were given, in the order of [`Trial::tests`].
    pub(super) fn record(&self, health: &Health, config: &Config) -> Record {
        let latency = self.latency.iter().map(|latency| {
            let quantile = latency.quantile;
            (Test::Latency { quantile }, &latency.watch)
        });
        let history = self.history.as_ref();
        let ceiling = self.ceiling.as_ref();
        let client_errors = self.client_errors.as_ref();
        let watches = std::iter::once((Test::Errors, &self.errors))
            .chain(history.map(|test| (Test::History, test.watch())))
            .chain(ceiling.map(|test| (Test::FailureLimit, test.watch())))
            .chain(latency)
            .chain(client_errors.map(|test| (Test::ClientErrors, test.watch())));
        let (stable_requests, stable_failures) =
            self.convicted_beside.unwrap_or_else(|| health.counts());
        Record::new(Parts {
            parameters: config.clone(),
            tests: watches
                .map(|(test, watch)| Tested {
                    test,
                    log: watch.log(),
                })
                .collect(),
            attribution: ceiling.map(|test| Attribution {
                stable_requests,
                stable_failures,
                ln_e: test.worse().ln_e(),
                log: test.worse().log(),
            }),
            rate: self.rate.as_ref().and_then(RateWatch::log),
            pre_periods: self.allowance.pre_periods().to_vec(),
            history: history.map(HistoryWatch::history),
            trip: self.trip.clone(),
            acceptance: self.acceptance.as_ref().map(AcceptanceTest::log),
        })
    }

    pub(super) fn canary(&self) -> &Account {
        &self.canary
    }

    pub(super) fn stable(&self) -> &Account {
        &self.stable
    }
}

fn older_than(counts: &Counts, age: Bucket) -> u64 {
    let older = counts.waiting.iter().filter(|(waiting, _)| *waiting >= age);
    older.map(|(_, requests)| requests).sum()
}

pub(super) fn test_reading(
    test: Test,
    watch: &Watch,
    limit: Limit,
    dispersion: Dispersion,
) -> TestReading {
    TestReading {
        test,
        dispersion,
        ln_e: watch.ln_e(),
        ln_threshold: watch.ln_threshold(),
        canary_requests: watch.canary().requests,
        canary_events: watch.canary().bad,
        stable_requests: watch.stable().requests,
        stable_events: watch.stable().bad,
        limit,
    }
}
