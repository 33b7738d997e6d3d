//! The guard of one rollout: counts in, judgement out.

use super::{
    acceptance::Target,
    baseline::Baseline,
    block::Margin,
    config::Config,
    errors,
    interval::Interval,
    reading::{Judgement, Reading, Side},
    record::{Record, Tripped},
    trial::Trial,
    users::Users,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use traffic::{FailureRule, Snapshot, Weight};

/// Judges a rollout's canaries, one after the other, by the counts of the requests that were forwarded.
///
/// All that it knows is in its serialised form, except the last snapshot, which means nothing to another process: after
/// a restart the first snapshot is only the base for the next, and the evidence goes on from where it was.
///
/// ```
/// use rollout::analysis::{Config, Judge, Judgement};
/// use jiff::{SignedDuration, Timestamp};
/// use std::time::Duration;
///
/// let (mut judge, mut now) = (Judge::new(Config::default()), Timestamp::UNIX_EPOCH);
/// judge.begin(now, 1);
/// let mut snapshot = traffic::Snapshot::default();
/// judge.observe(&snapshot, None, now);
/// // A canary that fails every request, at 10 % of 100 requests a second.
/// while judge.judgement() == Judgement::Undecided {
///     now += SignedDuration::from_millis(100);
///     snapshot.at += Duration::from_millis(100);
///     snapshot.stable.dispatched += 9;
///     snapshot.canary.dispatched += 1;
///     snapshot.canary.failed += 1;
///     judge.observe(&snapshot, None, now);
/// }
/// assert!(snapshot.canary.failed <= 4);
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Judge {
    config: Config,
    /// For the next canary: what bounds the chance of error of a canary must not change under way.
    next_config: Option<Config>,
    baseline: Baseline,
    at: Timestamp,
    trial: Option<Trial>,
    /// What convicted the canary, as it stood then.
    conviction: Option<Box<Reading>>,
    #[serde(skip)]
    base: Option<Snapshot>,
}

impl Judge {
    /// A guard that knows nothing yet, and has no canary to judge.
    pub fn new(config: Config) -> Self {
        Self {
            config,
            next_config: None,
            baseline: Baseline::default(),
            at: Timestamp::UNIX_EPOCH,
            trial: None,
            conviction: None,
            base: None,
        }
    }

    /// A canary of a new revision begins: what was found about an earlier one is forgotten. To be called right after
    /// [`Judge::observe`], so that no request of the earlier one is in the next interval.
    ///
    /// `step_starts` tells how many times a step will begin to send more traffic, counting this begin and every
    /// [`Judge::start_step`] and change of [`Target::step`] after it. The guard is most attentive at that many of them;
    /// a wrong number costs a little speed and no correctness.
    pub fn begin(&mut self, now: Timestamp, step_starts: usize) {
        let leftover = self.base.as_ref().map_or(0, |base| base.canary.in_flight());
        if let Some(config) = self.next_config.take() {
            self.adopt(config);
        }
        self.trial = Some(Trial::new(&self.config, now, step_starts, leftover));
        self.conviction = None;
        self.at = now;
    }

    /// A step without a [`Target`] begins to send `weight` of the traffic to the canary. A changed `Target::step` tells
    /// it by itself. With all the traffic it is compared with the stable's history too, until the next step. A canary
    /// that was convicted is not judged any more: its trial stays as it was then.
    pub fn start_step(&mut self, weight: Weight) {
        if self.conviction.is_none()
            && let Some(trial) = &mut self.trial
        {
            let history = self.baseline.counted();
            let users = users(&mut self.baseline, self.base.as_ref());
            if weight == Weight::FULL {
                trial.start_watch(users, history, &self.config, self.at);
            } else {
                trial.start_step(weight, users, &self.config);
            }
        }
    }

    /// A proxy took the canary's traffic away by itself, for what `trip` tells. That is no judgement of this guard, and
    /// goes into its record.
    pub fn tripped(&mut self, trip: Tripped) {
        if let Some(trial) = &mut self.trial {
            trial.tripped(trip);
        }
    }

    /// There is no canary any more. The stable is still learnt from.
    pub fn end(&mut self) {
        self.trial = None;
        self.conviction = None;
        if let Some(config) = self.next_config.take() {
            self.adopt(config);
        }
    }

    /// The guard's parameters were edited. They hold from the next canary on.
    pub fn reconfigure(&mut self, config: Config) {
        if self.trial.is_none() {
            self.adopt(config);
            self.next_config = None;
        } else {
            self.next_config = (config != self.config).then_some(config);
        }
    }

    /// Goes over to `config`. What was counted by another rule of what a failure is cannot be compared any more, neither
    /// the last counts nor what the stable is known to fail.
    fn adopt(&mut self, config: Config) {
        if config.parameters().failure_rule != *self.failure_rule() {
            self.base = None;
            self.baseline.forget_failures();
        }
        self.config = config;
    }

    /// The parameters that hold now.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// What counts as a failure now: the rule that every snapshot for the judge is to be read with.
    pub fn failure_rule(&self) -> &FailureRule {
        &self.config.parameters().failure_rule
    }

    /// Takes the counters as they stand at `now`: to be called every 100 ms. `target` is what the current step asks, if
    /// it is one that waits for evidence. One with a number out of its range is never met.
    pub fn observe(&mut self, snapshot: &Snapshot, target: Option<Target>, now: Timestamp) {
        if self.conviction.is_none()
            && let Some(trial) = &mut self.trial
        {
            let users = users(&mut self.baseline, Some(snapshot));
            let target = target.filter(Target::is_possible);
            trial.aim(target, users, &self.config, now);
        }
        self.close(snapshot, now);
    }

    /// Takes the counters as they stand at `now`, right before another route table is published, with the target as it
    /// was. What was sent under the old table is judged with it, and a table that changes no weight, such as the first
    /// of a process that was restarted, costs the step no evidence.
    pub fn close(&mut self, snapshot: &Snapshot, now: Timestamp) {
        self.at = now;
        if let Some(base) = self.base.take()
            && let Some(interval) = Interval::between(&base, snapshot)
        {
            self.take(&interval, now);
        }
        self.base = Some(snapshot.clone());
    }

    /// Judges by what was known before the interval, then learns from it.
    fn take(&mut self, interval: &Interval<'_>, now: Timestamp) {
        if self.conviction.is_none()
            && let Some(trial) = &mut self.trial
        {
            trial.observe(interval, &self.baseline, &self.config, now);
        }
        self.baseline
            .learn(interval, now.as_second(), self.config.parameters());
        if self.trial.is_none() {
            self.baseline
                .learn_users(interval, self.config.parameters());
        }
        if self.conviction.is_none() && self.judgement_of_trial().is_some() {
            self.conviction = Some(Box::new(self.reading()));
            if let Some(trial) = &mut self.trial {
                trial.convicted(self.baseline.health());
            }
        }
    }

    fn judgement_of_trial(&self) -> Option<Judgement> {
        let test = self
            .trial
            .as_ref()?
            .conviction(self.baseline.health(), &self.config)?;
        Some(Judgement::RollBack { test })
    }

    /// What is to be done now. A rollback stays until the next [`Judge::begin`] or [`Judge::end`].
    pub fn judgement(&self) -> Judgement {
        if let Some(conviction) = &self.conviction {
            return conviction.judgement;
        }
        self.judgement_of_trial()
            .or_else(|| self.hold())
            .unwrap_or(Judgement::Undecided)
    }

    fn hold(&self) -> Option<Judgement> {
        let health = self.baseline.health();
        let allowed = self.config.parameters().baseline_unhealthy_above;
        let (stable_requests, stable_failures) = health.counts();
        if health.is_unhealthy(allowed) {
            let hold = Judgement::Hold {
                stable_requests,
                stable_failures,
                allowed,
            };
            // A canary that refuses everybody fails nobody, and is no cure.
            let cure = |trial: &Trial| match trial.refusing(&self.config) {
                Some(refusing) => Some(refusing),
                None => trial.roll_forward(&self.config),
            };
            return self.trial.as_ref().and_then(cure).or(Some(hold));
        }
        let trial = self.trial.as_ref()?;
        trial
            .unattributed(health, &self.config)
            .or_else(|| trial.refusing(&self.config))
            .or_else(|| trial.shortfall())
    }

    /// Whether the current target is met: the short form of [`Reading::acceptance`].
    pub fn is_accepted(&self) -> bool {
        self.conviction.is_none()
            && self
                .trial
                .as_ref()
                .is_some_and(|trial| trial.is_accepted(&self.baseline, &self.config, self.at))
    }

    /// Requests sent to the canary since it began.
    pub fn canary_requests(&self) -> u64 {
        self.trial
            .as_ref()
            .map_or(0, |trial| trial.canary().requests())
    }

    /// The share of its requests that a canary with all the traffic may fail by the margins, for what the stable was
    /// known for when that began. Wrong with a chance of at most `alpha`. Nothing while the canary does not have it.
    pub fn past_limit(&self, alpha: f64) -> Option<f64> {
        self.trial.as_ref()?.past_limit(alpha, &self.config)
    }

    /// By how much the canary may fail more than the stable at its present weight, which says where its users are split
    /// who they are. Without a canary, the margin for users who are alike.
    pub fn margin(&self) -> Margin {
        let trial = self.trial.as_ref();
        trial.map_or_else(
            || errors::margin(self.config.parameters()),
            |trial| trial.margin(&self.config),
        )
    }

    /// What the stable is known for.
    pub fn baseline(&self) -> &Baseline {
        &self.baseline
    }

    /// The judgement and all that went into it. After a rollback, as things stood when it was found.
    pub fn reading(&self) -> Reading {
        if let Some(conviction) = &self.conviction {
            return Reading::clone(conviction);
        }
        let judgement = self.judgement();
        let trial = self.trial.as_ref();
        let rolled_back = matches!(judgement, Judgement::RollBack { .. });
        Reading {
            at: self.at,
            judgement,
            acceptance: trial.and_then(|trial| {
                trial.acceptance(&self.baseline, &self.config, self.at, rolled_back)
            }),
            tests: trial.map_or_else(Vec::new, |trial| trial.tests(&self.config)),
            canary: trial.map_or_else(Side::default, |trial| trial.canary().reading()),
            stable: trial.map_or_else(Side::default, |trial| trial.stable().reading()),
            failure_rule: *self.failure_rule(),
            pre_period: trial.and_then(Trial::pre_period),
        }
    }

    /// What [`Judge::reading`] was made of, block by block; nothing without a canary.
    pub fn record(&self) -> Option<Record> {
        let trial = self.trial.as_ref()?;
        Some(trial.record(self.baseline.health(), &self.config))
    }
}

/// What is known of the users who were counted in `seen`, which may be nothing; nothing at all where requests are split.
fn users<'a>(baseline: &'a mut Baseline, seen: Option<&Snapshot>) -> Option<&'a Users> {
    let counting = seen?.users.as_ref()?.counting;
    Some(baseline.meet(counting.salt))
}

#[cfg(test)]
mod tests;
