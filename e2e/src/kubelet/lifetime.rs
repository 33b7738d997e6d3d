//! One Pod from being bound until it is gone: a task that gives its machine what happens, and does what that orders.

use super::{Host, action::act, environment::Environment, process};
use crate::pod::{
    machine::{Event, Machine, Order, ProbeKind},
    plan::{Action, ContainerPlan, PodPlan, ProbePlan},
    status::{self, Surroundings},
};
use k8s_openapi::{
    api::core::v1::{Pod, PodCondition, PodStatus},
    jiff::Timestamp,
};
use kube::{
    Api,
    api::{DeleteParams, Patch, PatchParams, Preconditions},
};
use std::{collections::HashMap, future::Future, net::Ipv4Addr, time::Duration};
use tokio::{
    sync::mpsc,
    task::JoinSet,
    time::{sleep, timeout},
};

/// After what the API server did not take, until it is tried again.
const RETRY: Duration = Duration::from_millis(200);

/// A Pod that lives here.
pub(super) struct Lifetime {
    host: Host,
    api: Api<Pod>,
    ip: Ipv4Addr,
    machine: Machine,
    object: Pod,
    running: HashMap<usize, process::Running>,
    sent: Option<PodStatus>,
    events: (mpsc::UnboundedSender<Event>, mpsc::UnboundedReceiver<Event>),
    /// What is waited for; dropped with the Pod.
    tasks: JoinSet<()>,
}

impl Lifetime {
    /// Of `object`, with the address `ip`.
    pub(super) fn new(host: Host, plan: PodPlan, object: Pod, ip: Ipv4Addr) -> Self {
        let api = Api::namespaced(host.client.clone(), &plan.namespace);
        Self {
            host,
            api,
            ip,
            machine: Machine::new(plan, Timestamp::now()),
            object,
            running: HashMap::new(),
            sent: None,
            events: mpsc::unbounded_channel(),
            tasks: JoinSet::new(),
        }
    }

    /// Lives until the object is gone, of whose versions `objects` tells.
    pub(super) async fn run(mut self, mut objects: mpsc::UnboundedReceiver<Pod>) {
        self.notice_deletion();
        loop {
            let turn = self.machine.turn(Timestamp::now());
            for (container, order) in turn.orders {
                self.obey(container, order);
            }
            let is_reported = self.report().await;
            if turn.is_gone && is_reported && self.delete().await {
                return;
            }
            let until = turn.wake_at.map(|at| at.duration_since(Timestamp::now()));
            let until = until.map(|until| Duration::try_from(until).unwrap_or_default());
            let retry = (!is_reported || turn.is_gone).then_some(RETRY);
            let wake_in = until.into_iter().chain(retry).min();
            tokio::select! {
                object = objects.recv() => match object {
                    Some(object) => {
                        self.object = object;
                        self.notice_deletion();
                    }
                    None => return,
                },
                Some(event) = self.events.1.recv() => self.take(&event),
                () = sleep(wake_in.unwrap_or_default()), if wake_in.is_some() => {}
            }
            while self.tasks.try_join_next().is_some() {}
        }
    }

    fn take(&mut self, event: &Event) {
        if let Event::Exited { container, .. } = event {
            self.running.remove(container);
        }
        self.machine.take(event, Timestamp::now());
    }

    fn notice_deletion(&mut self) {
        if self.object.metadata.deletion_timestamp.is_some() {
            let grace = self
                .object
                .metadata
                .deletion_grace_period_seconds
                .unwrap_or_default();
            let grace = Duration::from_secs(grace.unsigned_abs());
            self.machine
                .take(&Event::Deleted { grace }, Timestamp::now());
        }
    }

    fn obey(&mut self, container: usize, order: Order) {
        let Some(plan) = self.machine.plan().containers.get(container).cloned() else {
            return;
        };
        match order {
            Order::Start { run } => self.start(container, run, &plan),
            Order::Probe { run, kind } => self.probe(container, run, kind, &plan),
            Order::PreStop { run } => {
                let done = self.act(plan.pre_stop.as_ref(), &plan);
                self.tell(async move {
                    done.await;
                    Event::PreStopDone { container, run }
                });
            }
            Order::Term { .. } => {
                if let Some(running) = self.running.get_mut(&container) {
                    running.term();
                }
            }
            Order::Kill { .. } => {
                if let Some(running) = self.running.get_mut(&container) {
                    running.kill();
                }
            }
        }
    }

    fn start(&mut self, container: usize, run: i32, plan: &ContainerPlan) {
        let environment = self.environment(plan);
        let started = process::start(&self.host, self.machine.plan(), plan, &environment, self.ip);
        let (running, ending) = match started {
            Ok(started) => started,
            Err(error) => {
                let refused = Some(format!("{error:#}"));
                return self.tell(async move {
                    Event::Exited {
                        container,
                        run,
                        code: 128,
                        refused,
                    }
                });
            }
        };
        self.running.insert(container, running);
        let hook = self.act(plan.post_start.as_ref(), plan);
        let events = self.events.0.clone();
        self.tell(async move {
            // Where the hook fails, the container goes on: what it is for is the author's to check.
            hook.await;
            // Nobody listens when the Pod is gone.
            let _ = events.send(Event::Started { container, run });
            let code = ending.code().await;
            Event::Exited {
                container,
                run,
                code,
                refused: None,
            }
        });
    }

    fn probe(&mut self, container: usize, run: i32, kind: ProbeKind, plan: &ContainerPlan) {
        let probe = match kind {
            ProbeKind::Startup => &plan.startup,
            ProbeKind::Readiness => &plan.readiness,
            ProbeKind::Liveness => &plan.liveness,
        };
        let Some(ProbePlan {
            action,
            timeout: limit,
            ..
        }) = probe.clone()
        else {
            return;
        };
        let asked = self.act(Some(&action), plan);
        self.tell(async move {
            let passed = timeout(limit, asked).await.unwrap_or(false);
            Event::Probed {
                container,
                run,
                kind,
                passed,
            }
        });
    }

    /// Does `action`; where there is none, that succeeds.
    fn act(
        &self,
        action: Option<&Action>,
        plan: &ContainerPlan,
    ) -> impl Future<Output = bool> + Send + use<> {
        let (environment, ip, action) = (self.environment(plan), self.ip, action.cloned());
        async move {
            match action {
                Some(action) => act(&action, &environment, ip).await,
                None => true,
            }
        }
    }

    fn environment(&self, plan: &ContainerPlan) -> Environment {
        Environment::new(&self.object, self.ip, &plan.environment)
    }

    fn tell(&mut self, event: impl Future<Output = Event> + Send + 'static) {
        let events = self.events.0.clone();
        self.tasks.spawn(async move {
            // Nobody listens when the Pod is gone.
            let _ = events.send(event.await);
        });
    }

    /// Sends the status if it is another one than was sent last; whether the API server has it.
    async fn report(&mut self) -> bool {
        let conditions = self.conditions();
        let ip = self.ip.to_string();
        let around = Surroundings {
            ip: &ip,
            host_ip: &self.host.address,
            conditions: &conditions,
        };
        let status = self.machine.status(&around, Timestamp::now());
        if self.sent.as_ref() == Some(&status) {
            return true;
        }
        let plan = self.machine.plan();
        let patch = Patch::Strategic(status::patch(&plan.uid, &status));
        match self
            .api
            .patch_status(&plan.name, &PatchParams::default(), &patch)
            .await
        {
            Ok(_) => {
                self.sent = Some(status);
                true
            }
            // It is gone, and its task is about to be told.
            Err(kube::Error::Api(error)) if error.code == 404 => true,
            Err(error) => {
                eprintln!("status of {}/{}: {error}", plan.namespace, plan.name);
                false
            }
        }
    }

    /// The node's own conditions as they were sent last, and those of others as the object has them.
    fn conditions(&self) -> Vec<PodCondition> {
        let own = self
            .sent
            .iter()
            .flat_map(|status| status.conditions.iter().flatten());
        let mut conditions: Vec<_> = own.cloned().collect();
        let found = self
            .object
            .status
            .iter()
            .flat_map(|status| status.conditions.iter().flatten());
        for other in found {
            if conditions
                .iter()
                .all(|condition| condition.type_ != other.type_)
            {
                conditions.push(other.clone());
            }
        }
        conditions
    }

    /// Takes the object away, now that nothing of it runs any more.
    async fn delete(&self) -> bool {
        let plan = self.machine.plan();
        let now = DeleteParams {
            grace_period_seconds: Some(0),
            preconditions: Some(Preconditions {
                uid: Some(plan.uid.clone()),
                resource_version: None,
            }),
            ..DeleteParams::default()
        };
        match self.api.delete(&plan.name, &now).await {
            Ok(_) => true,
            Err(kube::Error::Api(error)) if matches!(error.code, 404 | 409) => true,
            Err(error) => {
                eprintln!("deletion of {}/{}: {error}", plan.namespace, plan.name);
                false
            }
        }
    }
}
