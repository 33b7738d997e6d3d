//! What operators are shown of a rollout, and the words for a verdict. Pure.

mod steps;

use super::{Entry, Traffic};
use crate::{
    spec::RolloutSpec,
    view::{DecisionView, RolloutView, VersionView},
    window::{Red, Sample},
};
use jiff::Timestamp;
use rollout::{Reason, State, analysis::Reading, plan::Revision, state::Slot};
use traffic::stats::Totals;

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
