//! The transition function: the only place where a rollout's state follows from what is observed.

use std::time::Duration;

use jiff::Timestamp;
use traffic::Weight;

use crate::effect::Effects;
use crate::observation::{Acceptance, Judgement, Observation, Verdict};
use crate::plan::{EvidenceStep, OnInconclusive, Place, Plan, Step};
use crate::reason::Reason;
use crate::state::{Aborted, Canary, Cause, Healthy, Outcome, Pause, Slot, Stable, State};

mod evidence;

pub use evidence::EvidenceSays;

use evidence::later;

/// How soon to look again where only a newer observation is missing: soon to a person, seldom to a machine.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// What follows from a state and an observation.
#[derive(Clone, Debug, PartialEq)]
pub struct Transition {
    /// The state now. Effects go first and the storing after them, so that no disk holds an abort back; a crash in
    /// between leads here again. A verb is to be answered when its state is stored.
    pub state: State,
    /// What the world is to be like now.
    pub effects: Effects,
    /// When to ask again if nothing is observed before.
    pub wake_at: Option<Timestamp>,
    /// Why the rollout is where it is.
    pub reason: Reason,
}

/// The state that follows from `state`, with what it asks for.
///
/// Steps that wait for nothing are passed in one call. The function is total: it has an answer for every plan, state,
/// observation and time, also when the clock ran backwards. Applied again to its own result, with the same plan,
/// observation and time, it changes nothing.
pub fn step(plan: &Plan, state: State, seen: &Observation, now: Timestamp) -> Transition {
    let settled = match state {
        State::Empty => Settled::healthy(deployed(plan, now), seen),
        State::Healthy(healthy) if plan.revision == healthy.stable.revision => {
            Settled::healthy(healthy, seen)
        }
        State::Healthy(healthy) => begin(plan, healthy.stable, None, seen, now),
        State::Progressing(canary) => follow(plan, canary, None, seen, now),
        State::Paused { canary, pause } => follow(plan, canary, Some(pause), seen, now),
        State::Aborted(aborted) if plan.revision == aborted.stable.revision => {
            Settled::healthy(returned(aborted.stable, now), seen)
        }
        State::Aborted(aborted) if plan.revision == aborted.canary => Settled::aborted(aborted),
        State::Aborted(aborted) => begin(plan, aborted.stable, None, seen, now),
    };
    Transition {
        effects: Effects::of(&settled.state),
        state: settled.state,
        wake_at: settled.wake_at,
        reason: settled.reason,
    }
}

/// A state that nothing observed so far leads out of.
struct Settled {
    state: State,
    wake_at: Option<Timestamp>,
    reason: Reason,
}

impl Settled {
    fn healthy(healthy: Healthy, seen: &Observation) -> Self {
        let revision = healthy.stable.revision.clone();
        let reason = if seen.stable_endpoints == 0 {
            Reason::StableHasNoEndpoints { revision }
        } else {
            Reason::Healthy {
                revision,
                outcome: healthy.outcome,
            }
        };
        Self {
            state: State::Healthy(healthy),
            wake_at: None,
            reason,
        }
    }

    fn aborted(aborted: Aborted) -> Self {
        Self {
            reason: Reason::Aborted {
                canary: aborted.canary.clone(),
                cause: aborted.cause.clone(),
            },
            state: State::Aborted(aborted),
            wake_at: None,
        }
    }

    fn paused(canary: Canary, pause: Pause, wake_at: Option<Timestamp>) -> Self {
        Self {
            state: State::Paused { canary, pause },
            wake_at,
            reason: match pause {
                Pause::Step => Reason::PauseStep { until: wake_at },
                Pause::Manual => Reason::PausedManually,
                Pause::Spec => Reason::PausedBySpec,
                Pause::Inconclusive => Reason::Inconclusive,
            },
        }
    }
}

/// The first revision serves at once: there is nothing to compare it with.
fn deployed(plan: &Plan, now: Timestamp) -> Healthy {
    Healthy {
        stable: Stable {
            revision: plan.revision.clone(),
            slot: Slot::First,
            before: Vec::new(),
        },
        since: now,
        outcome: Outcome::Deployed,
    }
}

fn returned(stable: Stable, now: Timestamp) -> Healthy {
    Healthy {
        stable,
        since: now,
        outcome: Outcome::Returned,
    }
}

/// Starts a canary of the plan's revision beside `stable`.
fn begin(
    plan: &Plan,
    stable: Stable,
    pause: Option<Pause>,
    seen: &Observation,
    now: Timestamp,
) -> Settled {
    advance(plan, Canary::begin(plan, stable, now), pause, seen, now)
}

/// Goes on with a canary, unless the plan asks for another revision. A pause by a person is one of the rollout and
/// not of the revision, so it outlives the canary.
fn follow(
    plan: &Plan,
    canary: Canary,
    pause: Option<Pause>,
    seen: &Observation,
    now: Timestamp,
) -> Settled {
    if plan.revision == canary.stable.revision {
        Settled::healthy(returned(canary.stable, now), seen)
    } else if plan.revision == canary.revision {
        advance(plan, canary, pause, seen, now)
    } else {
        let manual = pause.filter(|pause| *pause == Pause::Manual);
        begin(plan, canary.stable, manual, seen, now)
    }
}

/// What stops a canary comes first, what pauses it next; only then does it move.
fn advance(
    plan: &Plan,
    canary: Canary,
    pause: Option<Pause>,
    seen: &Observation,
    now: Timestamp,
) -> Settled {
    let canary = canary.observed(seen.canary_endpoints, now);
    if let Some(cause) = judgement(plan, &canary, seen).and_then(conviction) {
        return Settled::aborted(canary.abort(cause, now));
    }
    if pause == Some(Pause::Manual) {
        return Settled::paused(canary, Pause::Manual, None);
    }
    if plan.paused {
        return Settled::paused(canary, Pause::Spec, None);
    }
    let undecided = pause == Some(Pause::Inconclusive) && canary.steps_hash == plan.steps.hash();
    let canary = canary.with_steps(plan, now);
    if undecided {
        return Settled::paused(canary, Pause::Inconclusive, None);
    }
    walk(plan, canary, seen, now)
}

/// Passes every step that waits for nothing more. It ends, as a place is passed only for a later one, and the last
/// is never passed.
fn walk(plan: &Plan, mut canary: Canary, seen: &Observation, now: Timestamp) -> Settled {
    loop {
        match look(plan, &canary, seen, now) {
            Look::Pass => {
                let next = canary.next(plan);
                canary = canary.at(next, plan, now);
            }
            Look::Promote => return Settled::healthy(canary.promote(now), seen),
            Look::Abort(cause) => return Settled::aborted(canary.abort(cause, now)),
            Look::Pause { pause, until } => return Settled::paused(canary, pause, until),
            Look::Wait { until, reason } => return wait(plan, canary, until, reason, now),
        }
    }
}

/// A canary that waits where it is, and may do so for no longer than the plan says when it waits for what should be
/// there at once.
fn wait(
    plan: &Plan,
    canary: Canary,
    until: Option<Timestamp>,
    reason: Reason,
    now: Timestamp,
) -> Settled {
    let should_move = match reason {
        Reason::CanaryHasNoEndpoints => true,
        Reason::WeightNotServed { .. } => canary.place != Place::Watch,
        _ => false,
    };
    let deadline = plan.terms.deadline;
    let due = deadline
        .after
        .filter(|_| should_move)
        .map(|after| later(canary.entered_at, after));
    let late = due.is_some_and(|due| due <= now);
    if late && deadline.abort {
        let waited = reason.to_string();
        return Settled::aborted(canary.abort(Cause::Deadline { waited }, now));
    }
    Settled {
        state: State::Progressing(Canary { late, ..canary }),
        wake_at: until.or_else(|| due.filter(|_| !late)),
        reason: if late {
            Reason::NoProgress {
                waits: reason.to_string(),
            }
        } else {
            reason
        },
    }
}

/// What a canary's place says to it.
enum Look {
    Pass,
    Promote,
    Abort(Cause),
    Pause {
        pause: Pause,
        until: Option<Timestamp>,
    },
    Wait {
        until: Option<Timestamp>,
        reason: Reason,
    },
}

impl Look {
    fn wait(reason: Reason) -> Self {
        Self::Wait {
            until: None,
            reason,
        }
    }
}

fn look(plan: &Plan, canary: &Canary, seen: &Observation, now: Timestamp) -> Look {
    if !canary.reachable {
        return Look::wait(Reason::CanaryHasNoEndpoints);
    }
    // A hold does not keep a canary from its first step: when stable is the broken version, the canary is the cure.
    let begins = canary.place == Place::Start && !plan.steps.is_empty();
    if let Some(Judgement::Hold { why }) = judgement(plan, canary, seen)
        && !canary.full
        && !begins
    {
        return Look::wait(Reason::Held { why: why.clone() });
    }
    let index = match canary.place {
        Place::Start => return start(canary, seen, now),
        Place::Step(index) => index,
        Place::End => return served(Weight::FULL, seen, Look::Pass),
        Place::Watch => return served(Weight::FULL, seen, watched(plan, canary, now)),
    };
    let forward = matches!(
        judgement(plan, canary, seen),
        Some(Judgement::RollForward { .. })
    );
    match plan.steps.get(index) {
        Some(Step::SetWeight(weight)) => served(*weight, seen, Look::Pass),
        Some(Step::Pause(Some(_)) | Step::Evidence(_)) if forward => Look::Pass,
        Some(Step::Pause(time)) => {
            let until = time.map(|time| later(canary.entered_at, time));
            match until {
                Some(until) if until <= now => Look::Pass,
                _ => Look::Pause {
                    pause: Pause::Step,
                    until,
                },
            }
        }
        Some(Step::Evidence(step)) => evidence(index, step, canary, seen, now),
        // A place beyond the steps can only come from a state that was edited by hand; the end follows it.
        Some(Step::SetHeaderRoute(_) | Step::SetMirrorRoute(_) | Step::NoEffect { .. }) | None => {
            Look::Pass
        }
    }
}

/// A canary that has all traffic is stable when its watch is over, and at once where there is none.
fn watched(plan: &Plan, canary: &Canary, now: Timestamp) -> Look {
    let until = later(canary.entered_at, plan.terms.watch);
    if until <= now {
        Look::Promote
    } else {
        Look::Wait {
            until: Some(until),
            reason: Reason::Watched {
                old: canary.stable.revision.clone(),
                until,
            },
        }
    }
}

/// A canary stays without traffic for one look at least: what is observed at the moment that it begins was served to
/// whatever was in its place before.
fn start(canary: &Canary, seen: &Observation, now: Timestamp) -> Look {
    if canary.entered_at < now {
        served(Weight::ZERO, seen, Look::Pass)
    } else {
        Look::Wait {
            until: Some(later(now, LOOK_AGAIN)),
            reason: Reason::Started {
                canary: canary.revision.clone(),
            },
        }
    }
}

/// `then`, once every proxy serves `wanted`.
fn served(wanted: Weight, seen: &Observation, then: Look) -> Look {
    if seen.serving == Some(wanted) {
        then
    } else {
        Look::wait(Reason::WeightNotServed {
            wanted,
            serving: seen.serving,
        })
    }
}

fn evidence(
    index: usize,
    step: &EvidenceStep,
    canary: &Canary,
    seen: &Observation,
    now: Timestamp,
) -> Look {
    let met = acceptance(canary, seen) == Some(Acceptance::Met);
    match step.says(canary.entered_at, met, now) {
        EvidenceSays::Pass | EvidenceSays::Inconclusive(OnInconclusive::Promote) => Look::Pass,
        EvidenceSays::Met { until } => Look::Wait {
            until: Some(until),
            reason: Reason::EvidenceMet { until },
        },
        EvidenceSays::Pending { until } => Look::Wait {
            until: Some(until),
            reason: Reason::EvidencePending { until },
        },
        EvidenceSays::Inconclusive(OnInconclusive::Hold) => Look::Pause {
            pause: Pause::Inconclusive,
            until: None,
        },
        EvidenceSays::Inconclusive(OnInconclusive::Abort) => {
            Look::Abort(Cause::Inconclusive { step: index })
        }
    }
}

/// What `judgement` stops a canary for, if it does.
fn conviction(judgement: &Judgement) -> Option<Cause> {
    match judgement {
        Judgement::RollBack { why } => Some(Cause::Verdict { why: why.clone() }),
        Judgement::Tripped { why } => Some(Cause::Tripped { why: why.clone() }),
        Judgement::Undecided | Judgement::RollForward { .. } | Judgement::Hold { .. } => None,
    }
}

fn judgement<'a>(plan: &Plan, canary: &Canary, seen: &'a Observation) -> Option<&'a Judgement> {
    verdict(canary, seen)
        .filter(|_| plan.guard)
        .map(|verdict| &verdict.judgement)
}

fn acceptance(canary: &Canary, seen: &Observation) -> Option<Acceptance> {
    verdict(canary, seen).and_then(|verdict| verdict.acceptance)
}

/// The verdict, if it is on this canary's trial.
fn verdict<'a>(canary: &Canary, seen: &'a Observation) -> Option<&'a Verdict> {
    seen.verdict
        .as_ref()
        .filter(|verdict| verdict.trial == canary.trial())
}

#[cfg(test)]
mod tests;
