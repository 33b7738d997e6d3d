//! What holds after every step, whatever the plan is and whatever happened.

use jiff::Timestamp;
use traffic::Weight;

use crate::{Flight, Judgement, Observation, Pause, Plan, State, Transition, Trial, step};

/// One call of [`step`]: what went in and what came out.
pub(super) struct Look<'a> {
    pub(super) plan: &'a Plan,
    pub(super) before: &'a State,
    pub(super) seen: &'a Observation,
    pub(super) after: &'a Transition,
    pub(super) now: Timestamp,
}

/// The trial that the observation convicts, if it is under way and still wanted.
pub(super) fn convicted(plan: &Plan, before: &State, seen: &Observation) -> Option<Trial> {
    let trial = before.trial()?;
    let verdict = seen.verdict.as_ref()?;
    let convicts = plan.guard
        && matches!(verdict.judgement, Judgement::RollBack { .. })
        && verdict.trial == trial
        && trial.canary == plan.revision;
    convicts.then_some(trial)
}

/// Checks one look, in a world in which the guard has convicted the trials `convicted` so far.
pub(super) fn check(look: &Look<'_>, convicted: &[Trial]) {
    idempotent(look);
    survives_storing(look);
    asks_for_what_the_state_says(look);
    obeys_the_verdict(look);
    promotes_only_what_may_be(look, convicted);
    stays_where_it_must(look);
}

fn idempotent(look: &Look<'_>) {
    let again = step(look.plan, look.after.state.clone(), look.seen, look.now);
    assert_eq!(
        &again, look.after,
        "the same observation again changes something"
    );
}

fn survives_storing(look: &Look<'_>) {
    let stored = serde_json::to_string(&look.after.state).unwrap();
    let restored: State = serde_json::from_str(&stored).unwrap();
    assert_eq!(
        restored, look.after.state,
        "the state does not survive being stored"
    );
}

fn asks_for_what_the_state_says(look: &Look<'_>) {
    let Transition {
        state,
        effects,
        wake_at,
        ..
    } = look.after;
    assert_eq!(effects.stable.as_ref(), state.stable());
    assert!(
        wake_at.is_none_or(|at| at > look.now),
        "it asks to be woken in the past"
    );
    if state.flight().is_none() || look.seen.canary_endpoints == 0 {
        assert_eq!(effects.weight, Weight::ZERO, "nothing can take the traffic");
        assert!(effects.header_routes.is_empty());
    }
}

fn obeys_the_verdict(look: &Look<'_>) {
    if convicted(look.plan, look.before, look.seen).is_some() {
        let aborted = matches!(look.after.state, State::Aborted(_));
        assert!(aborted, "a convicted canary goes on: {:?}", look.after);
    }
}

fn promotes_only_what_may_be(look: &Look<'_>, convicted: &[Trial]) {
    let (Some(old), Some(new)) = (look.before.stable(), look.after.state.stable()) else {
        return;
    };
    if old == new {
        return;
    }
    let flight = look.before.flight().expect("only a canary is promoted");
    assert_eq!(new.revision, flight.canary);
    assert_eq!(new.slot, old.slot.other());
    assert!(matches!(look.after.state, State::Healthy(_)));
    assert_eq!(
        look.seen.serving,
        Some(Weight::FULL),
        "promoted without all the traffic"
    );
    assert!(
        !convicted.contains(&flight.trial()),
        "promoted after a verdict against it"
    );
    assert!(!look.plan.paused, "promoted while the spec pauses it");
}

/// Final states stay, and what is paused or held stays where it is.
fn stays_where_it_must(look: &Look<'_>) {
    match look.before {
        State::Healthy(healthy) if healthy.stable.revision == look.plan.revision => {
            assert_eq!(&look.after.state, look.before, "healthy is final");
        }
        State::Aborted(aborted) if aborted.canary == look.plan.revision => {
            assert_eq!(&look.after.state, look.before, "aborted is final");
        }
        State::Empty | State::Healthy(_) | State::Aborted(_) => {}
        State::Progressing(flight) => stays(look, flight, false),
        State::Paused { flight, pause } => stays(look, flight, *pause == Pause::Manual),
    }
}

fn stays(look: &Look<'_>, flight: &Flight, manual: bool) {
    let held = look.plan.guard
        && !flight.full
        && flight.steps_hash == look.plan.steps.hash()
        && look.seen.verdict.as_ref().is_some_and(|verdict| {
            verdict.trial == flight.trial() && matches!(verdict.judgement, Judgement::Hold { .. })
        });
    let same = look
        .after
        .state
        .flight()
        .filter(|now| now.trial() == flight.trial());
    if let Some(now) = same.filter(|_| manual || look.plan.paused || held) {
        assert_eq!(now.place, flight.place, "a paused or held canary moves");
        assert_eq!(now.share, flight.share);
    }
}
