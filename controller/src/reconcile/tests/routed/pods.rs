//! Pods come before their traffic and go after it.

use serde_json::{Value, json};

use super::super::Cluster;
use super::{plain, routed, until_told};

#[test]
fn an_aborted_canary_keeps_its_pods_for_a_time() {
    let aborted = [
        "weight 0, aborted, step 0",
        "preview leads to v1",
        "v2 has 0 pods",
    ];
    let check = |more: Value, at_once: u32, before: u32, after: u32, seconds: i64| {
        let mut cluster = routed(5, &until_told(), &more, &json!({}));
        cluster.ship_to_a_fifth();
        cluster.patch_status(&json!({"abort": true}));
        let pods = |cluster: &Cluster| {
            let set = cluster.sets.iter().find(|set| set.image == "v2");
            set.unwrap().object.wanted
        };
        assert_eq!(pods(&cluster), at_once, "{more}");
        cluster.pass_well(seconds - 2);
        assert_eq!(pods(&cluster), before, "{more} {:?}", cluster.trace);
        cluster.pass_well(4);
        assert_eq!(pods(&cluster), after, "{more}");
        assert_eq!(
            cluster.phase(),
            "Degraded: RolloutAborted: Rollout aborted update to revision 2"
        );
        let stable = cluster.sets.iter().find(|set| set.image == "v1").unwrap();
        assert_eq!(stable.object.available, 5);
        cluster
    };
    assert_eq!(check(json!({}), 1, 1, 0, 30).trace[1..], aborted[1..]);
    check(json!({"abortScaleDownDelaySeconds": 5}), 1, 1, 0, 5);
    check(json!({"abortScaleDownDelaySeconds": 0}), 1, 1, 1, 600);
    // Stable has to come back to all of its pods, and the canary's go as soon as they get nothing.
    check(json!({"dynamicStableScale": true}), 1, 0, 0, 5);
    let kept = json!({"dynamicStableScale": true, "abortScaleDownDelaySeconds": 10});
    check(kept, 1, 1, 0, 12);
}

#[test]
fn pods_outlive_their_delay_as_long_as_a_proxy_may_send_them_requests() {
    let more = json!({"scaleDownDelaySeconds": 5, "abortScaleDownDelaySeconds": 5});
    let check_with =
        |more: &Value, ends: fn(&mut Cluster), before: &[(&str, u32)], after: &[(&str, u32)]| {
            let mut cluster = routed(5, &until_told(), more, &json!({}));
            cluster.ship_to_a_fifth();
            ends(&mut cluster);
            cluster.proxies.is_one_mute = true;
            cluster.pass_well(60);
            assert_eq!(cluster.wanted(), before);
            (cluster.proxies.is_one_mute, cluster.proxies.are_deaf) = (false, false);
            cluster.settle();
            cluster.pass_well(5);
            assert_eq!(cluster.wanted(), after);
        };
    let check = |ends, before: &[_], after: &[_]| check_with(&more, ends, before, after);
    let abort = |cluster: &mut Cluster| cluster.patch_status(&json!({"abort": true}));
    check(abort, &[("v1", 5), ("v2", 1)], &[("v1", 5)]);
    let cut_off = |cluster: &mut Cluster| {
        cluster.proxies.are_deaf = true;
        cluster.patch_status(&json!({"abort": true}));
    };
    check(cut_off, &[("v1", 5), ("v2", 1)], &[("v1", 5)]);
    let dynamic = json!({"dynamicStableScale": true});
    check_with(&dynamic, cut_off, &[("v1", 5), ("v2", 1)], &[("v1", 5)]);
    let promote = |cluster: &mut Cluster| {
        cluster.promote();
        cluster.pass_well(12);
        assert_eq!(cluster.phase(), "Healthy");
    };
    check(promote, &[("v1", 5), ("v2", 5)], &[("v2", 5)]);
    // Where no proxy is live, the delay is all that there is.
    let alone = |cluster: &mut Cluster| {
        cluster.proxies.change(0, 1);
        cluster.patch_status(&json!({"abort": true}));
    };
    check(alone, &[("v1", 5)], &[("v1", 5)]);
}

#[test]
fn with_dynamic_stable_scale_stable_gives_its_pods_after_its_traffic() {
    let more = json!({"dynamicStableScale": true});
    let mut cluster = routed(5, &until_told(), &more, &json!({}));
    cluster.ship("v2");
    cluster.pass_well(10);
    assert_eq!(cluster.wanted(), [("v1", 4), ("v2", 1)]);
    cluster.promote();
    cluster.pass_well(4);
    cluster.proxies.lag = 10;
    cluster.pass_well(50);
    assert_eq!(
        cluster.trace,
        [
            "v2 has 1 pods",
            "step 0",
            "preview leads to v2",
            "weight 20",
            "v1 has 4 pods",
            "step 1",
            "step 2",
            "v2 has 3 pods",
            "weight 60",
            "v1 has 2 pods",
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
}

#[test]
fn a_canary_has_the_pods_that_a_step_sets() {
    let check = |scale: Value, pods: u32| {
        let steps = json!([
            {"setCanaryScale": scale}, {"setWeight": 50}, {"pause": {}}, {"setCanaryScale": {"matchTrafficWeight": true}},
            {"pause": {}},
        ]);
        let mut cluster = routed(10, &steps, &json!({"minPodsPerReplicaSet": 2}), &json!({}));
        cluster.ship("v2");
        cluster.pass_well(10);
        assert_eq!(cluster.wanted(), [("v1", 10), ("v2", pods)], "{scale}");
        assert_eq!(cluster.canary_weight(), Some(50));
        cluster.promote();
        cluster.pass_well(10);
        assert_eq!(cluster.wanted(), [("v1", 10), ("v2", 5)], "{scale}");
        assert_eq!(cluster.status().current_step_index, Some(4));
    };
    check(json!({"replicas": 3}), 3);
    check(json!({"weight": 10}), 2);
    check(json!({"weight": 80}), 8);
    check(json!({"matchTrafficWeight": true}), 5);
}

#[test]
fn a_weight_that_falls_takes_its_pods_along_afterwards() {
    let steps = json!([{"setWeight": 80}, {"setWeight": 20}, {"pause": {}}]);
    let mut cluster = plain(5, &steps);
    cluster.ship("v2");
    cluster.pass_well(2);
    cluster.proxies.lag = 6;
    cluster.pass_well(5);
    assert_eq!(cluster.canary_weight(), Some(20));
    assert_eq!(
        cluster.wanted(),
        [("v1", 5), ("v2", 4)],
        "not all proxies serve that yet"
    );
    cluster.pass_well(8);
    assert_eq!(
        cluster.trace,
        [
            "v2 has 4 pods",
            "step 0",
            "preview leads to v2",
            "weight 80",
            "weight 20, step 1",
            "v2 has 1 pods",
            "step 2",
        ]
    );
}

#[test]
fn a_version_that_was_given_up_goes_when_nobody_serves_it() {
    let mut cluster = plain(5, &until_told());
    cluster.ship_to_a_fifth();
    cluster.proxies.are_deaf = true;
    cluster.ship("v3");
    assert_eq!(cluster.trace[..2], ["v3 has 1 pods", "weight 0, step 0"]);
    cluster.pass_well(50);
    cluster.proxies.are_deaf = false;
    cluster.proxies.lag = 7;
    cluster.pass_well(5);
    assert!(
        cluster.wanted().contains(&("v2", 1)),
        "proxies may serve it still"
    );
    cluster.pass_well(20);
    assert_eq!(cluster.wanted(), [("v1", 5), ("v3", 1)]);
    assert_eq!(cluster.canary_weight(), Some(20));
}

#[test]
fn so_many_old_versions_keep_their_pods_as_the_limit_says() {
    let more = json!({"scaleDownDelaySeconds": 100, "scaleDownDelayRevisionLimit": 1});
    let mut cluster = routed(2, &json!([]), &more, &json!({}));
    for image in ["v2", "v3"] {
        cluster.ship(image);
        cluster.pass_well(20);
        assert_eq!(cluster.phase(), "Healthy", "{image}");
    }
    assert_eq!(cluster.wanted(), [("v2", 2), ("v3", 2)]);
    cluster.pass_well(100);
    assert_eq!(cluster.wanted(), [("v3", 2)]);
}
