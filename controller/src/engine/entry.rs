//! One rollout of the engine: its state, its judge, and what operators see of it.

mod shown;
mod trip;

use super::{
    decision::{self, By, Decision, What},
    saved::SavedRollout,
};
use crate::{
    compile::Shares,
    spec::RolloutSpec,
    view::{DecisionView, RolloutView},
    window::{Sample, Window},
    words,
};
use jiff::Timestamp;
use rollout::{
    Effects, Observation, Reason, Refused, State, Verb, Verdict, acceptance_target,
    analysis::{self, Judge, Target, Tripped},
    state::{Slot, Trial},
};
use std::{collections::BTreeMap, mem, time::Duration};
use traffic::{Generation, Role, RolloutId, Routes, Stats, Trip, Weight};

/// How many decisions are kept for one rollout.
const DECISIONS: usize = 20;
/// How many verdicts are kept with what they were made of. The state file holds these, and is written every second.
const RECORDS: usize = 3;

/// What the engine's turn is about, the same for all rollouts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Traffic<'a> {
    /// The counters.
    stats: &'a Stats,
    /// The generation that all workers serve, or a newer one.
    acknowledged: Option<Generation>,
    /// The offset from the process's epoch.
    elapsed: Duration,
}

impl<'a> Traffic<'a> {
    /// What `stats` have counted and the workers of `routes` serve, `elapsed` after the process's epoch.
    pub(super) fn at(elapsed: Duration, stats: &'a Stats, routes: &Routes) -> Self {
        Self {
            stats,
            acknowledged: routes.acknowledged(),
            elapsed,
        }
    }

    fn sample(&self, rollout: &RolloutId) -> Sample {
        let totals = |role| self.stats.series(rollout, role).totals();
        Sample {
            at: self.elapsed,
            stable: totals(Role::Stable),
            canary: totals(Role::Canary),
        }
    }
}

/// One rollout.
#[derive(Debug)]
pub(super) struct Entry {
    id: RolloutId,
    state: State,
    judge: Judge,
    /// What the machine asked for last; nothing before the first turn.
    wanted: Option<(Effects, Reason)>,
    /// The generation that gave the rollout its present weight, and that weight; nothing before the first table.
    published: Option<(Generation, Weight)>,
    /// The counters when the canary began (or the process, while there is none).
    base: Option<Sample>,
    window: Window,
    decisions: Vec<DecisionView>,
    /// How often each decision was taken since the process began, by what and who.
    decided: BTreeMap<(What, By), u64>,
    /// When, from the process's epoch, the last decision's weight was wanted, until every worker serves it.
    swapping: Option<Duration>,
}

impl Entry {
    /// A rollout that goes on where `saved` left off, or begins.
    pub(super) fn new(spec: &RolloutSpec, saved: Option<SavedRollout>) -> Self {
        let id = spec.plan.rollout.clone();
        let new = || SavedRollout {
            state: State::Empty,
            judge: Judge::new(spec.guard.clone()),
            decisions: Vec::new(),
        };
        let SavedRollout {
            state,
            judge,
            decisions,
        } = saved.unwrap_or_else(new);
        let mut entry = Self {
            id,
            state,
            judge,
            wanted: None,
            published: None,
            base: None,
            window: Window::default(),
            decisions,
            decided: BTreeMap::new(),
            swapping: None,
        };
        entry.reconfigure(spec);
        entry
    }

    /// Takes over what a changed document says of the guard. The machine sees the plan at each turn.
    pub(super) fn reconfigure(&mut self, spec: &RolloutSpec) {
        self.judge.reconfigure(spec.guard.clone());
    }

    pub(super) fn save(&self) -> SavedRollout {
        let (state, judge, decisions) = (
            self.state.clone(),
            self.judge.clone(),
            self.decisions.clone(),
        );
        SavedRollout {
            state,
            judge,
            decisions,
        }
    }

    pub(super) fn state(&self) -> &State {
        &self.state
    }

    /// How often each decision was taken since the process began, by what and who.
    pub(super) fn decided(&self) -> impl Iterator<Item = ((What, By), u64)> {
        self.decided.iter().map(|(key, n)| (*key, *n))
    }

    /// Observes, decides, and tells whether anything changed.
    pub(super) fn turn(
        &mut self,
        spec: &RolloutSpec,
        traffic: &Traffic<'_>,
        endpoints: &dyn Fn(Slot) -> usize,
        now: Timestamp,
    ) -> bool {
        let served = self.note_served(traffic);
        let trip = self
            .observe(spec, traffic, now)
            // An earlier canary's trip is nothing to this one.
            .filter(|trip| trip::is_of(trip, &self.state))
            .map(|trip| Tripped::from(&trip));
        if let Some(trip) = &trip {
            self.judge.tripped(trip.clone());
        }
        let seen = self.observation(spec, traffic, endpoints, trip);
        let before = self.state.clone();
        let transition = rollout::step(&spec.plan, mem::take(&mut self.state), &seen, now);
        let moved = before != transition.state;
        // The words of a reason may hold counts, which change all the time and are no news.
        let is_news = self.wanted.as_ref().is_none_or(|(effects, reason)| {
            *effects != transition.effects || reason.label() != transition.reason.label()
        });
        let changed = served || moved || is_news;
        self.state = transition.state;
        self.wanted = Some((transition.effects, transition.reason));
        let judgement = seen.verdict.as_ref().map(|verdict| &verdict.judgement);
        let decided = decision::between(&spec.plan, &before, &self.state, judgement);
        self.follow(&before, decided, spec, traffic, now);
        changed
    }

    /// What comes with the state's change from `before`, whoever decided it: the record, and what the judge is told.
    fn follow(
        &mut self,
        before: &State,
        decided: Option<Decision>,
        spec: &RolloutSpec,
        traffic: &Traffic<'_>,
        now: Timestamp,
    ) {
        let (mut weight_before, weight) = (before.canary_weight(), self.state.canary_weight());
        if matches!(
            (before, &self.state),
            (State::Healthy(_), State::Aborted(_))
        ) {
            // A version that was stable is undone: it had all requests, as no canary's weight says.
            weight_before = Weight::FULL;
        }
        if let Some(decision) = decided {
            self.record(decision, weight_before, traffic, now);
        }
        if before.trial() != self.state.trial() {
            self.change_trial(spec, traffic, now);
        } else if weight_before != weight {
            self.judge.start_step(weight);
        }
    }

    /// Tells the last decision how long it took until every worker served its weight.
    fn note_served(&mut self, traffic: &Traffic<'_>) -> bool {
        let is_served = self.served(traffic).is_some();
        let Some(since) = self.swapping.take_if(|_| is_served) else {
            return false;
        };
        if let Some(last) = self.decisions.last_mut() {
            last.served_after_ms = Some(traffic.elapsed.saturating_sub(since).as_secs_f64() * 1e3);
        }
        true
    }

    /// Whether a weight was decided that, as far as was seen, not every worker serves yet.
    pub(super) fn awaits_workers(&self) -> bool {
        self.swapping.is_some()
    }

    /// The generation and weight that were published for the rollout, if every worker serves them.
    fn served(&self, traffic: &Traffic<'_>) -> Option<(Generation, Weight)> {
        self.published.filter(|(generation, _)| {
            traffic
                .acknowledged
                .is_some_and(|served| served >= *generation)
        })
    }

    /// Notes the table that the rollout's present shares came with.
    pub(super) fn published(&mut self, generation: Generation, shares: Option<&Shares>) {
        self.published = shares.map(|shares| (generation, shares.weight));
    }

    fn snapshot(&self, traffic: &Traffic<'_>) -> traffic::Snapshot {
        let generation = self.served(traffic).map(|(generation, _)| generation);
        traffic.stats.snapshot(
            &self.id,
            generation,
            traffic.elapsed,
            self.judge.failure_rule(),
        )
    }

    /// Gives the judge the counts up to now, and tells whether the proxy has tripped a canary, be it an earlier one.
    fn observe(
        &mut self,
        spec: &RolloutSpec,
        traffic: &Traffic<'_>,
        now: Timestamp,
    ) -> Option<Trip> {
        let target = acceptance_target(&spec.plan, &self.state).map(|target| Target {
            step: target.step,
            from: target.from,
            to: target.to,
            harm_budget: target.evidence.harm_budget,
            beta: target.evidence.beta,
        });
        let snapshot = self.snapshot(traffic);
        self.judge.observe(&snapshot, target, now);
        if self.window.due(traffic.elapsed) {
            self.window.push(traffic.sample(&self.id));
        }
        if self.base.is_none() {
            self.base = Some(traffic.sample(&self.id));
        }
        snapshot.trip
    }

    /// Gives the judge the counts up to a change of weights.
    pub(super) fn close_block(&mut self, traffic: &Traffic<'_>, now: Timestamp) {
        self.judge.close(&self.snapshot(traffic), now);
        self.window.clear();
        self.window.push(traffic.sample(&self.id));
    }

    fn observation(
        &self,
        spec: &RolloutSpec,
        traffic: &Traffic<'_>,
        endpoints: &dyn Fn(Slot) -> usize,
        trip: Option<Tripped>,
    ) -> Observation {
        let stable = self
            .state
            .stable()
            .map_or(Slot::First, |stable| stable.slot);
        let judgement = match trip {
            Some(trip) => rollout::Judgement::Tripped {
                why: words::tripped(&trip),
            },
            None => words::judgement(&self.judge, spec.plan.guard),
        };
        let verdict = self.state.trial().map(|trial| Verdict {
            trial,
            judgement,
            acceptance: Some(match self.judge.is_accepted() {
                true => rollout::Acceptance::Met,
                false => rollout::Acceptance::Pending,
            }),
        });
        Observation {
            serving: self.served(traffic).map(|(_, weight)| weight),
            canary_endpoints: endpoints(stable.other()),
            stable_endpoints: endpoints(stable),
            verdict,
        }
    }

    /// Judging begins anew with a canary, or ends with it.
    fn change_trial(&mut self, spec: &RolloutSpec, traffic: &Traffic<'_>, now: Timestamp) {
        let trial: Option<Trial> = self.state.trial();
        if trial.is_none() {
            return self.judge.end();
        }
        self.judge.begin(now, spec.plan.steps.len().max(1));
        self.base = Some(traffic.sample(&self.id));
        self.window.clear();
    }

    /// Carries out a verb; the next turn acts on it.
    pub(super) fn act(
        &mut self,
        spec: &RolloutSpec,
        traffic: &Traffic<'_>,
        verb: &Verb,
        now: Timestamp,
    ) -> Result<(), Refused> {
        let before = self.state.clone();
        self.state = rollout::apply(&spec.plan, before.clone(), verb.clone(), now)?;
        if self.state == before {
            return Ok(());
        }
        // A step that a person ends is not ended by what it waited for.
        let told = decision::between(&spec.plan, &before, &self.state, None);
        let mut decision = told.unwrap_or_else(|| Decision {
            what: What::Advanced,
            by: By::Operator,
            why: String::new(),
            revision: spec.plan.revision.to_string(),
            verb: None,
        });
        decision.by = By::Operator;
        decision.verb = Some(verb.to_string());
        if decision.what == What::Advanced {
            decision.why = verb.to_string();
        }
        self.follow(&before, Some(decision), spec, traffic, now);
        Ok(())
    }

    fn record(
        &mut self,
        decision: Decision,
        before: Weight,
        traffic: &Traffic<'_>,
        now: Timestamp,
    ) {
        let is_first = decision.what == What::Deployed;
        // All requests go to the revision that was the canary's.
        let after = if is_first || decision.what == What::Promoted {
            Weight::FULL
        } else {
            self.state.canary_weight()
        };
        let (what, by) = (decision.what.as_str(), decision.by.as_str());
        let rule = self.judge.failure_rule();
        let base = self
            .base
            .as_ref()
            .map_or(0, |base| base.canary.failed_by(rule));
        let failed = traffic
            .sample(&self.id)
            .canary
            .failed_by(rule)
            .saturating_sub(base);
        let reading = self.judge.reading();
        let record = decision.is_verdict().then(|| self.judge.record()).flatten();
        tracing::info!(
            rollout = %self.id, revision = decision.revision, by,
            "{what}: weight {before} -> {after}: {}", decision.why
        );
        *self
            .decided
            .entry((decision.what, decision.by))
            .or_default() += 1;
        self.decisions.push(DecisionView {
            at: now,
            decision: what.to_owned(),
            by: by.to_owned(),
            verb: decision.verb,
            why: decision.why,
            revision: decision.revision,
            weight: (before.fraction() * 100.0, after.fraction() * 100.0),
            served_after_ms: None,
            failed_requests: failed,
            evidence: (!reading.tests.is_empty()).then_some(reading),
            record,
        });
        let newest_first = self.decisions.iter_mut().rev();
        let recorded = newest_first.filter(|decision| decision.record.is_some());
        recorded
            .skip(RECORDS)
            .for_each(|decision| decision.record = None);
        let surplus = self.decisions.len().saturating_sub(DECISIONS);
        self.decisions.drain(..surplus);
        // The first revision is served from the first table on; nothing is swapped for it.
        self.swapping = (before != after && !is_first).then_some(traffic.elapsed);
    }

    /// How the rollout's requests are to be shared; nothing before the first turn.
    pub(super) fn shares(&self, spec: &RolloutSpec) -> Option<Shares> {
        let (effects, _) = self.wanted.as_ref()?;
        let stable = effects.stable.as_ref()?;
        let canary = self
            .state
            .canary()
            .filter(|canary| canary.reachable)
            .map(|canary| canary.revision.clone());
        Some(Shares {
            stable: stable.slot,
            stable_revision: stable.revision.clone(),
            canary,
            weight: effects.weight,
            header_routes: effects.header_routes.clone(),
            mirror_routes: effects.mirror_routes.clone(),
            arming: trip::arming(spec, &self.state, &self.judge, effects.weight),
            rule: *self.judge.failure_rule(),
        })
    }

    /// The rollout as operators see it.
    pub(super) fn view(
        &self,
        spec: &RolloutSpec,
        traffic: &Traffic<'_>,
        endpoints: &dyn Fn(Slot) -> usize,
        now: Timestamp,
    ) -> RolloutView {
        shown::view(self, spec, traffic, endpoints, now)
    }

    /// Puts into a view what the verdicts, and the evidence of now, were made of.
    pub(super) fn put_records(&self, view: &mut RolloutView) {
        view.decisions.clone_from(&self.decisions);
        if self.state.canary().is_some() {
            view.record = self.judge.record();
        }
    }

    fn reading(&self) -> analysis::Reading {
        self.judge.reading()
    }
}
