//! What the guard finds.

use std::sync::Arc;

use rollout::Judgement;
use serde_json::json;

use super::{hold, plain, roll_back, routed, until_told};
use crate::reconcile::{Finding, Write, turn};

#[test]
fn what_the_guard_finds_stops_a_canary_in_the_same_turn() {
    let tripped = Judgement::Tripped {
        why: "9 of 10 failed".to_owned(),
    };
    for judgement in [roll_back(), tripped] {
        let mut cluster = plain(5, &until_told());
        cluster.ship_to_a_fifth();
        cluster.find_of(Some("another"), judgement.clone(), None);
        assert_eq!(
            cluster.canary_weight(),
            Some(20),
            "it is about another version"
        );
        cluster.find(judgement);
        assert_eq!(cluster.trace[0], "weight 0, aborted, step 0");
        let degraded =
            "Degraded: RolloutAborted: Rollout aborted update to revision 2: 9 of 10 failed";
        assert_eq!(cluster.phase(), degraded);
        let told = |reason: &&String| *reason == "RolloutAborted";
        assert_eq!(cluster.events.iter().filter(told).count(), 1);
        cluster.pass_well(100);
        assert_eq!(cluster.phase(), degraded);
        assert_eq!(cluster.wanted(), [("v1", 5)]);
        // Somebody wants it tried again: that begins anew.
        cluster.patch_status(&json!({"abort": false}));
        cluster.pass_well(10);
        assert_eq!(cluster.phase(), "Paused: CanaryPauseStep");
        assert_eq!(cluster.canary_weight(), Some(20));
        cluster.promote();
        cluster.pass_well(60);
        assert_eq!(cluster.phase(), "Healthy");
        cluster.find(roll_back());
        assert_eq!(cluster.phase(), "Healthy", "it is stable now");
    }
}

/// What is found is of the trial before, until the canary has traffic again.
#[test]
fn a_finding_does_not_stop_the_retry_that_follows_it() {
    let mut cluster = plain(5, &until_told());
    cluster.ship_to_a_fifth();
    cluster.find(roll_back());
    let mut world = cluster.world();
    let mut rollout = cluster.rollout.clone();
    rollout["status"]["abort"] = json!(false);
    world.rollout = Arc::new(serde_json::from_value(rollout).unwrap());
    world.traffic.finding = Some(Finding {
        canary: cluster.status().current_pod_hash.unwrap(),
        judgement: roll_back(),
        evidence: None,
    });
    let writes = turn(&world, cluster.now).writes;
    let [Write::PatchStatus { patch }] = writes.as_slice() else {
        panic!("{writes:#?}");
    };
    assert!(patch.to_string().contains("RolloutRetry"), "{patch:#}");
}

#[test]
fn a_verdict_outlives_other_steps_and_a_promotion_asked_for_before() {
    let mut cluster = plain(5, &until_told());
    cluster.ship_to_a_fifth();
    cluster.proxies.finding = None;
    cluster.rollout["status"]["promoteFull"] = json!(true);
    cluster.find(roll_back());
    assert_eq!(cluster.canary_weight(), Some(0));
    assert!(cluster.rollout["status"]["promoteFull"].is_null());
    cluster.edit(&json!({"strategy": {"canary": {"steps": [{"setWeight": 5}]}}}));
    cluster.pass_well(60);
    assert!(
        cluster.phase().starts_with("Degraded"),
        "{}",
        cluster.phase()
    );
    assert_eq!(cluster.wanted(), [("v1", 5)]);
    cluster.ship("v3");
    cluster.pass_well(60);
    assert_eq!(cluster.wanted(), [("v3", 5)]);
}

#[test]
fn a_guard_that_is_off_finds_nothing() {
    let mut cluster = routed(5, &until_told(), &json!({}), &json!({"guard": "off"}));
    cluster.ship_to_a_fifth();
    for judgement in [roll_back(), hold()] {
        cluster.find(judgement);
        assert_eq!(cluster.canary_weight(), Some(20));
        assert_eq!(cluster.phase(), "Paused: CanaryPauseStep");
    }
}

#[test]
fn a_hold_keeps_a_canary_at_its_step_but_lets_it_come_to_the_first() {
    let steps = json!([{"setWeight": 20}, {"pause": {"duration": 3}}, {"setWeight": 60}]);
    let mut cluster = plain(5, &steps);
    cluster.ship("v2");
    cluster.find(hold());
    cluster.pass_well(30);
    assert_eq!(cluster.canary_weight(), Some(20));
    assert_eq!(cluster.phase(), "Progressing: held: stable itself fails");
    let numbers = |failed: u32| Judgement::Hold {
        why: format!("{failed} of 100 failed"),
    };
    cluster.find(numbers(7));
    let said = cluster.status();
    cluster.find(numbers(12));
    assert_eq!(cluster.status(), said, "only the numbers differ");
    cluster.pass_well(700);
    assert_eq!(
        cluster.phase(),
        "Progressing: held: 7 of 100 failed",
        "no deadline counts while it is held"
    );
    cluster.find(Judgement::Undecided);
    cluster.pass_well(60);
    assert_eq!(cluster.phase(), "Healthy");
}

#[test]
fn a_pause_by_hand_comes_before_a_hold() {
    let mut cluster = plain(5, &json!([]));
    cluster.ship("v2");
    cluster.edit(&json!({"paused": true}));
    cluster.find(hold());
    cluster.pass_well(30);
    assert_eq!(cluster.phase(), "Paused: manually paused");
    cluster.edit(&json!({"paused": false}));
    cluster.pass_well(30);
    assert_eq!(cluster.phase(), "Progressing: held: stable itself fails");
}

#[test]
fn the_deadline_counts_from_the_end_of_a_hold() {
    let mut cluster = plain(5, &until_told());
    cluster.edit(&json!({"progressDeadlineSeconds": 60, "progressDeadlineAbort": true}));
    cluster.proxies.lag = 10_000;
    cluster.ship("v2");
    cluster.pass_well(5);
    cluster.find(hold());
    cluster.pass_well(300);
    assert_eq!(cluster.phase(), "Progressing: held: stable itself fails");
    cluster.find(Judgement::Undecided);
    cluster.pass_well(50);
    assert!(
        cluster.phase().starts_with("Progressing: waiting for each"),
        "{}",
        cluster.phase()
    );
    cluster.pass_well(15);
    assert!(
        cluster.phase().starts_with(
            "Degraded: RolloutAborted: Rollout aborted update to revision 2: ReplicaSet"
        ) && cluster.phase().ends_with("one of them cannot be asked"),
        "{}",
        cluster.phase()
    );
    let in_one_write = "weight 0, aborted".to_owned();
    assert!(cluster.trace.contains(&in_one_write), "{:?}", cluster.trace);
}

#[test]
fn a_person_goes_on_in_spite_of_a_hold() {
    let mut cluster = plain(5, &until_told());
    cluster.ship_to_a_fifth();
    cluster.find(hold());
    assert_eq!(
        cluster.phase(),
        "Paused: CanaryPauseStep: held: stable itself fails"
    );
    cluster.promote();
    cluster.pass_well(10);
    assert_eq!(cluster.status().current_step_index, Some(2));
    assert_eq!(cluster.canary_weight(), Some(20), "it gets no more");
    cluster.patch_status(&json!({"promoteFull": true}));
    cluster.pass_well(60);
    assert_eq!(cluster.phase(), "Healthy");
    assert_eq!(cluster.wanted(), [("v2", 5)]);
}

#[test]
fn a_cure_waits_for_people_only() {
    let steps = json!([
        {"setWeight": 20}, {"pause": {"duration": "10m"}}, {"plugin": {"name": "sluice/evidence"}}, {"pause": {}},
    ]);
    let mut cluster = plain(5, &steps);
    cluster.ship("v2");
    let why = "stable fails".to_owned();
    cluster.find(Judgement::RollForward { why });
    cluster.pass_well(20);
    assert_eq!(cluster.status().current_step_index, Some(3));
    cluster.pass_well(1_000);
    assert_eq!(cluster.phase(), "Paused: CanaryPauseStep");
}

#[test]
fn a_version_of_the_window_can_be_stopped() {
    let mut cluster = plain(5, &json!([{"setWeight": 80}, {"pause": {"duration": 1}}]));
    cluster.edit(&json!({"rollbackWindow": {"revisions": 2}}));
    cluster.ship("v2");
    cluster.pass_well(60);
    cluster.proxies.lag = 10;
    cluster.ship("v1");
    cluster.pass_well(5);
    assert_eq!(cluster.canary_weight(), Some(100));
    cluster.find(roll_back());
    cluster.pass_well(60);
    assert!(
        cluster.phase().starts_with("Degraded: RolloutAborted"),
        "{}",
        cluster.phase()
    );
    assert_eq!(cluster.wanted(), [("v2", 5)]);
}
