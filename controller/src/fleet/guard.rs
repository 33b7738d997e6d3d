//! The guard of a Rollout whose requests many proxies forward.

#[cfg(test)]
mod tests;

use super::{Answers, Judging, Sum, Unread};
use crate::{
    reconcile::{Finding, Traffic},
    words,
};
use jiff::Timestamp;
use rollout::{
    Acceptance, Judgement,
    analysis::{Judge, Reading, Record},
};
use std::time::Duration;
use traffic::Weight;

/// Judges a Rollout's canaries by the counters of all its proxies. All that it knows is of this process: another one begins
/// with nothing known of stable, and with the canary of then as if it had just begun.
#[derive(Clone, Debug)]
pub struct Guard {
    sum: Sum,
    judge: Judge,
    trial: Option<Trial>,
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
        }
    }

    /// What follows from `answers`, which were got when the reader's clock showed `at`, for a Rollout as `judging` says.
    /// Returned with what could not be read of them.
    pub fn look(
        &mut self,
        judging: &Judging,
        answers: Answers,
        at: Duration,
        now: Timestamp,
    ) -> (Traffic, Vec<Unread>) {
        let proxies = answers.len();
        let (snapshot, unread) = self.sum.add(at, answers);
        self.judge.reconfigure(judging.config.clone());
        let wanted = judging.split.as_ref().filter(|_| judging.on_trial);
        let wanted = wanted.map(|split| Trial {
            stable: split.stable.clone(),
            canary: split.canary.clone(),
            weight: split.weight,
        });
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
            serving: self.sum.serving().cloned(),
            finding: self.finding(judging),
        };
        (traffic, unread)
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
    fn is_of_the_versions_of(&self, other: &Self) -> bool {
        self.stable == other.stable && self.canary == other.canary
    }
}
