//! One probe of a running container: when it is due, and what its answers amount to.

use super::plan::ProbePlan;
use k8s_openapi::jiff::Timestamp;

/// A probe's state.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Asked {
    /// When it is to be asked; none while an answer is awaited.
    due: Option<Timestamp>,
    verdict: Option<bool>,
    last: bool,
    in_a_row: u32,
}

impl Asked {
    /// Of a container that was started at `started`.
    pub(super) fn new(plan: &ProbePlan, started: Timestamp) -> Self {
        Self {
            due: Some(started + plan.initial_delay),
            verdict: None,
            last: false,
            in_a_row: 0,
        }
    }

    /// What its answers amount to, once enough of them agree.
    pub(super) fn verdict(&self) -> Option<bool> {
        self.verdict
    }

    /// When it is to be asked.
    pub(super) fn due(&self) -> Option<Timestamp> {
        self.due
    }

    /// Whether to ask now. It is then not due until it was answered.
    pub(super) fn ask(&mut self, now: Timestamp) -> bool {
        let is_due = self.due.is_some_and(|due| due <= now);
        if is_due {
            self.due = None;
        }
        is_due
    }

    /// Takes an answer.
    pub(super) fn answered(&mut self, plan: &ProbePlan, passed: bool, now: Timestamp) {
        self.in_a_row = match self.last == passed {
            true => self.in_a_row.saturating_add(1),
            false => 1,
        };
        self.last = passed;
        let needed = if passed {
            plan.successes
        } else {
            plan.failures
        };
        if self.in_a_row >= needed {
            self.verdict = Some(passed);
        }
        self.due = Some(now + plan.period);
    }
}
