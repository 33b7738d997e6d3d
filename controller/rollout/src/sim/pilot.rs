//! A rollout from its first request to its end, under virtual time: the machine, the judge and a proxy together.
//!
//! [`Pilot`] does what the process does, in the same order: it looks at the counters, judges, takes the step that
//! follows, and publishes another table when one is wanted, which the proxy serves a moment later. So what a plan and
//! a guard do to a version that behaves so or so can be tried out before a user is sent there.
//!
//! ```
//! use rollout::{Plan, Revision, Step, Steps, Terms, analysis::Config, sim::{Ending, Pilot, Traffic}};
//! use std::time::Duration;
//! use traffic::{RolloutId, Weight};
//!
//! let weight = |percent| Weight::from_percent(percent).unwrap();
//! let pause = Step::Pause(Some(Duration::from_secs(60)));
//! let plan = Plan {
//!     rollout: RolloutId::new("default", "shop"),
//!     revision: Revision::new("v1"),
//!     steps: Steps::new(vec![Step::SetWeight(weight(10)), pause], "steps-1").unwrap(),
//!     paused: false,
//!     guard: true,
//!     terms: Terms::default(),
//! };
//! let mut pilot = Pilot::new(plan, Config::default(), Traffic::new(100.0, Weight::ZERO, 1));
//! pilot.pass(Duration::from_secs(30));
//! // The next version fails one request in four.
//! pilot.traffic().canary.failure_ratio = 0.25;
//! pilot.ship(Revision::new("v2"));
//! let flight = pilot.fly(Duration::from_secs(300));
//! assert_eq!(flight.ending, Ending::RolledBack);
//! assert!(flight.took < Duration::from_secs(20) && flight.canary_failures < 20);
//! ```

mod proxy;

use self::proxy::{Coming, Proxy, Table};
use super::Traffic;
use crate::{
    Acceptance, Cause, Effects, Judgement, Observation, Pause, Plan, Reason, Revision, Slot, State,
    Verdict, acceptance_target,
    analysis::{self, Config, Judge, Target},
    step,
};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use traffic::{Snapshot, Weight};

/// How often the process keeps a canary's evidence when there is nothing else to keep.
const CHECKPOINT: Duration = Duration::from_secs(1);
/// How long a proxy takes to serve another table, if nothing else is said.
const DELAY: Duration = Duration::from_millis(5);

/// One rollout, the guard over it and the proxy under it.
#[derive(Debug)]
pub struct Pilot {
    plan: Plan,
    traffic: Traffic,
    /// Where the version is that the traffic has as its stable.
    slot: Slot,
    delay: Duration,
    state: State,
    judge: Judge,
    reason: Option<Reason>,
    proxy: Proxy,
    kept: Kept,
    kept_at: Duration,
    shipped: Shipped,
}

/// What the process keeps of a rollout, and goes on with after a restart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Kept {
    /// Where the rollout is.
    pub state: State,
    /// What the guard knows.
    pub judge: Judge,
}

/// What became of a revision.
#[derive(Clone, Debug, PartialEq)]
pub struct Flight {
    /// How it ended.
    pub ending: Ending,
    /// The time since the shipping; of a revision that has landed, until the proxy served the end.
    pub took: Duration,
    /// Requests sent to the revision while it was the canary.
    pub canary_requests: u64,
    /// Those of them that failed, and had by then.
    pub canary_failures: u64,
    /// The revision's share of the requests at the end.
    pub weight: Weight,
    /// Why it is where it is. Nothing before the first turn.
    pub reason: Option<Reason>,
}

/// How a revision's rollout ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Ending {
    /// It serves all requests.
    Promoted,
    /// The guard judged it bad, and it serves none.
    RolledBack,
    /// A step's evidence stayed away or a person wanted it, and it serves none.
    Aborted,
    /// A step's evidence stayed away, and a person must decide.
    Inconclusive,
    /// None yet: the guard cannot tell, as the stable fails by itself.
    Held,
    /// None yet.
    UnderWay,
}

/// The counters when the revision was shipped, and what was counted since then by processes that are gone.
#[derive(Debug, Default)]
struct Shipped {
    at: Duration,
    base: (u64, u64),
    earlier: (u64, u64),
}

impl Pilot {
    /// A rollout of `plan`, whose revision is the first and so the stable. Nothing has been looked at yet.
    pub fn new(plan: Plan, guard: Config, traffic: Traffic) -> Self {
        let kept = Kept {
            state: State::default(),
            judge: Judge::new(guard),
        };
        Self {
            plan,
            slot: Slot::First,
            delay: DELAY,
            state: kept.state.clone(),
            judge: kept.judge.clone(),
            reason: None,
            proxy: Proxy::default(),
            kept,
            kept_at: traffic.at,
            shipped: Shipped::default(),
            traffic,
        }
    }

    /// The same, with a proxy that takes `delay` to serve another table.
    pub fn with_delay(self, delay: Duration) -> Self {
        Self { delay, ..self }
    }

    /// The traffic, to change it under way.
    pub fn traffic(&mut self) -> &mut Traffic {
        &mut self.traffic
    }

    /// Where the rollout is.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// The guard.
    pub fn judge(&self) -> &Judge {
        &self.judge
    }

    /// What the process has kept last, no older than a second.
    pub fn kept(&self) -> &Kept {
        &self.kept
    }

    /// Wants `revision` to become the stable from the next turn on.
    pub fn ship(&mut self, revision: Revision) {
        self.plan.revision = revision;
        self.traffic.renew_canary();
        self.shipped = Shipped {
            at: self.traffic.at,
            base: self.counted(),
            earlier: (0, 0),
        };
    }

    /// The process is killed, and another goes on with what was kept: the counters begin at 0 again.
    pub fn restart(&mut self, kept: Kept) {
        self.shipped.earlier = self.canary_requests();
        self.shipped.base = (0, 0);
        self.traffic.restart();
        self.proxy = Proxy::default();
        Kept {
            state: self.state,
            judge: self.judge,
        } = kept.clone();
        self.kept = kept;
    }

    /// Turns until `time` has passed.
    pub fn pass(&mut self, time: Duration) {
        let end = self.traffic.at + time;
        while self.traffic.at < end {
            self.turn();
        }
    }

    /// Turns until what was shipped has come to its end, or until `limit` since it was shipped.
    pub fn fly(&mut self, limit: Duration) -> Flight {
        loop {
            self.turn();
            let flight = self.flight();
            if self.has_landed() || flight.took >= limit {
                return flight;
            }
        }
    }

    /// Whether what was shipped has come to its end, and the proxy serves what follows from it.
    pub fn has_landed(&self) -> bool {
        let goes_on = matches!(self.ending(), Ending::Held | Ending::UnderWay);
        !goes_on && self.proxy.coming.is_none()
    }

    /// What has become so far of what was shipped.
    pub fn flight(&self) -> Flight {
        let ending = self.ending();
        let (canary_requests, canary_failures) = self.canary_requests();
        Flight {
            ending,
            took: self.traffic.at.saturating_sub(self.shipped.at),
            canary_requests,
            canary_failures,
            weight: match ending {
                Ending::Promoted => Weight::FULL,
                _ => Effects::of(&self.state).weight,
            },
            reason: self.reason.clone(),
        }
    }

    fn ending(&self) -> Ending {
        match &self.state {
            State::Healthy(healthy) if healthy.stable.revision == self.plan.revision => {
                Ending::Promoted
            }
            State::Aborted(aborted) if aborted.canary == self.plan.revision => {
                match aborted.cause {
                    Cause::Verdict { .. } | Cause::Tripped { .. } => Ending::RolledBack,
                    Cause::Verb { .. }
                    | Cause::Undone { .. }
                    | Cause::Deadline { .. }
                    | Cause::Inconclusive { .. } => Ending::Aborted,
                }
            }
            State::Paused {
                pause: Pause::Inconclusive,
                ..
            } => Ending::Inconclusive,
            _ if matches!(self.reason, Some(Reason::Held { .. })) => Ending::Held,
            State::Empty
            | State::Healthy(_)
            | State::Progressing(_)
            | State::Paused { .. }
            | State::Aborted(_) => Ending::UnderWay,
        }
    }

    /// One turn of the process: observe, judge, step, publish, keep. Then the time until the next one passes.
    pub fn turn(&mut self) {
        let now = self.traffic.now();
        let target = acceptance_target(&self.plan, &self.state).map(|target| Target {
            step: target.step,
            from: target.from,
            to: target.to,
            harm_budget: target.evidence.harm_budget,
            beta: target.evidence.beta,
        });
        self.judge.observe(&self.snapshot(), target, now);
        let transition = step(&self.plan, self.state.clone(), &self.observation(), now);
        let before = std::mem::replace(&mut self.state, transition.state);
        self.reason = Some(transition.reason);
        if before.trial() != self.state.trial() {
            self.change_trial();
        } else if before.canary_weight() != self.state.canary_weight() {
            self.judge.start_step(self.state.canary_weight());
        }
        self.publish(transition.effects);
        self.keep(before != self.state);
        self.wait();
    }

    /// The counters. While a table is on its way, nobody knows by which one a request is split.
    fn snapshot(&self) -> Snapshot {
        let snapshot = self.traffic.snapshot();
        Snapshot {
            generation: snapshot.generation.filter(|_| self.proxy.coming.is_none()),
            ..snapshot
        }
    }

    fn observation(&self) -> Observation {
        let verdict = self.state.trial().map(|trial| Verdict {
            trial,
            judgement: words(self.judge.judgement()),
            acceptance: Some(if self.judge.is_accepted() {
                Acceptance::Met
            } else {
                Acceptance::Pending
            }),
        });
        Observation {
            serving: self.proxy.settled().map(|table| table.effects.weight),
            canary_endpoints: 1,
            stable_endpoints: 1,
            verdict,
        }
    }

    fn change_trial(&mut self) {
        if self.state.trial().is_none() {
            self.judge.end();
        } else {
            let step_starts = self.plan.steps.len().max(1);
            self.judge.begin(self.traffic.now(), step_starts);
        }
    }

    /// Sends another table to the proxy when it is not on its way already. What was sent under the old one is judged
    /// before.
    fn publish(&mut self, effects: Effects) {
        let canary = self
            .state
            .canary()
            .filter(|canary| canary.reachable)
            .map(|canary| canary.revision.clone());
        let wanted = Table { effects, canary };
        if self.proxy.published() == Some(&wanted) {
            return;
        }
        self.judge.close(&self.snapshot(), self.traffic.now());
        // A proxy that begins serves nothing before its first table.
        let delay = if self.proxy.published().is_none() {
            Duration::ZERO
        } else {
            self.delay
        };
        self.proxy.coming = Some(Coming {
            table: wanted,
            published: self.traffic.at,
            arrives: self.traffic.at + delay,
        });
        self.arrive();
    }

    /// The proxy serves the table that was on its way, if it is time.
    fn arrive(&mut self) {
        let now = self.traffic.at;
        let coming = self.proxy.coming.take_if(|coming| coming.arrives <= now);
        let Some(Coming { table, .. }) = coming else {
            return;
        };
        if let Some(stable) = &table.effects.stable
            && stable.slot != self.slot
        {
            self.slot = stable.slot;
            self.traffic.promote();
        }
        self.traffic.publish(table.effects.weight);
        self.proxy.serves = Some(table);
    }

    fn keep(&mut self, moved: bool) {
        let is_due = self.traffic.at.saturating_sub(self.kept_at) >= CHECKPOINT;
        if moved || (is_due && self.state.canary().is_some()) {
            self.kept_at = self.traffic.at;
            self.kept = Kept {
                state: self.state.clone(),
                judge: self.judge.clone(),
            };
        }
    }

    /// Lets the time until the next turn pass, in which the proxy may come to serve another table.
    fn wait(&mut self) {
        let now = self.traffic.at;
        let turns = now + self.proxy.pause(now);
        if let Some(coming) = &self.proxy.coming
            && coming.arrives < turns
        {
            self.traffic.pass(coming.arrives.saturating_sub(now));
            self.arrive();
        }
        self.traffic.pass(turns.saturating_sub(self.traffic.at));
        self.arrive();
    }

    /// Requests to the canary and failures of it, as this process has counted them.
    fn counted(&self) -> (u64, u64) {
        let [_, canary] = &self.traffic.versions;
        (canary.counts.dispatched, canary.counts.failed)
    }

    /// Requests to the canary and failures of it since it was shipped.
    fn canary_requests(&self) -> (u64, u64) {
        let Shipped { base, earlier, .. } = &self.shipped;
        let (requests, failures) = self.counted();
        (earlier.0 + requests - base.0, earlier.1 + failures - base.1)
    }
}

/// The judgement as the machine is told it.
fn words(judgement: analysis::Judgement) -> Judgement {
    match judgement {
        analysis::Judgement::Undecided => Judgement::Undecided,
        analysis::Judgement::RollBack { test } => Judgement::RollBack {
            why: test.to_string(),
        },
        analysis::Judgement::Hold {
            stable_requests,
            stable_failures,
            ..
        } => Judgement::Hold {
            why: format!("stable failed {stable_failures} of {stable_requests} requests"),
        },
        analysis::Judgement::Unattributed {
            canary_requests,
            canary_failures,
            ..
        } => Judgement::Hold {
            why: format!("the canary failed {canary_failures} of {canary_requests} requests"),
        },
        analysis::Judgement::ClientErrors {
            canary_requests,
            canary_errors,
            ..
        } => Judgement::Hold {
            why: format!(
                "the canary answered {canary_errors} of {canary_requests} requests with a 4xx"
            ),
        },
        analysis::Judgement::TooLittle(shortfall) => Judgement::Hold {
            why: shortfall.to_string(),
        },
        analysis::Judgement::RollForward {
            stable_requests,
            stable_failures,
            ..
        } => Judgement::RollForward {
            why: format!("stable failed {stable_failures} of {stable_requests} requests"),
        },
    }
}

#[cfg(test)]
mod tests;
