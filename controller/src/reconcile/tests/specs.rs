//! Specs that cannot be followed.

use serde_json::{Value, json};

use super::Cluster;
use crate::reconcile::not_created;

#[test]
fn what_is_wrong_is_told() {
    let canary = |canary: Value| json!({"strategy": {"canary": canary}});
    for (spec, why) in [
        (
            json!({"replicas": -1}),
            "spec.replicas: found -1, allowed 0 or more",
        ),
        (
            json!({"strategy": {}}),
            "spec.strategy: required, one of canary and blueGreen",
        ),
        (
            json!({"progressDeadlineSeconds": 10, "minReadySeconds": 10}),
            "spec.progressDeadlineSeconds: found 10, must be greater than minReadySeconds (10)",
        ),
        (
            json!({"selector": {"matchLabels": {"app": "other"}}}),
            "spec.template.metadata.labels: `selector` does not match template `labels`: app must be \"other\"",
        ),
        (
            canary(json!({"steps": [{"setWeight": 101}]})),
            "spec.strategy.canary.steps[0].setWeight: found 101, allowed 0 to 100",
        ),
        (
            canary(json!({"steps": [{"setWeight": 1, "pause": {}}]})),
            "spec.strategy.canary.steps[0]: found setWeight, pause, allowed exactly one of",
        ),
        (
            canary(json!({"maxSurge": 0, "maxUnavailable": "0%"})),
            "spec.strategy.canary.maxSurge: found 0 beside a maxUnavailable of 0",
        ),
        (
            canary(json!({"analysis": {"templates": [{"templateName": "rate"}]}})),
            "spec.strategy.canary.analysis: does not act in this version of Sluice",
        ),
        (
            json!({
                "workloadRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "shop"},
            }),
            "spec.template: template must be empty for workload reference rollout",
        ),
        (
            canary(json!({"canaryService": "missing"})),
            "service \"missing\" not found",
        ),
        (
            canary(json!({"canaryService": "taken"})),
            "service \"taken\" is managed by another Rollout, \"cart\"",
        ),
    ] {
        let mut base = json!({"strategy": {"canary": {}}});
        if spec["strategy"] == json!({}) {
            base = json!({});
        }
        super::cluster::merge(&mut base, &spec);
        let mut cluster = Cluster::new(&base, "v1").with_services(&["taken"]);
        let taken = cluster.services.get_mut("taken").unwrap();
        let key = "argo-rollouts.argoproj.io/managed-by-rollouts".to_owned();
        taken.annotations.insert(key, "cart".to_owned());
        cluster.settle();
        let said = format!("Degraded: InvalidSpec: The Rollout \"shop\" is invalid: {why}");
        assert!(
            cluster.phase().starts_with(&said),
            "{}\n{why}",
            cluster.phase()
        );
        assert_eq!(
            cluster.status().conditions.len(),
            1,
            "it is the only condition"
        );
        assert!(cluster.sets.is_empty());
        assert!(cluster.wake_at.is_some(), "it is looked at again");
    }
}

#[test]
fn it_heals_when_what_was_missing_comes() {
    let spec = json!({"strategy": {"blueGreen": {"activeService": "active"}}});
    let mut cluster = Cluster::new(&spec, "v1");
    cluster.settle();
    assert!(
        cluster.phase().ends_with("service \"active\" not found"),
        "{}",
        cluster.phase()
    );
    cluster = cluster.with_services(&["active"]);
    cluster.pass(25);
    assert_eq!(cluster.phase(), "Healthy");
}

#[test]
fn a_rollout_that_is_going_is_left_alone() {
    let mut cluster = Cluster::new(&json!({"strategy": {"canary": {}}}), "v1");
    cluster.rollout["metadata"]["deletionTimestamp"] = json!("2026-11-29T00:00:00Z");
    cluster.settle();
    assert!(cluster.sets.is_empty() && cluster.rollout.get("status").is_none());
}

#[test]
fn a_replica_set_that_is_refused_is_told_of_once() {
    let mut cluster = Cluster::new(&json!({"strategy": {"canary": {}}}), "v1");
    let told = not_created(&cluster.world(), "quota exceeded", cluster.now);
    assert_eq!(told.len(), 2, "{told:?}");
    for write in told {
        cluster.apply(write);
    }
    let conditions = cluster.status().conditions;
    assert_eq!(conditions[0].reason, "ReplicaSetCreateError");
    assert_eq!(
        conditions[0].message,
        "Failed to create new replica set: quota exceeded"
    );
    assert_eq!(cluster.events, ["ReplicaSetCreateError"]);
    assert!(not_created(&cluster.world(), "quota exceeded", cluster.now).is_empty());
    cluster.settle();
    cluster.pass(5);
    assert_eq!(cluster.phase(), "Healthy");
}

#[test]
fn a_malformed_quantity_is_taken_out_and_told_of() {
    let overhead = json!({"cpu": "1", "memory": "much"});
    let spec = json!({"strategy": {"canary": {}}, "template": {"spec": {"overhead": overhead}}});
    let mut cluster = Cluster::new(&spec, "v1");
    cluster.settle();
    cluster.pass(5);
    assert_eq!(cluster.phase(), "Healthy");
    let left = json!({"cpu": "1"});
    assert_eq!(
        cluster.rollout["spec"]["template"]["spec"]["overhead"],
        left
    );
    assert_eq!(cluster.sets[0].template["spec"]["overhead"], left);
    let told = |reason: &str| cluster.events.iter().filter(|told| *told == reason).count();
    assert_eq!(told("MalformedTemplate"), 1, "{:?}", cluster.events);
}
