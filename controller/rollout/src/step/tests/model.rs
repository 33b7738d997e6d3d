//! Every order of a few events, for small plans: the same invariants, without luck.

use std::{collections::HashSet, time::Duration};

use traffic::Weight;

use super::world::{Event, World};
use crate::{
    Acceptance, Deadline, EvidenceStep, Judgement, OnInconclusive, Revision, State, Step, Steps,
    Strategy, Terms, Verb,
};

fn weight(percent: u8) -> Step {
    Step::SetWeight(Weight::from_percent(percent).unwrap())
}

fn events() -> Vec<Event> {
    let why = || "why".to_owned();
    vec![
        Event::Revision("v1"),
        Event::Revision("v2"),
        Event::Revision("v3"),
        Event::Steps(Steps::new(vec![weight(50)], "other").unwrap()),
        Event::SpecPaused(true),
        Event::SpecPaused(false),
        Event::CanaryEndpoints(0),
        Event::CanaryEndpoints(1),
        Event::Proxies(false),
        Event::Proxies(true),
        Event::Judge(Judgement::RollBack { why: why() }),
        Event::Judge(Judgement::Hold { why: why() }),
        Event::Judge(Judgement::RollForward { why: why() }),
        Event::Accept(Acceptance::Met),
        Event::Verb(Verb::Promote),
        Event::Verb(Verb::PromoteFull),
        Event::Verb(Verb::Pause),
        Event::Verb(Verb::Resume),
        Event::Verb(Verb::Abort {
            by: "alice".to_owned(),
        }),
        Event::Verb(Verb::Retry),
        Event::Verb(Verb::Undo {
            by: "alice".to_owned(),
            to: None,
        }),
        Event::Verb(Verb::Undo {
            by: "alice".to_owned(),
            to: Some(Revision::new("v1")),
        }),
        Event::Wait(Duration::from_millis(150)),
        Event::Wait(Duration::from_secs(10)),
        Event::Restart,
    ]
}

/// Goes through every world that `depth` events lead to from one with a canary, each once, and lets each finish.
fn explore(steps: Vec<Step>, terms: Terms, depth: usize) -> HashSet<String> {
    let mut start = World::new(Steps::new(steps, "steps").unwrap());
    start.happen(Event::Terms(terms));
    start.happen(Event::Revision("v2"));
    let events = events();
    let mut known = HashSet::from([start.key()]);
    let mut front = vec![start];
    let mut ends = HashSet::new();
    for _ in 0..depth {
        let mut next = Vec::new();
        for world in &front {
            for event in &events {
                let mut world = world.clone();
                world.happen(event.clone());
                if known.insert(world.key()) {
                    next.push(world);
                }
            }
        }
        front = next;
        for world in &front {
            let mut world = world.clone();
            world.finish();
            ends.insert(match &world.state {
                State::Healthy(healthy) => {
                    format!("{} {:?}", healthy.stable.revision, healthy.outcome)
                }
                State::Aborted(aborted) => format!("{} aborted", aborted.canary),
                other => panic!("not final: {other:?}"),
            });
        }
    }
    ends
}

#[test]
fn every_order_of_a_few_events_keeps_the_invariants_and_ends() {
    let evidence = Step::Evidence(EvidenceStep {
        harm_budget: 0.005,
        beta: 0.05,
        min_duration: Duration::from_secs(5),
        max_duration: Duration::from_secs(10),
        on_inconclusive: OnInconclusive::Abort,
    });
    let mut ends = explore(
        vec![weight(25), Step::Pause(Some(Duration::from_secs(10)))],
        Terms::default(),
        4,
    );
    ends.extend(explore(vec![weight(25), evidence], Terms::default(), 4));
    for end in [
        "v1 Returned",
        "v2 Promoted",
        "v2 PromotedInFull",
        "v2 aborted",
        "v3 Promoted",
        "v3 aborted",
    ] {
        assert!(ends.contains(end), "{end} is not reached: {ends:?}");
    }
}

/// Blue-green is a canary without weights: a pause, the switch, and a watch with a way back.
#[test]
fn every_order_of_a_few_events_keeps_the_invariants_of_a_watched_switch_and_ends() {
    let terms = Terms {
        strategy: Strategy::BlueGreen,
        watch: Duration::from_secs(5),
        rollback_window: 1,
        deadline: Deadline {
            after: Some(Duration::from_secs(8)),
            abort: true,
        },
    };
    let mut ends = explore(vec![Step::Pause(None)], terms.clone(), 4);
    ends.extend(explore(Vec::new(), terms, 4));
    for end in ["v1 Returned", "v2 Promoted", "v2 aborted", "v3 Promoted"] {
        assert!(ends.contains(end), "{end} is not reached: {ends:?}");
    }
}
