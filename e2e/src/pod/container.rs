//! One container's way: pulled, started, probed, ended, and started again after a while.

use super::{
    machine::{Order, ProbeKind},
    plan::{ContainerPlan, PodPlan, Program},
    probe::Asked,
};
use k8s_openapi::jiff::Timestamp;
use std::time::Duration;

/// Waited after a second end, or a failed pull; doubled each time.
const BACK_OFF: Duration = Duration::from_secs(10);
const MAX_BACK_OFF: Duration = Duration::from_secs(300);
/// Who ran this long is not held to be crashing.
const WELL: Duration = Duration::from_secs(600);
/// How long the failure of a pull is shown before it is shown to be waited with.
const PULL_SHOWN: Duration = Duration::from_secs(1);

/// One container.
#[derive(Clone, Debug)]
pub(super) struct Container {
    pub(super) plan: ContainerPlan,
    pub(super) phase: Phase,
    /// How it ended before.
    pub(super) last: Option<Exit>,
    /// How often it was started again.
    pub(super) restarts: i32,
    /// What the next restart waits for.
    delay: Duration,
}

/// Where a container is on its way.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Phase {
    /// Its turn has not come.
    Waiting,
    /// Its image could not be pulled.
    PullFailed {
        /// When that was.
        at: Timestamp,
        /// When it is tried again.
        until: Timestamp,
        /// Whether it is shown as failed, or by now as waiting.
        is_fresh: bool,
    },
    /// It is being started.
    Starting,
    /// It runs.
    Running(Running),
    /// It has ended, and is started again later.
    BackingOff {
        /// When.
        until: Timestamp,
    },
    /// It has ended.
    Ended(Exit),
}

/// A container that runs.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Running {
    pub(super) since: Timestamp,
    startup: Option<Asked>,
    readiness: Option<Asked>,
    liveness: Option<Asked>,
    stop: Option<Stop>,
}

/// How far the end of a container is.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Stop {
    kill_at: Timestamp,
    sent: Sent,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Sent {
    Hook,
    Term,
    Kill,
}

/// How a container ended.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Exit {
    pub(super) code: i32,
    pub(super) reason: &'static str,
    pub(super) message: Option<String>,
    pub(super) started: Option<Timestamp>,
    pub(super) finished: Timestamp,
}

impl Running {
    fn new(plan: &ContainerPlan, now: Timestamp) -> Self {
        let asked = |probe: &Option<_>| probe.as_ref().map(|probe| Asked::new(probe, now));
        Self {
            since: now,
            startup: asked(&plan.startup),
            readiness: asked(&plan.readiness),
            liveness: asked(&plan.liveness),
            stop: None,
        }
    }

    /// Whether it counts as started, which lets the other probes begin.
    pub(super) fn is_started(&self) -> bool {
        self.startup
            .as_ref()
            .is_none_or(|startup| startup.verdict() == Some(true))
    }

    pub(super) fn is_ready(&self) -> bool {
        self.is_started()
            && self
                .readiness
                .as_ref()
                .is_none_or(|probe| probe.verdict() == Some(true))
    }

    fn has_failed(&self) -> bool {
        [&self.startup, &self.liveness]
            .into_iter()
            .flatten()
            .any(|probe| probe.verdict() == Some(false))
    }

    fn probe(&mut self, kind: ProbeKind) -> Option<&mut Asked> {
        match kind {
            ProbeKind::Startup => self.startup.as_mut(),
            ProbeKind::Readiness => self.readiness.as_mut(),
            ProbeKind::Liveness => self.liveness.as_mut(),
        }
    }

    /// The probes that are asked at this point. Liveness is nobody's concern any more once it is told to end.
    fn asked(&self) -> &'static [ProbeKind] {
        match (self.is_started(), self.stop) {
            (false, None) => &[ProbeKind::Startup],
            (false, Some(_)) => &[],
            (true, None) => &[ProbeKind::Readiness, ProbeKind::Liveness],
            (true, Some(_)) => &[ProbeKind::Readiness],
        }
    }
}

impl Container {
    pub(super) fn new(plan: ContainerPlan) -> Self {
        Self {
            plan,
            phase: Phase::Waiting,
            last: None,
            restarts: 0,
            delay: Duration::ZERO,
        }
    }

    /// Whether there is, or will soon be, a process.
    pub(super) fn is_alive(&self) -> bool {
        matches!(self.phase, Phase::Starting | Phase::Running(_))
    }

    /// Whether it has ended for good.
    pub(super) fn is_over(&self, pod: &PodPlan) -> bool {
        match &self.phase {
            Phase::Ended(exit) => !pod.restarts(self.plan.role, exit.code),
            _ => false,
        }
    }

    pub(super) fn running(&self) -> Option<&Running> {
        match &self.phase {
            Phase::Running(running) => Some(running),
            _ => None,
        }
    }

    pub(super) fn started(&mut self, now: Timestamp) {
        if self.phase == Phase::Starting {
            self.phase = Phase::Running(Running::new(&self.plan, now));
        }
    }

    /// It has ended, or could not be started.
    pub(super) fn ended(&mut self, code: i32, refused: Option<String>, now: Timestamp) {
        if !self.is_alive() {
            return;
        }
        let started = self.running().map(|running| running.since);
        if started.is_some_and(|since| now.duration_since(since).unsigned_abs() > WELL) {
            self.delay = Duration::ZERO;
        }
        let reason = match (&refused, code) {
            (Some(_), _) => "StartError",
            (None, 0) => "Completed",
            (None, _) => "Error",
        };
        self.phase = Phase::Ended(Exit {
            code,
            reason,
            message: refused,
            started,
            finished: now,
        });
    }

    pub(super) fn probed(&mut self, kind: ProbeKind, passed: bool, now: Timestamp) {
        let plan = match kind {
            ProbeKind::Startup => &self.plan.startup,
            ProbeKind::Readiness => &self.plan.readiness,
            ProbeKind::Liveness => &self.plan.liveness,
        };
        let Phase::Running(running) = &mut self.phase else {
            return;
        };
        if let (Some(plan), Some(asked)) = (plan, running.probe(kind)) {
            asked.answered(plan, passed, now);
        }
    }

    /// What was to be done before it is told to end has been done.
    pub(super) fn hook_done(&mut self) -> Option<Order> {
        let run = self.restarts;
        let Phase::Running(Running {
            stop: Some(stop), ..
        }) = &mut self.phase
        else {
            return None;
        };
        (stop.sent == Sent::Hook).then(|| {
            stop.sent = Sent::Term;
            Order::Term { run }
        })
    }

    /// Goes on as far as it can now, when it may run.
    pub(super) fn advance(&mut self, pod: &PodPlan, now: Timestamp, orders: &mut Vec<Order>) {
        match &mut self.phase {
            Phase::Waiting if self.plan.program == Program::Missing => self.fail_pull(now),
            Phase::Waiting => self.start(orders),
            Phase::PullFailed { until, .. } if *until <= now => self.fail_pull(now),
            Phase::PullFailed { at, is_fresh, .. } => *is_fresh = now < *at + PULL_SHOWN,
            Phase::BackingOff { until } if *until <= now => self.start_again(orders),
            Phase::Ended(exit) if pod.restarts(self.plan.role, exit.code) => {
                let exit = exit.clone();
                let until = exit.finished + self.delay;
                self.last = Some(exit);
                if self.delay.is_zero() {
                    self.start_again(orders);
                } else {
                    self.phase = Phase::BackingOff { until };
                }
            }
            Phase::Running(_) => self.watch(pod.grace, now, orders),
            Phase::Starting | Phase::BackingOff { .. } | Phase::Ended(_) => {}
        }
    }

    fn fail_pull(&mut self, now: Timestamp) {
        self.grow_delay();
        self.phase = Phase::PullFailed {
            at: now,
            until: now + self.delay,
            is_fresh: true,
        };
    }

    fn start(&mut self, orders: &mut Vec<Order>) {
        self.phase = Phase::Starting;
        orders.push(Order::Start { run: self.restarts });
    }

    fn start_again(&mut self, orders: &mut Vec<Order>) {
        self.restarts = self.restarts.saturating_add(1);
        self.grow_delay();
        self.start(orders);
    }

    fn grow_delay(&mut self) {
        self.delay = self.delay.saturating_mul(2).clamp(BACK_OFF, MAX_BACK_OFF);
    }

    /// Asks the probes that are due, and ends a container that they condemn.
    fn watch(&mut self, grace: Duration, now: Timestamp, orders: &mut Vec<Order>) {
        let run = self.restarts;
        let Phase::Running(running) = &mut self.phase else {
            return;
        };
        for kind in running.asked() {
            if running.probe(*kind).is_some_and(|probe| probe.ask(now)) {
                orders.push(Order::Probe { run, kind: *kind });
            }
        }
        if running.has_failed() && running.stop.is_none() {
            self.stop(now + grace, now, orders);
        } else {
            self.kill_when_late(now, orders);
        }
    }

    /// Tells it to end by `kill_at`, unless it was told to end earlier.
    pub(super) fn stop(&mut self, kill_at: Timestamp, now: Timestamp, orders: &mut Vec<Order>) {
        let run = self.restarts;
        if let Phase::Running(running) = &mut self.phase {
            match &mut running.stop {
                Some(stop) => stop.kill_at = stop.kill_at.min(kill_at),
                None => {
                    let has_hook = self.plan.pre_stop.is_some() && kill_at > now;
                    let (sent, order) = match has_hook {
                        true => (Sent::Hook, Order::PreStop { run }),
                        false => (Sent::Term, Order::Term { run }),
                    };
                    running.stop = Some(Stop { kill_at, sent });
                    orders.push(order);
                }
            }
        }
        self.kill_when_late(now, orders);
    }

    fn kill_when_late(&mut self, now: Timestamp, orders: &mut Vec<Order>) {
        if let Phase::Running(Running {
            stop: Some(stop), ..
        }) = &mut self.phase
            && stop.kill_at <= now
            && stop.sent != Sent::Kill
        {
            stop.sent = Sent::Kill;
            orders.push(Order::Kill { run: self.restarts });
        }
    }

    /// When time alone changes something about it.
    pub(super) fn wake_at(&self) -> Option<Timestamp> {
        match &self.phase {
            Phase::PullFailed {
                at,
                until,
                is_fresh,
            } => Some(if *is_fresh { *at + PULL_SHOWN } else { *until }),
            Phase::BackingOff { until } => Some(*until),
            Phase::Running(running) => {
                let kill_at = running
                    .stop
                    .filter(|stop| stop.sent != Sent::Kill)
                    .map(|stop| stop.kill_at);
                let due = running.asked().iter().filter_map(|kind| match kind {
                    ProbeKind::Startup => running.startup.as_ref()?.due(),
                    ProbeKind::Readiness => running.readiness.as_ref()?.due(),
                    ProbeKind::Liveness => running.liveness.as_ref()?.due(),
                });
                due.chain(kill_at).min()
            }
            Phase::Waiting | Phase::Starting | Phase::Ended(_) => None,
        }
    }
}
