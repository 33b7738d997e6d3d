//! Tables: what happens to a Pod, and what its status and orders are then.

use super::{
    machine::{Event, Machine, Order, ProbeKind},
    plan::PodPlan,
    status::{Surroundings, patch},
};
use k8s_openapi::{
    api::core::v1::{ContainerStatus, Pod, PodCondition, PodStatus},
    jiff::Timestamp,
};
use proptest::prelude::{Strategy, any, prop, prop_assert, prop_assert_eq, prop_oneof, proptest};
use serde_json::{Value, json};
use std::time::Duration;

mod life;
mod properties;

/// A point in time, milliseconds after a Pod was bound.
fn at(millis: i64) -> Timestamp {
    Timestamp::from_millisecond(1_800_000_000_000 + millis).unwrap()
}

fn machine(spec: &Value) -> Machine {
    let pod =
        json!({"metadata": {"name": "web-1", "namespace": "default", "uid": "u"}, "spec": spec});
    let pod: Pod = serde_json::from_value(pod).unwrap();
    Machine::new(PodPlan::of(&pod).unwrap(), at(0))
}

fn status(machine: &Machine, conditions: &[PodCondition], now: Timestamp) -> PodStatus {
    let around = Surroundings {
        ip: "10.244.0.1",
        host_ip: "192.0.2.1",
        conditions,
    };
    machine.status(&around, now)
}

fn is_true(status: &PodStatus, kind: &str) -> bool {
    let mut conditions = status.conditions.iter().flatten();
    conditions.any(|condition| condition.type_ == kind && condition.status == "True")
}

/// Phase, readiness, and each container's state and restarts; a ready one is followed by `!`.
fn summary(status: &PodStatus) -> String {
    let mut words = vec![status.phase.clone().unwrap()];
    if is_true(status, "Ready") {
        words.push("Ready".to_owned());
    }
    let init = status.init_container_statuses.iter().flatten();
    words.extend(
        init.chain(status.container_statuses.iter().flatten())
            .map(container),
    );
    words.join(" ")
}

fn container(status: &ContainerStatus) -> String {
    let state = status.state.as_ref().unwrap();
    let waiting = state
        .waiting
        .as_ref()
        .map(|waiting| waiting.reason.clone().unwrap());
    let ended = state
        .terminated
        .as_ref()
        .map(|ended| format!("{}({})", ended.reason.clone().unwrap(), ended.exit_code));
    let state = waiting.or(ended).unwrap_or_else(|| "running".to_owned());
    let restarts = match status.restart_count {
        0 => String::new(),
        restarts => format!("*{restarts}"),
    };
    let ready = if status.ready { "!" } else { "" };
    format!("{}:{state}{restarts}{ready}", status.name)
}
