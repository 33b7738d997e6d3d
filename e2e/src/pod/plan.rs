//! What a Pod's spec asks of its node.

use super::image::Image;
use k8s_openapi::{
    api::core::v1::{Container, ContainerPort, EnvVar, Pod, Probe},
    apimachinery::pkg::util::intstr::IntOrString,
};
use std::time::Duration;

/// A Pod that was bound to a node.
#[derive(Clone, Debug, PartialEq)]
pub struct PodPlan {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Tells it from others that had its name.
    pub uid: String,
    /// Which containers are started again.
    pub restart: Restart,
    /// Its containers, in the order in which they are started.
    pub containers: Vec<ContainerPlan>,
    /// Conditions that others must set before it is ready.
    pub gates: Vec<String>,
    /// How long its containers may take to end where nothing else is said.
    pub grace: Duration,
}

/// Which containers are started again when they have ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Restart {
    /// All.
    Always,
    /// Those that failed.
    OnFailure,
    /// None.
    Never,
}

impl Restart {
    /// Whether a container is started again after it ended with `code`.
    pub fn again(self, code: i32) -> bool {
        match self {
            Self::Always => true,
            Self::OnFailure => code != 0,
            Self::Never => false,
        }
    }
}

/// When a container runs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Role {
    /// Before the ones after it, until it has ended well.
    Init,
    /// From before the ones after it until all main ones have ended.
    Sidecar,
    /// Together with the other main ones.
    Main,
}

/// One container.
#[derive(Clone, Debug, PartialEq)]
pub struct ContainerPlan {
    /// Its name.
    pub name: String,
    /// The image's name as the spec has it.
    pub image: String,
    /// When it runs.
    pub role: Role,
    /// What runs in it.
    pub program: Program,
    /// The environment as the spec has it.
    pub environment: Vec<EnvVar>,
    /// Must pass before the other probes are asked.
    pub startup: Option<ProbePlan>,
    /// Whether it takes requests.
    pub readiness: Option<ProbePlan>,
    /// Whether it must be started anew.
    pub liveness: Option<ProbePlan>,
    /// What is done once it was started.
    pub post_start: Option<Action>,
    /// What is done before it is told to end.
    pub pre_stop: Option<Action>,
}

/// What runs in a container.
#[derive(Clone, Debug, PartialEq)]
pub enum Program {
    /// Nothing, as the image cannot be pulled.
    Missing,
    /// A process of this machine: the program and its arguments, not yet expanded.
    Command(Vec<String>),
    /// The demo app.
    App {
        /// Its version.
        version: String,
    },
    /// Nothing that could be seen.
    Idle,
}

/// What a probe or hook does.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Runs a program, which is to end with 0.
    Exec(Vec<String>),
    /// Gets a path from the Pod, where an answer from 200 to 399 is a success.
    Http {
        /// The port.
        port: u16,
        /// The path.
        path: String,
    },
    /// Connects to a port of the Pod.
    Tcp {
        /// The port.
        port: u16,
    },
    /// Waits.
    Sleep(Duration),
    /// What this test bed does not do (gRPC). It always fails.
    Unsupported,
}

/// A probe and when it is asked.
#[derive(Clone, Debug, PartialEq)]
pub struct ProbePlan {
    /// What is asked.
    pub action: Action,
    /// How long after the container's start it is asked first.
    pub initial_delay: Duration,
    /// How long after an answer it is asked again.
    pub period: Duration,
    /// After this time it counts as failed.
    pub timeout: Duration,
    /// How many successes in a row are a success.
    pub successes: u32,
    /// How many failures in a row are a failure.
    pub failures: u32,
}

impl PodPlan {
    /// The plan of `pod`; none where what every API server adds is missing.
    pub fn of(pod: &Pod) -> Option<Self> {
        let spec = pod.spec.as_ref()?;
        let init = spec.init_containers.iter().flatten().map(|container| {
            let is_sidecar = container.restart_policy.as_deref() == Some("Always");
            ContainerPlan::of(
                container,
                if is_sidecar {
                    Role::Sidecar
                } else {
                    Role::Init
                },
            )
        });
        let main = spec
            .containers
            .iter()
            .map(|container| ContainerPlan::of(container, Role::Main));
        Some(Self {
            namespace: pod.metadata.namespace.clone()?,
            name: pod.metadata.name.clone()?,
            uid: pod.metadata.uid.clone()?,
            restart: match spec.restart_policy.as_deref() {
                Some("Never") => Restart::Never,
                Some("OnFailure") => Restart::OnFailure,
                _ => Restart::Always,
            },
            containers: init.chain(main).collect(),
            gates: spec
                .readiness_gates
                .iter()
                .flatten()
                .map(|gate| gate.condition_type.clone())
                .collect(),
            grace: Duration::from_secs(
                spec.termination_grace_period_seconds
                    .map_or(30, i64::unsigned_abs),
            ),
        })
    }

    /// Whether a container of this role is started again after it ended with `code`.
    pub fn restarts(&self, role: Role, code: i32) -> bool {
        match role {
            Role::Main => self.restart.again(code),
            Role::Sidecar => true,
            Role::Init => self.restart != Restart::Never && code != 0,
        }
    }
}

impl ContainerPlan {
    fn of(container: &Container, role: Role) -> Self {
        let image = container.image.clone().unwrap_or_default();
        let command = container
            .command
            .iter()
            .chain(&container.args)
            .flatten()
            .cloned()
            .collect();
        let program = match (Image::of(&image), &container.command) {
            (Image::Missing, _) => Program::Missing,
            (_, Some(_)) => Program::Command(command),
            (Image::App { version }, None) => Program::App { version },
            (Image::Other, None) => Program::Idle,
        };
        let ports = container.ports.as_deref().unwrap_or_default();
        let probe = |probe: &Option<Probe>| probe.as_ref().map(|probe| ProbePlan::of(probe, ports));
        let hooks = container.lifecycle.as_ref();
        let hook = |handler: &k8s_openapi::api::core::v1::LifecycleHandler| {
            let exec = handler
                .exec
                .as_ref()
                .map(|exec| Action::Exec(exec.command.clone().unwrap_or_default()));
            let http = || {
                handler
                    .http_get
                    .as_ref()
                    .map(|get| Action::http(&get.port, get.path.as_deref(), ports))
            };
            let sleep = || {
                handler
                    .sleep
                    .as_ref()
                    .map(|sleep| Action::Sleep(Duration::from_secs(sleep.seconds.unsigned_abs())))
            };
            exec.or_else(http)
                .or_else(sleep)
                .unwrap_or(Action::Unsupported)
        };
        Self {
            name: container.name.clone(),
            image,
            role,
            program,
            environment: container.env.clone().unwrap_or_default(),
            startup: probe(&container.startup_probe),
            readiness: probe(&container.readiness_probe),
            liveness: probe(&container.liveness_probe),
            post_start: hooks.and_then(|hooks| hooks.post_start.as_ref()).map(hook),
            pre_stop: hooks.and_then(|hooks| hooks.pre_stop.as_ref()).map(hook),
        }
    }
}

impl ProbePlan {
    fn of(probe: &Probe, ports: &[ContainerPort]) -> Self {
        let exec = probe
            .exec
            .as_ref()
            .map(|exec| Action::Exec(exec.command.clone().unwrap_or_default()));
        let http = || {
            probe
                .http_get
                .as_ref()
                .map(|get| Action::http(&get.port, get.path.as_deref(), ports))
        };
        let tcp = || {
            let socket = probe.tcp_socket.as_ref()?;
            Some(port(&socket.port, ports).map_or(Action::Unsupported, |port| Action::Tcp { port }))
        };
        // The API server writes these defaults into every object.
        let number = |value: Option<i32>, default: u32| value.map_or(default, i32::unsigned_abs);
        let seconds =
            |value: Option<i32>, default: u32| Duration::from_secs(number(value, default).into());
        Self {
            action: exec
                .or_else(http)
                .or_else(tcp)
                .unwrap_or(Action::Unsupported),
            initial_delay: seconds(probe.initial_delay_seconds, 0),
            period: seconds(probe.period_seconds, 10),
            timeout: seconds(probe.timeout_seconds, 1),
            successes: number(probe.success_threshold, 1),
            failures: number(probe.failure_threshold, 3),
        }
    }
}

impl Action {
    fn http(at: &IntOrString, path: Option<&str>, ports: &[ContainerPort]) -> Self {
        port(at, ports).map_or(Self::Unsupported, |port| Self::Http {
            port,
            path: path.unwrap_or("/").to_owned(),
        })
    }
}

/// A port's number, which may be given by a name of the container's.
fn port(port: &IntOrString, ports: &[ContainerPort]) -> Option<u16> {
    let number = match port {
        IntOrString::Int(number) => *number,
        IntOrString::String(name) => {
            let named = ports.iter().find(|port| port.name.as_ref() == Some(name));
            named.map(|port| port.container_port)?
        }
    };
    number.try_into().ok()
}
