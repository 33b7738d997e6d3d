//! Users who are kept on one version, some of whom fail whatever version they get.

use super::*;
use rollout::analysis::{Limit, PrePeriod, Reading};
use traffic::SectorCounts;

const STICKY: &str = "{sticky: [{clientAddress: {}}]}";
/// Half of the traffic at once, so that a broken client is the canary's or not by its address alone.
const STEPS: &str = "
      - setWeight: 10
      - pause: {duration: 5m}
      - setWeight: 50
      - pause: {duration: 5m}";

/// 200 clients, of whom the first five are broken, with a stable that was alone for two minutes.
fn crowded(plugin: &str) -> World {
    let mut world = World::new(&documents("shop:1", STEPS, plugin));
    (world.clients, world.broken_clients) = (200, 5);
    world.run(120, |_| false);
    world
}

/// The next version gets its first weight, which is `weight` per cent.
fn begin(world: &mut World, image: &str, plugin: &str, weight: f64) -> Reading {
    world.reload(&documents(image, STEPS, plugin));
    world.run(5, |view| view.weight > 0.0);
    let view = world.run(1, |_| false);
    assert_eq!(view.weight, weight, "{}", view.message);
    view.evidence.unwrap()
}

fn relative(reading: &Reading) -> f64 {
    match reading.tests[0].limit {
        Limit::Ratio(margin) => margin.relative,
        other => panic!("{other:?}"),
    }
}

fn armed(world: &World) -> f64 {
    let arming = world.engine.published.shares[&id()].arming.as_ref();
    arming.unwrap().margins.relative
}

fn sums(known: &PrePeriod) -> (f64, f64) {
    (
        known.canary().0 + known.stable().0,
        known.canary().1 + known.stable().1,
    )
}

#[test]
fn what_users_met_before_the_canary_widens_its_margin() {
    let mut world = crowded(STICKY);
    let users =
        world
            .engine
            .stats
            .snapshot(&id(), None, Duration::ZERO, &traffic::FailureRule::DEFAULT);
    let counted = users.users.unwrap();
    let sum = |of: fn(&SectorCounts) -> u64| counted.sectors.iter().map(of).sum::<u64>();
    let (requests, failed) = (sum(|sector| sector.requests), sum(|sector| sector.failed));
    assert_eq!(requests, 120 * 500);
    assert!((1_300..1_800).contains(&failed), "{failed}");
    let reading = begin(&mut world, "shop:2", STICKY, 10.0);
    let known = reading.pre_period.unwrap();
    assert_eq!(known.weight(), traffic::Weight::from_percent(10).unwrap());
    let (canary, _) = known.canary();
    assert!(
        (0.03..0.2).contains(&(canary / sums(&known).0)),
        "{known:?}"
    );
    let margin = known.relative(1.1);
    assert!(margin > 1.1, "{known:?}");
    assert_eq!((relative(&reading), armed(&world)), (margin, margin));

    // The margin follows the weight, as another set of users does.
    let fifty = world.run(400, |view| view.weight > 10.0);
    assert_eq!(fifty.weight, 50.0, "{}", fifty.message);
    let reading = world.run(1, |_| false).evidence.unwrap();
    let known = reading.pre_period.unwrap();
    assert!(
        (0.4..0.6).contains(&(known.canary().0 / sums(&known).0)),
        "{known:?}"
    );
    assert_eq!(
        (relative(&reading), armed(&world)),
        (known.relative(1.1), known.relative(1.1))
    );
    let view = world.run(400, |view| view.phase == "Healthy");
    assert_eq!(
        decisions(&view).last(),
        Some(&"promoted"),
        "{:?}",
        view.decisions.last()
    );
}

#[test]
fn a_bad_version_is_rolled_back_all_the_same_and_its_record_agrees() {
    let mut world = crowded(STICKY);
    world.versions[1] = BAD;
    world.reload(&documents("shop:2", STEPS, STICKY));
    world.run(60, |view| view.phase == "Degraded");
    let view = world
        .engine
        .view_with_records(&id(), world.now(), world.elapsed)
        .unwrap();
    let last = view.decisions.last().unwrap();
    assert_eq!(
        (last.decision.as_str(), last.by.as_str()),
        ("rolled-back", "guard")
    );
    let (record, reading) = (
        last.record.as_ref().unwrap(),
        last.evidence.as_ref().unwrap(),
    );
    assert!(reading.pre_period.is_some());
    assert_eq!(record.replay(reading).unwrap().first_difference(), None);
}

#[test]
fn the_margin_is_the_same_after_a_restart() {
    let mut world = crowded(STICKY);
    let before = begin(&mut world, "shop:2", STICKY, 10.0);
    world.engine.keep(world.elapsed);
    let store = world.engine.store.as_ref().unwrap();
    store.settle(Duration::from_secs(600)).unwrap();
    world.restart(&documents("shop:2", STEPS, STICKY));
    world.run(1, |_| false);
    let after = world.view().evidence.unwrap();
    assert_eq!(after.pre_period, before.pre_period);
    assert_eq!(
        (relative(&after), armed(&world)),
        (relative(&before), relative(&before))
    );
    // The next weight's is made of what was known then, too.
    world.run(400, |view| view.weight > 10.0);
    let reading = world.run(1, |_| false).evidence.unwrap();
    let (requests, failures) = sums(&reading.pre_period.unwrap());
    assert!(
        requests > 50_000.0 && failures > 1_000.0,
        "{requests} {failures}"
    );
}

#[test]
fn nothing_is_counted_by_user_where_requests_are_split() {
    let mut world = crowded("{}");
    let reading = begin(&mut world, "shop:2", "{}", 10.0);
    assert_eq!((reading.pre_period, relative(&reading)), (None, 1.1));
    let rule = traffic::FailureRule::DEFAULT;
    let snapshot = world
        .engine
        .stats
        .snapshot(&id(), None, Duration::ZERO, &rule);
    assert_eq!(snapshot.users, None);
}

#[test]
fn users_of_whom_nothing_is_known_are_not_taken_for_alike() {
    let mut world = World::new(&documents("shop:1", STEPS, STICKY));
    let reading = begin(&mut world, "shop:2", STICKY, 10.0);
    assert!(relative(&reading) > 3.0, "{:?}", reading.pre_period);
}

#[test]
fn what_was_counted_by_another_rule_is_forgotten() {
    let mut world = crowded(STICKY);
    let rule = "{sticky: [{clientAddress: {}}], guard: {failures: {statuses: [503]}}}";
    world.reload(&documents("shop:1", STEPS, rule));
    world.run(60, |_| false);
    let reading = begin(&mut world, "shop:2", rule, 10.0);
    let (requests, failures) = sums(&reading.pre_period.unwrap());
    assert!((25_000.0..31_000.0).contains(&requests), "{requests}");
    assert_eq!(failures, 0.0);
}

#[test]
fn who_met_a_version_that_failed_meets_the_next_and_then_others_do() {
    let canary_users = |world: &World| {
        world.routes.look(|table| {
            let split = table.split_of(&id()).unwrap();
            split.sticky.as_ref().unwrap().salt
        })
    };
    let mut world = World::new(&documents("shop:1", PAUSES, STICKY));
    world.clients = 200;
    world.run(10, |_| false);
    let alone = canary_users(&world);
    world.versions[1] = BAD;
    world.reload(&documents("shop:2", PAUSES, STICKY));
    let view = world.run(60, |view| view.phase == "Degraded");
    assert_eq!(view.phase, "Degraded");
    assert_eq!(canary_users(&world), alone);
    world.versions[1] = GOOD;
    world.reload(&documents("shop:3", PAUSES, STICKY));
    world.run(10, |view| view.weight > 0.0);
    assert_eq!(canary_users(&world), alone);
    world.run(120, |view| view.phase == "Healthy");
    assert_ne!(canary_users(&world), alone);
}
