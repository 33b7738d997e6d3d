//! A world under virtual time for the machine: proxies that acknowledge, a judge that begins with each trial, people.
//! Every look checks the invariants that hold in any world, so that each test that uses it checks them too.

use std::time::Duration;

use jiff::Timestamp;
use traffic::{RolloutId, Weight};

use super::invariants::{self, Look};
use crate::{
    Acceptance, Canary, Effects, Judgement, Observation, Pause, Place, Plan, Revision, State,
    Steps, Terms, Transition, Trial, Verb, Verdict, acceptance_target, apply, step,
};

/// How long proxies take to acknowledge a weight.
const ACKNOWLEDGE: Duration = Duration::from_millis(10);

/// Something that happens to a rollout.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    Revision(&'static str),
    Steps(Steps),
    SpecPaused(bool),
    Guard(bool),
    CanaryEndpoints(usize),
    StableEndpoints(usize),
    /// Whether the proxies acknowledge what they are given.
    Proxies(bool),
    Judge(Judgement),
    Accept(Acceptance),
    Verb(Verb),
    /// Other terms beside the steps.
    Terms(Terms),
    /// Time passes, with all that happens in it.
    Wait(Duration),
    /// The process is killed and starts again with the state that it stored.
    Restart,
}

#[derive(Clone, Debug)]
pub(crate) struct World {
    pub(crate) plan: Plan,
    pub(crate) state: State,
    pub(crate) now: Timestamp,
    pub(crate) transcript: Vec<String>,
    serving: Option<Weight>,
    acknowledge_at: Option<Timestamp>,
    proxies: bool,
    canary_endpoints: usize,
    stable_endpoints: usize,
    judged: Option<Trial>,
    judgement: Judgement,
    acceptance: Acceptance,
    wake_at: Option<Timestamp>,
    /// Whether the guard convicted the present trial.
    convicted: bool,
}

impl World {
    pub(crate) fn new(steps: Steps) -> Self {
        let mut world = Self {
            plan: Plan {
                rollout: RolloutId::new("default", "shop"),
                revision: Revision::new("v1"),
                steps,
                paused: false,
                guard: true,
                terms: Terms::default(),
            },
            state: State::Empty,
            now: Timestamp::UNIX_EPOCH,
            transcript: Vec::new(),
            serving: Some(Weight::ZERO),
            acknowledge_at: None,
            proxies: true,
            canary_endpoints: 1,
            stable_endpoints: 1,
            judged: None,
            judgement: Judgement::Undecided,
            acceptance: Acceptance::Pending,
            wake_at: None,
            convicted: false,
        };
        world.look();
        world
    }

    pub(crate) fn happen(&mut self, event: Event) {
        match event {
            Event::Revision(revision) => self.plan.revision = Revision::new(revision),
            Event::Steps(steps) => self.plan.steps = steps,
            Event::Terms(terms) => self.plan.terms = terms,
            Event::SpecPaused(paused) => self.plan.paused = paused,
            Event::Guard(guard) => self.plan.guard = guard,
            Event::CanaryEndpoints(n) => self.canary_endpoints = n,
            Event::StableEndpoints(n) => self.stable_endpoints = n,
            Event::Proxies(follow) => self.proxies = follow,
            Event::Judge(judgement) => self.judgement = judgement,
            Event::Accept(acceptance) => self.acceptance = acceptance,
            Event::Verb(verb) => self.say(&verb),
            Event::Wait(time) => return self.wait(time),
            Event::Restart => {
                let stored = serde_json::to_string(&self.state).unwrap();
                self.state = serde_json::from_str(&stored).unwrap();
                self.serving = None;
            }
        }
        self.look();
    }

    fn say(&mut self, verb: &Verb) {
        match apply(&self.plan, self.state.clone(), verb.clone(), self.now) {
            Ok(state) => self.state = state,
            Err(refused) => {
                assert!(!refused.allowed.contains(&refused.verb), "{refused}");
                self.transcript
                    .push(format!("t+{}s {refused}", self.elapsed()));
            }
        }
    }

    fn wait(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            let next = [self.wake_at, self.acknowledge_at]
                .into_iter()
                .flatten()
                .min();
            let Some(next) = next.filter(|next| *next <= end) else {
                break;
            };
            self.now = next;
            self.look();
        }
        self.now = end;
        self.look();
    }

    /// What the controller does on every occasion: observe, step, apply the effects, look at the trial.
    fn look(&mut self) {
        if self.acknowledge_at.is_some_and(|at| at <= self.now) {
            self.acknowledge_at = None;
            self.serving = Some(Effects::of(&self.state).weight);
        }
        let seen = self.observe();
        let before = self.state.clone();
        let after = step(&self.plan, before.clone(), &seen, self.now);
        self.convicted |= invariants::convicts(&self.plan, &before, &seen);
        invariants::check(
            &Look {
                plan: &self.plan,
                before: &before,
                seen: &seen,
                after: &after,
                now: self.now,
            },
            self.convicted,
        );
        self.write(&after);
        if self.serving != Some(after.effects.weight) {
            self.serving = None;
            let at = self.now + ACKNOWLEDGE;
            self.acknowledge_at = self
                .proxies
                .then(|| self.acknowledge_at.map_or(at, |known| known.min(at)));
        } else {
            self.acknowledge_at = None;
        }
        let target =
            |state| acceptance_target(&self.plan, state).map(|target| (target.step, target.to));
        if target(&before) != target(&after.state) {
            self.acceptance = Acceptance::Pending;
        }
        if after.state.trial() != self.judged {
            self.judged = after.state.trial();
            self.judgement = Judgement::Undecided;
            self.convicted = false;
        }
        self.wake_at = after.wake_at;
        self.state = after.state;
    }

    fn observe(&self) -> Observation {
        Observation {
            serving: self.serving,
            canary_endpoints: self.canary_endpoints,
            stable_endpoints: self.stable_endpoints,
            verdict: self.judged.clone().map(|trial| Verdict {
                trial,
                judgement: self.judgement.clone(),
                acceptance: Some(self.acceptance),
            }),
        }
    }

    fn write(&mut self, after: &Transition) {
        let summary = after.state.summary(&self.plan);
        let routes: Vec<_> = after
            .effects
            .header_routes
            .iter()
            .map(|route| route.name.as_str())
            .collect();
        let routes = if routes.is_empty() {
            String::new()
        } else {
            format!(" routes={}", routes.join(","))
        };
        let stable = after.effects.stable.as_ref().unwrap();
        let line = format!(
            "{} {}/{} stable={}@{:?} weight={}{routes}: {}",
            summary.phase,
            summary.step,
            summary.steps,
            stable.revision,
            stable.slot,
            after.effects.weight,
            after.reason
        );
        let said = self
            .transcript
            .iter()
            .rev()
            .find(|known| !known.contains(" cannot "));
        if said.is_none_or(|known| known.split_once(' ').unwrap().1 != line) {
            self.transcript
                .push(format!("t+{}s {line}", self.elapsed()));
        }
    }

    fn elapsed(&self) -> f64 {
        self.now.duration_since(Timestamp::UNIX_EPOCH).as_secs_f64()
    }

    /// What tells this world from others, so that none is explored twice: times count from now, and what is over does
    /// not count.
    pub(crate) fn key(&self) -> String {
        let since = |at: Timestamp| self.now.duration_since(at);
        let state = match &self.state {
            State::Empty => String::new(),
            State::Healthy(healthy) => format!("{:?}", healthy.stable),
            State::Aborted(aborted) => format!("{:?} {}", aborted.stable, aborted.canary),
            State::Progressing(canary) | State::Paused { canary, .. } => {
                let clocks = (since(canary.started_at), since(canary.entered_at));
                let canary = Canary {
                    started_at: Timestamp::UNIX_EPOCH,
                    entered_at: Timestamp::UNIX_EPOCH,
                    ..canary.clone()
                };
                format!("{canary:?} {clocks:?}")
            }
        };
        let seen = Observation {
            verdict: None,
            ..self.observe()
        };
        format!(
            "{state} {:?} {:?} {seen:?} {} {:?} {:?} {:?}",
            self.state.summary(&self.plan),
            self.plan,
            self.proxies,
            self.judgement,
            self.acceptance,
            self.acknowledge_at.map(since),
        )
    }

    /// Lets everything go well and people say what they are asked for, until nothing is left to do.
    pub(crate) fn finish(&mut self) {
        self.happen(Event::CanaryEndpoints(1));
        self.happen(Event::SpecPaused(false));
        self.happen(Event::Proxies(true));
        self.happen(Event::Judge(Judgement::Undecided));
        let most = 4 * self.plan.steps.len() + 10;
        for _ in 0..most {
            let verb = match &self.state {
                State::Healthy(_) | State::Aborted(_) => return,
                State::Paused {
                    pause: Pause::Manual,
                    ..
                } => Some(Verb::Resume),
                State::Paused {
                    canary:
                        Canary {
                            place: Place::Step(_),
                            ..
                        },
                    ..
                } => Some(Verb::Promote),
                State::Paused { .. } | State::Progressing(_) | State::Empty => None,
            };
            if let Some(verb) = verb {
                self.happen(Event::Verb(verb));
            }
            self.happen(Event::Accept(Acceptance::Met));
            self.happen(Event::Wait(Duration::from_secs(60)));
        }
        panic!(
            "stuck after {most} rounds: {:?}\n{}",
            self.state,
            self.transcript.join("\n")
        );
    }
}
