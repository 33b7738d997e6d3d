//! The record that is kept with a verdict, and what it costs.

use super::*;
use crate::view::DecisionView;

/// As an operator gets it who asks for the record, through its JSON.
fn recorded(world: &World) -> RolloutView {
    let view = world
        .engine
        .view_with_records(&id(), world.now(), world.elapsed)
        .unwrap();
    serde_json::from_str(&serde_json::to_string(&view).unwrap()).unwrap()
}

/// The decision has a record, which leads to its evidence to the last bit. Tells how many bytes it has.
fn agrees(decision: &DecisionView) -> usize {
    let (record, reading) = (
        decision.record.as_ref().unwrap(),
        decision.evidence.as_ref().unwrap(),
    );
    let replay = record.replay(reading).unwrap();
    assert_eq!(replay.first_difference(), None, "{decision:?}");
    for test in &replay.tests {
        assert_eq!(test.ln_e.to_bits(), test.stored.to_bits(), "{}", test.name);
    }
    serde_json::to_string(record).unwrap().len()
}

/// Restarts the process when all that it knows is on the disk.
fn restart(world: &mut World, text: &str) {
    world.engine.keep(world.elapsed);
    let store = world.engine.store.as_ref().unwrap();
    store.settle(Duration::from_secs(600)).unwrap();
    world.restart(text);
}

fn with_record(view: &RolloutView) -> Vec<&str> {
    let kept = view.decisions.iter().filter(|d| d.record.is_some());
    kept.map(|decision| decision.decision.as_str()).collect()
}

#[test]
fn verdicts_come_with_what_they_were_made_of() {
    let mut world = World::new(&documents("shop:1", EVIDENCE, "{}"));
    world.run(60, |_| false);
    world.reload(&documents("shop:2", EVIDENCE, "{}"));
    world.run(240, |view| view.stable.service == "green");
    let promoted = recorded(&world);
    // Twice on evidence, and at the end.
    assert_eq!(with_record(&promoted), ["advanced", "advanced", "promoted"]);
    for decision in &promoted.decisions {
        if decision.by == "guard" {
            let replay = decision.record.as_ref().unwrap();
            let replay = replay.replay(decision.evidence.as_ref().unwrap()).unwrap();
            let step = replay.tests.last().unwrap();
            assert!(step.name == "to go on" && step.ln_e >= step.ln_threshold);
        }
    }
    let kept = promoted.decisions.iter().filter(|d| d.record.is_some());
    let bytes: Vec<_> = kept.map(agrees).collect();
    assert!(bytes.iter().all(|bytes| *bytes < 100_000), "{bytes:?}");

    world.versions[0] = BAD;
    world.reload(&documents("shop:3", EVIDENCE, "{}"));
    world.run(60, |view| view.phase == "Degraded");
    let bad = recorded(&world);
    // The oldest record is forgotten.
    assert_eq!(with_record(&bad), ["advanced", "promoted", "rolled-back"]);
    agrees(bad.decisions.last().unwrap());
    // Who asks for no record gets none, and the rest is the same.
    let view = world.view();
    assert_eq!(with_record(&view), [""; 0]);
    assert_eq!(view.decisions.len(), bad.decisions.len());
}

#[test]
fn a_verdict_after_a_restart_has_a_record_and_keeps_it() {
    let text = documents("shop:2", EVIDENCE, "{}");
    let mut world = World::new(&documents("shop:1", EVIDENCE, "{}"));
    world.run(60, |_| false);
    world.reload(&text);
    world.run(5, |view| view.weight > 0.0);
    let flying = world.run(2, |_| false);
    let recorded_view = recorded(&world);
    let running = recorded_view.record.as_ref().unwrap();
    let replay = running.replay(recorded_view.evidence.as_ref().unwrap());
    assert_eq!(replay.unwrap().first_difference(), None);
    assert_eq!(flying.record, None);

    restart(&mut world, &text);
    // Known as a sum only.
    let since = recorded(&world);
    let replay = since.record.as_ref().unwrap();
    let replay = replay.replay(since.evidence.as_ref().unwrap()).unwrap();
    assert!(replay.tests[0].before.canary > 0);
    world.versions[1] = BAD;
    world.run(60, |view| view.phase == "Degraded");
    world.run(2, |_| false);
    let before = recorded(&world);
    agrees(before.decisions.last().unwrap());
    restart(&mut world, &text);
    let after = recorded(&world);
    assert_eq!(after.decisions.last(), before.decisions.last());
}

#[test]
fn what_a_person_did_is_told_by_its_verb() {
    let mut world = World::new(&documents("shop:1", PAUSES, "{}"));
    world.run(5, |_| false);
    world.reload(&documents("shop:2", PAUSES, "{}"));
    world.run(10, |view| view.phase == "Paused");
    for (verb, name) in [
        (Verb::Promote, "promote"),
        (
            Verb::Abort {
                by: "operator".into(),
            },
            "abort",
        ),
        (Verb::Retry, "retry"),
        (Verb::PromoteFull, "promote --full"),
    ] {
        let (now, elapsed) = (world.now(), world.elapsed);
        world.engine.act(&id(), &verb, now, elapsed).unwrap();
        let view = world.view();
        let told = view.decisions.iter().rev().find_map(|d| d.verb.clone());
        assert_eq!(told.as_deref(), Some(name));
    }
}
