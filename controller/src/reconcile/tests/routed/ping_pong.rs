//! Services that take turns.

use rollout::Judgement;
use serde_json::{Value, json};

use super::super::Cluster;
use super::super::cluster::merge;
use super::{SERVICES, routed, strategy, taking_turns, until_told};

/// A Rollout of five pods that runs v1, whose Services take turns, with `more` beside them.
fn turning(steps: &Value, more: &Value) -> Cluster {
    let mut all = taking_turns();
    merge(&mut all, more);
    routed(5, steps, &all, &json!({}))
}

impl Cluster {
    /// The slot that is stable's, and the versions that `ping` and `pong` lead to.
    fn slots(&self) -> (&str, Option<&str>, Option<&str>) {
        let slot = &self.rollout["status"]["canary"]["stablePingPong"];
        let slot = slot.as_str().unwrap_or("none");
        (slot, self.leads_to("ping"), self.leads_to("pong"))
    }

    fn status_is(&self, pointer: &str) -> &Value {
        self.rollout["status"].pointer(pointer).unwrap()
    }
}

#[test]
fn a_first_version_is_where_the_first_canary_would_be() {
    let cluster = turning(&until_told(), &json!({}));
    assert_eq!(cluster.slots(), ("ping", Some("v1"), None));
    assert_eq!(
        cluster.status_is("/canary/weights/stable/serviceName"),
        "ping"
    );
}

/// The canary's Service becomes stable's in the write that makes it stable and gives its weight back.
#[test]
fn the_services_change_sides_with_the_versions_and_back() {
    let mut cluster = turning(&until_told(), &json!({}));
    let sides = [("v1", "v2", "pong"), ("v2", "v3", "ping")];
    for (old, new, slot) in sides {
        cluster.trace.clear();
        cluster.ship(new);
        cluster.pass_well(20);
        assert_eq!(cluster.phase(), "Paused: CanaryPauseStep");
        cluster.promote();
        cluster.pass_well(60);
        assert_eq!(
            cluster.trace,
            [
                "step 0".to_owned(),
                format!("{slot} leads to {new}"),
                format!("{new} has 1 pods"),
                "weight 20".to_owned(),
                "step 1".to_owned(),
                "step 2".to_owned(),
                format!("{new} has 3 pods"),
                "weight 60".to_owned(),
                "step 3".to_owned(),
                "step 4".to_owned(),
                format!("{new} has 5 pods"),
                "weight 100".to_owned(),
                format!("weight 0, {slot} is stable's, {new} is stable"),
                format!("{old} has 0 pods"),
            ]
        );
        assert_eq!(cluster.phase(), "Healthy");
        assert_eq!(cluster.verified(), Some(true));
    }
    assert_eq!(cluster.slots(), ("ping", Some("v3"), Some("v2")));
}

#[test]
fn an_aborted_canary_keeps_its_service_and_is_tried_again_there() {
    for more in [json!({}), json!({"dynamicStableScale": true})] {
        let mut cluster = turning(&until_told(), &more);
        cluster.ship_to_a_fifth();
        cluster.find(super::roll_back());
        assert_eq!(cluster.trace[0], "weight 0, aborted, step 0");
        cluster.pass_well(100);
        assert_eq!(cluster.slots(), ("ping", Some("v1"), Some("v2")));
        assert_eq!(cluster.wanted(), [("v1", 5)]);
        cluster.patch_status(&json!({"abort": false}));
        cluster.proxies.finding = None;
        cluster.pass_well(10);
        assert_eq!(cluster.canary_weight(), Some(20));
        cluster.promote();
        cluster.pass_well(100);
        assert_eq!(cluster.phase(), "Healthy");
        assert_eq!(cluster.slots(), ("pong", Some("v1"), Some("v2")));
        assert_eq!(cluster.wanted(), [("v2", 5)]);
    }
}

#[test]
fn undone_in_the_middle_nothing_changes_sides() {
    for more in [json!({}), json!({"dynamicStableScale": true})] {
        let mut cluster = turning(&until_told(), &more);
        cluster.ship_to_a_fifth();
        cluster.ship("v1");
        assert_eq!(cluster.trace[0], "weight 0, step 4");
        cluster.pass_well(60);
        assert_eq!(cluster.phase(), "Healthy");
        assert_eq!(cluster.slots(), ("ping", Some("v1"), Some("v2")));
        assert_eq!(cluster.wanted(), [("v1", 5)]);
    }
}

/// The next canary gets the Service when no proxy sends requests to the one before it any more.
#[test]
fn another_version_in_the_middle_takes_the_service_over() {
    let mut cluster = turning(&until_told(), &json!({}));
    cluster.ship_to_a_fifth();
    cluster.proxies.are_deaf = true;
    cluster.ship("v3");
    assert_eq!(cluster.trace[..2], ["v3 has 1 pods", "weight 0, step 0"]);
    cluster.pass_well(50);
    assert_eq!(cluster.slots(), ("ping", Some("v1"), Some("v2")));
    cluster.proxies.are_deaf = false;
    cluster.pass_well(20);
    assert_eq!(cluster.slots(), ("ping", Some("v1"), Some("v3")));
    assert_eq!(cluster.canary_weight(), Some(20));
    cluster.promote();
    cluster.pass_well(60);
    assert_eq!(cluster.slots(), ("pong", Some("v1"), Some("v3")));
    assert_eq!(cluster.wanted(), [("v3", 5)]);
}

/// Proxies that are late still send everything to the Service that was stable's.
#[test]
fn promoted_in_full_the_next_version_waits_for_late_proxies() {
    let mut cluster = turning(&until_told(), &json!({"scaleDownDelaySeconds": 600}));
    cluster.ship_to_a_fifth();
    cluster.proxies.are_deaf = true;
    cluster.patch_status(&json!({"promoteFull": true}));
    cluster.pass_well(60);
    assert_eq!(cluster.slots(), ("pong", Some("v1"), Some("v2")));
    assert_eq!(
        cluster.trace,
        [
            "v2 has 5 pods",
            "step 4",
            "weight 0, pong is stable's, v2 is stable"
        ]
    );
    cluster.ship("v3");
    cluster.patch_status(&json!({"promoteFull": true}));
    cluster.pass_well(60);
    assert_eq!(cluster.slots(), ("pong", Some("v1"), Some("v2")));
    assert_eq!(
        cluster.phase(),
        "Progressing: waiting for all proxies to send nothing to Service \"ping\", which is to be the new version's"
    );
    cluster.proxies.are_deaf = false;
    cluster.pass_well(100);
    assert_eq!(cluster.slots(), ("ping", Some("v3"), Some("v2")));
    assert_eq!(cluster.phase(), "Healthy");
}

/// Argo Rollouts gives the weights no names of Services.
#[test]
fn what_argo_left_in_the_middle_goes_on() {
    let mut cluster = turning(&until_told(), &json!({}));
    cluster.ship_to_a_fifth();
    cluster.rollout["status"]["canary"]["stablePingPong"] = json!("pong");
    for side in ["stable", "canary"] {
        let weights = &mut cluster.rollout["status"]["canary"]["weights"][side];
        weights.as_object_mut().unwrap().remove("serviceName");
    }
    let ping = cluster.services.remove("ping").unwrap();
    let pong = cluster.services.insert("pong".to_owned(), ping).unwrap();
    cluster.services.insert("ping".to_owned(), pong);
    cluster.settle();
    assert_eq!(cluster.slots(), ("pong", Some("v2"), Some("v1")));
    cluster.pass_well(10);
    assert!(cluster.trace.is_empty(), "{:?}", cluster.trace);
    cluster.promote();
    cluster.pass_well(60);
    assert_eq!(cluster.slots(), ("ping", Some("v2"), Some("v1")));
    assert_eq!(cluster.wanted(), [("v2", 5)]);
}

/// It makes the canary stable by one write, and gives its weight back by the next.
#[test]
fn what_argo_left_between_promotion_and_weight_goes_on() {
    let mut cluster = turning(&json!([]), &json!({}));
    let v1 = cluster.status().stable_rs.unwrap();
    cluster.ship("v2");
    cluster.pass_well(60);
    let v2 = cluster.status().stable_rs.unwrap();
    assert_eq!(cluster.slots(), ("pong", Some("v1"), Some("v2")));
    cluster.rollout["status"]["canary"]["weights"] = json!({
        "canary": {"weight": 100, "podTemplateHash": v2}, "stable": {"weight": 0, "podTemplateHash": v1},
    });
    cluster.trace.clear();
    cluster.settle();
    assert_eq!(cluster.trace, ["weight 0"]);
    assert_eq!(cluster.slots(), ("pong", Some("v1"), Some("v2")));
}

#[test]
fn without_pods_and_without_proxies_they_change_sides_all_the_same() {
    let mut cluster = turning(&until_told(), &json!({}));
    cluster.edit(&json!({"replicas": 0}));
    cluster.pass(5);
    cluster.ship("v2");
    cluster.patch_status(&json!({"promoteFull": true}));
    cluster.pass(30);
    assert_eq!(cluster.slots().0, "pong");
    cluster.edit(&json!({"replicas": 3}));
    cluster.pass(30);
    assert_eq!(cluster.phase(), "Healthy");
    assert_eq!(cluster.slots().2, Some("v2"));
    cluster.proxies.live = 0;
    cluster.ship("v3");
    cluster.patch_status(&json!({"promoteFull": true}));
    cluster.pass(60);
    assert_eq!(cluster.phase(), "Healthy");
    assert_eq!(cluster.slots(), ("ping", Some("v3"), Some("v2")));
}

#[test]
fn services_beside_them_lead_to_their_side_for_ever() {
    let lasting = json!({"stableService": "active", "canaryService": "preview"});
    let mut cluster = turning(&until_told(), &lasting);
    cluster.ship_to_a_fifth();
    assert_eq!(cluster.leads_to("active"), Some("v1"));
    assert_eq!(cluster.leads_to("preview"), Some("v2"));
    cluster.promote();
    cluster.pass_well(60);
    assert_eq!(cluster.slots(), ("pong", Some("v1"), Some("v2")));
    assert_eq!(cluster.leads_to("active"), Some("v2"));
    cluster.ship("v3");
    cluster.pass_well(20);
    cluster.patch_status(&json!({"abort": true}));
    assert_eq!(cluster.leads_to("preview"), Some("v2"));
    assert_eq!(cluster.slots(), ("pong", Some("v3"), Some("v2")));
}

/// As `kubectl argo rollouts undo` does it with a window: all at once, and to the other Service.
#[test]
fn a_version_of_the_window_comes_back_at_the_other_service() {
    let mut cluster = turning(&json!([{"setWeight": 80}, {"pause": {}}]), &json!({}));
    cluster.edit(&json!({"rollbackWindow": {"revisions": 2}}));
    cluster.ship("v2");
    cluster.pass_well(20);
    cluster.promote();
    cluster.pass_well(10);
    assert_eq!(cluster.slots(), ("pong", Some("v1"), Some("v2")));
    cluster.trace.clear();
    // Its pods are still there, at the Service that it was left at.
    cluster.ship("v1");
    cluster.pass_well(30);
    assert_eq!(cluster.phase(), "Healthy");
    assert_eq!(cluster.slots(), ("ping", Some("v1"), Some("v2")));
    assert!(
        !cluster.trace.iter().any(|line| line.contains("leads to")),
        "{:?}",
        cluster.trace
    );
}

#[test]
fn a_finding_about_the_version_before_is_nothing_to_a_canary_without_its_service() {
    let mut cluster = turning(&until_told(), &json!({}));
    cluster.ship_to_a_fifth();
    cluster.proxies.are_deaf = true;
    let v2 = cluster.status().current_pod_hash.unwrap();
    cluster.ship("v3");
    let why = "9 of 10 failed".to_owned();
    cluster.find_of(Some(&v2), Judgement::RollBack { why }, None);
    assert_eq!(cluster.status().abort, None);
}

#[test]
fn services_that_cannot_take_turns_are_refused_by_name() {
    let check = |more: Value, why: &str| {
        let mut strategy = strategy(&json!([]), &taking_turns(), &json!({}));
        merge(&mut strategy["canary"], &more);
        let spec = json!({"replicas": 1, "strategy": strategy});
        let mut cluster = Cluster::new(&spec, "v1").with_services(&SERVICES);
        cluster.settle();
        let said = format!("Degraded: InvalidSpec: The Rollout \"shop\" is invalid: {why}");
        assert_eq!(cluster.phase(), said);
        assert!(cluster.sets.is_empty());
    };
    let at = |why: &str| format!("spec.strategy.canary.{why}");
    check(
        json!({"pingPong": {"pongService": "ping"}}),
        &at("pingPong.pongService: found the Service of pingService, allowed another one"),
    );
    check(
        json!({"pingPong": {"pingService": ""}}),
        &at("pingPong.pingService: required"),
    );
    check(
        json!({"pingPong": {"pongService": "nobody"}}),
        "service \"nobody\" not found",
    );
    check(
        json!({"stableService": "ping"}),
        &at(
            "stableService: found a Service of pingPong, which is each side's in turn; allowed another one, or none",
        ),
    );
    check(
        json!({"trafficRouting": null}),
        &at("pingPong: can only be used with trafficRouting"),
    );
}
