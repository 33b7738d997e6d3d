//! After the promotion: the old version stays warm, and the way back to it is one table.

use super::*;

const DEAD: Behaviour = Behaviour {
    failures: 1.0,
    latency_ms: 20,
};

/// A canary whose old version stays warm for a minute.
fn watched(image: &str) -> String {
    let text = documents(image, PAUSES, "{}");
    text.replace(
        "    canary:\n",
        "    canary:\n      scaleDownDelaySeconds: 60\n",
    )
}

fn blue_green(image: &str, field: &str) -> String {
    format!(
        "{PROXY}
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata: {{name: shop}}
spec:
  template: {{spec: {{containers: [{{name: shop, image: \"{image}\"}}]}}}}
  strategy:
    blueGreen: {{activeService: blue, previewService: green, {field}}}
"
    )
}

/// The Service that all users are sent to.
fn users(world: &World) -> String {
    world.routes.look(|table| {
        let split = table.split_of(&id()).unwrap();
        let all = split
            .canary
            .as_ref()
            .filter(|_| split.weight == traffic::Weight::FULL);
        all.unwrap_or(&split.stable).id.name.to_string()
    })
}

fn act(world: &mut World, verb: &Verb) -> Result<(), String> {
    let (now, elapsed) = (world.now(), world.elapsed);
    let done = world.engine.act(&id(), verb, now, elapsed);
    done.map(|_| ()).map_err(|refused| format!("{refused:?}"))
}

fn undo(to: Option<&str>) -> Verb {
    Verb::Undo {
        by: "operator".to_owned(),
        to: to.map(rollout::Revision::new),
    }
}

/// A version that begins to fail with all the traffic on it, so long after it came, and how soon all users are back on
/// the old one.
fn check_returned(
    document: impl Fn(&str) -> String,
    after: u64,
    version: Behaviour,
    (within, by): (Duration, &str),
) {
    let mut world = World::new(&document("shop:1"));
    world.run(60, |_| false);
    world.reload(&document("shop:2"));
    let all = world.run(120, |view| view.weight == 100.0);
    assert_eq!((all.weight, users(&world).as_str()), (100.0, "green"));
    world.run(after, |_| false);
    world.versions[1] = version;
    let before = world.elapsed;
    let back = world.run(20, |view| view.phase == "Degraded");
    let took = world.elapsed - before;
    assert_eq!(
        (back.phase.as_str(), users(&world).as_str()),
        ("Degraded", "blue")
    );
    assert!(took <= within, "{took:?}");
    let last = back.decisions.last().unwrap();
    assert_eq!(
        (last.decision.as_str(), last.by.as_str(), last.weight),
        ("rolled-back", by, (100.0, 0.0))
    );
    assert!(last.why.contains("gave all traffic back"), "{}", last.why);
}

#[test]
fn a_version_that_breaks_with_all_the_traffic_is_returned_from() {
    let switched = |image: &str| blue_green(image, "scaleDownDelaySeconds: 60");
    // What breaks later may be a burst, of which a second counts for half of what is needed.
    let at_once = (Duration::from_millis(200), "proxy");
    let burst = (Duration::from_secs(5), "guard");
    check_returned(switched, 0, DEAD, at_once);
    check_returned(switched, 10, BAD, burst);
    check_returned(watched, 10, BAD, burst);
}

#[test]
fn a_good_version_is_stable_when_its_watch_is_over() {
    let mut world = World::new(&watched("shop:1"));
    world.run(30, |_| false);
    world.reload(&watched("shop:2"));
    world.run(120, |view| view.weight == 100.0);
    let under_watch = world.run(50, |view| view.phase == "Healthy");
    assert_eq!(
        under_watch.message,
        "waiting for post-promotion verification to complete"
    );
    let stable = world.run(15, |view| view.phase == "Healthy");
    assert_eq!(
        (stable.phase.as_str(), users(&world).as_str()),
        ("Healthy", "green")
    );
}

#[test]
fn a_switch_waits_for_its_promotion() {
    let document = |image: &str| blue_green(image, "autoPromotionEnabled: false");
    let mut world = World::new(&document("shop:1"));
    world.run(5, |_| false);
    world.reload(&document("shop:2"));
    let waits = world.run(600, |view| view.weight > 0.0);
    assert_eq!(
        (waits.phase.as_str(), waits.message.as_str(), waits.weight),
        ("Paused", "BlueGreenPause", 0.0)
    );
    act(&mut world, &Verb::Promote).unwrap();
    assert_eq!(users(&world), "green");
}

#[test]
fn an_undo_gives_the_users_back_to_a_version_that_is_named() {
    let mut world = World::new(&documents("shop:1", PAUSES, "{}"));
    let first = world.run(5, |_| false).stable.revision;
    world.reload(&documents("shop:2", PAUSES, "{}"));
    world.run(120, |view| {
        view.phase == "Healthy" && view.stable.service == "green"
    });
    let refused = act(&mut world, &undo(None)).unwrap_err();
    assert!(
        refused.contains(&format!("undo --to-revision {first}")),
        "{refused}"
    );
    act(&mut world, &undo(Some(&first))).unwrap();
    assert_eq!(users(&world), "blue");
    let view = world.view();
    let last = view.decisions.last().unwrap();
    assert_eq!(
        (view.phase.as_str(), last.decision.as_str(), last.weight),
        ("Degraded", "undone", (100.0, 0.0))
    );
}
