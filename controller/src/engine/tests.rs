//! The whole loop under virtual time: documents in, requests split and counted as the proxy does it, verdicts out.

mod failures;
mod records;
mod sticky;
mod trips;
mod ways_back;

use super::*;
use crate::{
    document::{self, Severity, Strictness},
    spec,
};
use http::{HeaderMap, Method, Uri};
use std::net::IpAddr;
use traffic::{Head, Outcome, Reader, Role, Target};

const PROXY: &str = r#"
apiVersion: sluice.dev/v1alpha1
kind: Proxy
metadata: {name: edge}
spec:
  listeners: [{name: http, address: "127.0.0.1:0"}]
  services:
  - {name: blue, endpoints: ["127.0.0.1:9001"]}
  - {name: green, endpoints: ["127.0.0.1:9002"]}
---
"#;

const EVIDENCE: &str = "
      - setWeight: 10
      - plugin: {name: sluice/evidence, config: {maxDuration: 2m}}
      - setWeight: 50
      - plugin: {name: sluice/evidence, config: {maxDuration: 2m}}";

const PAUSES: &str = "
      - setWeight: 20
      - pause: {duration: 1m}";

fn documents(image: &str, steps: &str, plugin: &str) -> String {
    format!(
        "{PROXY}
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata: {{name: shop}}
spec:
  template: {{spec: {{containers: [{{name: shop, image: \"{image}\"}}]}}}}
  strategy:
    canary:
      pingPong: {{pingService: blue, pongService: green}}
      trafficRouting: {{plugins: {{sluice/proxy: {plugin}}}}}
      steps: {steps}
"
    )
}

fn read(text: &str) -> Spec {
    let parsed = document::parse("test.yaml", text, Strictness::Run);
    let errors: Vec<_> = parsed
        .findings
        .iter()
        .filter(|f| f.severity == Severity::Error)
        .collect();
    assert!(errors.is_empty(), "{errors:?}");
    spec::read(&parsed.documents, std::path::Path::new(".")).unwrap()
}

/// What one version does.
#[derive(Clone, Copy)]
struct Behaviour {
    /// The share of requests that it fails, and how.
    failures: f64,
    failure: Outcome,
    latency_ms: u64,
}

const SERVER_ERROR: Outcome = Outcome::Answered(500);

const GOOD: Behaviour = Behaviour {
    failures: 0.001,
    failure: SERVER_ERROR,
    latency_ms: 20,
};
const BAD: Behaviour = Behaviour {
    failures: 0.5,
    failure: SERVER_ERROR,
    latency_ms: 20,
};
const SLOW: Behaviour = Behaviour {
    failures: 0.001,
    failure: SERVER_ERROR,
    latency_ms: 70,
};

/// A process without sockets: one worker, an engine, and requests made up.
struct World {
    engine: Engine,
    routes: Arc<Routes>,
    reader: Reader,
    folder: tempfile::TempDir,
    started: Timestamp,
    elapsed: Duration,
    random: u64,
    rps: u64,
    /// By slot: blue, green.
    versions: [Behaviour; 2],
    /// How many clients there are; of the first so many, every request fails.
    clients: u8,
    broken_clients: u8,
}

fn id() -> RolloutId {
    RolloutId::new("default", "shop")
}

impl World {
    fn new(text: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (engine, routes) = engine(text, folder.path(), Saved::default());
        let reader = routes.reader();
        let started = Timestamp::from_second(1_700_000_000).unwrap();
        let versions = [GOOD, GOOD];
        let mut world = Self {
            engine,
            routes,
            reader,
            folder,
            started,
            elapsed: Duration::ZERO,
            random: 1,
            rps: 500,
            versions,
            clients: 1,
            broken_clients: 0,
        };
        world.engine.tick(world.now(), world.elapsed);
        world
    }

    fn now(&self) -> Timestamp {
        self.started + self.elapsed
    }

    fn reload(&mut self, text: &str) {
        self.engine.reload(read(text));
    }

    /// Kills the process and starts it again from what it had on the disk, with counters from zero.
    fn restart(&mut self, text: &str) {
        let path = self.folder.path().join("state.json");
        let bytes = crate::store::read(&path).unwrap().unwrap();
        let placeholder = tempfile::tempdir().unwrap();
        // The old engine lets go of the file first.
        let (other, _) = engine(text, placeholder.path(), Saved::default());
        drop(std::mem::replace(&mut self.engine, other));
        let (engine, routes) = engine(text, self.folder.path(), Saved::from_bytes(&bytes).unwrap());
        self.reader = routes.reader();
        (self.engine, self.routes) = (engine, routes);
        self.engine.tick(self.now(), self.elapsed);
    }

    /// Goes on for `seconds`, or until `done`.
    fn run(&mut self, seconds: u64, done: impl Fn(&RolloutView) -> bool) -> RolloutView {
        for _ in 0..seconds * 10 {
            self.send(self.rps / 10);
            self.elapsed += TICK;
            self.engine.tick(self.now(), self.elapsed);
            let view = self.view();
            if done(&view) {
                return view;
            }
        }
        self.view()
    }

    /// The next random number, from 0 to below 1.
    fn drawn(&mut self) -> f64 {
        self.random = self
            .random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.random >> 11) as f64 / (1u64 << 53) as f64
    }

    fn view(&self) -> RolloutView {
        self.engine.view(&id(), self.now(), self.elapsed).unwrap()
    }

    fn send(&mut self, requests: u64) {
        let view = std::rc::Rc::clone(self.reader.view());
        let (uri, headers) = (Uri::from_static("/"), HeaderMap::new());
        for _ in 0..requests {
            let client = match self.clients {
                1 => 0,
                clients => (self.drawn() * f64::from(clients)) as u8,
            };
            let head = Head {
                method: &Method::GET,
                uri: &uri,
                headers: (&headers).into(),
                client: &IpAddr::from([127, 0, 0, client + 1]),
                listener: "",
            };
            let Some(Target::Split(split)) = view.table().find(&head).map(|found| found.target)
            else {
                panic!("no route")
            };
            let split = &view.table().splits()[*split];
            let choice = split.choose(&head, view.worker(), || 0);
            let backend = split.backend(choice.side);
            let version = self.versions[usize::from(&*backend.id.name == "green")];
            let fails = self.drawn() < version.failures || client < self.broken_clients;
            let outcome = if fails {
                version.failure
            } else {
                Outcome::Answered(200)
            };
            let shard = backend.series.shard(view.worker());
            shard.begin(self.elapsed, choice.by_weight);
            shard.end(
                self.elapsed,
                self.elapsed + Duration::from_millis(version.latency_ms),
                outcome,
            );
            if let Some(stake) = choice.stake {
                backend.series.ended(view.worker(), stake, outcome);
            }
        }
    }
}

fn engine(text: &str, folder: &std::path::Path, saved: Saved) -> (Engine, Arc<Routes>) {
    let routes = Arc::new(Routes::default());
    let store = Store::open(folder.join("state.json")).unwrap();
    let engine = Engine::new(
        read(text),
        saved,
        Arc::new(Stats::new(1)),
        Arc::clone(&routes),
        store,
    );
    (engine, routes)
}

fn decisions(view: &RolloutView) -> Vec<&str> {
    view.decisions
        .iter()
        .map(|decision| decision.decision.as_str())
        .collect()
}

#[test]
fn a_good_version_is_promoted_and_a_bad_one_rolled_back() {
    let mut world = World::new(&documents("shop:1", EVIDENCE, "{}"));
    let first = world.run(60, |_| false);
    let titles: Vec<_> = first.steps.iter().map(|step| step.title.as_str()).collect();
    assert_eq!(titles, ["weight 10%", "evidence", "weight 50%", "evidence"]);
    assert_eq!(
        (first.phase.as_str(), first.stable.service.as_str()),
        ("Healthy", "blue")
    );
    assert_eq!(first.canary, None);

    world.reload(&documents("shop:2", EVIDENCE, "{}"));
    let begun = world.run(5, |view| view.weight > 0.0);
    assert_eq!((begun.phase.as_str(), begun.weight), ("Progressing", 10.0));
    // The last step needs 3.9 / 0.005 canary requests for its harm budget, at 250 a second.
    let under_way = world.run(2, |_| false);
    assert_eq!(under_way.steps[3].title, "evidence, about 5 s");
    let good = world.run(240, |view| view.phase == "Healthy");
    assert_eq!(
        (good.phase.as_str(), good.stable.service.as_str()),
        ("Healthy", "green")
    );
    assert_eq!(
        decisions(&good),
        [
            "deployed", "started", "advanced", "advanced", "advanced", "promoted"
        ]
    );

    // The slot that is free now gets a version that fails half of its requests.
    world.versions[0] = BAD;
    world.reload(&documents("shop:3", EVIDENCE, "{}"));
    let sent = world.run(5, |view| view.weight > 0.0);
    assert_eq!(sent.canary.unwrap().service, "blue");
    let before = world.elapsed;
    let bad = world.run(60, |view| view.phase == "Degraded");
    let took = world.elapsed - before;
    assert_eq!(
        (bad.phase.as_str(), bad.weight, bad.stable.service.as_str()),
        ("Degraded", 0.0, "green")
    );
    assert!(
        took <= Duration::from_secs(1),
        "50 requests a second, half of them failing, took {took:?}"
    );
    let last = bad.decisions.last().unwrap();
    assert_eq!(
        (last.decision.as_str(), last.by.as_str(), last.weight),
        ("rolled-back", "guard", (10.0, 0.0))
    );
    assert!(last.why.starts_with("error ratio: "), "{}", last.why);
    assert!(
        (3..=40).contains(&last.failed_requests),
        "{}",
        last.failed_requests
    );
    let evidence = last.evidence.as_ref().unwrap();
    assert!(evidence.tests[0].ln_e >= evidence.tests[0].ln_threshold);

    // Nothing goes to it any more, for as long as it stays.
    let series = world.engine.stats.series(&id(), Role::Canary);
    let after = series.totals().dispatched;
    let still = world.run(60, |_| false);
    assert_eq!(
        (still.phase.as_str(), series.totals().dispatched),
        ("Degraded", after)
    );
}

#[test]
fn a_slow_version_is_rolled_back() {
    let mut world = World::new(&documents("shop:1", PAUSES, "{}"));
    world.run(60, |_| false);
    world.versions[1] = SLOW;
    world.reload(&documents("shop:2", PAUSES, "{}"));
    let view = world.run(60, |view| view.phase == "Degraded");
    assert!(
        view.decisions.last().unwrap().why.starts_with("latency p"),
        "{:?}",
        view.decisions.last()
    );
}

#[test]
fn with_the_guard_off_the_plan_goes_on() {
    let off = "{guard: off}";
    let mut world = World::new(&documents("shop:1", PAUSES, off));
    world.run(10, |_| false);
    world.versions[1] = BAD;
    world.reload(&documents("shop:2", PAUSES, off));
    let view = world.run(120, |view| view.phase == "Healthy");
    assert_eq!((view.phase.as_str(), view.guard), ("Healthy", false));
    assert_eq!(decisions(&view).last(), Some(&"promoted"));
}

#[test]
fn a_failing_stable_holds_and_does_not_convict() {
    let failing = Behaviour {
        failures: 0.2,
        ..GOOD
    };
    let mut world = World::new(&documents("shop:1", EVIDENCE, "{}"));
    world.versions = [failing, failing];
    world.run(60, |_| false);
    world.reload(&documents("shop:2", EVIDENCE, "{}"));
    let view = world.run(100, |view| view.phase == "Degraded");
    assert_eq!(view.phase, "Progressing");
    assert!(
        view.waits_for.starts_with("held: stable itself fails"),
        "{}",
        view.waits_for
    );
}

#[test]
fn the_cure_of_a_failing_stable_goes_forward_without_waiting() {
    let failing = Behaviour {
        failures: 0.3,
        ..GOOD
    };
    let forward = "{guard: {onUnhealthyBaseline: rollForward}}";
    let mut world = World::new(&documents("shop:1", PAUSES, forward));
    world.versions = [failing, GOOD];
    world.run(60, |_| false);
    world.reload(&documents("shop:2", PAUSES, forward));
    let view = world.run(30, |view| view.phase == "Healthy");
    assert_eq!(view.phase, "Healthy", "{}", view.waits_for);
    let passed = view
        .decisions
        .iter()
        .find(|decision| decision.why.starts_with("stable itself fails"))
        .unwrap();
    assert_eq!(
        (passed.decision.as_str(), passed.by.as_str()),
        ("advanced", "guard")
    );
}

#[test]
fn low_traffic_is_inconclusive_and_waits_for_a_person() {
    let mut world = World::new(&documents("shop:1", EVIDENCE, "{}"));
    world.rps = 10;
    world.run(60, |_| false);
    world.reload(&documents("shop:2", EVIDENCE, "{}"));
    let view = world.run(180, |view| view.phase == "Paused");
    assert_eq!(
        (view.phase.as_str(), view.message.as_str()),
        ("Paused", "InconclusiveAnalysisRun")
    );
    assert_eq!(decisions(&view).last(), Some(&"held"));
    let (now, elapsed) = (world.now(), world.elapsed);
    world
        .engine
        .act(&id(), &Verb::Promote, now, elapsed)
        .unwrap()
        .wait()
        .unwrap();
    assert_eq!(world.run(5, |view| view.weight > 10.0).weight, 50.0);
}

#[test]
fn an_abort_is_served_in_the_same_turn() {
    let mut world = World::new(&documents("shop:1", PAUSES, "{}"));
    world.run(5, |_| false);
    world.reload(&documents("shop:2", PAUSES, "{}"));
    world.run(10, |view| view.phase == "Paused");
    let (now, elapsed) = (world.now(), world.elapsed);
    let weight = |world: &World| {
        world
            .routes
            .look(|table| table.split_of(&id()).unwrap().weight)
    };
    assert_eq!(weight(&world), traffic::Weight::from_percent(20).unwrap());
    world
        .engine
        .act(
            &id(),
            &Verb::Abort {
                by: "operator".into(),
            },
            now,
            elapsed,
        )
        .unwrap();
    assert_eq!(weight(&world), traffic::Weight::ZERO);
    assert_eq!(world.view().phase, "Degraded");
    let refused = world
        .engine
        .act(&id(), &Verb::Promote, now, elapsed)
        .unwrap_err();
    assert!(
        matches!(&refused, Refused::NotNow(why) if why.contains("allowed: retry")),
        "{refused:?}"
    );
    let nobody = RolloutId::new("default", "nobody");
    assert_eq!(
        world
            .engine
            .act(&nobody, &Verb::Retry, now, elapsed)
            .unwrap_err(),
        Refused::Unknown
    );
    world.engine.act(&id(), &Verb::Retry, now, elapsed).unwrap();
    assert_eq!(world.run(10, |view| view.weight > 0.0).weight, 20.0);
}

#[test]
fn a_restart_goes_on_with_the_remaining_pause() {
    let text = documents("shop:2", PAUSES, "{}");
    let mut world = World::new(&documents("shop:1", PAUSES, "{}"));
    world.run(5, |_| false);
    world.reload(&text);
    world.run(10, |view| view.phase == "Paused");
    world.run(40, |_| false);
    world.restart(&text);
    // The process was away for five seconds.
    world.elapsed += Duration::from_secs(5);
    let resumed = world.run(1, |_| false);
    assert_eq!((resumed.phase.as_str(), resumed.weight), ("Paused", 20.0));
    let before = world.elapsed;
    let view = world.run(60, |view| view.phase == "Healthy");
    let took = (world.elapsed - before).as_secs();
    assert_eq!(view.phase, "Healthy");
    assert!(
        (12..=15).contains(&took),
        "46 s of the minute had passed, and then it took {took} s"
    );
    assert_eq!(
        decisions(&view),
        ["deployed", "started", "advanced", "advanced", "promoted"]
    );
}

#[test]
fn a_vanished_canary_loses_its_traffic() {
    let mut world = World::new(&documents("shop:1", PAUSES, "{}"));
    world.run(5, |_| false);
    let text = documents("shop:2", PAUSES, "{}");
    world.reload(&text);
    world.run(10, |view| view.phase == "Paused");
    world.reload(&text.replace(r#"["127.0.0.1:9002"]"#, "[]"));
    let view = world.run(1, |_| false);
    assert_eq!(view.weight, 0.0);
    assert_eq!(view.canary.unwrap().endpoints, 0);
    assert!(
        view.waits_for.contains("no endpoints"),
        "{}",
        view.waits_for
    );
}

#[test]
fn a_rollout_that_no_document_names_keeps_its_state() {
    let text = documents("shop:1", PAUSES, "{}");
    let mut world = World::new(&text);
    world.run(5, |_| false);
    world.reload(&documents("shop:2", PAUSES, "{}"));
    world.run(90, |view| view.stable.service == "green");
    world.reload(&text.replace("name: shop}", "name: other}"));
    world.run_without_view(10);
    assert!(
        world
            .engine
            .view(&id(), world.now(), world.elapsed)
            .is_none()
    );
    world.reload(&documents("shop:2", PAUSES, "{}"));
    let back = world.run(1, |_| false);
    assert_eq!(
        (back.phase.as_str(), back.stable.service.as_str()),
        ("Healthy", "green")
    );
}

#[test]
fn released_rollouts_stand_still_until_they_are_resumed() {
    const PATIENCE: Duration = Duration::from_secs(30);
    let mut world = World::new(&documents("shop:1", PAUSES, "{}"));
    world.run(5, |_| false);
    world.reload(&documents("shop:2", PAUSES, "{}"));
    let before = world.run(10, |view| view.phase == "Paused" && view.acknowledged);
    let generation = world.routes.published().number();
    let store = world.engine.release(world.elapsed).unwrap();
    store.settle(PATIENCE).unwrap();
    drop(store);
    assert!(world.engine.release(world.elapsed).is_none());
    world.versions[1] = BAD;
    let view = world.run(20, |_| false);
    assert_eq!((view.phase, view.weight), (before.phase, before.weight));
    assert_eq!(world.routes.published().number(), generation);
    assert!(world.engine.idle(world.elapsed).is_zero(), "it is turned");
    let (now, elapsed) = (world.now(), world.elapsed);
    let refused = world.engine.act(&id(), &Verb::Promote, now, elapsed);
    assert_eq!(refused.unwrap_err(), Refused::Released);
    let path = world.folder.path().join("state.json");
    world.engine.resume(Store::open(path).unwrap());
    let view = world.run(10, |view| view.phase == "Degraded");
    assert_eq!(view.phase, "Degraded", "what happened meanwhile is weighed");
}

impl World {
    fn run_without_view(&mut self, ticks: u32) {
        for _ in 0..ticks {
            self.elapsed += TICK;
            self.engine.tick(self.now(), self.elapsed);
        }
    }
}

#[test]
fn a_saved_state_of_another_layout_is_refused() {
    let error = Saved::from_bytes(br#"{"layout": 2, "rollouts": []}"#)
        .unwrap_err()
        .to_string();
    assert_eq!(error, "has layout 2, and this version reads layout 1");
    let error = Saved::from_bytes(b"not json").unwrap_err().to_string();
    assert!(error.starts_with("is no state file of Sluice"), "{error}");
    assert!(Saved::from_bytes(b"").is_err());
}
