//! Canaries whose share of the requests is their share of the pods.

use std::sync::Arc;

use serde_json::{Value, json};

use super::Cluster;
use crate::reconcile::{ReplicaSet, Write, turn};

fn canary(replicas: u32, steps: &Value) -> Cluster {
    let spec = json!({
        "replicas": replicas,
        "strategy": {"canary": {"steps": steps, "maxSurge": 1, "maxUnavailable": 0}},
    });
    let mut cluster = Cluster::new(&spec, "v1");
    cluster.settle();
    cluster.pass(3);
    assert_eq!(cluster.phase(), "Healthy");
    cluster.events.clear();
    cluster
}

#[test]
fn the_first_version_gets_all_pods_without_steps() {
    let mut cluster = Cluster::new(
        &json!({"strategy": {"canary": {"steps": [{"setWeight": 50}, {"pause": {}}]}}}),
        "v1",
    );
    cluster.settle();
    assert_eq!(cluster.rollout["spec"]["replicas"], 1);
    assert_eq!(cluster.wanted(), [("v1", 1)]);
    assert_eq!(
        cluster.phase(),
        "Progressing: updated replicas are still becoming available"
    );
    cluster.pass(2);
    assert_eq!(cluster.phase(), "Healthy");
    assert_eq!(
        cluster.events,
        [
            "RolloutAddedToInformer",
            "RolloutUpdated",
            "NewReplicaSetCreated",
            "RolloutNotCompleted",
            "ScalingReplicaSet",
            "RolloutCompleted"
        ]
    );
    let status = cluster.status();
    assert_eq!(status.stable_rs, status.current_pod_hash);
    assert_eq!(status.current_step_index, Some(2));
    assert_eq!(status.selector.as_deref(), Some("app=shop"));
}

/// The order of events that tools wait for, as Argo Rollouts' own end-to-end test of it has it.
#[test]
fn abort_retry_and_promotion_tell_the_events_of_the_api() {
    let mut cluster = canary(
        1,
        &json!([{"setWeight": 50}, {"pause": {"duration": "3s"}}]),
    );
    cluster.ship("v2");
    cluster.pass(2);
    assert_eq!(cluster.phase(), "Paused: CanaryPauseStep");
    cluster.patch_status(&json!({"abort": true}));
    assert_eq!(
        cluster.phase(),
        "Degraded: RolloutAborted: Rollout aborted update to revision 2"
    );
    assert_eq!(cluster.wanted(), [("v1", 1)]);
    cluster.patch_status(&json!({"abort": false}));
    cluster.pass(8);
    assert_eq!(cluster.phase(), "Healthy");
    assert_eq!(
        cluster.events,
        [
            "RolloutUpdated",
            "NewReplicaSetCreated",
            "RolloutNotCompleted",
            "ScalingReplicaSet",
            "RolloutStepCompleted",
            "RolloutPaused",
            "ScalingReplicaSet",
            "RolloutAborted",
            "ScalingReplicaSet",
            "RolloutStepCompleted",
            "RolloutPaused",
            "RolloutStepCompleted",
            "RolloutResumed",
            "ScalingReplicaSet",
            "RolloutCompleted"
        ]
    );
    assert_eq!(cluster.wanted(), [("v2", 1)]);
}

#[test]
fn an_index_that_no_step_has_wedges_nothing() {
    let steps = json!([{"setWeight": 20}, {"pause": {}}, {"setWeight": 60}]);
    let check = |index: i64, phase: &str, at: i32| {
        let mut cluster = canary(5, &steps);
        cluster.ship("v2");
        cluster.pass(5);
        assert_eq!(cluster.phase(), "Paused: CanaryPauseStep");
        for _ in 0..2 {
            cluster.patch_status(&json!({"currentStepIndex": index, "pauseConditions": null}));
            cluster.pass(20);
            assert_eq!(cluster.phase(), phase);
            assert_eq!(cluster.status().current_step_index, Some(at));
        }
    };
    check(-1, "Paused: CanaryPauseStep", 1);
    check(4, "Healthy", 3);
    check(i64::from(i32::MAX), "Healthy", 3);
}

#[test]
fn a_canary_waits_until_somebody_promotes_it() {
    let steps = json!([{"setWeight": 20}, {"pause": {}}, {"setWeight": 60}, {"pause": {}}]);
    let mut cluster = canary(5, &steps);
    cluster.ship("v2");
    cluster.pass(5);
    assert_eq!(cluster.wanted(), [("v1", 4), ("v2", 1)]);
    assert_eq!(cluster.phase(), "Paused: CanaryPauseStep");
    cluster.pass(1_500);
    assert_eq!(
        cluster.phase(),
        "Paused: CanaryPauseStep",
        "no deadline counts while it pauses"
    );
    cluster.promote();
    cluster.pass(20);
    assert_eq!(cluster.wanted(), [("v1", 2), ("v2", 3)]);
    let status = cluster.status();
    assert_eq!(status.current_step_index, Some(3));
    assert!(status.duration.unwrap().manual_pause_started_at.is_some());
    cluster.patch_status(&json!({"promoteFull": true}));
    cluster.pass(20);
    assert_eq!(cluster.phase(), "Healthy");
    assert_eq!(cluster.wanted(), [("v2", 5)]);
    assert_eq!(
        cluster.rollout["status"]["duration"]["completionStatus"],
        "FastPromoted"
    );
    assert!(cluster.rollout["status"]["promoteFull"].is_null());
}

#[test]
fn the_stable_version_comes_back_past_all_steps() {
    let mut cluster = canary(2, &json!([{"setWeight": 50}, {"pause": {}}]));
    cluster.ship("v2");
    cluster.pass(5);
    cluster.ship("v1");
    cluster.pass(5);
    assert_eq!(cluster.phase(), "Healthy");
    assert_eq!(cluster.wanted(), [("v1", 2)]);
    assert!(cluster.events.contains(&"SkipSteps".to_owned()));
    assert_eq!(
        cluster.rollout["metadata"]["annotations"]["rollout.argoproj.io/revision"],
        "3"
    );
    let revisions = &cluster.sets[0].object.annotations;
    assert_eq!(revisions["rollout.argoproj.io/revision-history"], "1");
}

/// `kubectl argo rollouts undo` writes the ReplicaSet's template into the Rollout, as the API server has completed it.
#[test]
fn a_version_is_the_same_with_what_an_api_server_adds() {
    let mut cluster = canary(2, &json!([{"setWeight": 50}, {"pause": {}}]));
    cluster.ship("v2");
    cluster.pass(5);
    let mut completed = super::cluster::template("v1");
    completed["spec"]["restartPolicy"] = json!("Always");
    completed["spec"]["dnsPolicy"] = json!("ClusterFirst");
    completed["spec"]["containers"][0]["terminationMessagePath"] = json!("/dev/termination-log");
    cluster.edit(&json!({"template": completed}));
    cluster.pass(5);
    assert_eq!(cluster.sets.len(), 2, "no version is made anew");
    assert_eq!(cluster.phase(), "Healthy");
    assert_eq!(cluster.wanted(), [("v1", 2)]);
    assert!(cluster.events.contains(&"SkipSteps".to_owned()));
    // It stays so for whatever else is edited, and what is no default is another version.
    cluster.edit(&json!({"replicas": 3}));
    cluster.pass(5);
    assert_eq!((cluster.sets.len(), cluster.wanted()), (2, vec![("v1", 3)]));
    cluster.edit(&json!({"template": {"spec": {"dnsPolicy": "Default"}}}));
    assert_eq!(cluster.sets.len(), 3);
}

/// A controller that was there before may have taken hashes in another way.
#[test]
fn a_version_is_known_whatever_its_hash_is() {
    let mut cluster = canary(1, &json!([]));
    let old = "5d4f8c7b6";
    let label = "rollouts-pod-template-hash";
    let set = &mut cluster.sets[0];
    set.object.labels.insert(label.to_owned(), old.to_owned());
    set.object
        .pod_labels
        .insert(label.to_owned(), old.to_owned());
    set.template["metadata"]["labels"][label] = json!(old);
    cluster.patch_status(&json!({"currentPodHash": old, "stableRS": old}));
    let before = cluster.rollout.clone();
    cluster.pass(5);
    assert_eq!(cluster.rollout, before, "nothing is to be written");
    cluster.edit(&json!({"replicas": 2}));
    cluster.pass(5);
    assert_eq!((cluster.sets.len(), cluster.wanted()), (1, vec![("v1", 2)]));
    assert_eq!(cluster.status().stable_rs.as_deref(), Some(old));
    cluster.ship("v2");
    cluster.pass(5);
    assert_eq!((cluster.sets.len(), cluster.wanted()), (2, vec![("v2", 2)]));
}

#[test]
fn a_version_of_the_window_comes_back_past_all_steps() {
    for (window, phase) in [(1, "Healthy"), (0, "Paused: CanaryPauseStep")] {
        let mut cluster = canary(1, &json!([{"setWeight": 50}, {"pause": {}}]));
        cluster.edit(&json!({"rollbackWindow": {"revisions": window}}));
        cluster.ship("v2");
        cluster.pass(5);
        cluster.promote();
        cluster.pass(5);
        assert_eq!(cluster.wanted(), [("v2", 1)]);
        cluster.ship("v1");
        cluster.pass(8);
        assert_eq!(cluster.phase(), phase, "window {window}");
    }
}

#[test]
fn another_version_in_the_middle_begins_at_the_first_step() {
    let mut cluster = canary(2, &json!([{"setWeight": 50}, {"pause": {}}]));
    cluster.ship("v2");
    cluster.pass(5);
    assert_eq!(cluster.wanted(), [("v1", 1), ("v2", 1)]);
    cluster.ship("v3");
    cluster.pass(8);
    assert_eq!(cluster.wanted(), [("v1", 1), ("v3", 1)]);
    assert_eq!(cluster.phase(), "Paused: CanaryPauseStep");
    let duration = cluster.status().duration.unwrap();
    assert_eq!(
        duration.finished_at, None,
        "the update to v3 is another one"
    );
}

#[test]
fn a_version_that_cannot_start_is_late_and_stable_keeps_its_pods() {
    for (aborts, phase) in [
        (false, "Degraded: ProgressDeadlineExceeded: ReplicaSet"),
        (
            true,
            "Degraded: RolloutAborted: Rollout aborted update to revision 2: ReplicaSet",
        ),
    ] {
        let mut cluster = canary(3, &json!([{"setWeight": 40}, {"pause": {"duration": 5}}]));
        cluster.edit(&json!({"progressDeadlineSeconds": 30, "progressDeadlineAbort": aborts}));
        cluster.bad.push("v2".to_owned());
        cluster.ship("v2");
        cluster.pass(25);
        assert_eq!(
            cluster.phase(),
            "Progressing: more replicas need to be updated"
        );
        cluster.pass(15);
        assert!(cluster.phase().starts_with(phase), "{}", cluster.phase());
        let stable = cluster.sets.iter().find(|set| set.image == "v1").unwrap();
        assert!(stable.object.available >= 2, "{}", stable.object.available);
        cluster.ship("v3");
        cluster.pass(20);
        assert_eq!(cluster.phase(), "Healthy");
        assert_eq!(cluster.wanted(), [("v3", 3)]);
    }
}

#[test]
fn a_rollout_is_scaled_in_the_middle() {
    let mut cluster = canary(4, &json!([{"setWeight": 25}, {"pause": {}}]));
    cluster.ship("v2");
    cluster.pass(6);
    assert_eq!(cluster.wanted(), [("v1", 3), ("v2", 1)]);
    cluster.edit(&json!({"replicas": 8}));
    cluster.pass(10);
    assert_eq!(cluster.wanted(), [("v1", 6), ("v2", 2)]);
    assert_eq!(cluster.phase(), "Paused: CanaryPauseStep");
    cluster.edit(&json!({"replicas": 0}));
    cluster.pass(10);
    assert!(cluster.wanted().is_empty(), "{:?}", cluster.wanted());
}

#[test]
fn paused_by_its_spec_nothing_moves() {
    let mut cluster = canary(2, &json!([{"setWeight": 50}]));
    cluster.edit(&json!({"paused": true}));
    assert_eq!(cluster.phase(), "Paused: manually paused");
    cluster.ship("v2");
    cluster.pass(30);
    assert_eq!(cluster.wanted(), [("v1", 2)]);
    assert_eq!(cluster.phase(), "Paused: manually paused");
    cluster.edit(&json!({"paused": false}));
    cluster.pass(10);
    assert_eq!(cluster.wanted(), [("v2", 2)]);
    assert_eq!(cluster.phase(), "Healthy");
}

#[test]
fn services_lead_to_versions_that_have_pods() {
    let spec = json!({
        "replicas": 2,
        "strategy": {"canary": {
            "steps": [{"setWeight": 50}, {"pause": {}}],
            "canaryService": "new", "stableService": "old",
        }},
    });
    let mut cluster = Cluster::new(&spec, "v1").with_services(&["new", "old"]);
    cluster.settle();
    assert_eq!(cluster.leads_to("old"), None);
    cluster.pass(3);
    assert_eq!(
        (cluster.leads_to("old"), cluster.leads_to("new")),
        (Some("v1"), Some("v1"))
    );
    cluster.ship("v2");
    assert_eq!(cluster.leads_to("new"), Some("v1"), "v2 has no pod yet");
    cluster.pass(5);
    assert_eq!(
        (cluster.leads_to("old"), cluster.leads_to("new")),
        (Some("v1"), Some("v2"))
    );
    cluster.patch_status(&json!({"abort": true}));
    assert_eq!(
        (cluster.leads_to("old"), cluster.leads_to("new")),
        (Some("v1"), Some("v1"))
    );
}

#[test]
fn old_sets_go_beyond_the_limit_of_history() {
    let mut cluster = canary(1, &json!([]));
    cluster.edit(&json!({"revisionHistoryLimit": 2}));
    for image in ["v2", "v3", "v4", "v5"] {
        cluster.ship(image);
        cluster.pass(6);
        assert_eq!(cluster.phase(), "Healthy", "{image}");
    }
    let images: Vec<_> = cluster.sets.iter().map(|set| set.image.as_str()).collect();
    assert_eq!(images, ["v3", "v4", "v5"]);
}

/// What an update costs the API server, which is what many of them at once wait for. None of these may grow.
#[test]
fn an_update_takes_few_writes_and_rest_takes_none() {
    let pause = json!({"pause": {"duration": "5s"}});
    let mut cluster = canary(
        1,
        &json!([{"setWeight": 10}, pause, {"setWeight": 50}, pause]),
    );
    cluster.writes.clear();
    cluster.ship("v2");
    cluster.pass(30);
    assert_eq!(cluster.phase(), "Healthy");
    let expected = [
        ("create ReplicaSet", 1),
        ("event", 14),
        ("patch ReplicaSet", 1),
        ("patch Rollout", 1),
        ("patch status", 6),
    ];
    assert_eq!(cluster.writes, expected.into());
    cluster.writes.clear();
    cluster.pass(3600);
    cluster.settle();
    assert!(cluster.writes.is_empty(), "{:?}", cluster.writes);
    assert_eq!(cluster.wake_at, None);
}

/// A person's abort that comes before the promotion is written finds the old pods there.
#[test]
fn pods_go_after_the_promotion_that_they_follow_from() {
    let mut cluster = canary(
        1,
        &json!([{"setWeight": 50}, {"pause": {"duration": "3s"}}]),
    );
    cluster.ship("v2");
    cluster.pass(3);
    assert_eq!(cluster.phase(), "Paused: CanaryPauseStep");
    let turn = turn(&cluster.world(), cluster.wake_at.unwrap());
    let mut acts = turn
        .writes
        .into_iter()
        .filter(|write| !matches!(write, Write::Event(_)));
    let promotion = cluster.status().current_pod_hash.unwrap();
    let Some(Write::PatchStatus { patch }) = acts.next() else {
        panic!("the status comes first");
    };
    assert_eq!(patch["status"]["stableRS"], promotion);
    let shrinks = |write: &Write| matches!(write, Write::PatchReplicaSet { patch, .. } if patch["spec"]["replicas"] == 0);
    assert!(acts.next().as_ref().is_some_and(shrinks));
    assert_eq!(acts.next(), None);
}

#[test]
fn a_pod_that_is_going_already_takes_nobodys_place() {
    let mut cluster = canary(4, &json!([{"setWeight": 25}, {"pause": {}}]));
    cluster.ship("v2");
    cluster.pass(10);
    cluster.ship("v3");
    cluster.settle();
    assert_eq!(cluster.wanted(), [("v1", 3), ("v2", 1), ("v3", 1)]);
    // Two pods of v2 were wanted until a moment ago, and the second one is still counted.
    let mut world = cluster.world();
    let is_old = |set: &Arc<ReplicaSet>| set.images == ["v2"];
    let index = world.replica_sets.iter().position(is_old).unwrap();
    let name = world.replica_sets[index].name.clone();
    Arc::make_mut(&mut world.replica_sets[index]).available = 2;
    let turn = turn(&world, cluster.now);
    let shrinks =
        |write: &Write| matches!(write, Write::PatchReplicaSet { name: of, .. } if *of == name);
    assert!(!turn.writes.iter().any(shrinks), "{:?}", turn.writes);
}
