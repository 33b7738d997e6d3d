//! A Pod's status, as its node reports it.

use super::{
    container::{Container, Exit, Phase},
    machine::{Machine, SANDBOX, is_complete},
    plan::Role,
};
use k8s_openapi::{
    api::core::v1::{
        ContainerState, ContainerStateRunning, ContainerStateTerminated, ContainerStateWaiting,
        ContainerStatus, HostIP, PodCondition, PodIP, PodStatus,
    },
    apimachinery::pkg::apis::meta::v1::Time,
    jiff::Timestamp,
};

use serde_json::{Value, json};

/// What the status tells beyond the machine's own state.
#[derive(Clone, Copy, Debug)]
pub struct Surroundings<'a> {
    /// The Pod's address.
    pub ip: &'a str,
    /// Its node's address.
    pub host_ip: &'a str,
    /// The conditions of the object now: those of others open gates, and those of the node keep the time of their change.
    pub conditions: &'a [PodCondition],
}

/// A condition's type, and why it does not hold.
type Judged = (&'static str, Option<(&'static str, String)>);

impl Machine {
    /// The status at `now`.
    pub fn status(&self, around: &Surroundings<'_>, now: Timestamp) -> PodStatus {
        let phase = self.phase();
        let of = |main: bool| {
            let found = self
                .containers
                .iter()
                .filter(move |container| (container.plan.role == Role::Main) == main);
            found
                .map(|container| self.container_status(container))
                .collect::<Vec<_>>()
        };
        let init = of(false);
        let ip = self.has_sandbox(now).then(|| around.ip.to_owned());
        let conditions = self.judge(phase, around, now).into_iter();
        PodStatus {
            phase: Some(phase.to_owned()),
            start_time: Some(Time(self.bound)),
            host_ip: Some(around.host_ip.to_owned()),
            host_ips: Some(vec![HostIP {
                ip: around.host_ip.to_owned(),
            }]),
            pod_ips: ip.clone().map(|ip| vec![PodIP { ip }]),
            pod_ip: ip,
            conditions: Some(
                conditions
                    .map(|judged| stamp(judged, around.conditions, now))
                    .collect(),
            ),
            init_container_statuses: (!init.is_empty()).then_some(init),
            container_statuses: Some(of(true)),
            ..PodStatus::default()
        }
    }

    fn has_sandbox(&self, now: Timestamp) -> bool {
        now >= self.bound + SANDBOX
    }

    fn is_initialized(&self) -> bool {
        let has_main_begun =
            |container: &Container| container.plan.role == Role::Main && !is_waiting(container);
        self.containers.iter().all(is_complete) || self.containers.iter().any(has_main_begun)
    }

    /// The order of these rules is that of the kubelet's `getPhase`.
    fn phase(&self) -> &'static str {
        let main = || {
            self.containers
                .iter()
                .filter(|container| container.plan.role == Role::Main)
        };
        let is_gone = self.delete_by.is_some() && !self.containers.iter().any(Container::is_alive);
        if self.has_failed_initially() {
            return "Failed";
        }
        if !is_gone && (!self.is_initialized() || main().any(is_waiting)) {
            return "Pending";
        }
        if main().any(|container| container.running().is_some()) || !(is_gone || self.is_over()) {
            return "Running";
        }
        let has_ended_well =
            |container: &Container| last_exit(container).is_some_and(|exit| exit.code == 0);
        match main().all(has_ended_well) {
            true => "Succeeded",
            false => "Failed",
        }
    }

    fn has_failed_initially(&self) -> bool {
        self.containers.iter().any(|container| {
            container.plan.role == Role::Init
                && !is_complete(container)
                && container.is_over(&self.plan)
        })
    }

    fn judge(&self, phase: &str, around: &Surroundings<'_>, now: Timestamp) -> Vec<Judged> {
        let names = |found: &mut dyn Iterator<Item = &Container>| {
            found
                .map(|container| container.plan.name.as_str())
                .collect::<Vec<_>>()
                .join(" ")
        };
        let completed = |reason| Some((reason, String::new()));
        let incomplete = names(
            &mut self
                .containers
                .iter()
                .filter(|container| !is_complete(container)),
        );
        let initialized = match self.is_initialized() {
            true => None,
            false => Some((
                "ContainersNotInitialized",
                format!("containers with incomplete status: [{incomplete}]"),
            )),
        };
        let unready = names(
            &mut self
                .containers
                .iter()
                .filter(|container| !is_ready(container)),
        );
        let containers_ready = match phase {
            "Succeeded" => completed("PodCompleted"),
            "Failed" => completed("PodFailed"),
            _ if unready.is_empty() => None,
            _ => Some((
                "ContainersNotReady",
                format!("containers with unready status: [{unready}]"),
            )),
        };
        let ready = containers_ready
            .clone()
            .or_else(|| self.closed_gates(around.conditions));
        let has_sandbox = self.has_sandbox(now) && !matches!(phase, "Succeeded" | "Failed");
        vec![
            (
                "PodReadyToStartContainers",
                (!has_sandbox).then(|| ("", String::new())),
            ),
            ("Initialized", initialized),
            ("ContainersReady", containers_ready),
            ("Ready", ready),
        ]
    }

    fn closed_gates(&self, conditions: &[PodCondition]) -> Option<(&'static str, String)> {
        let closed = self.plan.gates.iter().filter_map(|gate| {
            match conditions.iter().find(|condition| condition.type_ == *gate) {
                None => Some(format!(
                    "corresponding condition of pod readiness gate {gate:?} does not exist."
                )),
                Some(found) if found.status == "True" => None,
                Some(found) => {
                    let status = &found.status;
                    Some(format!(
                        "the status of pod readiness gate {gate:?} is not \"True\", but {status}"
                    ))
                }
            }
        });
        let closed: Vec<_> = closed.collect();
        (!closed.is_empty()).then(|| ("ReadinessGatesNotReady", closed.join(", ")))
    }

    fn container_status(&self, container: &Container) -> ContainerStatus {
        let name = &container.plan.name;
        let id = format!("e2e://{}/{name}/{}", self.plan.uid, container.restarts);
        let has_run = container.running().is_some() || matches!(container.phase, Phase::Ended(_));
        ContainerStatus {
            name: name.clone(),
            image: container.plan.image.clone(),
            image_id: match container.phase {
                Phase::Waiting | Phase::PullFailed { .. } => String::new(),
                _ => format!("e2e://{}", container.plan.image),
            },
            container_id: has_run.then(|| id.clone()),
            restart_count: container.restarts,
            ready: is_ready(container),
            started: Some(
                container
                    .running()
                    .is_some_and(|running| running.is_started()),
            ),
            state: Some(self.state(container, &id)),
            last_state: container.last.as_ref().map(|exit| ended(exit, &id)),
            ..ContainerStatus::default()
        }
    }

    fn state(&self, container: &Container, id: &str) -> ContainerState {
        let name = &container.plan.name;
        let image = &container.plan.image;
        match &container.phase {
            Phase::Running(running) => ContainerState {
                running: Some(ContainerStateRunning {
                    started_at: Some(Time(running.since)),
                }),
                ..ContainerState::default()
            },
            Phase::Ended(exit) => ended(exit, id),
            Phase::BackingOff { .. } => {
                let pod = format!(
                    "{}_{}({})",
                    self.plan.name, self.plan.namespace, self.plan.uid
                );
                waiting(
                    "CrashLoopBackOff",
                    format!("back-off restarting failed container={name} pod={pod}"),
                )
            }
            Phase::PullFailed { is_fresh: true, .. } => waiting(
                "ErrImagePull",
                format!("failed to pull image {image:?}: not found"),
            ),
            Phase::PullFailed { .. } => waiting(
                "ImagePullBackOff",
                format!("Back-off pulling image {image:?}"),
            ),
            Phase::Waiting | Phase::Starting
                if self.is_initialized() || container.plan.role != Role::Main =>
            {
                waiting("ContainerCreating", String::new())
            }
            Phase::Waiting | Phase::Starting => waiting("PodInitializing", String::new()),
        }
    }
}

/// An initial container is ready when it has done its part.
fn is_ready(container: &Container) -> bool {
    match container.plan.role {
        Role::Init => is_complete(container),
        Role::Main | Role::Sidecar => container
            .running()
            .is_some_and(|running| running.is_ready()),
    }
}

/// Whether it has never been started.
fn is_waiting(container: &Container) -> bool {
    let has_begun = matches!(
        container.phase,
        Phase::Running(_) | Phase::Ended(_) | Phase::BackingOff { .. }
    );
    !has_begun && container.last.is_none()
}

fn last_exit(container: &Container) -> Option<&Exit> {
    match &container.phase {
        Phase::Ended(exit) => Some(exit),
        _ => container.last.as_ref(),
    }
}

fn waiting(reason: &str, message: String) -> ContainerState {
    ContainerState {
        waiting: Some(ContainerStateWaiting {
            reason: Some(reason.to_owned()),
            message: (!message.is_empty()).then_some(message),
        }),
        ..ContainerState::default()
    }
}

fn ended(exit: &Exit, id: &str) -> ContainerState {
    ContainerState {
        terminated: Some(ContainerStateTerminated {
            exit_code: exit.code,
            reason: Some(exit.reason.to_owned()),
            message: exit.message.clone(),
            started_at: exit.started.map(Time),
            finished_at: Some(Time(exit.finished)),
            container_id: Some(id.to_owned()),
            ..ContainerStateTerminated::default()
        }),
        ..ContainerState::default()
    }
}

/// The condition as an object has it, with the time at which it last changed.
fn stamp((kind, why_not): Judged, before: &[PodCondition], now: Timestamp) -> PodCondition {
    let status = if why_not.is_none() { "True" } else { "False" };
    let same = before
        .iter()
        .find(|found| found.type_ == kind && found.status == status);
    let (reason, message) = why_not.unwrap_or_default();
    let said = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    PodCondition {
        type_: kind.to_owned(),
        status: status.to_owned(),
        reason: said(reason),
        message: said(&message),
        last_transition_time: same
            .and_then(|found| found.last_transition_time.clone())
            .or(Some(Time(now))),
        ..PodCondition::default()
    }
}

/// What the status of the object with this uid is patched with (a strategic merge). Conditions are merged by type, so that
/// what one no longer has must be taken away.
pub fn patch(uid: &str, status: &PodStatus) -> Value {
    let mut status = json!(status);
    for condition in status["conditions"].as_array_mut().into_iter().flatten() {
        for field in ["reason", "message"] {
            if condition[field].is_null() {
                condition[field] = Value::Null;
            }
        }
    }
    json!({"metadata": {"uid": uid}, "status": status})
}
