//! The harm bound: may the canary go from its weight to the next?
//!
//! It may when "at the new weight `w'` more than `harm_budget` of all traffic fails because of it" is refuted, that is
//! `H0: p_c >= (1 + slack/w') p_s + budget/w'`, with this step's requests only: a defect may show under load first.
//! The first step that is wrongly left must itself be a false rejection, so a budget that is broken already is
//! exceeded with a chance of at most beta; one that a later step breaks is the rollback tests' to find.
//!
//! Where users are kept on one version, `p_s` is what the stable would fail of the canary's users, as far as these are
//! shown to differ from the others.

use super::{
    baseline::Baseline,
    block::{Dispersion, Evidence, Margin},
    blocks::{Blocks, Tally, Tick},
    confidence,
    config::Parameters,
    eta,
    interval::Interval,
    journal::{Journal, Judged, Log, Sequential},
    mixture::{BELOW, Mixture},
    reading::{self, Reason},
    users::PrePeriod,
    watch::{Null, gains, ln_s},
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::mem;
use traffic::Weight;

/// What the current evidence step asks.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Target {
    /// The step's place in the plan.
    pub step: usize,
    /// The canary's weight now.
    #[serde(with = "crate::basis_points")]
    pub from: Weight,
    /// The weight that it is to go to.
    #[serde(with = "crate::basis_points")]
    pub to: Weight,
    /// The share of all traffic that the canary may make fail at that weight. Above 0, up to 0.5.
    pub harm_budget: f64,
    /// The chance of going on wrongly. Above 0, up to 0.5.
    pub beta: f64,
}

impl Target {
    /// Whether it can be met at all. One that cannot, as a number is out of its range, is treated as none.
    pub(super) fn is_possible(&self) -> bool {
        let is_chance = |x: f64| x > 0.0 && x <= 0.5;
        is_chance(self.harm_budget) && is_chance(self.beta) && self.to > Weight::ZERO
    }

    fn margin(&self, slack: f64) -> Margin {
        eta::margin(self.to, self.harm_budget, slack)
    }
}

/// The margin, where the canary's users may be `known`.
fn margin(target: &Target, known: Option<&PrePeriod>, parameters: &Parameters) -> Margin {
    let margin = target.margin(parameters.harm_slack);
    known.map_or(margin, |known| known.shift(margin))
}

/// The test of one step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct AcceptanceTest {
    target: Target,
    /// What the canary's users and the others met before, where users are kept on one version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    known: Option<PrePeriod>,
    since: Timestamp,
    blocks: Blocks,
    mixture: Mixture,
    canary: Tally,
    stable: Tally,
    /// Requests under way at the end of the last tick, canary's and stable's.
    under_way: (u64, u64),
    #[serde(skip)]
    journal: Journal<Self>,
}

/// What an [`AcceptanceTest`] is judged with besides its own counts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Circumstances<'a> {
    pub(super) now: Timestamp,
    pub(super) rolled_back: bool,
    pub(super) unhealthy: bool,
    pub(super) baseline: &'a Baseline,
    pub(super) parameters: &'a Parameters,
    /// Requests a second, canary's and stable's.
    pub(super) rps: (f64, f64),
    /// How many requests tell as much as one.
    pub(super) dispersion: Dispersion,
}

impl AcceptanceTest {
    pub(super) fn new(target: Target, known: Option<PrePeriod>, now: Timestamp) -> Self {
        let mut mixture = Mixture::new(BELOW.len());
        mixture.open_window(1.0);
        Self {
            target,
            known,
            since: now,
            blocks: Blocks::default(),
            mixture,
            canary: Tally::default(),
            stable: Tally::default(),
            under_way: (0, 0),
            journal: Journal::default(),
        }
    }

    pub(super) fn target(&self) -> &Target {
        &self.target
    }

    /// Takes one tick's failures, when all of its requests were dispatched under one route table.
    pub(super) fn take(&mut self, tick: &Tick, interval: &Interval<'_>) {
        if interval.is_of_one_generation() {
            self.blocks.take(tick);
            self.under_way = (
                interval.canary().after().in_flight(),
                interval.stable().after().in_flight(),
            );
        }
    }

    /// Ends the block under way and judges it, by as many requests as tell something for themselves.
    pub(super) fn close(&mut self, dispersion: Dispersion, parameters: &Parameters) {
        let Some(closed) = self.blocks.close() else {
            return;
        };
        let judged = Judged {
            closed,
            null: Null::Within(self.margin(parameters)),
            dispersion,
        };
        let mut journal = mem::take(&mut self.journal);
        // One window for all of the evidence; those of the journal are only for people to read.
        let window = |start: f64| (start / parameters.burst_window.as_secs_f64()).floor();
        let opens_window = journal.latest_start().map(window) != Some(window(closed.start));
        journal.block(self, &judged, opens_window);
        self.judge(&judged, parameters);
        self.journal = journal;
    }

    /// How the evidence came about.
    pub(super) fn log(&self) -> Log<Self> {
        self.journal.log(|| Self {
            journal: Journal::default(),
            ..self.clone()
        })
    }

    /// What the canary's failure ratio has to be shown to be below.
    pub(super) fn margin(&self, parameters: &Parameters) -> Margin {
        margin(&self.target, self.known.as_ref(), parameters)
    }

    /// What the margin knows of users.
    pub(super) fn known(&self) -> Option<&PrePeriod> {
        self.known.as_ref()
    }

    /// Whether it is one that judging leads to, or close enough to be judged with.
    pub(super) fn is_sound(&self) -> bool {
        self.mixture.is_sound(BELOW.len())
            && self.target.is_possible()
            && self.known.as_ref().is_none_or(PrePeriod::is_sound)
            && [self.canary, self.stable].iter().all(Tally::is_sound)
    }

    pub(super) fn ln_threshold(&self) -> f64 {
        -self.target.beta.ln()
    }

    /// Why the step may not be left, or nothing when it may.
    pub(super) fn waits_for(&self, circumstances: &Circumstances<'_>) -> Option<Reason> {
        let parameters = circumstances.parameters;
        let dwell_left = self.dwell_left(circumstances);
        if circumstances.rolled_back {
            Some(Reason::RolledBack)
        } else if circumstances.unhealthy {
            Some(Reason::BaselineUnhealthy)
        } else if self.canary.requests == 0 {
            Some(Reason::NoCanaryRequests)
        } else if self.mixture.ln_e() < self.ln_threshold() {
            Some(Reason::Evidence)
        } else if self.leaves_requests_unanswered(parameters) {
            Some(Reason::RequestsUnderWay)
        } else {
            (dwell_left > 0.0).then_some(Reason::Dwell)
        }
    }

    fn dwell_left(&self, circumstances: &Circumstances<'_>) -> f64 {
        let spent = circumstances.now.duration_since(self.since).as_secs_f64();
        circumstances.parameters.dwell.as_secs_f64() - spent
    }

    /// Whether the canary has more requests under way than the stable would have with the same traffic, by so many
    /// that the margin would be broken if they failed. A failure that takes its time, such as a timeout, must not come
    /// after the promotion.
    fn leaves_requests_unanswered(&self, parameters: &Parameters) -> bool {
        let (canary, stable) = self.under_way;
        let share = self.canary.requests as f64 / self.stable.requests.max(1) as f64;
        let usual = stable as f64 * share;
        // Three standard deviations of a Poisson count, so that chance alone does not hold a step up.
        let chance = 3.0 * usual.sqrt() + 3.0;
        let harmless =
            self.target.margin(parameters.harm_slack).absolute * self.canary.requests as f64;
        canary as f64 > usual + chance + harmless
    }

    /// The seconds until the step may be left, if the canary is as good as the stable.
    fn eta(&self, circumstances: &Circumstances<'_>) -> Option<f64> {
        let Dispersion { canary, stable } = circumstances.dispersion;
        let (canary_rps, stable_rps) = circumstances.rps;
        let (canary_rps, stable_rps) = (canary_rps / canary, stable_rps / stable);
        let dwell = self.dwell_left(circumstances).max(0.0);
        let goal = self.ln_threshold();
        if self.mixture.ln_e() >= goal && self.canary.requests > 0 {
            return Some(dwell);
        }
        let ratio = circumstances.baseline.failure_ratio();
        let margin = self.margin(circumstances.parameters);
        let users = self.known.map_or(1.0, |known| known.shown());
        let canary_ratio = Baseline::possible(ratio * users);
        let in_a_second = gains(&BELOW, margin, ratio, canary_rps, stable_rps).map(|gains| {
            gains.expected(
                canary_rps * canary_ratio,
                canary_rps * (1.0 - canary_ratio),
                stable_rps * ratio,
                stable_rps * (1.0 - ratio),
            )
        });
        let evidence = eta::until(goal, self.mixture.ln_weights().zip(in_a_second))?;
        Some(evidence.max(dwell))
    }

    /// The largest difference of the failure ratios that the step's requests leave possible, with a chance of error
    /// of at most beta.
    fn excludable(&self) -> Option<f64> {
        if self.canary.requests == 0 {
            return None;
        }
        let interval =
            |side: Tally| confidence::interval(side.bad, side.requests, self.target.beta);
        let (_, highest) = interval(self.canary);
        let (lowest, _) = interval(self.stable);
        Some((highest - lowest).max(0.0))
    }

    pub(super) fn reading(&self, circumstances: &Circumstances<'_>) -> reading::Acceptance {
        let waits_for = self.waits_for(circumstances);
        let can_be_met = !matches!(
            waits_for,
            Some(Reason::RolledBack | Reason::BaselineUnhealthy | Reason::RequestsUnderWay)
        );
        reading::Acceptance {
            step: self.target.step,
            from: self.target.from,
            to: self.target.to,
            met: waits_for.is_none(),
            ln_e: self.mixture.ln_e(),
            ln_threshold: self.ln_threshold(),
            margin: self.margin(circumstances.parameters),
            canary_requests: self.canary.requests,
            canary_failures: self.canary.bad,
            stable_requests: self.stable.requests,
            stable_failures: self.stable.bad,
            eta: can_be_met.then(|| self.eta(circumstances)).flatten(),
            excludable: self.excludable(),
            waits_for,
        }
    }
}

impl Sequential for AcceptanceTest {
    /// Another step has a test of its own.
    fn begin_step(&mut self) {}

    fn judge(&mut self, judged: &Judged, _: &Parameters) {
        let block = judged.closed.block;
        self.canary.add(block.canary, block.canary_bad);
        self.stable.add(block.stable, block.stable_bad);
        if let Null::Within(margin) = judged.null {
            let stable_ratio = judged.closed.stable_ratio;
            let evidence = Evidence::new(block, stable_ratio, margin).dispersed(judged.dispersion);
            let ln_s = ln_s(&BELOW, margin.at(stable_ratio), evidence);
            self.mixture.add(ln_s, f64::INFINITY);
        }
    }

    fn ln_e(&self) -> f64 {
        self.mixture.ln_e()
    }

    fn counts(&self) -> (Tally, Tally) {
        (self.canary, self.stable)
    }
}
