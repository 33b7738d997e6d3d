//! What was decided, told from the states before and after. Pure.

use jiff::SignedDuration;
use rollout::{
    Judgement, Plan, State,
    plan::{Place, Step},
    state::{Aborted, Canary, Cause, Outcome, Pause},
};
use traffic::Weight;

/// What was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum What {
    /// The first revision serves.
    Deployed,
    /// A canary began.
    Started,
    /// An aborted canary began again.
    Retried,
    /// A canary went on to another step.
    Advanced,
    /// Somebody paused it.
    Paused,
    /// Somebody let it go on.
    Resumed,
    /// It waits for somebody to decide.
    Held,
    /// It became stable.
    Promoted,
    /// The guard took its traffic away.
    RolledBack,
    /// Somebody, or the plan, took its traffic away.
    Aborted,
    /// Somebody gave all traffic back to an earlier version.
    Undone,
    /// The stable template was asked for again.
    Returned,
}

impl What {
    /// The decision as views and metric labels spell it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Deployed => "deployed",
            Self::Started => "started",
            Self::Retried => "retried",
            Self::Advanced => "advanced",
            Self::Paused => "paused",
            Self::Resumed => "resumed",
            Self::Held => "held",
            Self::Promoted => "promoted",
            Self::RolledBack => "rolled-back",
            Self::Aborted => "aborted",
            Self::Undone => "undone",
            Self::Returned => "returned",
        }
    }
}

/// Who decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum By {
    /// The guard, on evidence.
    Guard,
    /// The proxy, on overwhelming evidence and before the guard.
    Proxy,
    /// The plan, as it was written.
    Plan,
    /// A person, by a verb or by what the documents ask for.
    Operator,
}

impl By {
    /// Who decided, as views and metric labels spell it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Guard => "guard",
            Self::Proxy => "proxy",
            Self::Plan => "plan",
            Self::Operator => "operator",
        }
    }
}

/// A decision in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Decision {
    /// What.
    pub(super) what: What,
    /// Who.
    pub(super) by: By,
    /// Why, in one line.
    pub(super) why: String,
    /// The revision that it is about.
    pub(super) revision: String,
}

fn decision(what: What, by: By, why: String, revision: &impl ToString) -> Option<Decision> {
    Some(Decision {
        what,
        by,
        why,
        revision: revision.to_string(),
    })
}

/// The decision that led from `before` to `after`, if one did, when this was judged of the canary.
pub(super) fn between(
    plan: &Plan,
    before: &State,
    after: &State,
    judgement: Option<&Judgement>,
) -> Option<Decision> {
    match (before.canary(), after) {
        (Some(old), State::Progressing(new) | State::Paused { canary: new, .. })
            if old.trial() == new.trial() =>
        {
            within(plan, (before, old), (after, new), judgement)
        }
        (_, State::Progressing(new) | State::Paused { canary: new, .. }) => started(before, new),
        (Some(old), State::Aborted(aborted)) => match &aborted.cause {
            Cause::Verdict { why } => rolled_back(By::Guard, why, old, aborted),
            Cause::Tripped { why } => rolled_back(By::Proxy, why, old, aborted),
            Cause::Verb { by } => decision(
                What::Aborted,
                By::Operator,
                format!("aborted by {by}"),
                &old.revision,
            ),
            Cause::Undone { .. } => undone(aborted),
            Cause::Inconclusive { .. } | Cause::Deadline { .. } => decision(
                What::Aborted,
                By::Plan,
                aborted.cause.to_string(),
                &old.revision,
            ),
        },
        (Some(old), State::Healthy(healthy)) => match healthy.outcome {
            Outcome::Returned => {
                let why = format!(
                    "the template of revision {} was asked for again",
                    healthy.stable.revision
                );
                decision(What::Returned, By::Operator, why, &old.revision)
            }
            Outcome::Promoted | Outcome::PromotedInFull | Outcome::Deployed => {
                let by = if healthy.outcome == Outcome::PromotedInFull {
                    By::Operator
                } else {
                    By::Plan
                };
                decision(
                    What::Promoted,
                    by,
                    "all traffic went to it".to_owned(),
                    &old.revision,
                )
            }
        },
        (None, State::Healthy(healthy)) if matches!(before, State::Empty) => {
            let why = "the first revision serves without steps".to_owned();
            decision(What::Deployed, By::Plan, why, &healthy.stable.revision)
        }
        (None, State::Healthy(_)) if matches!(before, State::Aborted(_)) => {
            let why = "the stable template was asked for again".to_owned();
            decision(What::Returned, By::Operator, why, &after.stable()?.revision)
        }
        (None, State::Aborted(aborted)) if matches!(before, State::Healthy(_)) => undone(aborted),
        (_, State::Empty | State::Healthy(_) | State::Aborted(_)) => None,
    }
}

/// Counts convicted the canary.
fn rolled_back(by: By, why: &str, old: &Canary, aborted: &Aborted) -> Option<Decision> {
    let why = if aborted.weight == Weight::FULL {
        let (by, back) = (by.as_str(), &aborted.stable.revision);
        format!("{why}; the {by} gave all traffic back to revision {back}")
    } else {
        why.to_owned()
    };
    decision(What::RolledBack, by, why, &old.revision)
}

/// A person went back to an earlier version.
fn undone(aborted: &Aborted) -> Option<Decision> {
    let why = format!(
        "{}; all traffic goes to revision {}",
        aborted.cause, aborted.stable.revision
    );
    decision(What::Undone, By::Operator, why, &aborted.canary)
}

fn started(before: &State, new: &Canary) -> Option<Decision> {
    let retried = matches!(before, State::Aborted(aborted) if aborted.canary == new.revision);
    let what = if retried {
        What::Retried
    } else {
        What::Started
    };
    let by = if retried { By::Operator } else { By::Plan };
    decision(
        what,
        by,
        format!(
            "to replace revision {}{}",
            new.stable.revision,
            if new.full {
                ", past all steps: it is within the rollback window"
            } else {
                ""
            }
        ),
        &new.revision,
    )
}

/// A decision while one canary goes on.
fn within(
    plan: &Plan,
    (before, old): (&State, &Canary),
    (after, new): (&State, &Canary),
    judgement: Option<&Judgement>,
) -> Option<Decision> {
    let paused = |state: &State| match state {
        State::Paused { pause, .. } => Some(*pause),
        State::Progressing(_) | State::Empty | State::Healthy(_) | State::Aborted(_) => None,
    };
    match (paused(before), paused(after)) {
        (None | Some(Pause::Step | Pause::Inconclusive), Some(Pause::Manual)) => {
            return decision(
                What::Paused,
                By::Operator,
                "paused by hand".to_owned(),
                &new.revision,
            );
        }
        (None | Some(Pause::Step | Pause::Inconclusive), Some(Pause::Spec)) => {
            return decision(
                What::Paused,
                By::Operator,
                "spec.paused is set".to_owned(),
                &new.revision,
            );
        }
        (None | Some(Pause::Step), Some(Pause::Inconclusive)) => {
            let why = "the evidence of the step stayed inconclusive".to_owned();
            return decision(What::Held, By::Plan, why, &new.revision);
        }
        (Some(Pause::Manual | Pause::Spec), None) if old.place == new.place => {
            return decision(
                What::Resumed,
                By::Operator,
                "resumed".to_owned(),
                &new.revision,
            );
        }
        _ => {}
    }
    let weight_changed = old.share != new.share;
    if old.place == new.place && !weight_changed {
        return None;
    }
    let waited = new.entered_at.duration_since(old.entered_at);
    let (by, why) = advanced(plan, old.place, new.place, waited, judgement);
    // Passing a step that changes nothing for users is no news.
    (weight_changed || by == By::Guard)
        .then(|| decision(What::Advanced, by, why, &new.revision))
        .flatten()
}

fn advanced(
    plan: &Plan,
    old: Place,
    new: Place,
    waited: SignedDuration,
    judgement: Option<&Judgement>,
) -> (By, String) {
    let title = |place: Place| match place {
        Place::Start => "start".to_owned(),
        Place::Step(index) => plan
            .steps
            .get(index)
            .map(ToString::to_string)
            .unwrap_or_default(),
        Place::End => "all traffic".to_owned(),
        Place::Watch => "the old version stays warm".to_owned(),
    };
    let left = match old {
        Place::Step(index) => plan.steps.get(index),
        Place::Start | Place::End | Place::Watch => None,
    };
    match left {
        // Whatever it stood at, it waited for nothing.
        Some(_) if let Some(Judgement::RollForward { why }) = judgement => {
            (By::Guard, format!("{why}; next: {}", title(new)))
        }
        Some(Step::Evidence(step)) if waited.unsigned_abs() >= step.max_duration => (
            By::Plan,
            format!("the evidence stayed inconclusive; next: {}", title(new)),
        ),
        Some(Step::Evidence(_)) => (
            By::Guard,
            format!("the evidence is there; next: {}", title(new)),
        ),
        _ => (By::Plan, title(new)),
    }
}
