//! The guard of a Rollout whose requests many proxies forward.

#[cfg(test)]
mod tests;

use super::{
    Answers, Judging, Sum, Unread,
    recall::{self, Scope},
};
use crate::{
    reconcile::{Finding, Traffic},
    words,
};
use jiff::Timestamp;
use rollout::{
    Acceptance, Judgement,
    analysis::{Judge, Reading, Record},
};
use std::{mem, time::Duration};
use traffic::Weight;

/// Judges a Rollout's canaries by the counters of all its proxies. What it knows is of this process; one that begins with a
/// canary on trial goes through what the proxies remember of that first, as if it had asked them all the time.
#[derive(Clone, Debug)]
pub struct Guard {
    sum: Sum,
    judge: Judge,
    trial: Option<Trial>,
    /// Whether nothing was told yet.
    is_new: bool,
    /// By how much what was recalled is longer than the reader's clock has gone.
    before: Duration,
}

/// Which canary is judged.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Trial {
    stable: String,
    canary: String,
    /// The weight that it has by the Rollout's status.
    weight: Weight,
}

impl Guard {
    /// A guard that knows nothing yet.
    pub fn new(judging: &Judging) -> Self {
        Self {
            sum: Sum::default(),
            judge: Judge::new(judging.config.clone()),
            trial: None,
            is_new: true,
            before: Duration::ZERO,
        }
    }

    /// What follows from `answers`, which were got when the reader's clock showed `at`, for a Rollout as `judging` says.
    /// Returned with what could not be read of them. Histories among them are read at the first look only.
    pub fn look(
        &mut self,
        judging: &Judging,
        mut answers: Answers,
        at: Duration,
        now: Timestamp,
    ) -> (Traffic, Vec<Unread>) {
        if mem::take(&mut self.is_new) {
            self.recall(judging, &answers, at, now);
        }
        for told in answers.values_mut().flatten() {
            told.report.history = Vec::new();
        }
        let proxies = answers.len();
        let (snapshot, unread) = self.sum.add(at + self.before, answers);
        self.judge.reconfigure(judging.config.clone());
        let wanted = Trial::wanted(judging);
        let is_same = match (&self.trial, &wanted) {
            (Some(before), Some(now)) => before.is_of_the_versions_of(now),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        // Whatever was counted so far was sent under what was wanted so far.
        let target = judging.target.filter(|_| is_same && wanted.is_some());
        self.judge.observe(snapshot, target, now);
        match &wanted {
            None if !is_same => self.judge.end(),
            Some(_) if !is_same => self.judge.begin(now, judging.step_starts.max(1)),
            Some(trial) if self.trial.as_ref() != Some(trial) => {
                self.judge.start_step(trial.weight)
            }
            Some(_) | None => {}
        }
        self.trial = wanted;
        let traffic = Traffic {
            proxies,
            served: self.sum.served().to_vec(),
            finding: self.finding(judging),
        };
        (traffic, unread)
    }

    /// Goes through what proxies remember: what was sent before the present trial tells what stable is like, and what was
    /// sent in it is evidence. A moment counts for a step only where it is sure that the canary had the step's weight then.
    fn recall(&mut self, judging: &Judging, answers: &Answers, at: Duration, now: Timestamp) {
        let ticks = recall::ticks(answers, *self.judge.failure_rule());
        let Some(first) = ticks.first() else {
            return;
        };
        self.before = first.age.saturating_sub(at);
        let end = at + self.before;
        let scope = Scope::of(&ticks, judging, now);
        for (place, tick) in ticks.iter().enumerate() {
            let target = scope.and_then(|scope| scope.target(place, judging));
            let then = tick.ended(now);
            let snapshot = self.sum.recall(end.saturating_sub(tick.age), tick);
            self.judge.observe(snapshot, target, then);
            let Some(begins) = scope.map(|scope| scope.begins) else {
                continue;
            };
            if place == begins {
                self.judge.begin(then, judging.step_starts.max(1));
                self.trial = Trial::wanted(judging).map(|trial| Trial {
                    weight: Weight::ZERO,
                    ..trial
                });
            }
            if place >= begins {
                self.follow_weight();
            }
        }
    }

    /// A step has begun where all proxies give the canary another weight. One without pods for a moment has none.
    fn follow_weight(&mut self) {
        let served = self.sum.serving().map(|split| split.weight);
        if let (Some(trial), Some(weight)) = (&mut self.trial, served)
            && weight != trial.weight
            && weight != Weight::ZERO
        {
            trial.weight = weight;
            self.judge.start_step(weight);
        }
    }

    /// The evidence about the canary, and the counts that it was made of, by which it can be recomputed; nothing without a
    /// canary.
    pub fn evidence(&self) -> Option<(Reading, Record)> {
        Some((self.judge.reading(), self.judge.record()?))
    }

    fn finding(&mut self, judging: &Judging) -> Option<Finding> {
        let trial = self.trial.as_ref()?;
        let judgement = match self.sum.tripped(&trial.canary) {
            None => words::judgement(&self.judge, true),
            Some(trip) => {
                let why = words::tripped(&trip);
                self.judge.tripped(trip);
                Judgement::Tripped { why }
            }
        };
        let acceptance = match self.judge.is_accepted() {
            true => Acceptance::Met,
            false => Acceptance::Pending,
        };
        Some(Finding {
            canary: trial.canary.clone(),
            judgement,
            evidence: judging.target.map(|target| (target.step, acceptance)),
        })
    }
}

impl Trial {
    /// The trial of the canary of `judging`, if it is on trial.
    fn wanted(judging: &Judging) -> Option<Self> {
        let split = judging.split.as_ref().filter(|_| judging.on_trial)?;
        Some(Self {
            stable: split.stable.clone(),
            canary: split.canary.clone(),
            weight: split.weight,
        })
    }

    fn is_of_the_versions_of(&self, other: &Self) -> bool {
        self.stable == other.stable && self.canary == other.canary
    }
}
