//! Rollouts to look at in tests: the same application in the situations that people meet.

use std::cmp::Ordering;

use jiff::{SignedDuration, Timestamp};
use rollout::analysis::{
    Acceptance, Dispersion, Judgement, Limit, Margin, Reading, Reason, Side, Test, TestReading,
    confidence,
};
use traffic::{FailureRule, Weight};

use crate::api::{DecisionView, RolloutView, StepProgress, StepView, VersionView};

/// 2026-11-23 14:03:00 UTC and so many seconds.
pub(crate) fn at(seconds: f64) -> Timestamp {
    let start: Timestamp = "2026-11-23T14:03:00Z".parse().unwrap();
    start + SignedDuration::from_secs_f64(seconds)
}

/// No canary, nothing decided.
pub(crate) fn healthy() -> RolloutView {
    RolloutView {
        namespace: "default".into(),
        name: "checkout".into(),
        at: at(0.0),
        phase: "Healthy".into(),
        message: String::new(),
        waits_for: String::new(),
        steps: steps(Some(6)),
        stable: VersionView {
            requests: 12_345,
            failures: 12,
            ..version("7d9f8b6c54", "checkout-blue", 400.0)
        },
        canary: None,
        weight: 0.0,
        measured_share: None,
        acknowledged: true,
        guard: true,
        evidence: None,
        decisions: Vec::new(),
        record: None,
    }
}

/// A good canary at 5%, on its first evidence step.
pub(crate) fn progressing() -> RolloutView {
    RolloutView {
        at: at(10.0),
        phase: "Progressing".into(),
        message: "waiting for all steps to complete".into(),
        waits_for: "too few requests to be sure; time to go: about 6 s, inconclusive in 52 s"
            .into(),
        steps: steps(Some(1)),
        stable: version("7d9f8b6c54", "checkout-blue", 380.2),
        canary: Some(VersionView {
            requests: 157,
            failures: 0,
            failure_percent: Some(0.0),
            in_flight: 1,
            ..version("55cc6d9f78", "checkout-green", 19.8)
        }),
        weight: 5.0,
        measured_share: Some(4.97),
        evidence: Some(reading(10.0, (157, 0), (2_980, 3), -0.61)),
        decisions: vec![
            decision(1.9, "started", 0.0, 0.0),
            decision(2.0, "advanced", 0.0, 5.0),
        ],
        ..healthy()
    }
}

/// The same with a request every other second.
pub(crate) fn low_traffic() -> RolloutView {
    let mut view = progressing();
    let mut reading = reading(10.0, (1, 0), (4, 0), -0.02);
    if let Some(acceptance) = &mut reading.acceptance {
        *acceptance = Acceptance {
            ln_e: 0.21,
            canary_requests: 1,
            stable_requests: 4,
            stable_failures: 0,
            eta: Some(7_794.0),
            excludable: Some(0.961),
            ..*acceptance
        };
    }
    for test in &mut reading.tests[1..] {
        test.limit = Limit::Latency {
            stable: None,
            canary: None,
            increase: 0.4,
        };
    }
    reading.canary = Side {
        p50: None,
        p90: None,
        p99: None,
        ..reading.canary
    };
    view.waits_for =
        "too few requests to be sure; time to go: about 2 h 9 min, inconclusive in 52 s".into();
    view.evidence = Some(reading);
    view
}

/// The same, on endpoints that fail many requests at once and are slow for some at once.
pub(crate) fn bursts() -> RolloutView {
    let mut view = progressing();
    let [errors, _, p90, ..] = &mut view.evidence.as_mut().unwrap().tests[..] else {
        unreachable!("a reading of the error test and three quantiles")
    };
    errors.dispersion = Dispersion {
        canary: 3.24,
        stable: 12.7,
    };
    p90.dispersion = Dispersion {
        canary: 1.5,
        stable: 4.0,
    };
    view
}

/// The same while stable fails by itself.
pub(crate) fn hold() -> RolloutView {
    let mut view = progressing();
    let mut reading = reading(10.0, (157, 31), (2_980, 596), -0.4);
    reading.judgement = Judgement::Hold {
        stable_requests: 22_800,
        stable_failures: 4_560,
        allowed: 0.05,
    };
    if let Some(acceptance) = &mut reading.acceptance {
        *acceptance = Acceptance {
            waits_for: Some(Reason::BaselineUnhealthy),
            eta: None,
            canary_failures: 31,
            stable_failures: 596,
            ..*acceptance
        };
    }
    view.waits_for = "held: stable itself fails".into();
    view.stable.failure_percent = Some(20.0);
    view.evidence = Some(reading);
    view
}

/// While the canary refuses many more of its clients than stable.
pub(crate) fn refusing() -> RolloutView {
    let mut view = progressing();
    let mut reading = reading(10.0, (157, 0), (2_980, 3), -0.6);
    reading.judgement = Judgement::ClientErrors {
        canary_requests: 157,
        canary_errors: 80,
        stable_requests: 2_977,
        stable_errors: 60,
    };
    reading.tests.push(TestReading {
        test: Test::ClientErrors,
        ln_e: 31.2,
        ln_threshold: 4.605,
        canary_requests: 157,
        canary_events: 80,
        stable_requests: 2_977,
        stable_events: 60,
        limit: Limit::Ratio(Margin {
            relative: 1.5,
            absolute: 0.01,
        }),
        dispersion: Dispersion::NONE,
    });
    view.evidence = Some(reading);
    view
}

/// While the canary is above its failure limit, and stable not shown to be below it.
pub(crate) fn unattributed() -> RolloutView {
    let mut view = progressing();
    let mut reading = reading(10.0, (157, 31), (2_980, 596), -0.4);
    reading.judgement = Judgement::Unattributed {
        canary_requests: 157,
        canary_failures: 31,
        stable_requests: 22_800,
        stable_failures: 4_560,
        limit: 0.1,
    };
    let ceiling = TestReading {
        test: Test::FailureLimit,
        ln_e: 7.1,
        ln_threshold: 5.991,
        limit: Limit::Absolute(0.1),
        ..reading.tests[0]
    };
    reading.tests.insert(1, ceiling);
    view.evidence = Some(reading);
    view
}

/// The reason of that verdict.
const WHY: &str = "error ratio: 19 of 64 canary requests failed, 1 of 1190 stable ones; evidence 30946 against a \
                   threshold of 200";

/// After the guard took a bad canary away.
pub(crate) fn rolled_back() -> RolloutView {
    let mut reading = reading(5.2, (64, 19), (1_190, 1), 10.34);
    reading.judgement = Judgement::RollBack { test: Test::Errors };
    reading.acceptance = None;
    let verdict = DecisionView {
        by: "guard".into(),
        why: WHY.into(),
        served_after_ms: Some(1.8),
        failed_requests: 19,
        evidence: Some(reading.clone()),
        ..decision(5.2, "rolled-back", 5.0, 0.0)
    };
    let mut view = progressing();
    view.at = at(6.0);
    view.phase = "Degraded".into();
    view.message = format!("RolloutAborted: {WHY}");
    view.waits_for = String::new();
    view.steps = steps(None);
    view.weight = 0.0;
    view.measured_share = Some(0.0);
    view.canary = Some(VersionView {
        requests: 64,
        failures: 19,
        failure_percent: Some(29.7),
        in_flight: 0,
        ..version("55cc6d9f78", "checkout-green", 0.0)
    });
    view.evidence = Some(reading);
    view.decisions.push(verdict);
    view
}

/// After a good canary became stable.
pub(crate) fn promoted() -> RolloutView {
    let mut reading = reading(29.8, (5_120, 4), (6_400, 6), -4.2);
    reading.acceptance = None;
    let mut view = healthy();
    view.at = at(31.0);
    view.stable = version("55cc6d9f78", "checkout-green", 400.0);
    view.decisions = vec![
        decision(1.9, "started", 0.0, 0.0),
        decision(2.0, "advanced", 0.0, 5.0),
        decision(15.0, "advanced", 5.0, 50.0),
        DecisionView {
            why: "all traffic went to it".into(),
            served_after_ms: Some(0.9),
            failed_requests: 4,
            evidence: Some(reading.clone()),
            ..decision(29.8, "promoted", 50.0, 100.0)
        },
    ];
    view.evidence = Some(reading);
    view
}

/// A plan of which so many steps are passed; nothing for one that is not under way.
fn steps(passed: Option<usize>) -> Vec<StepView> {
    let evidence = "evidence (harm <= 0.5%)";
    let titles = [
        "weight 5%",
        evidence,
        "weight 25%",
        evidence,
        "weight 50%",
        evidence,
    ];
    let progress = |index: usize| match passed.map(|passed| index.cmp(&passed)) {
        Some(Ordering::Less) => StepProgress::Done,
        Some(Ordering::Equal) => StepProgress::Current,
        Some(Ordering::Greater) | None => StepProgress::Ahead,
    };
    let step = |(index, title): (usize, &&str)| StepView {
        title: (*title).into(),
        progress: progress(index),
    };
    titles.iter().enumerate().map(step).collect()
}

fn version(revision: &str, service: &str, rps: f64) -> VersionView {
    VersionView {
        revision: revision.into(),
        service: service.into(),
        endpoints: 1,
        rps,
        failure_percent: Some(0.1),
        latency: Some([0.0101, 0.0148, 0.0209]),
        in_flight: 4,
        requests: 2_980,
        failures: 3,
    }
}

pub(crate) fn decision(seconds: f64, word: &str, before: f64, after: f64) -> DecisionView {
    DecisionView {
        at: at(seconds),
        decision: word.into(),
        by: "plan".into(),
        verb: None,
        why: String::new(),
        revision: "55cc6d9f78".into(),
        weight: (before, after),
        served_after_ms: None,
        failed_requests: 0,
        evidence: None,
        record: None,
    }
}

fn reading(seconds: f64, canary: (u64, u64), stable: (u64, u64), ln_e: f64) -> Reading {
    let test = |test, ln_e, ln_threshold, events: (u64, u64), limit| TestReading {
        test,
        ln_e,
        ln_threshold,
        canary_requests: canary.0,
        canary_events: events.0,
        stable_requests: stable.0,
        stable_events: events.1,
        limit,
        dispersion: Dispersion::NONE,
    };
    let latency = |quantile: f64, ln_e, bound: f64| {
        let share = 1.0 - quantile;
        let events = (
            (canary.0 as f64 * share * 0.4) as u64,
            (stable.0 as f64 * share) as u64,
        );
        let limit = Limit::Latency {
            stable: Some(bound),
            canary: Some(bound * 1.414),
            increase: 0.4,
        };
        test(Test::Latency { quantile }, ln_e, 6.397, events, limit)
    };
    let margin = Margin {
        relative: 1.1,
        absolute: 0.001,
    };
    Reading {
        at: at(seconds),
        judgement: Judgement::Undecided,
        acceptance: Some(Acceptance {
            step: 1,
            from: Weight::from_basis_points(500).unwrap(),
            to: Weight::from_basis_points(2_500).unwrap(),
            met: false,
            ln_e: 1.32,
            ln_threshold: 2.996,
            margin: Margin {
                relative: 1.4,
                absolute: 0.02,
            },
            canary_requests: canary.0,
            canary_failures: 0,
            stable_requests: stable.0,
            stable_failures: 3,
            eta: Some(5.6),
            excludable: Some(0.031),
            waits_for: Some(Reason::Evidence),
        }),
        tests: vec![
            test(
                Test::Errors,
                ln_e,
                5.298,
                (canary.1, stable.1),
                Limit::Ratio(margin),
            ),
            latency(0.5, -1.7, 0.0101),
            latency(0.9, -0.33, 0.0148),
            latency(0.99, 0.92, 0.0209),
        ],
        canary: side(canary, 19.8),
        stable: side(stable, 380.2),
        failure_rule: FailureRule::DEFAULT,
        pre_period: None,
    }
}

fn side((requests, failures): (u64, u64), rps: f64) -> Side {
    Side {
        requests,
        failures,
        failure_ratio: confidence::interval(failures, requests, 0.05),
        rps,
        p50: Some(0.0101),
        p90: Some(0.0148),
        p99: Some(0.0209),
    }
}
