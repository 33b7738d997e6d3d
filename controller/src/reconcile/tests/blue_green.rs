//! Blue-green.

use serde_json::{Value, json};

use super::Cluster;

fn blue_green(options: &Value) -> Cluster {
    let mut strategy = json!({"activeService": "active"});
    super::cluster::merge(&mut strategy, options);
    let spec = json!({"replicas": 3, "strategy": {"blueGreen": strategy}});
    let mut cluster = Cluster::new(&spec, "v1").with_services(&["active", "preview"]);
    cluster.settle();
    cluster.pass(3);
    assert_eq!(cluster.phase(), "Healthy");
    assert_eq!(cluster.leads_to("active"), Some("v1"));
    cluster
}

/// The order of events that tools wait for, as Argo Rollouts' own end-to-end test of it has it.
#[test]
fn an_update_tells_the_events_of_the_api() {
    let mut cluster = blue_green(&json!({}));
    cluster.ship("v2");
    assert_eq!(cluster.leads_to("active"), Some("v1"));
    cluster.pass(3);
    assert_eq!(cluster.leads_to("active"), Some("v2"));
    assert_eq!(cluster.phase(), "Healthy");
    assert_eq!(
        cluster.events,
        [
            "RolloutAddedToInformer",
            "RolloutUpdated",
            "NewReplicaSetCreated",
            "ScalingReplicaSet",
            "RolloutCompleted",
            "SwitchService",
            "RolloutUpdated",
            "NewReplicaSetCreated",
            "RolloutNotCompleted",
            "ScalingReplicaSet",
            "SwitchService",
            "RolloutCompleted"
        ]
    );
}

#[test]
fn old_pods_stay_for_their_delay() {
    let mut cluster = blue_green(&json!({"scaleDownDelaySeconds": 20}));
    cluster.ship("v2");
    cluster.pass(10);
    assert_eq!(cluster.wanted(), [("v1", 3), ("v2", 3)]);
    cluster.pass(20);
    assert_eq!(cluster.wanted(), [("v2", 3)]);
    let v1 = &cluster.sets[0].object.annotations;
    assert!(!v1.contains_key("scale-down-deadline"));
}

#[test]
fn only_so_many_old_versions_wait_for_their_delay() {
    let options = json!({"scaleDownDelaySeconds": 600, "scaleDownDelayRevisionLimit": 1});
    let mut cluster = blue_green(&options);
    for image in ["v2", "v3"] {
        cluster.ship(image);
        cluster.pass(5);
    }
    assert_eq!(cluster.wanted(), [("v2", 3), ("v3", 3)]);
}

#[test]
fn the_switch_waits_for_a_person() {
    let options = json!({"previewService": "preview", "autoPromotionEnabled": false});
    let mut cluster = blue_green(&options);
    cluster.ship("v2");
    assert_eq!(cluster.leads_to("preview"), Some("v2"));
    cluster.pass(1_500);
    assert_eq!(cluster.phase(), "Paused: BlueGreenPause");
    assert_eq!(cluster.leads_to("active"), Some("v1"));
    cluster.promote();
    assert_eq!(cluster.leads_to("active"), Some("v2"));
    cluster.pass(3);
    assert_eq!(cluster.phase(), "Healthy");
}

#[test]
fn the_switch_waits_for_a_time_or_a_person() {
    for is_impatient in [false, true] {
        let mut cluster = blue_green(&json!({"autoPromotionSeconds": 30}));
        cluster.ship("v2");
        cluster.pass(10);
        assert_eq!(cluster.phase(), "Paused: BlueGreenPause");
        if is_impatient {
            cluster.promote();
            assert_eq!(cluster.leads_to("active"), Some("v2"));
        } else {
            cluster.pass(15);
            assert_eq!(cluster.leads_to("active"), Some("v1"));
            cluster.pass(10);
            assert_eq!(cluster.leads_to("active"), Some("v2"));
        }
    }
}

#[test]
fn the_preview_is_small_until_it_was_looked_at() {
    let options = json!({"previewReplicaCount": 1, "autoPromotionEnabled": false});
    let mut cluster = blue_green(&options);
    cluster.ship("v2");
    cluster.pass(5);
    assert_eq!(cluster.wanted(), [("v1", 3), ("v2", 1)]);
    cluster.promote();
    assert_eq!(cluster.wanted(), [("v1", 3), ("v2", 3)]);
    assert_eq!(
        cluster.leads_to("active"),
        Some("v1"),
        "not before all pods are there"
    );
    cluster.pass(3);
    assert_eq!(cluster.leads_to("active"), Some("v2"));
}

#[test]
fn an_aborted_preview_keeps_its_pods_for_its_delay() {
    for (delay, left) in [(json!(10), 0), (json!(0), 3)] {
        let options = json!({"autoPromotionEnabled": false, "abortScaleDownDelaySeconds": delay});
        let mut cluster = blue_green(&options);
        cluster.ship("v2");
        cluster.pass(5);
        cluster.patch_status(&json!({"abort": true}));
        cluster.pass(5);
        assert_eq!(cluster.wanted(), [("v1", 3), ("v2", 3)]);
        assert!(
            cluster.phase().starts_with("Degraded: RolloutAborted"),
            "{}",
            cluster.phase()
        );
        cluster.pass(10);
        let v2 = cluster.sets.iter().find(|set| set.image == "v2").unwrap();
        assert_eq!(v2.object.wanted, left);
        assert_eq!(cluster.leads_to("active"), Some("v1"));
        cluster.patch_status(&json!({"abort": false}));
        cluster.pass(5);
        assert_eq!(cluster.phase(), "Paused: BlueGreenPause");
        assert_eq!(cluster.wanted(), [("v1", 3), ("v2", 3)]);
    }
}

#[test]
fn a_switched_version_whose_pods_are_still_there_comes_back_at_once() {
    let mut cluster = blue_green(&json!({"autoPromotionEnabled": false}));
    cluster.ship("v2");
    cluster.pass(5);
    cluster.promote();
    cluster.pass(5);
    cluster.ship("v1");
    assert_eq!(cluster.leads_to("active"), Some("v1"));
    cluster.pass(2);
    assert_eq!(cluster.phase(), "Healthy");
}

#[test]
fn a_delay_begins_anew_each_time() {
    let mut cluster = blue_green(&json!({"scaleDownDelaySeconds": 20}));
    for image in ["v2", "v1", "v2"] {
        cluster.ship(image);
        cluster.pass(10);
        assert_eq!(cluster.leads_to("active"), Some(image));
        assert_eq!(cluster.wanted(), [("v1", 3), ("v2", 3)], "{image}");
        let mut sets = cluster.sets.iter();
        let active = sets.find(|set| set.image == image).unwrap();
        assert!(
            !active
                .object
                .annotations
                .contains_key("scale-down-deadline"),
            "{image}"
        );
    }
}

/// As another controller may leave it: the active Service leads to a version that is not stable yet.
#[test]
fn an_abort_after_the_switch_leads_back_at_once() {
    let mut cluster = blue_green(&json!({"autoPromotionEnabled": false}));
    cluster.ship("v2");
    cluster.pass(5);
    let hash = cluster.status().current_pod_hash.unwrap();
    let active = cluster.services.get_mut("active").unwrap();
    active
        .selector
        .insert("rollouts-pod-template-hash".to_owned(), hash);
    assert_eq!(cluster.leads_to("active"), Some("v2"));
    cluster.patch_status(&json!({"abort": true}));
    assert_eq!(cluster.leads_to("active"), Some("v1"));
}

#[test]
fn a_service_that_is_not_named_any_more_leads_to_all_pods() {
    let mut cluster = blue_green(&json!({"previewService": "preview"}));
    assert_eq!(cluster.leads_to("preview"), Some("v1"));
    cluster.edit(&json!({"strategy": {"blueGreen": null, "canary": {}}}));
    for service in ["active", "preview"] {
        let service = &cluster.services[service];
        assert!(service.annotations.is_empty(), "{service:?}");
        assert_eq!(service.selector.len(), 1, "{service:?}");
    }
    cluster.pass(5);
    assert_eq!(cluster.phase(), "Healthy");
}

#[test]
fn each_version_without_ready_pods_is_late() {
    let mut cluster = blue_green(&json!({"abortScaleDownDelaySeconds": 1}));
    cluster.bad = vec!["v2".to_owned(), "v3".to_owned()];
    cluster.edit(&json!({"progressDeadlineSeconds": 30, "progressDeadlineAbort": true}));
    for version in ["v2", "v3"] {
        cluster.ship(version);
        cluster.pass(20);
        assert!(
            cluster.phase().starts_with("Progressing"),
            "{}",
            cluster.phase()
        );
        // The next one comes when the pods of this one are gone.
        cluster.pass(20);
        assert!(
            cluster.phase().starts_with("Degraded: RolloutAborted"),
            "{version}: {}",
            cluster.phase()
        );
        assert_eq!(cluster.wanted(), [("v1", 3)]);
    }
    assert_eq!(cluster.leads_to("active"), Some("v1"));
}
