//! Counters of what became of requests.
//!
//! A [`Series`] belongs to one version of one rollout and has one shard for each worker. Only its worker writes a
//! shard, so that recording is a plain load, add and store on memory that no other core writes; readers add the
//! shards up. Series outlive route tables: a swap of the table never sets a counter back.
//!
//! What is counted are facts: how requests ended. Which of them are failures is said by a [`FailureRule`] when the
//! counters are read. Only what is counted by user (`users`) is counted by a rule.

mod endpoints;
mod grpc_code;
mod outcome;
mod rule;
mod shard;
mod stake;
mod statuses;
mod tickets;
mod trips;
mod tripwire;
mod users;

pub use endpoints::EndpointSeries;
pub use grpc_code::GrpcCode;
pub use outcome::{CLIENT_CLOSED_REQUEST, Failure, Outcome};
pub use rule::FailureRule;
pub use shard::Shard;
pub use stake::Stake;
pub use tickets::Tickets;
pub use tripwire::{Armed, Arming, Trip};
pub use users::{Counted, Counting};

use crate::{
    BackendId, BackendState, Counts, Generation, Histogram, Role, RolloutId, RouteState, Snapshot,
    UserCounts,
};
use arc_swap::ArcSwapOption;
use endpoints::Endpoints;
use statuses::Sums;
use std::{
    collections::BTreeMap,
    net::SocketAddr,
    num::NonZeroU64,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};
use trips::Trips;
use tripwire::Tripwire;
use users::Users;

/// Everything that was counted for one version: what the metrics show.
#[derive(Clone, Debug, Default)]
pub struct Totals {
    /// Requests sent.
    pub dispatched: u64,
    /// Requests whose version the weight decided, not a rule.
    pub split: u64,
    /// Requests that failed by [`FailureRule::DEFAULT`].
    pub failed: u64,
    /// Requests that the client gave up.
    pub cancelled: u64,
    /// Requests by exact status, ascending, without zeros. Statuses outside 100 to 599 are counted under 999.
    pub statuses: Vec<(u16, u64)>,
    /// Failures by reason, in the order of [`Failure::ALL`]; those by status and code are by [`FailureRule::DEFAULT`].
    pub failures: [u64; Failure::ALL.len()],
    /// Latency of all requests that were not cancelled.
    pub latency: Histogram,
    /// Sum of those latencies.
    pub latency_sum: Duration,
    /// Requests under way.
    pub in_flight: u64,
    /// Whole answers that are judged by their status, by exact status, as in `statuses`.
    pub answered: Vec<(u16, u64)>,
    /// Whole answers to gRPC calls that are judged by their code, in the order of [`GrpcCode::ALL`]. Their status is 200.
    pub called: [u64; GrpcCode::ALL.len()],
    /// Requests that got no whole answer.
    pub broken: u64,
}

impl Totals {
    /// Requests that failed by `rule`.
    pub fn failed_by(&self, rule: &FailureRule) -> u64 {
        let answered = self.answered.iter();
        let by_status = answered.filter(|(status, _)| rule.has_status(*status));
        let by_code = rule.codes().map(|code| self.called[code as usize]);
        self.broken + by_status.map(|(_, n)| n).sum::<u64>() + by_code.sum::<u64>()
    }

    /// Fills in what is said of statuses, when all shards are added up: the whole answers by status were `answered`, and
    /// the requests without one `broken`.
    fn conclude(&mut self, answered: Sums, broken: &Sums) {
        let rule = FailureRule::DEFAULT;
        self.broken = self.failures.iter().sum();
        self.answered = answered.occurred();
        self.failed = self.failed_by(&rule);
        self.failures[Failure::Status as usize] += answered.failures(&rule);
        self.failures[Failure::Grpc as usize] += rule
            .codes()
            .map(|code| self.called[code as usize])
            .sum::<u64>();
        let mut seen = answered;
        seen.merge(broken);
        seen.add(200, self.called.iter().sum());
        seen.add(CLIENT_CLOSED_REQUEST, self.cancelled);
        self.statuses = seen.occurred();
    }
}

/// The counters of one version of one rollout.
#[derive(Debug)]
pub struct Series {
    rollout: RolloutId,
    role: Role,
    shards: Box<[Shard]>,
    endpoints: Endpoints,
    /// What counts the failures of a canary that may be tripped. Looked at only when a request failed.
    tripwire: ArcSwapOption<Tripwire>,
    /// What counts a stable's requests by user, where users are split. Looked at only for those that carry a stake.
    users: ArcSwapOption<Users>,
    /// How many counters of users there have been.
    users_begun: AtomicU64,
}

impl Series {
    fn new(rollout: RolloutId, role: Role, workers: usize) -> Self {
        Self {
            rollout,
            role,
            shards: (0..workers).map(|_| Shard::default()).collect(),
            endpoints: Endpoints::default(),
            tripwire: ArcSwapOption::empty(),
            users: ArcSwapOption::empty(),
            users_begun: AtomicU64::new(0),
        }
    }

    /// The rollout that is counted for.
    pub fn rollout(&self) -> &RolloutId {
        &self.rollout
    }

    /// The role that is counted for.
    pub fn role(&self) -> Role {
        self.role
    }

    /// The shard of worker `worker`, which alone may write it.
    ///
    /// # Panics
    /// When there is no such worker.
    pub fn shard(&self, worker: usize) -> &Shard {
        &self.shards[worker]
    }

    /// The counters of the endpoint at `address`. Takes a lock: to be asked for once by a worker, and kept.
    pub fn endpoint(&self, address: SocketAddr) -> Arc<EndpointSeries> {
        self.endpoints.of(address, self.shards.len())
    }

    /// Requests whose version the weight decided.
    pub fn split(&self) -> u64 {
        self.shards.iter().map(Shard::split).sum()
    }

    /// Requests that failed by `rule`.
    fn failures(&self, rule: &FailureRule) -> u64 {
        self.shards.iter().map(|shard| shard.failures(rule)).sum()
    }

    /// Requests under way.
    fn under_way(&self) -> u64 {
        self.shards.iter().map(Shard::under_way).sum()
    }

    /// Sees that a request of worker `worker` which carried `stake` to this version ended with `outcome`, after its shard
    /// has counted that. Gives the trip, when this failure is the one that convicts the version.
    ///
    /// # Panics
    /// When there is no such worker.
    pub fn ended(&self, worker: usize, stake: Stake, outcome: Outcome) -> Option<Trip> {
        if self.role == Role::Stable {
            if let Some(users) = &*self.users.load() {
                users.count(worker, stake, outcome);
            }
            return None;
        }
        // Good answers touch nothing more. A rule that has one of them among its failures leaves it to the guard.
        if matches!(outcome, Outcome::Cancelled | Outcome::Called(GrpcCode::Ok))
            || matches!(outcome, Outcome::Answered(..400))
        {
            return None;
        }
        self.tripwire.load().as_ref()?.count(stake, outcome, self)
    }

    /// Has `tripwire` count from now on.
    fn watch(&self, tripwire: Option<Tripwire>) {
        self.tripwire.store(tripwire.map(Arc::new));
    }

    /// Has requests be counted by user from now on as `counting` says, or not at all. The same again goes on as it was.
    fn count_users(&self, counting: Option<Counting>) -> Option<Counted> {
        let Some(counting) = counting else {
            self.users.store(None);
            return None;
        };
        let known = self.users.load_full();
        if let Some(users) = known.filter(|users| *users.counting() == counting) {
            return Some(users.counted());
        }
        let begun = self.users_begun.fetch_add(1, Relaxed);
        let number = NonZeroU64::MIN.saturating_add(begun);
        let users = Users::new(number, counting, self.shards.len());
        let counted = users.counted();
        self.users.store(Some(Arc::new(users)));
        Some(counted)
    }

    /// Requests by user, where they are counted.
    fn users(&self) -> Option<UserCounts> {
        self.users.load().as_ref().map(|users| users.counts())
    }

    /// What a verdict needs, read at `now` (from the process's epoch), with the failures by `rule`.
    pub fn counts(&self, now: Duration, rule: &FailureRule) -> Counts {
        let mut counts = Counts::default();
        let mut waiting = BTreeMap::new();
        // Before the whole, so that no endpoint has more than all have.
        counts.endpoints = self.endpoints.counts();
        for shard in &self.shards {
            shard.add_counts(now, rule, &mut counts, &mut waiting);
        }
        counts.waiting = waiting.into_iter().collect();
        counts
    }

    /// Everything that was counted.
    pub fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        let (mut answered, mut broken) = (Sums::default(), Sums::default());
        for shard in &self.shards {
            shard.add_totals(&mut totals, &mut answered, &mut broken);
        }
        totals.conclude(answered, &broken);
        totals
    }
}

/// All series of the process. Not on a request's way: tables hold the series that their requests need.
#[derive(Debug)]
pub struct Stats {
    workers: usize,
    series: Mutex<BTreeMap<(RolloutId, Role), Arc<Series>>>,
    tickets: Mutex<BTreeMap<RolloutId, Arc<Tickets>>>,
    trips: Mutex<Trips>,
    backends: Mutex<BTreeMap<BackendId, Arc<BackendState>>>,
    routes: Mutex<BTreeMap<Box<str>, Arc<RouteState>>>,
}

impl Stats {
    /// No series yet, for `workers` workers (at least one).
    pub fn new(workers: usize) -> Self {
        Self {
            workers: workers.max(1),
            series: Mutex::default(),
            tickets: Mutex::default(),
            trips: Mutex::default(),
            backends: Mutex::default(),
            routes: Mutex::default(),
        }
    }

    /// The series of `role` in `rollout`, begun when it is asked for first.
    pub fn series(&self, rollout: &RolloutId, role: Role) -> Arc<Series> {
        let mut series = self.series.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || Arc::new(Series::new(rollout.clone(), role, self.workers));
        Arc::clone(series.entry((rollout.clone(), role)).or_insert_with(new))
    }

    /// The workers' places in `rollout`'s split.
    pub fn tickets(&self, rollout: &RolloutId) -> Arc<Tickets> {
        let mut tickets = self.tickets.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(
            tickets
                .entry(rollout.clone())
                .or_insert_with(|| Arc::new(Tickets::new(self.workers))),
        )
    }

    /// Has the canary of `rollout` tripped on overwhelming evidence as `arming` says, or not at all. Gives what its split
    /// is to read. The same `arming` again goes on as it was: a canary that was tripped stays so, whatever its weight,
    /// until another one is armed.
    pub fn arm(&self, rollout: &RolloutId, arming: Option<&Arming>) -> Option<Armed> {
        let series = |role| self.series(rollout, role);
        let mut trips = self.trips.lock().unwrap_or_else(PoisonError::into_inner);
        match arming {
            Some(arming) => {
                let (stable, canary) = (series(Role::Stable), series(Role::Canary));
                Some(trips.arm(rollout, arming, (&stable, &canary)))
            }
            None => {
                if trips.is_armed(rollout) {
                    trips.disarm(rollout, &series(Role::Canary));
                }
                None
            }
        }
    }

    /// Has the requests to stable of `rollout` be counted by user as `counting` says, or not at all. Gives what its split
    /// needs for that while stable is alone. The same `counting` again goes on as it was.
    pub fn count_users(&self, rollout: &RolloutId, counting: Option<Counting>) -> Option<Counted> {
        self.series(rollout, Role::Stable).count_users(counting)
    }

    /// How many canaries of each rollout were tripped since the process began. Rollouts that never had one armed are left
    /// out.
    pub fn trips(&self) -> Vec<(RolloutId, u64)> {
        let trips = self.trips.lock().unwrap_or_else(PoisonError::into_inner);
        trips.counts()
    }

    /// What is known of the Service `id` at run time.
    pub fn backend(&self, id: &BackendId) -> Arc<BackendState> {
        let mut backends = self.backends.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(backends.entry(id.clone()).or_default())
    }

    /// What is known of each Service, by its name.
    pub fn backends(&self) -> Vec<(BackendId, Arc<BackendState>)> {
        let backends = self.backends.lock().unwrap_or_else(PoisonError::into_inner);
        let shared =
            |(id, state): (&BackendId, &Arc<BackendState>)| (id.clone(), Arc::clone(state));
        backends.iter().map(shared).collect()
    }

    /// What is known at run time of the route that documents call `name`.
    pub fn route(&self, name: &str) -> Arc<RouteState> {
        let mut routes = self.routes.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(routes.entry(name.into()).or_default())
    }

    /// What is known at run time of all routes, by name.
    pub fn routes(&self) -> Vec<(Box<str>, Arc<RouteState>)> {
        self.routes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .map(|(name, state)| (name.clone(), Arc::clone(state)))
            .collect()
    }

    /// Forgets the Services and routes that `backend` and `route` refuse.
    pub fn retain_states(
        &self,
        backend: impl Fn(&BackendId) -> bool,
        route: impl Fn(&str) -> bool,
    ) {
        self.backends
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|id, _| backend(id));
        self.routes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|name, _| route(name));
    }

    /// All series, by rollout and role.
    pub fn all(&self) -> Vec<Arc<Series>> {
        self.series
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .values()
            .cloned()
            .collect()
    }

    /// Forgets every rollout that `keep` refuses. Requests under way go on counting into what is forgotten.
    pub fn retain(&self, keep: impl Fn(&RolloutId) -> bool) {
        self.series
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|(rollout, _), _| keep(rollout));
        self.tickets
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|rollout, _| keep(rollout));
        self.trips
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(keep);
    }

    /// Both sides of a canary rollout at `now` (from the process's epoch). `generation` is the one that gave the rollout
    /// its present weights, if every worker had acknowledged it before this call. Failures are those by `rule`.
    pub fn snapshot(
        &self,
        rollout: &RolloutId,
        generation: Option<Generation>,
        now: Duration,
        rule: &FailureRule,
    ) -> Snapshot {
        let trips = self.trips.lock().unwrap_or_else(PoisonError::into_inner);
        let trip = trips.tripped(rollout);
        drop(trips);
        let stable = self.series(rollout, Role::Stable);
        Snapshot {
            at: now,
            generation,
            users: stable.users(),
            stable: stable.counts(now, rule),
            canary: self.series(rollout, Role::Canary).counts(now, rule),
            trip,
        }
    }
}

#[cfg(test)]
mod tests;
