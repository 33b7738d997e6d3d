//! Specs of routed canaries that cannot be followed.

use serde_json::{Value, json};

use super::super::Cluster;
use super::strategy;
use crate::reconcile::judging;

#[test]
fn what_cannot_act_is_refused_by_name() {
    let check = |steps: Value, more: Value, options: Value, why: &str| {
        let spec = json!({"replicas": 1, "strategy": strategy(&steps, &more, &options)});
        let mut cluster = Cluster::new(&spec, "v1").with_services(&["active", "preview"]);
        cluster.settle();
        let said = format!(
            "Degraded: InvalidSpec: The Rollout \"shop\" is invalid: spec.strategy.canary.{why}"
        );
        assert!(
            cluster.phase().starts_with(&said),
            "{}\n{said}",
            cluster.phase()
        );
        assert!(cluster.sets.is_empty());
        assert_eq!(judging(&cluster.world().rollout), None);
    };
    let none = || json!({});
    let held = "does not act in this version of Sluice";
    check(
        json!([]),
        json!({"stableService": null}),
        none(),
        "stableService: required with trafficRouting",
    );
    check(
        json!([]),
        json!({"canaryService": ""}),
        none(),
        "canaryService: required with trafficRouting",
    );
    let both = json!({"trafficRouting": {"nginx": {"stableIngress": "shop"}}});
    check(json!([]), both, none(), &format!("trafficRouting: {held}"));
    let other = json!({"trafficRouting": {"plugins": {"argoproj-labs/gatewayAPI": {}}}});
    check(json!([]), other, none(), &format!("trafficRouting: {held}"));
    let most = json!({"trafficRouting": {"maxTrafficWeight": 1000}});
    check(
        json!([]),
        most,
        none(),
        "trafficRouting.maxTrafficWeight: found 1000, allowed 100",
    );
    let both = json!({"dynamicStableScale": true, "scaleDownDelaySeconds": 5});
    check(
        json!([]),
        both,
        none(),
        "scaleDownDelaySeconds: found beside dynamicStableScale",
    );
    let below = json!({"abortScaleDownDelaySeconds": -1});
    check(
        json!([]),
        below,
        none(),
        "abortScaleDownDelaySeconds: found -1, allowed 0 or more",
    );
    let alpha = json!({"guard": {"alpha": 0.7}});
    check(
        json!([]),
        none(),
        alpha,
        "trafficRouting.plugins[\"sluice/proxy\"].guard.alpha: found 0.7",
    );
    let typo = json!({"gaurd": "off"});
    check(
        json!([]),
        none(),
        typo,
        "trafficRouting.plugins[\"sluice/proxy\"].gaurd: is no known field",
    );
    let steps = json!([{"setHeaderRoute": {"name": "nobody", "match": []}}]);
    check(
        steps,
        none(),
        none(),
        "steps[0].setHeaderRoute.name: found \"nobody\"",
    );
    let steps = json!([{"setMirrorRoute": {"name": "testers", "percentage": 500}}]);
    let why = "steps[0].setMirrorRoute.percentage: found 500, allowed 0 to 100";
    check(steps, none(), none(), why);
    let steps = json!([{"plugin": {"name": "other/plugin"}}]);
    check(steps, none(), none(), &format!("steps[0].plugin: {held}"));
    let steps = json!([{"plugin": {"name": "sluice/evidence"}}]);
    check(
        steps,
        none(),
        none(),
        "steps[0].plugin: found an evidence step for a canary without traffic",
    );
    let steps = json!([{"setCanaryScale": {"weight": 101}}]);
    check(
        steps,
        none(),
        none(),
        "steps[0].setCanaryScale.weight: found 101, allowed 0 to 100",
    );
}
