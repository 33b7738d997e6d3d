//! Steps and pauses that end by evidence, and what the leader is told to judge.

use rollout::{Acceptance, Judgement};
use serde_json::{Value, json};
use traffic::Weight;

use super::super::Cluster;
use super::{plain, routed};
use crate::reconcile::judging;

/// A canary of a fifth at an evidence step with `config`, entered some seconds ago.
fn at_evidence(config: &Value) -> Cluster {
    let steps = json!([
        {"setWeight": 20}, {"plugin": {"name": "sluice/evidence", "config": config}}, {"pause": {}},
    ]);
    let mut cluster = plain(5, &steps);
    cluster.ship("v2");
    cluster.pass_well(6);
    assert_eq!(cluster.status().current_step_index, Some(1));
    let said = cluster.phase();
    assert!(
        said.starts_with("Progressing: waiting for evidence that"),
        "{said}"
    );
    cluster
}

#[test]
fn an_evidence_step_is_passed_by_evidence_of_its_own() {
    let mut cluster = at_evidence(&json!({"minDuration": "20s"}));
    let undecided = || Judgement::Undecided;
    cluster.find_of(None, undecided(), Some((0, Acceptance::Met)));
    assert!(
        cluster.phase().contains("waiting for evidence"),
        "{}",
        cluster.phase()
    );
    cluster.find_of(Some("another"), undecided(), Some((1, Acceptance::Met)));
    assert!(
        cluster.phase().contains("waiting for evidence"),
        "{}",
        cluster.phase()
    );
    cluster.find_of(None, undecided(), Some((1, Acceptance::Pending)));
    cluster.pass_well(5);
    assert!(
        cluster.phase().contains("waiting for evidence"),
        "{}",
        cluster.phase()
    );
    cluster.find_of(None, undecided(), Some((1, Acceptance::Met)));
    assert!(
        cluster
            .phase()
            .contains("the evidence is there; the step's least duration ends at"),
        "{}",
        cluster.phase()
    );
    cluster.proxies.is_one_mute = true;
    cluster.pass_well(20);
    assert_eq!(cluster.status().current_step_index, Some(1));
    cluster.proxies.is_one_mute = false;
    cluster.settle();
    assert_eq!(cluster.status().current_step_index, Some(2));
    let kept = &cluster.rollout["status"]["canary"]["stepPluginStatuses"][0];
    assert_eq!(kept["name"], "sluice/evidence");
    assert_eq!(kept["phase"], "Successful");
}

#[test]
fn evidence_that_stays_away_ends_as_the_step_says() {
    let check = |then: &str, index: i32, phase: &str| {
        let mut cluster = at_evidence(&json!({"maxDuration": "30s", "onInconclusive": then}));
        cluster.pass_well(20);
        assert_eq!(cluster.status().current_step_index, Some(1), "{then}");
        cluster.pass_well(15);
        assert_eq!(cluster.status().current_step_index, Some(index), "{then}");
        assert!(
            cluster.phase().starts_with(phase),
            "{then}: {}",
            cluster.phase()
        );
        cluster
    };
    check("promote", 2, "Paused: CanaryPauseStep");
    let cluster = check(
        "abort",
        0,
        "Degraded: RolloutAborted: Rollout aborted update to revision 2: ",
    );
    assert_eq!(cluster.canary_weight(), Some(0));
    let mut cluster = check(
        "hold",
        1,
        "Paused: InconclusiveAnalysisRun: the evidence stayed inconclusive",
    );
    cluster.promote();
    cluster.pass_well(3);
    assert_eq!(cluster.status().current_step_index, Some(2));
    assert_eq!(cluster.phase(), "Paused: CanaryPauseStep");
}

#[test]
fn a_paced_pause_ends_by_evidence_or_by_its_time() {
    for evidence in [None, Some((1, Acceptance::Met))] {
        let steps = json!([{"setWeight": 20}, {"pause": {"duration": 60}}, {"pause": {}}]);
        let mut cluster = routed(5, &steps, &json!({}), &json!({"pace": "evidence"}));
        cluster.ship("v2");
        cluster.pass_well(8);
        assert!(
            cluster
                .phase()
                .starts_with("Paused: CanaryPauseStep: waiting for evidence"),
            "{}",
            cluster.phase()
        );
        cluster.find_of(None, Judgement::Undecided, evidence);
        cluster.pass_well(20);
        let index = if evidence.is_some() { 2 } else { 1 };
        assert_eq!(cluster.status().current_step_index, Some(index));
        cluster.pass_well(60);
        assert_eq!(cluster.status().current_step_index, Some(2));
    }
}

#[test]
fn the_leader_is_told_what_to_judge() {
    let steps = json!([{"setWeight": 20}, {"plugin": {"name": "sluice/evidence", "config": {"harmBudget": 0.1}}}, {"setWeight": 40}]);
    let mut cluster = plain(5, &steps);
    let judging = |cluster: &Cluster| judging(&cluster.world().rollout).unwrap();
    let idle = judging(&cluster);
    assert!(!idle.on_trial && idle.target.is_none());
    let split = idle.split.unwrap();
    assert_eq!(
        (split.weight, split.stable == split.canary),
        (Weight::ZERO, true)
    );
    cluster.ship("v2");
    cluster.pass_well(6);
    let trial = judging(&cluster);
    assert!(trial.on_trial);
    assert_eq!(trial.step_starts, 3);
    let split = trial.split.unwrap();
    assert_eq!(split.weight, Weight::from_percent(20).unwrap());
    assert_eq!(Some(split.canary), cluster.status().current_pod_hash);
    assert_eq!(Some(split.stable), cluster.status().stable_rs);
    let target = trial.target.unwrap();
    assert_eq!((target.step, target.harm_budget), (1, 0.1));
    assert_eq!(target.from, Weight::from_percent(20).unwrap());
    assert_eq!(target.to, Weight::from_percent(40).unwrap());
    cluster.patch_status(&json!({"abort": true}));
    let aborted = judging(&cluster);
    assert!(!aborted.on_trial && aborted.target.is_none());
}
