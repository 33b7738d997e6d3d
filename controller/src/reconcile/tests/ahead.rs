//! What follows from the making of a ReplicaSet, seen ahead.

use serde_json::{Value, json};

use super::Cluster;
use super::cluster::template;
use super::routed::strategy;
use crate::reconcile::{Write, turn};

/// A Rollout of five pods that runs v1, and for which v2 was just shipped.
fn shipped(strategy: &Value, images: &[&str]) -> Cluster {
    let spec = json!({"replicas": 5, "revisionHistoryLimit": 1, "strategy": strategy});
    let mut cluster = Cluster::new(&spec, "v1").with_services(&super::routed::SERVICES);
    cluster.settle();
    cluster.pass(20);
    for image in images {
        cluster.ship(image);
        cluster.pass(60);
    }
    cluster.write_spec(&json!({"template": template("v2")}));
    cluster
}

/// With how many pods the ReplicaSet of v2 is made.
#[test]
fn it_is_made_with_the_pods_that_it_is_to_have() {
    let check = |strategy: Value, images: &[&str], expected: u64| {
        let cluster = shipped(&strategy, images);
        let writes = turn(&cluster.world(), cluster.now).writes;
        let made: Vec<_> = writes
            .iter()
            .filter_map(|write| match write {
                Write::CreateReplicaSet { object } => object["spec"]["replicas"].as_u64(),
                _ => None,
            })
            .collect();
        assert_eq!(made, [expected], "{strategy} {images:?}");
    };
    let canary = |steps: Value, surge: u32, unavailable: u32| json!({"canary": {"steps": steps, "maxSurge": surge, "maxUnavailable": unavailable}});
    let fifth = || json!([{"setWeight": 20}, {"pause": {}}]);
    check(canary(fifth(), 1, 0), &[], 1);
    check(canary(json!([]), 2, 0), &[], 2);
    check(
        canary(json!([{"pause": {}}, {"setWeight": 20}]), 1, 0),
        &[],
        0,
    );
    // Stable's has to go first.
    check(canary(fifth(), 0, 1), &[], 0);
    // The oldest ReplicaSet is deleted in the same turn.
    check(canary(json!([]), 1, 0), &["v3", "v4"], 1);
    let scaled = json!([{"setCanaryScale": {"replicas": 3}}, {"setWeight": 20}]);
    check(strategy(&scaled, &json!({}), &json!({})), &[], 3);
    // Its Service leads to it before it has pods.
    let turning = super::routed::taking_turns();
    check(strategy(&fifth(), &turning, &json!({})), &[], 0);
    let blue_green = |preview: Value| json!({"blueGreen": preview});
    check(blue_green(json!({"activeService": "active"})), &[], 5);
    let previewed =
        json!({"activeService": "active", "previewService": "preview", "previewReplicaCount": 2});
    check(blue_green(previewed), &[], 2);
}

/// A ReplicaSet is made with its pods, and whoever goes on after any of the writes of its making comes to the same end.
#[test]
fn a_making_may_be_broken_off_anywhere() {
    for (then, ends) in [(None, "v2"), (Some("v3"), "v3"), (Some("v1"), "v1")] {
        let mut written = 0;
        for cut in 0.. {
            let steps = json!([{"setWeight": 20}, {"pause": {"duration": 3}}]);
            let budget = json!({"steps": steps, "maxSurge": 1, "maxUnavailable": 0});
            let mut cluster = shipped(&json!({"canary": budget}), &[]);
            let turn = turn(&cluster.world(), cluster.now);
            written = turn.writes.len();
            if cut > written {
                break;
            }
            for write in turn.writes.into_iter().take(cut) {
                cluster.apply(write);
            }
            assert_eq!(
                cluster.wanted().len(),
                if cut == 0 { 1 } else { 2 },
                "{cut}"
            );
            if let Some(image) = then {
                cluster.write_spec(&json!({"template": template(image)}));
            }
            cluster.settle();
            cluster.pass(40);
            assert_eq!(cluster.wanted(), [(ends, 5)], "after {cut} writes");
            assert_eq!(cluster.phase(), "Healthy", "after {cut} writes");
        }
        assert!(written > 5, "{written}");
    }
}
