//! What operators are shown of a rollout, and the words for a verdict. Pure.

mod steps;

use super::{Entry, Traffic};
use crate::{
    spec::RolloutSpec,
    view::{DecisionView, RolloutView, VersionView},
    window::{Red, Sample},
};
use jiff::Timestamp;
use rollout::{
    Reason, State,
    analysis::{self, Judge, Limit, Reading, Test, TestReading},
    plan::Revision,
    state::Slot,
};
use traffic::stats::Totals;

/// The judgement that the machine acts on. With the guard off, nothing is held against a canary.
pub(super) fn judgement(judge: &Judge, guard: bool) -> rollout::Judgement {
    match judge.judgement() {
        analysis::Judgement::RollBack { test } if guard => rollout::Judgement::RollBack {
            why: convicted(&judge.reading(), test),
        },
        analysis::Judgement::Hold {
            stable_requests,
            stable_failures,
            allowed,
        } => rollout::Judgement::Hold {
            why: format!(
                "stable itself fails: {stable_failures} of {stable_requests} requests of the last minute, more than {}% is not healthy",
                allowed * 100.0
            ),
        },
        analysis::Judgement::Unattributed {
            canary_requests,
            canary_failures,
            stable_requests,
            stable_failures,
            limit,
        } => rollout::Judgement::Hold {
            why: format!(
                "{canary_failures} of {canary_requests} canary requests failed, more than the limit of {}%, but nothing shows that stable is well: {stable_failures} of {stable_requests} of its requests of the last minute failed",
                limit * 100.0
            ),
        },
        analysis::Judgement::ClientErrors {
            canary_requests,
            canary_errors,
            stable_requests,
            stable_errors,
        } => rollout::Judgement::Hold {
            why: format!(
                "{canary_errors} of {canary_requests} canary requests were answered with a client error (4xx), {stable_errors} of {stable_requests} stable ones"
            ),
        },
        analysis::Judgement::TooLittle(shortfall) => rollout::Judgement::Hold {
            why: shortfall.to_string(),
        },
        analysis::Judgement::RollForward {
            canary_requests,
            canary_failures,
            stable_requests,
            stable_failures,
            allowed,
        } => rollout::Judgement::RollForward {
            why: format!(
                "stable itself fails and the canary does not: {stable_failures} of {stable_requests} against {canary_failures} of {canary_requests} requests failed, and {}% is healthy",
                allowed * 100.0
            ),
        },
        analysis::Judgement::RollBack { .. } | analysis::Judgement::Undecided => {
            rollout::Judgement::Undecided
        }
    }
}

/// Why `test` convicted the canary, in one line.
fn convicted(reading: &Reading, test: Test) -> String {
    let Some(found) = reading.tests.iter().find(|found| found.test == test) else {
        return test.to_string();
    };
    let TestReading {
        canary_requests,
        canary_events,
        stable_requests,
        stable_events,
        ln_e,
        ln_threshold,
        ..
    } = found;
    if let Limit::Rate { least, now } = found.limit {
        return format!(
            "{test}: {now:.1} requests a second, fewer than {least}; evidence {} against a threshold of {:.0}",
            e_value(*ln_e),
            ln_threshold.exp()
        );
    }
    let what = match test {
        Test::Errors | Test::History | Test::FailureLimit => "failed",
        Test::ClientErrors => "were client errors",
        Test::Latency { .. } => "were slow",
        Test::RequestRate => "came",
    };
    format!(
        "{test}: {canary_events} of {canary_requests} canary requests {what}, {stable_events} of {stable_requests} \
         stable ones; evidence {} against a threshold of {:.0}",
        e_value(*ln_e),
        ln_threshold.exp()
    )
}

/// An e-value from its logarithm, short.
pub(super) fn e_value(ln_e: f64) -> String {
    if ln_e < 1e6_f64.ln() {
        format!("{:.0}", ln_e.exp())
    } else {
        format!("10^{:.0}", ln_e / std::f64::consts::LN_10)
    }
}

pub(super) fn view(
    entry: &Entry,
    spec: &RolloutSpec,
    traffic: &Traffic<'_>,
    endpoints: &dyn Fn(Slot) -> usize,
    now: Timestamp,
) -> RolloutView {
    let sample = traffic.sample(&entry.id);
    let rule = entry.judge.failure_rule();
    let (stable_red, canary_red) = entry.window.red(&sample, rule);
    let summary = entry.state.summary(&spec.plan);
    let slot = entry
        .state
        .stable()
        .map_or(Slot::First, |stable| stable.slot);
    let stable_revision = entry
        .state
        .stable()
        .map_or(&spec.plan.revision, |stable| &stable.revision);
    let base = entry.base.clone().unwrap_or_else(|| Sample {
        at: sample.at,
        ..Sample::default()
    });
    let version =
        |revision: &Revision, slot: Slot, red: &Red, now: &Totals, then: &Totals| VersionView {
            revision: revision.to_string(),
            service: spec.split.slots.get(slot).name.to_string(),
            endpoints: endpoints(slot),
            rps: red.rps,
            failure_percent: red.failure_ratio.map(|ratio| ratio * 100.0),
            latency: red.latency,
            in_flight: now.in_flight,
            requests: now.dispatched.saturating_sub(then.dispatched),
            failures: now.failed_by(rule).saturating_sub(then.failed_by(rule)),
        };
    let canary = canary_revision(&entry.state).map(|revision| {
        version(
            revision,
            slot.other(),
            &canary_red,
            &sample.canary,
            &base.canary,
        )
    });
    let flying = entry.state.canary().is_some();
    RolloutView {
        namespace: entry.id.namespace.to_string(),
        name: entry.id.name.to_string(),
        at: now,
        phase: summary.phase.to_string(),
        message: summary.message,
        waits_for: waits_for(entry, now),
        steps: steps::shown(&entry.state, spec, &stable_red, &canary_red),
        stable: version(
            stable_revision,
            slot,
            &stable_red,
            &sample.stable,
            &base.stable,
        ),
        canary,
        weight: entry
            .wanted
            .as_ref()
            .map_or(0.0, |(effects, _)| effects.weight.fraction() * 100.0),
        measured_share: entry
            .window
            .share(&sample)
            .filter(|_| flying)
            .map(|share| share * 100.0),
        acknowledged: entry.served(traffic).is_some(),
        guard: spec.plan.guard,
        evidence: evidence(entry, flying),
        decisions: entry.decisions.iter().map(without_record).collect(),
        record: None,
    }
}

/// Who follows a rollout is told of each change, which records would make a hundred times as long.
fn without_record(decision: &DecisionView) -> DecisionView {
    DecisionView {
        record: None,
        ..decision.clone()
    }
}

fn canary_revision(state: &State) -> Option<&Revision> {
    match state {
        State::Progressing(canary) | State::Paused { canary, .. } => Some(&canary.revision),
        State::Aborted(aborted) => Some(&aborted.canary),
        State::Empty | State::Healthy(_) => None,
    }
}

/// The evidence for the canary under way, or that on which the last one ended.
fn evidence(entry: &Entry, flying: bool) -> Option<Reading> {
    if flying {
        return Some(entry.reading());
    }
    entry
        .decisions
        .iter()
        .rev()
        .find_map(|decision| decision.evidence.clone())
}

/// What the step waits for and how long that takes, in one line; empty when it waits for nothing.
fn waits_for(entry: &Entry, now: Timestamp) -> String {
    let Some((_, reason)) = &entry.wanted else {
        return String::new();
    };
    let left = |until: &Timestamp| seconds(until.duration_since(now).as_secs_f64().max(0.0));
    match reason {
        Reason::Healthy { .. } | Reason::Aborted { .. } => String::new(),
        Reason::PauseStep { until: Some(until) } => format!("pause ends in {}", left(until)),
        Reason::EvidencePending { until } => {
            let acceptance = entry.reading().acceptance;
            let (why, eta) = acceptance.map_or((None, None), |a| (a.waits_for, a.eta));
            let why = why.map_or_else(|| "evidence".to_owned(), |why| why.to_string());
            let eta = eta.map_or_else(
                || "not at this traffic".to_owned(),
                |eta| format!("about {}", seconds(eta)),
            );
            format!("{why}; time to go: {eta}, inconclusive in {}", left(until))
        }
        Reason::Watched { old, until } => {
            format!("revision {old} is kept warm for another {}", left(until))
        }
        Reason::EvidenceMet { until } => format!(
            "the evidence is there; least duration ends in {}",
            left(until)
        ),
        other => other.to_string(),
    }
}

/// A time for people, short.
fn seconds(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    match whole {
        0..120 => format!("{whole} s"),
        120..7200 => format!("{} min {} s", whole / 60, whole % 60),
        _ => format!("{} h {} min", whole / 3600, whole % 3600 / 60),
    }
}
