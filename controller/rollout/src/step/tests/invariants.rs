//! What holds after every step, whatever the plan is and whatever happened.

use std::{collections::HashSet, time::Duration};

use jiff::Timestamp;
use traffic::Weight;

use crate::{
    Acceptance, Canary, Judgement, Observation, Pause, Place, Plan, Stable, State, Transition,
    Trial, Verdict, step,
};

/// One call of [`step`]: what went in and what came out.
pub(super) struct Look<'a> {
    pub(super) plan: &'a Plan,
    pub(super) before: &'a State,
    pub(super) seen: &'a Observation,
    pub(super) after: &'a Transition,
    pub(super) now: Timestamp,
}

/// Whether the observation convicts the canary under way, if it is still wanted.
pub(super) fn convicts(plan: &Plan, before: &State, seen: &Observation) -> bool {
    let on_it = |verdict: &Verdict| {
        matches!(
            verdict.judgement,
            Judgement::RollBack { .. } | Judgement::Tripped { .. }
        ) && before.trial().as_ref() == Some(&verdict.trial)
            && verdict.trial.revision == plan.revision
    };
    plan.guard && seen.verdict.as_ref().is_some_and(on_it)
}

/// Checks one look; `convicted` says whether the guard has ever convicted the present trial.
pub(super) fn check(look: &Look<'_>, convicted: bool) {
    idempotent(look);
    survives_storing(look);
    asks_for_what_the_state_says(look);
    obeys_the_verdict(look);
    promotes_only_what_may_be(look, convicted);
    stays_where_it_must(look);
    ignores_what_is_said_of_other_trials(look);
    remembers_older_revisions_once(look);
    watches_to_the_end(look);
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
    if state.canary().is_none() || look.seen.canary_endpoints == 0 {
        assert_eq!(effects.weight, Weight::ZERO, "nothing can take the traffic");
        assert!(effects.header_routes.is_empty());
    }
}

fn obeys_the_verdict(look: &Look<'_>) {
    if convicts(look.plan, look.before, look.seen) {
        let aborted = matches!(look.after.state, State::Aborted(_));
        assert!(aborted, "a convicted canary goes on: {:?}", look.after);
    }
}

fn promotes_only_what_may_be(look: &Look<'_>, convicted: bool) {
    let (Some(old), Some(new)) = (look.before.stable(), look.after.state.stable()) else {
        return;
    };
    if old == new {
        return;
    }
    let canary = look.before.canary().expect("only a canary is promoted");
    assert_eq!(new.revision, canary.revision);
    assert_eq!(new.slot, old.slot.other());
    assert!(matches!(look.after.state, State::Healthy(_)));
    assert_eq!(
        look.seen.serving,
        Some(Weight::FULL),
        "promoted without all the traffic"
    );
    assert!(!convicted, "promoted after a verdict against it");
    assert!(!look.plan.paused, "promoted while the spec pauses it");
}

/// Final states stay, and what is paused or held stays where it is, but for a held canary that comes to its first step.
fn stays_where_it_must(look: &Look<'_>) {
    match look.before {
        State::Healthy(healthy) if healthy.stable.revision == look.plan.revision => {
            assert_eq!(&look.after.state, look.before, "healthy is final");
        }
        State::Aborted(aborted) if aborted.canary == look.plan.revision => {
            assert_eq!(&look.after.state, look.before, "aborted is final");
        }
        State::Empty | State::Healthy(_) | State::Aborted(_) => {}
        State::Progressing(canary) => stays(look, canary, false),
        State::Paused { canary, pause } => stays(look, canary, *pause == Pause::Manual),
    }
}

fn stays(look: &Look<'_>, canary: &Canary, manual: bool) {
    let held = look.plan.guard
        && !canary.full
        && canary.steps_hash == look.plan.steps.hash()
        && look.seen.verdict.as_ref().is_some_and(|verdict| {
            verdict.trial == canary.trial() && matches!(verdict.judgement, Judgement::Hold { .. })
        });
    let same = look
        .after
        .state
        .canary()
        .filter(|now| now.trial() == canary.trial());
    let Some(now) = same else { return };
    if held && !manual && !look.plan.paused && canary.place == Place::Start {
        let first = [Place::Start, Place::Step(0)];
        assert!(
            first.contains(&now.place),
            "a held canary passes its first step"
        );
        assert_eq!(now.share, look.plan.steps.share(now.place));
    } else if manual || look.plan.paused || held {
        assert_eq!(now.place, canary.place, "a paused or held canary moves");
        assert_eq!(now.share, canary.share);
    }
}

fn remembers_older_revisions_once(look: &Look<'_>) {
    let Some(stable) = look.after.state.stable() else {
        return;
    };
    let once: HashSet<_> = stable.before.iter().chain([&stable.revision]).collect();
    assert_eq!(once.len(), stable.before.len() + 1, "{stable:?}");
    assert!(stable.before.len() <= Stable::REMEMBERED);
}

/// The old version is not let go before its time, and nothing leads from the watch back into the steps.
fn watches_to_the_end(look: &Look<'_>) {
    let Some(old) = look.before.canary() else {
        return;
    };
    match &look.after.state {
        State::Healthy(healthy)
            if healthy.stable.revision == old.revision && !look.plan.terms.watch.is_zero() =>
        {
            assert_eq!(old.place, Place::Watch);
            let until = old.entered_at + look.plan.terms.watch;
            assert!(until <= look.now, "promoted before the watch was over");
        }
        State::Progressing(new) | State::Paused { canary: new, .. }
            if old.place == Place::Watch && new.trial() == old.trial() =>
        {
            assert_eq!(new.place, Place::Watch);
        }
        _ => {}
    }
}

fn ignores_what_is_said_of_other_trials(look: &Look<'_>) {
    let Some(trial) = look.after.state.trial() else {
        return;
    };
    let with = |verdict| {
        let seen = Observation {
            verdict,
            ..look.seen.clone()
        };
        step(look.plan, look.after.state.clone(), &seen, look.now)
    };
    let other = Verdict {
        trial: Trial {
            started_at: trial.started_at - Duration::from_nanos(1),
            ..trial
        },
        judgement: Judgement::RollBack {
            why: "of another".to_owned(),
        },
        acceptance: Some(Acceptance::Met),
    };
    assert_eq!(
        with(Some(other)),
        with(None),
        "a verdict on another trial acts"
    );
}
