//! The transition function: the only place where a rollout's state follows from what is observed.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use traffic::Weight;

use crate::effect::Effects;
use crate::observation::{Acceptance, Judgement, Observation, Verdict};
use crate::plan::{EvidenceStep, OnInconclusive, Place, Plan, Step};
use crate::reason::Reason;
use crate::state::{Aborted, Cause, Flight, Healthy, Outcome, Pause, Slot, Stable, State};

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
        State::Healthy(healthy) => fly(
            plan,
            Flight::begin(plan, healthy.stable, now),
            None,
            seen,
            now,
        ),
        State::Progressing(flight) => follow(plan, flight, None, seen, now),
        State::Paused { flight, pause } => follow(plan, flight, Some(pause), seen, now),
        State::Aborted(aborted) if plan.revision == aborted.stable.revision => {
            Settled::healthy(returned(aborted.stable, now), seen)
        }
        State::Aborted(aborted) if plan.revision == aborted.canary => Settled::aborted(aborted),
        State::Aborted(aborted) => fly(
            plan,
            Flight::begin(plan, aborted.stable, now),
            None,
            seen,
            now,
        ),
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

    fn paused(flight: Flight, pause: Pause, wake_at: Option<Timestamp>) -> Self {
        Self {
            state: State::Paused { flight, pause },
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

/// Goes on with a canary, unless the plan asks for another revision. A pause by a person is one of the rollout and
/// not of the revision, so it outlives the canary.
fn follow(
    plan: &Plan,
    flight: Flight,
    pause: Option<Pause>,
    seen: &Observation,
    now: Timestamp,
) -> Settled {
    if plan.revision == flight.stable.revision {
        Settled::healthy(returned(flight.stable, now), seen)
    } else if plan.revision == flight.canary {
        fly(plan, flight, pause, seen, now)
    } else {
        let manual = pause.filter(|pause| *pause == Pause::Manual);
        fly(
            plan,
            Flight::begin(plan, flight.stable, now),
            manual,
            seen,
            now,
        )
    }
}

/// What stops a canary comes first, what pauses it next; only then does it move.
fn fly(
    plan: &Plan,
    flight: Flight,
    pause: Option<Pause>,
    seen: &Observation,
    now: Timestamp,
) -> Settled {
    let flight = flight.observed(seen.canary_endpoints, now);
    if let Some(Judgement::RollBack { why }) = judgement(plan, &flight, seen) {
        return Settled::aborted(flight.abort(Cause::Verdict { why: why.clone() }, now));
    }
    if pause == Some(Pause::Manual) {
        return Settled::paused(flight, Pause::Manual, None);
    }
    if plan.paused {
        return Settled::paused(flight, Pause::Spec, None);
    }
    let undecided = pause == Some(Pause::Inconclusive) && flight.steps_hash == plan.steps.hash();
    let flight = flight.with_steps(plan, now);
    if undecided {
        return Settled::paused(flight, Pause::Inconclusive, None);
    }
    walk(plan, flight, seen, now)
}

/// Passes every step that waits for nothing more. It ends, as a place is passed only for a later one, and the last
/// is never passed.
fn walk(plan: &Plan, mut flight: Flight, seen: &Observation, now: Timestamp) -> Settled {
    loop {
        match look(plan, &flight, seen, now) {
            Look::Pass => {
                let next = flight.next(plan);
                flight = flight.at(next, plan, now);
            }
            Look::Promote => return Settled::healthy(flight.promote(now), seen),
            Look::Abort(cause) => return Settled::aborted(flight.abort(cause, now)),
            Look::Pause { pause, until } => return Settled::paused(flight, pause, until),
            Look::Wait { until, reason } => {
                return Settled {
                    state: State::Progressing(flight),
                    wake_at: until,
                    reason,
                };
            }
        }
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

fn look(plan: &Plan, flight: &Flight, seen: &Observation, now: Timestamp) -> Look {
    if !flight.reachable {
        return Look::wait(Reason::CanaryHasNoEndpoints);
    }
    if let Some(Judgement::Hold { why }) = judgement(plan, flight, seen)
        && !flight.full
    {
        return Look::wait(Reason::Held { why: why.clone() });
    }
    let index = match flight.place {
        Place::Start => return start(flight, seen, now),
        Place::Step(index) => index,
        Place::End => return served(Weight::FULL, seen, Look::Promote),
    };
    match plan.steps.get(index) {
        Some(Step::SetWeight(weight)) => served(*weight, seen, Look::Pass),
        Some(Step::Pause(time)) => {
            let until = time.map(|time| later(flight.entered_at, time));
            match until {
                Some(until) if until <= now => Look::Pass,
                _ => Look::Pause {
                    pause: Pause::Step,
                    until,
                },
            }
        }
        Some(Step::Evidence(step)) => evidence(index, step, flight, seen, now),
        // A place beyond the steps can only come from a state that was edited by hand; the end follows it.
        Some(Step::SetHeaderRoute(_) | Step::NoEffect { .. }) | None => Look::Pass,
    }
}

/// A canary stays without traffic for one look at least: what is observed at the moment that it begins was served to
/// whatever was in its place before.
fn start(flight: &Flight, seen: &Observation, now: Timestamp) -> Look {
    if flight.entered_at < now {
        served(Weight::ZERO, seen, Look::Pass)
    } else {
        Look::Wait {
            until: Some(later(now, LOOK_AGAIN)),
            reason: Reason::Started {
                canary: flight.canary.clone(),
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
    flight: &Flight,
    seen: &Observation,
    now: Timestamp,
) -> Look {
    let least = later(flight.entered_at, step.min_duration);
    let longest = later(flight.entered_at, step.max_duration);
    // What was observed at the moment of entering was measured before, for an earlier step.
    let met = flight.entered_at < now && acceptance(flight, seen) == Some(Acceptance::Met);
    if met && least <= now {
        return Look::Pass;
    }
    if met {
        return Look::Wait {
            until: Some(least),
            reason: Reason::EvidenceMet { until: least },
        };
    }
    if now < longest {
        return Look::Wait {
            until: Some(longest),
            reason: Reason::EvidencePending { until: longest },
        };
    }
    match step.on_inconclusive {
        OnInconclusive::Hold => Look::Pause {
            pause: Pause::Inconclusive,
            until: None,
        },
        OnInconclusive::Promote => Look::Pass,
        OnInconclusive::Abort => Look::Abort(Cause::Inconclusive { step: index }),
    }
}

fn judgement<'a>(plan: &Plan, flight: &Flight, seen: &'a Observation) -> Option<&'a Judgement> {
    verdict(flight, seen)
        .filter(|_| plan.guard)
        .map(|verdict| &verdict.judgement)
}

fn acceptance(flight: &Flight, seen: &Observation) -> Option<Acceptance> {
    verdict(flight, seen).and_then(|verdict| verdict.acceptance)
}

/// The verdict, if it is on this canary's trial.
fn verdict<'a>(flight: &Flight, seen: &'a Observation) -> Option<&'a Verdict> {
    seen.verdict
        .as_ref()
        .filter(|verdict| verdict.trial == flight.trial())
}

fn later(from: Timestamp, by: Duration) -> Timestamp {
    let by = SignedDuration::try_from(by).unwrap_or(SignedDuration::MAX);
    from.saturating_add(by).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests;
