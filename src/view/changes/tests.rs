use super::Changes;
use crate::api::RolloutView;
use crate::view::fixtures::{at, decision, healthy, progressing, promoted, rolled_back};

/// The lines that these views leave in a log.
fn check(views: &[RolloutView], expected: &[&str]) {
    let mut changes = Changes::since(at(0.0));
    let lines: Vec<String> = views.iter().flat_map(|view| changes.lines(view)).collect();
    assert_eq!(lines, expected);
}

#[test]
fn a_rollout_leaves_one_line_per_change() {
    let busier = RolloutView {
        measured_share: Some(5.01),
        at: at(10.5),
        ..progressing()
    };
    check(
        &[
            healthy(),
            healthy(),
            progressing(),
            busier,
            rolled_back(),
            rolled_back(),
        ],
        &[
            "+0.0s checkout Healthy",
            "+1.9s checkout started by the plan",
            "+2.0s checkout advanced by the plan, weight 0% -> 5%",
            "+5.2s checkout rolled back by the guard, weight 5% -> 0%: error ratio: 19 of 64 canary requests failed, \
             1 of 1190 stable ones; evidence 30946 against a threshold of 200 (19 requests failed on it)",
            "+6.0s checkout weight 0% served by every worker 1.8 ms after the decision",
        ],
    );
}

#[test]
fn the_time_to_serve_is_told_once_it_is_known() {
    let mut unknown = promoted();
    unknown.decisions[3].served_after_ms = None;
    check(
        &[
            progressing(),
            unknown.clone(),
            unknown,
            promoted(),
            promoted(),
        ],
        &[
            "+10.0s checkout Progressing, canary weight 5%: waiting for all steps to complete",
            "+15.0s checkout advanced by the plan, weight 5% -> 50%",
            "+29.8s checkout promoted by the plan, weight 50% -> 100%: all traffic went to it",
            "+31.0s checkout weight 100% served by every worker 900 µs after the decision",
        ],
    );
}

#[test]
fn a_phase_without_a_decision_is_told_too() {
    let paused = RolloutView {
        phase: "Paused".into(),
        message: "CanaryPauseStep".into(),
        ..progressing()
    };
    check(
        &[progressing(), paused],
        &[
            "+10.0s checkout Progressing, canary weight 5%: waiting for all steps to complete",
            "+10.0s checkout Paused, canary weight 5%: CanaryPauseStep",
        ],
    );
}

#[test]
fn forgotten_decisions_are_not_told_again() {
    let old = RolloutView {
        decisions: vec![decision(1.0, "advanced", 0.0, 5.0)],
        ..progressing()
    };
    let mut new = progressing();
    new.decisions = vec![
        decision(0.5, "started", 0.0, 0.0),
        decision(3.0, "advanced", 5.0, 25.0),
    ];
    check(
        &[old, new],
        &[
            "+10.0s checkout Progressing, canary weight 5%: waiting for all steps to complete",
            "+3.0s checkout advanced by the plan, weight 5% -> 25%",
        ],
    );
}
