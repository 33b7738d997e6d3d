//! Any plan, any order of events: the invariants of the world hold, and nothing is stuck.

use std::time::Duration;

use proptest::prelude::*;
use traffic::Weight;

use super::world::{Event, World};
use crate::plan::{HeaderMatch, TextMatch};
use crate::{
    Acceptance, Cause, Deadline, EvidenceStep, HeaderRoute, Judgement, OnInconclusive, Place, Plan,
    Revision, State, Step, Steps, Terms, Verb, step,
};

fn any_step() -> impl Strategy<Value = Step> {
    let short = || (0..=20_000u64).prop_map(Duration::from_millis);
    let then = prop_oneof![
        Just(OnInconclusive::Hold),
        Just(OnInconclusive::Promote),
        Just(OnInconclusive::Abort)
    ];
    prop_oneof![
        3 => (0..=10_000u16).prop_map(|bp| Step::SetWeight(Weight::from_basis_points(bp).unwrap())),
        2 => proptest::option::of(short()).prop_map(Step::Pause),
        1 => ("[ab]", any::<bool>()).prop_map(|(name, set)| Step::SetHeaderRoute(HeaderRoute {
            name,
            matches: if set {
                vec![HeaderMatch { name: "x-beta".to_owned(), value: TextMatch::Exact("yes".to_owned()) }]
            } else {
                Vec::new()
            },
        })),
        2 => (short(), 1..=20_000u64, then).prop_map(|(min_duration, more, on_inconclusive)| {
            Step::Evidence(EvidenceStep {
                harm_budget: 0.005,
                beta: 0.05,
                min_duration,
                max_duration: min_duration + Duration::from_millis(more),
                on_inconclusive,
            })
        }),
        1 => Just(Step::NoEffect { name: "setCanaryScale".to_owned() }),
    ]
}

fn any_steps() -> impl Strategy<Value = Steps> {
    proptest::collection::vec(any_step(), 0..6).prop_filter_map(
        "evidence without traffic",
        |steps| {
            let hash = format!("{steps:?}");
            Steps::new(steps, hash).ok()
        },
    )
}

fn any_terms() -> impl Strategy<Value = Terms> {
    let blue_green = any::<bool>().prop_map(|yes| match yes {
        true => crate::Strategy::BlueGreen,
        false => crate::Strategy::Canary,
    });
    let after = proptest::option::of((1..=60_000u64).prop_map(Duration::from_millis));
    (blue_green, 0..=20_000u64, 0..=3usize, after, any::<bool>()).prop_map(
        |(strategy, watch, rollback_window, after, abort)| Terms {
            strategy,
            watch: Duration::from_millis(watch),
            rollback_window,
            deadline: Deadline { after, abort },
        },
    )
}

fn any_verb() -> impl Strategy<Value = Verb> {
    prop_oneof![
        Just(Verb::Promote),
        Just(Verb::PromoteFull),
        Just(Verb::Pause),
        Just(Verb::Resume),
        Just(Verb::Abort {
            by: "alice".to_owned()
        }),
        Just(Verb::Retry),
        proptest::option::of(prop_oneof![Just("v1"), Just("v2"), Just("v3")]).prop_map(|to| {
            Verb::Undo {
                by: "alice".to_owned(),
                to: to.map(Revision::new),
            }
        }),
    ]
}

fn any_judgement() -> impl Strategy<Value = Judgement> {
    let why = || "why".to_owned();
    prop_oneof![
        4 => Just(Judgement::Undecided),
        1 => Just(Judgement::RollBack { why: why() }),
        1 => Just(Judgement::Tripped { why: why() }),
        2 => Just(Judgement::Hold { why: why() }),
        1 => Just(Judgement::RollForward { why: why() }),
    ]
}

fn any_event() -> impl Strategy<Value = Event> {
    prop_oneof![
        2 => prop_oneof![Just("v1"), Just("v2"), Just("v3")].prop_map(Event::Revision),
        1 => any_steps().prop_map(Event::Steps),
        2 => any_terms().prop_map(Event::Terms),
        1 => any::<bool>().prop_map(Event::SpecPaused),
        1 => any::<bool>().prop_map(Event::Guard),
        1 => (0..=1usize).prop_map(Event::CanaryEndpoints),
        1 => (0..=1usize).prop_map(Event::StableEndpoints),
        1 => any::<bool>().prop_map(Event::Proxies),
        2 => any_judgement().prop_map(Event::Judge),
        2 => prop_oneof![Just(Acceptance::Met), Just(Acceptance::Pending)].prop_map(Event::Accept),
        4 => any_verb().prop_map(Event::Verb),
        6 => (0..=30_000u64).prop_map(|ms| Event::Wait(Duration::from_millis(ms))),
        1 => Just(Event::Restart),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn the_invariants_hold_in_any_order_of_events_and_nothing_is_stuck(
        steps in any_steps(),
        events in proptest::collection::vec(any_event(), 0..40),
    ) {
        let mut world = World::new(steps);
        for event in events {
            world.happen(event);
        }
        world.finish();
        let Plan { revision, .. } = &world.plan;
        match &world.state {
            State::Healthy(healthy) => prop_assert_eq!(&healthy.stable.revision, revision),
            State::Aborted(aborted) => prop_assert_eq!(&aborted.canary, revision),
            other => prop_assert!(false, "not final: {other:?}"),
        }
    }

    #[test]
    fn an_abort_takes_all_traffic_whatever_else_is_so(
        steps in any_steps(),
        events in proptest::collection::vec(any_event(), 0..20),
    ) {
        let mut world = World::new(steps);
        for event in events {
            world.happen(event);
        }
        let under_way = world.state.canary().is_some();
        world.happen(Event::Verb(Verb::Abort { by: "alice".to_owned() }));
        prop_assert!(world.state.canary().is_none());
        let aborted = matches!(&world.state, State::Aborted(aborted) if matches!(aborted.cause, Cause::Verb { .. }));
        prop_assert!(aborted || !under_way);
    }

    #[test]
    fn a_state_that_does_not_fit_its_plan_is_answered_too(
        steps in any_steps(),
        place in prop_oneof![Just(Place::Start), any::<usize>().prop_map(Place::Step), Just(Place::End)],
        events in proptest::collection::vec(any_event(), 0..10),
        back in 0..100_000u64,
    ) {
        let mut world = World::new(steps);
        world.happen(Event::Revision("v2"));
        if let State::Progressing(canary) = &mut world.state {
            canary.place = place;
        }
        world.now -= Duration::from_secs(back);
        world.happen(Event::StableEndpoints(1));
        for event in events {
            world.happen(event);
        }
        world.finish();
    }
}

/// A clock that ran backwards costs the step's time at most once more.
#[test]
fn a_clock_that_runs_backwards_starts_the_pause_again() {
    let pause = Step::Pause(Some(Duration::from_secs(30)));
    let mut world = World::new(Steps::new(vec![pause], "pause").unwrap());
    world.happen(Event::Revision("v2"));
    world.happen(Event::Wait(Duration::from_secs(20)));
    world.now -= Duration::from_secs(3_600);
    world.happen(Event::StableEndpoints(1));
    world.happen(Event::Wait(Duration::from_secs(29)));
    assert!(world.state.canary().is_some());
    world.happen(Event::Wait(Duration::from_secs(2)));
    assert!(
        matches!(&world.state, State::Healthy(healthy) if healthy.stable.revision.as_str() == "v2")
    );
}

/// The longest durations neither overflow nor end.
#[test]
fn a_pause_of_the_longest_duration_is_a_pause() {
    let world = World::new(Steps::new(vec![Step::Pause(Some(Duration::MAX))], "pause").unwrap());
    let mut plan = world.plan.clone();
    plan.revision = Revision::new("v2");
    let seen = crate::Observation {
        serving: Some(Weight::ZERO),
        canary_endpoints: 1,
        ..crate::Observation::default()
    };
    let begun = step(&plan, world.state, &seen, world.now);
    let later = world.now + Duration::from_secs(1);
    let paused = step(&plan, begun.state, &seen, later);
    assert_eq!(paused.wake_at, Some(jiff::Timestamp::MAX));
}
