//! A Pod's machine: told what happened, it says what is to be done next, and when it wants to be asked again.

use super::{
    container::Container,
    plan::{PodPlan, Role},
};
use k8s_openapi::jiff::Timestamp;
use std::time::Duration;

/// From being bound until the first container may be started: the sandbox and its network.
pub const SANDBOX: Duration = Duration::from_millis(300);

/// What happened. `container` is an index into the plan's containers; what is said of an earlier `run` than the current one
/// is passed over.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The process runs, and what is done after its start has been done.
    Started {
        /// Which container.
        container: usize,
        /// How often it had been restarted.
        run: i32,
    },
    /// The process has ended, or could not be started.
    Exited {
        /// Which container.
        container: usize,
        /// How often it had been restarted.
        run: i32,
        /// The exit code; 128 and the signal's number after a signal.
        code: i32,
        /// Why it could not be started.
        refused: Option<String>,
    },
    /// A probe was answered.
    Probed {
        /// Which container.
        container: usize,
        /// How often it had been restarted.
        run: i32,
        /// Which probe.
        kind: ProbeKind,
        /// Whether it passed.
        passed: bool,
    },
    /// What is done before the end has been done.
    PreStopDone {
        /// Which container.
        container: usize,
        /// How often it had been restarted.
        run: i32,
    },
    /// The Pod is to be deleted, within this time.
    Deleted {
        /// How long its containers may take to end.
        grace: Duration,
    },
}

/// A probe's purpose.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ProbeKind {
    /// Has it started?
    Startup,
    /// Does it take requests?
    Readiness,
    /// Must it be started anew?
    Liveness,
}

/// What is to be done for one container.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Order {
    /// Start its program.
    Start {
        /// How often it was restarted.
        run: i32,
    },
    /// Ask a probe.
    Probe {
        /// How often it was restarted.
        run: i32,
        /// Which.
        kind: ProbeKind,
    },
    /// Do what is to be done before the end.
    PreStop {
        /// How often it was restarted.
        run: i32,
    },
    /// Send TERM.
    Term {
        /// How often it was restarted.
        run: i32,
    },
    /// Send KILL.
    Kill {
        /// How often it was restarted.
        run: i32,
    },
}

/// What is to be done for a Pod.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Turn {
    /// Orders, each with the container's index.
    pub orders: Vec<(usize, Order)>,
    /// When time alone changes something.
    pub wake_at: Option<Timestamp>,
    /// All that was to be deleted has ended: the object can go.
    pub is_gone: bool,
}

/// A Pod on its node.
#[derive(Clone, Debug)]
pub struct Machine {
    pub(super) plan: PodPlan,
    pub(super) containers: Vec<Container>,
    pub(super) bound: Timestamp,
    /// When a Pod that is to be deleted must have ended.
    pub(super) delete_by: Option<Timestamp>,
    pending: Vec<(usize, Order)>,
}

impl Machine {
    /// A Pod that was bound to its node at `now`.
    pub fn new(plan: PodPlan, now: Timestamp) -> Self {
        let containers = plan
            .containers
            .iter()
            .cloned()
            .map(Container::new)
            .collect();
        Self {
            plan,
            containers,
            bound: now,
            delete_by: None,
            pending: Vec::new(),
        }
    }

    /// Its plan.
    pub fn plan(&self) -> &PodPlan {
        &self.plan
    }

    /// Takes note of what happened.
    pub fn take(&mut self, event: &Event, now: Timestamp) {
        match event {
            Event::Started { container, run } => {
                self.with(*container, *run, |container| container.started(now));
            }
            Event::Exited {
                container,
                run,
                code,
                refused,
            } => {
                self.with(*container, *run, |container| {
                    container.ended(*code, refused.clone(), now)
                });
            }
            Event::Probed {
                container,
                run,
                kind,
                passed,
            } => {
                self.with(*container, *run, |container| {
                    container.probed(*kind, *passed, now)
                });
            }
            Event::PreStopDone { container, run } => {
                let order = self.with(*container, *run, Container::hook_done).flatten();
                self.pending.extend(order.map(|order| (*container, order)));
            }
            Event::Deleted { grace } => {
                let by = now + *grace;
                self.delete_by = Some(self.delete_by.map_or(by, |earlier| earlier.min(by)));
            }
        }
    }

    fn with<T>(
        &mut self,
        container: usize,
        run: i32,
        act: impl FnOnce(&mut Container) -> T,
    ) -> Option<T> {
        let container = self.containers.get_mut(container)?;
        (container.restarts == run).then(|| act(container))
    }

    /// Goes on as far as it can at `now`.
    pub fn turn(&mut self, now: Timestamp) -> Turn {
        let mut orders = std::mem::take(&mut self.pending);
        let ready = self.bound + SANDBOX;
        match self.delete_by {
            Some(by) => self.stop_all(by, now, &mut orders),
            None if now < ready => {}
            None => self.run(now, &mut orders),
        }
        // What has not begun will not begin any more once the end has.
        let is_ending = self.delete_by.is_some() || self.is_over();
        let waking = self
            .containers
            .iter()
            .filter(|container| !is_ending || container.is_alive());
        let waking = waking.filter_map(Container::wake_at);
        let sandbox = (self.delete_by.is_none() && now < ready).then_some(ready);
        Turn {
            orders,
            wake_at: waking.chain(sandbox).min(),
            is_gone: self.delete_by.is_some() && !self.is_alive(),
        }
    }

    fn is_alive(&self) -> bool {
        self.containers.iter().any(Container::is_alive)
    }

    /// Lets each container go on whose turn it is: initial ones one after the other, then all main ones. Sidecars end when
    /// these have.
    fn run(&mut self, now: Timestamp, orders: &mut Vec<(usize, Order)>) {
        if self.is_over() {
            return self.stop_role(Role::Sidecar, now + self.plan.grace, now, orders);
        }
        for index in 0..self.containers.len() {
            let container = &mut self.containers[index];
            let mut given = Vec::new();
            if !(container.plan.role == Role::Init && is_complete(container)) {
                container.advance(&self.plan, now, &mut given);
            }
            orders.extend(given.into_iter().map(|order| (index, order)));
            if !is_complete(container) {
                return;
            }
        }
    }

    /// Whether every main container has ended for good, or an initial one has failed for good.
    pub(super) fn is_over(&self) -> bool {
        let of = |role: Role| {
            self.containers
                .iter()
                .filter(move |container| container.plan.role == role)
        };
        let has_failed =
            |container: &Container| !is_complete(container) && container.is_over(&self.plan);
        of(Role::Main).all(|container| container.is_over(&self.plan))
            || of(Role::Init).any(has_failed)
    }

    /// Ends the main containers, then the others.
    fn stop_all(&mut self, by: Timestamp, now: Timestamp, orders: &mut Vec<(usize, Order)>) {
        self.stop_role(Role::Main, by, now, orders);
        let mut main = self
            .containers
            .iter()
            .filter(|container| container.plan.role == Role::Main);
        if !main.any(Container::is_alive) || by <= now {
            self.stop_role(Role::Sidecar, by, now, orders);
            self.stop_role(Role::Init, by, now, orders);
        } else {
            self.probe_sidecars(now, orders);
        }
    }

    /// Goes on asking the probes of sidecars, which run until the main containers have ended.
    fn probe_sidecars(&mut self, now: Timestamp, orders: &mut Vec<(usize, Order)>) {
        let plan = &self.plan;
        for (index, container) in self.containers.iter_mut().enumerate() {
            if container.plan.role == Role::Sidecar && container.running().is_some() {
                let mut given = Vec::new();
                container.advance(plan, now, &mut given);
                orders.extend(given.into_iter().map(|order| (index, order)));
            }
        }
    }

    fn stop_role(
        &mut self,
        role: Role,
        by: Timestamp,
        now: Timestamp,
        orders: &mut Vec<(usize, Order)>,
    ) {
        let plan = &self.plan;
        for (index, container) in self.containers.iter_mut().enumerate() {
            if container.plan.role == role {
                let mut given = Vec::new();
                if container.running().is_some() {
                    container.advance(plan, now, &mut given);
                }
                container.stop(by, now, &mut given);
                orders.extend(given.into_iter().map(|order| (index, order)));
            }
        }
    }
}

/// Whether the containers after this one may be started.
pub(super) fn is_complete(container: &Container) -> bool {
    match container.plan.role {
        Role::Main => true,
        Role::Sidecar => {
            container.last.is_some()
                || container
                    .running()
                    .is_some_and(|running| running.is_started())
        }
        Role::Init => {
            matches!(&container.phase, super::container::Phase::Ended(exit) if exit.code == 0)
        }
    }
}
