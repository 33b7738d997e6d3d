//! Canaries whose share of the requests the proxies keep.

use std::sync::Arc;

use jiff::SignedDuration;
use rollout::Judgement;
use serde_json::{Value, json};

use super::Cluster;
use super::cluster::merge;
use crate::reconcile::{Write, turn};

mod evidence;
mod guard;
mod ping_pong;
mod pods;
mod specs;

/// The Services that there are.
pub(super) const SERVICES: [&str; 4] = ["active", "preview", "ping", "pong"];

/// What is beside the router of a canary whose Services take turns.
pub(super) fn taking_turns() -> Value {
    json!({
        "canaryService": null, "stableService": null,
        "pingPong": {"pingService": "ping", "pongService": "pong"},
    })
}

/// The strategy with `more` beside the Services and the router, whose options are `options`.
pub(super) fn strategy(steps: &Value, more: &Value, options: &Value) -> Value {
    let mut canary = json!({
        "steps": steps,
        "canaryService": "preview", "stableService": "active",
        "trafficRouting": {
            "managedRoutes": [{"name": "testers"}],
            "plugins": {"sluice/proxy": options},
        },
    });
    merge(&mut canary, more);
    json!({"canary": canary})
}

/// A Rollout of `replicas` pods that runs v1 and whose weights are served.
fn routed(replicas: u32, steps: &Value, more: &Value, options: &Value) -> Cluster {
    let spec = json!({"replicas": replicas, "strategy": strategy(steps, more, options)});
    let mut cluster = Cluster::new(&spec, "v1").with_services(&SERVICES);
    cluster.settle();
    cluster.pass(5);
    assert_eq!(cluster.phase(), "Healthy");
    assert_eq!(cluster.canary_weight(), Some(0));
    cluster.events.clear();
    cluster.trace.clear();
    cluster
}

fn plain(replicas: u32, steps: &Value) -> Cluster {
    routed(replicas, steps, &json!({}), &json!({}))
}

/// Steps on which a canary with a fifth of the traffic waits for a person.
fn until_told() -> Value {
    json!([{"setWeight": 20}, {"pause": {}}, {"setWeight": 60}, {"pause": {"duration": 5}}])
}

fn roll_back() -> Judgement {
    Judgement::RollBack {
        why: "9 of 10 failed".to_owned(),
    }
}

fn hold() -> Judgement {
    Judgement::Hold {
        why: "stable itself fails".to_owned(),
    }
}

impl Cluster {
    /// Lets time pass, and sees that what proxies serve has pods in every second of it.
    fn pass_well(&mut self, seconds: i64) {
        for _ in 0..seconds {
            self.pass(1);
            assert_eq!(self.starved(), None, "{:#?}", self.trace);
            assert_eq!(self.misled(), None, "{:#?}", self.trace);
        }
    }

    /// Ships v2 and lets it come to a fifth of the traffic, where it waits for a person.
    fn ship_to_a_fifth(&mut self) {
        self.ship("v2");
        self.pass_well(8);
        assert_eq!(self.phase(), "Paused: CanaryPauseStep");
        assert_eq!(self.canary_weight(), Some(20));
        self.trace.clear();
        self.events.clear();
    }

    fn verified(&self) -> Option<bool> {
        self.status().canary.unwrap().weights.unwrap().verified
    }
}

#[test]
fn services_come_before_weights_and_weights_before_pods_go() {
    let mut cluster = plain(5, &until_told());
    cluster.ship("v2");
    assert_eq!(cluster.canary_weight(), Some(0), "it has no pods yet");
    cluster.pass_well(20);
    assert_eq!(cluster.phase(), "Paused: CanaryPauseStep");
    cluster.promote();
    cluster.pass_well(60);
    assert_eq!(
        cluster.trace,
        [
            "v2 has 1 pods",
            "step 0",
            "preview leads to v2",
            "weight 20",
            "step 1",
            "step 2",
            "v2 has 3 pods",
            "weight 60",
            "step 3",
            "step 4",
            "v2 has 5 pods",
            "weight 100",
            "v2 is stable",
            "active leads to v2",
            "weight 0",
            "v1 has 0 pods",
        ]
    );
    assert_eq!(cluster.phase(), "Healthy");
    assert_eq!(cluster.verified(), Some(true));
    let weights = cluster.events.iter();
    let weights = weights.filter(|reason| *reason == "TrafficWeightUpdated");
    assert_eq!(weights.count(), 4);
}

#[test]
fn a_step_is_passed_when_all_proxies_serve_its_weight() {
    let mut cluster = plain(5, &json!([{"setWeight": 20}, {"pause": {}}]));
    cluster.proxies.lag = 40;
    cluster.ship("v2");
    cluster.pass_well(10);
    assert_eq!(cluster.canary_weight(), Some(20));
    assert_eq!(cluster.verified(), Some(false));
    assert_eq!(
        cluster.phase(),
        "Progressing: waiting for each of 2 proxies to serve 20% to the canary; they differ, or one of them cannot \
         be asked"
    );
    cluster.pass_well(40);
    assert_eq!(cluster.phase(), "Paused: CanaryPauseStep");
    assert_eq!(cluster.verified(), Some(true));
}

#[test]
fn without_a_live_proxy_no_step_is_passed() {
    let steps = json!([{"setWeight": 20}, {"pause": {"duration": 1}}]);
    let mut cluster = plain(5, &steps);
    cluster.edit(&json!({"progressDeadlineSeconds": 60}));
    cluster.proxies.live = 0;
    cluster.ship("v2");
    cluster.pass_well(30);
    let why = "no proxy is live: nobody splits the traffic, and no step is passed until one does";
    assert_eq!(cluster.phase(), format!("Progressing: {why}"));
    cluster.pass_well(60);
    assert!(
        cluster
            .phase()
            .starts_with("Degraded: ProgressDeadlineExceeded: ReplicaSet")
            && cluster
                .phase()
                .ends_with(&format!("has timed out progressing: {why}")),
        "{}",
        cluster.phase()
    );
    assert_eq!(cluster.status().current_step_index, Some(0));
    cluster.proxies.live = 1;
    cluster.settle();
    cluster.pass_well(60);
    assert_eq!(cluster.phase(), "Healthy");
    assert_eq!(cluster.wanted(), [("v2", 5)]);
}

/// The weight goes to 0 by the first write, and by nothing else in that turn.
#[test]
fn an_abort_writes_the_weight_before_anything_else() {
    for more in [json!({}), json!({"dynamicStableScale": true})] {
        let mut cluster = routed(5, &until_told(), &more, &json!({}));
        cluster.ship_to_a_fifth();
        let mut world = cluster.world();
        let mut rollout = cluster.rollout.clone();
        rollout["status"]["abort"] = json!(true);
        world.rollout = Arc::new(serde_json::from_value(rollout).unwrap());
        let writes = turn(&world, cluster.now).writes;
        let acts: Vec<_> = writes
            .iter()
            .filter(|write| !matches!(write, Write::Event(_)))
            .collect();
        let [Write::PatchStatus { patch }] = acts.as_slice() else {
            panic!("{acts:#?}");
        };
        assert_eq!(patch["status"]["canary"]["weights"]["canary"]["weight"], 0);
        assert_eq!(patch["status"]["phase"], "Degraded");
    }
}

#[test]
fn a_promotion_in_full_waits_for_pods_only() {
    let mut cluster = plain(5, &until_told());
    cluster.ship_to_a_fifth();
    cluster.proxies.live = 0;
    cluster.patch_status(&json!({"promoteFull": true}));
    cluster.pass_well(60);
    assert_eq!(
        cluster.trace,
        [
            "v2 has 5 pods",
            "step 4",
            "v2 is stable",
            "active leads to v2",
            "weight 0",
            "v1 has 0 pods",
        ]
    );
    assert_eq!(cluster.phase(), "Healthy");
}

#[test]
fn the_stable_version_gets_everything_back_at_once() {
    for more in [json!({}), json!({"dynamicStableScale": true})] {
        let mut cluster = routed(5, &until_told(), &more, &json!({}));
        cluster.ship_to_a_fifth();
        cluster.ship("v1");
        assert_eq!(cluster.trace[0], "weight 0, step 4");
        cluster.pass_well(60);
        assert_eq!(cluster.phase(), "Healthy");
        assert_eq!(cluster.wanted(), [("v1", 5)]);
    }
}

/// It has its pods before any traffic, and then all of it: none of the weights of steps that it goes past.
#[test]
fn a_version_of_the_window_comes_back_in_one_step() {
    let mut cluster = plain(5, &json!([{"setWeight": 80}, {"pause": {"duration": 1}}]));
    cluster.edit(&json!({"rollbackWindow": {"revisions": 2}}));
    cluster.ship("v2");
    cluster.pass_well(60);
    assert_eq!(cluster.wanted(), [("v2", 5)]);
    cluster.trace.clear();
    cluster.ship("v1");
    cluster.pass_well(60);
    assert_eq!(cluster.phase(), "Healthy");
    let weights: Vec<_> = cluster
        .trace
        .iter()
        .filter(|line| line.starts_with("weight"))
        .collect();
    assert_eq!(weights, ["weight 100", "weight 0"]);
}

#[test]
fn without_steps_all_traffic_goes_over_once_the_pods_are_there() {
    let mut cluster = plain(5, &json!([]));
    cluster.ship("v2");
    cluster.pass_well(60);
    assert_eq!(
        cluster.trace,
        [
            "v2 has 5 pods",
            "preview leads to v2",
            "weight 100",
            "v2 is stable",
            "active leads to v2",
            "weight 0",
            "v1 has 0 pods",
        ]
    );
}

#[test]
fn paused_by_its_spec_the_weight_stays() {
    let mut steps = until_told();
    let scale = json!({"setCanaryScale": {"replicas": 3}});
    steps.as_array_mut().unwrap().insert(0, scale);
    let mut cluster = plain(5, &steps);
    cluster.ship_to_a_fifth();
    cluster.edit(&json!({"paused": true}));
    cluster.patch_status(&json!({"currentStepIndex": 3}));
    cluster.pass_well(30);
    assert_eq!(cluster.canary_weight(), Some(20));
    cluster.find(roll_back());
    assert_eq!(
        cluster.canary_weight(),
        Some(0),
        "an abort waits for nobody"
    );
}

#[test]
fn header_routes_are_passed_at_once() {
    let routes = json!([{"headerName": "x-tester", "headerValue": {"exact": "yes"}}]);
    let steps = json!([
        {"setCanaryScale": {"replicas": 1}}, {"setHeaderRoute": {"name": "testers", "match": routes}}, {"pause": {}},
    ]);
    let mut cluster = plain(5, &steps);
    cluster.ship("v2");
    cluster.pass_well(6);
    assert_eq!(cluster.status().current_step_index, Some(2));
    assert_eq!(cluster.canary_weight(), Some(0));
}

/// The weight is raised by a turn that has seen the Service lead to the canary, not by the one that makes it.
#[test]
fn no_weight_is_raised_before_the_service_is_seen_to_lead_there() {
    let mut cluster = plain(5, &until_told());
    cluster.ship("v2");
    cluster.now = cluster
        .now
        .checked_add(SignedDuration::from_secs(3))
        .unwrap();
    cluster.run_sets();
    let writes = turn(&cluster.world(), cluster.now).writes;
    let leads =
        |write: &Write| matches!(write, Write::PatchService { name, .. } if name == "preview");
    assert!(writes.iter().any(leads), "{writes:#?}");
    assert!(
        !format!("{writes:?}").contains("TrafficWeightUpdated"),
        "{writes:#?}"
    );
}
