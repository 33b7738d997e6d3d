//! A canary that the proxy trips by itself, and what the engine makes of that.

use super::*;

const DEAD: Behaviour = Behaviour {
    failures: 1.0,
    failure: SERVER_ERROR,
    latency_ms: 20,
};

/// A world in which a canary is about to get its first request, 20 % of them.
fn begun(plugin: &str, canary: Behaviour) -> World {
    let mut world = World::new(&documents("shop:1", PAUSES, plugin));
    world.run(30, |_| false);
    world.versions[1] = canary;
    world.reload(&documents("shop:2", PAUSES, plugin));
    let view = world.run(5, |view| view.weight > 0.0);
    assert_eq!((view.phase.as_str(), view.weight), ("Progressing", 20.0));
    world
}

fn sent_to_canary(world: &World) -> u64 {
    let series = world.engine.stats.series(&id(), Role::Canary);
    series.totals().dispatched
}

#[test]
fn a_dead_canary_gets_nothing_while_the_engine_stands_still() {
    for (plugin, expected) in [
        ("{}", 5..=20),
        ("{guard: {relativeMargin: 2}}", 5..=30),
        ("{guard: {minCanaryFailures: 50}}", 50..=60),
        ("{guard: {trip: false}}", 1_990..=2_010),
        ("{guard: off}", 1_990..=2_010),
    ] {
        let mut world = begun(plugin, DEAD);
        let before = sent_to_canary(&world);
        world.send(10_000);
        let sent = sent_to_canary(&world) - before;
        assert!(expected.contains(&sent), "{plugin}: {sent} requests");
    }
}

#[test]
fn the_proxy_goes_by_the_guards_margins_and_by_who_is_split() {
    let margins = "relativeMargin: 2, absoluteMargin: 0.01, minCanaryFailures: 7";
    let plugin = format!("{{guard: {{{margins}}}, sticky: [{{clientAddress: {{}}}}]}}");
    let world = begun(&plugin, GOOD);
    let arming = world.engine.published.shares[&id()].arming.clone().unwrap();
    // All requests were one user's, so little is known of users.
    let margin = world.view().evidence.unwrap().pre_period.unwrap();
    assert_eq!(
        (arming.margins.relative, arming.margins.absolute),
        (margin.relative(2.0), 0.01)
    );
    assert_eq!((arming.least_failures, arming.by_user), (7, true));
    assert_eq!(arming.weight, traffic::Weight::from_percent(20).unwrap());
}

#[test]
fn a_trip_is_an_abort_by_the_proxy_with_its_counts() {
    let mut world = begun("{}", DEAD);
    world.send(1_000);
    let view = world.run(1, |_| true);
    assert_eq!((view.phase.as_str(), view.weight), ("Degraded", 0.0));
    let last = view.decisions.last().unwrap();
    let failed = last.failed_requests;
    assert_eq!(
        (last.decision.as_str(), last.by.as_str(), last.weight),
        ("rolled-back", "proxy", (20.0, 0.0))
    );
    let counts = format!("{failed} of {failed} canary requests failed at 20%, 0 of stable failed");
    assert!(last.why.starts_with(&counts), "{}", last.why);
    assert!(last.why.contains("evidence 10^"), "{}", last.why);
    let recorded = world
        .engine
        .view_with_records(&id(), world.now(), world.elapsed);
    let recorded = recorded.unwrap().decisions.pop().unwrap();
    let (record, reading) = (recorded.record.unwrap(), recorded.evidence.unwrap());
    let replay = record.replay(&reading).unwrap();
    assert_eq!(replay.first_difference(), None);
    let trip = replay.tests.last().unwrap();
    let counted = trip.windows[0].counts;
    assert_eq!(
        (trip.name.as_str(), counted.canary_bad),
        ("proxy's trip", failed)
    );
    let tally = world.engine.tally();
    assert_eq!(tally.decisions[&(id(), What::RolledBack, By::Proxy)], 1);
    let at_rest = world.run(60, |_| false);
    assert_eq!(at_rest.decisions.len(), view.decisions.len(), "told once");

    // Tried again, it is another canary: it gets traffic, and is tripped by its own failures.
    let before = sent_to_canary(&world);
    let (now, elapsed) = (world.now(), world.elapsed);
    world.engine.act(&id(), &Verb::Retry, now, elapsed).unwrap();
    world.run(10, |view| view.weight > 0.0);
    world.send(1_000);
    assert!(sent_to_canary(&world) > before);
    let again = world.run(1, |_| true);
    assert_eq!(
        decisions(&again)[2..],
        [
            "advanced",
            "rolled-back",
            "retried",
            "advanced",
            "rolled-back"
        ]
    );
    assert_eq!(world.engine.stats.trips(), [(id(), 2)]);
}

#[test]
fn an_earlier_canarys_trip_is_nothing_to_the_next() {
    let mut world = begun("{}", DEAD);
    world.send(1_000);
    world.run(1, |view| view.phase == "Degraded");
    world.versions[1] = GOOD;
    world.reload(&documents("shop:3", PAUSES, "{}"));
    let view = world.run(120, |view| view.phase == "Healthy");
    assert_eq!(decisions(&view).last(), Some(&"promoted"));
    assert_eq!(view.stable.service, "green");
}

#[test]
fn no_canary_is_tripped_that_has_nobody_to_give_the_traffic_to() {
    let mut world = begun("{}", DEAD);
    let text = documents("shop:2", PAUSES, "{}");
    world.reload(&text.replace(r#"["127.0.0.1:9001"]"#, "[]"));
    world.engine.tick(world.now(), world.elapsed);
    let before = sent_to_canary(&world);
    world.send(1_000);
    let sent = sent_to_canary(&world) - before;
    assert!((195..=205).contains(&sent), "{sent} of 1000 at 20 %");
}

#[test]
fn a_released_engine_leaves_a_dead_canary_to_the_proxy() {
    let mut world = begun("{}", DEAD);
    drop(world.engine.release(world.elapsed));
    let before = sent_to_canary(&world);
    world.run(20, |_| false);
    let sent = sent_to_canary(&world) - before;
    assert!((5..=20).contains(&sent), "{sent} requests");
    let path = world.folder.path().join("state.json");
    world.engine.resume(Store::open(path).unwrap());
    let view = world.run(1, |_| true);
    let last = view.decisions.last().unwrap();
    assert_eq!(
        (last.decision.as_str(), last.by.as_str()),
        ("rolled-back", "proxy")
    );
}
