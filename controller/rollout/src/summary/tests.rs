use std::time::Duration;

use jiff::Timestamp;
use traffic::RolloutId;

use super::*;
use crate::{
    Canary, Cause, Healthy, OnInconclusive, Outcome, Revision, Slot, Stable, Steps, Terms,
};

fn plan() -> Plan {
    let weight = |percent| Step::SetWeight(Weight::from_percent(percent).unwrap());
    let evidence = Step::Evidence(EvidenceStep {
        harm_budget: 0.005,
        beta: 0.05,
        min_duration: Duration::ZERO,
        max_duration: Duration::from_secs(900),
        on_inconclusive: OnInconclusive::Hold,
    });
    Plan {
        rollout: RolloutId::new("default", "shop"),
        revision: Revision::new("v2"),
        steps: Steps::new(
            vec![weight(5), evidence.clone(), weight(25), evidence],
            "steps",
        )
        .unwrap(),
        paused: false,
        guard: true,
        terms: Terms::default(),
    }
}

fn stable(revision: &str) -> Stable {
    Stable {
        revision: Revision::new(revision),
        slot: Slot::First,
        before: Vec::new(),
    }
}

fn healthy(revision: &str) -> State {
    State::Healthy(Healthy {
        stable: stable(revision),
        since: Timestamp::UNIX_EPOCH,
        outcome: Outcome::Promoted,
    })
}

fn canary(place: Place) -> Canary {
    Canary::begin(&plan(), stable("v1"), Timestamp::UNIX_EPOCH)
        .at(place, &plan(), Timestamp::UNIX_EPOCH)
        .observed(1, Timestamp::UNIX_EPOCH)
}

fn paused(pause: Pause) -> State {
    State::Paused {
        canary: canary(Place::Step(1)),
        pause,
    }
}

fn aborted() -> State {
    let cause = Cause::Verb {
        by: "alice".to_owned(),
    };
    State::Aborted(canary(Place::Step(1)).abort(cause, Timestamp::UNIX_EPOCH))
}

#[test]
fn the_summary_has_the_phases_and_messages_that_other_tools_look_for() {
    let spec_paused = Plan {
        paused: true,
        ..plan()
    };
    let reverted = Plan {
        revision: Revision::new("v1"),
        ..plan()
    };
    let unseen = "0/4 0% Progressing: waiting for rollout spec update to be observed";
    let cases = [
        (State::Empty, plan(), unseen),
        (healthy("v2"), plan(), "4/4 0% Healthy: "),
        (healthy("v1"), plan(), &unseen.replace("0/4", "4/4")),
        (
            healthy("v2"),
            spec_paused.clone(),
            "4/4 0% Paused: manually paused",
        ),
        (
            State::Progressing(canary(Place::Step(2))),
            plan(),
            "2/4 25% Progressing: waiting for all steps to complete",
        ),
        (
            paused(Pause::Step),
            plan(),
            "1/4 5% Paused: CanaryPauseStep",
        ),
        (
            paused(Pause::Manual),
            plan(),
            "1/4 5% Paused: manually paused",
        ),
        (
            paused(Pause::Inconclusive),
            plan(),
            "1/4 5% Paused: InconclusiveAnalysisRun",
        ),
        (
            paused(Pause::Inconclusive),
            spec_paused.clone(),
            "1/4 5% Paused: manually paused",
        ),
        (
            aborted(),
            plan(),
            "0/4 0% Degraded: RolloutAborted: aborted by alice",
        ),
        (
            aborted(),
            spec_paused,
            "0/4 0% Degraded: RolloutAborted: aborted by alice",
        ),
        (aborted(), reverted, unseen),
    ];
    for (state, plan, expected) in cases {
        let Summary {
            phase,
            message,
            step,
            steps,
            weight,
        } = state.summary(&plan);
        assert_eq!(
            format!("{step}/{steps} {weight} {phase}: {message}"),
            expected
        );
    }
}

#[test]
fn an_evidence_step_is_asked_what_the_next_weight_does() {
    let plan = plan();
    let other_steps = Plan {
        steps: Steps::new(plan.steps.iter().cloned().collect(), "other").unwrap(),
        ..plan.clone()
    };
    let asked = |plan: &Plan, place| {
        acceptance_target(plan, &State::Progressing(canary(place)))
            .map(|target| (target.step, target.from.to_string(), target.to.to_string()))
    };
    let target = |step, from: &str, to: &str| Some((step, from.to_owned(), to.to_owned()));
    assert_eq!(asked(&plan, Place::Start), None);
    assert_eq!(asked(&plan, Place::Step(0)), None);
    assert_eq!(asked(&plan, Place::Step(1)), target(1, "5%", "25%"));
    assert_eq!(asked(&plan, Place::Step(3)), target(3, "25%", "100%"));
    assert_eq!(asked(&plan, Place::End), None);
    assert_eq!(asked(&other_steps, Place::Step(1)), None);
    assert_eq!(acceptance_target(&plan, &healthy("v1")), None);
    assert!(acceptance_target(&plan, &paused(Pause::Inconclusive)).is_some());
}
