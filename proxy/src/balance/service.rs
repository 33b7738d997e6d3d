//! One worker's view of a Service.

use super::{Permit, Pick, Random, choose::below, draw::Draw, key_of, load::Latency};
use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    net::SocketAddr,
    rc::Rc,
    sync::Arc,
    time::Duration,
};
use traffic::{
    Backend, BackendId, BackendPolicy, BackendState, Generation, Head,
    policy::{BackendLimits, Balancing},
    state::backend::{BackendShard, EndpointState, Limit, Outcomes, Standing},
};
use xxhash_rust::xxh3::xxh3_64;

/// Why there is no endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unavailable {
    /// The Service has none.
    NoEndpoint,
    /// This request has tried all that are in use.
    AllTried,
}

/// What one worker knows of a Service. It never leaves its thread.
#[derive(Debug)]
pub(crate) struct Service {
    id: BackendId,
    pub(super) state: Arc<BackendState>,
    pub(super) shard: Arc<BackendShard>,
    pub(super) random: Rc<Random>,
    members: RefCell<Rc<Members>>,
    /// The generation of the table that the members are of.
    generation: Cell<Generation>,
    /// Whose turn it is.
    pub(super) turn: Cell<usize>,
    pub(super) in_flight: Cell<u32>,
    /// The mean latency of all endpoints, in seconds, which stands for those that have none yet; none before the first.
    mean: Cell<Option<f64>>,
    /// Whether a request came since the last sweep.
    is_used: Cell<bool>,
}

/// The endpoints of a Service and its policy, as one table has them.
#[derive(Debug)]
pub(super) struct Members {
    addresses: Arc<[SocketAddr]>,
    policy: Arc<BackendPolicy>,
    pub(super) endpoints: Vec<Rc<Endpoint>>,
    /// Those of `endpoints`.
    pub(super) states: Vec<Arc<EndpointState>>,
}

/// One worker's view of an endpoint.
#[derive(Debug)]
pub(super) struct Endpoint {
    pub(super) state: Arc<EndpointState>,
    pub(super) outcomes: Arc<Outcomes>,
    pub(super) latency: Latency,
    pub(super) in_flight: Cell<u32>,
    /// Of its address, the same in every process.
    pub(super) hash: u64,
}

/// The latency that stands for endpoints while none was measured, in seconds.
const FIRST_MEAN: f64 = 0.01;

/// The part of the mean of all latencies that each one makes up.
const MEAN_PART: f64 = 1.0 / 32.0;

impl Service {
    /// The Service of `backend`, without its endpoints.
    pub(super) fn new(backend: &Backend, shard: Arc<BackendShard>, random: Rc<Random>) -> Self {
        let members = Members {
            addresses: Arc::new([]),
            policy: Arc::default(),
            endpoints: Vec::new(),
            states: Vec::new(),
        };
        Self {
            id: backend.id.clone(),
            state: Arc::clone(&backend.state),
            shard,
            members: RefCell::new(Rc::new(members)),
            generation: Cell::default(),
            turn: Cell::new(0),
            in_flight: Cell::new(0),
            mean: Cell::default(),
            is_used: Cell::new(true),
            random,
        }
    }

    /// The name.
    pub(crate) fn id(&self) -> &BackendId {
        &self.id
    }

    /// What it is not burdened with at the same time.
    pub(super) fn limits(&self) -> BackendLimits {
        self.members.borrow().policy.limits
    }

    /// Leave to do one thing more of what `limit` limits; the limit itself when it is reached.
    pub(crate) fn admit(self: &Rc<Self>, limit: Limit) -> Result<Permit, Limit> {
        Permit::of(self, limit)
    }

    /// Whether there is a permit of `limit` to be had.
    pub(crate) fn has_room(&self, limit: Limit) -> bool {
        self.shard.is_available(limit, &self.limits())
    }

    /// Whether a request waits for a connection, on any worker.
    pub(super) fn is_waited_for(&self) -> bool {
        self.state.under_way(Limit::Pending) > 0
    }

    /// Lets other workers have the permits that lie idle here.
    pub(crate) fn share_idle(&self) {
        self.shard.release_idle();
    }

    /// Counts a request's first attempt at `now`, which the budget of retries grows by.
    pub(crate) fn count_request(&self, now: Duration) {
        self.shard.count_request(now);
    }

    /// Whether the budget lets a request be sent again at `now`. Counts the retry, or the refusal.
    pub(crate) fn may_retry(&self, now: Duration) -> bool {
        let members = self.members();
        self.state
            .may_retry(&self.shard, &members.policy.retry, now)
    }

    /// What ties the request of `head` to an endpoint, where the Service is balanced by consistent hash.
    pub(crate) fn key(&self, head: &Head<'_>) -> Option<u64> {
        match &self.members.borrow().policy.balancing {
            Balancing::ConsistentHash(by) => key_of(by, head),
            Balancing::PowerOfTwo | Balancing::RoundRobin => None,
        }
    }

    /// The endpoint for the next attempt at `now` of a request that has `key` and has `tried` some already.
    ///
    /// Endpoints in use are chosen from, and, for a first attempt, one on probation. When none is in use, all are: a
    /// proxy that sends nothing because everything looks broken would turn a doubt into an outage.
    pub(crate) fn pick(
        self: &Rc<Self>,
        key: Option<u64>,
        tried: &[SocketAddr],
        now: Duration,
    ) -> Result<Pick, Unavailable> {
        let members = self.members();
        let endpoints = &members.endpoints;
        if endpoints.is_empty() {
            return Err(Unavailable::NoEndpoint);
        }
        let draw = Draw {
            service: self,
            members: &members,
            key,
            salt: key.unwrap_or_else(|| self.random.next()),
            now,
        };
        let is_untried = |i: usize| !tried.contains(&endpoints[i].state.address());
        let is_in_use = |i: usize| endpoints[i].state.standing(now) == Standing::InUse;
        if let Some(pick) = self.pick_of_its_share(&draw, tried) {
            return Ok(pick);
        }
        if let Some(at) = draw.choose(|i| is_untried(i) && is_in_use(i)) {
            return Ok(Pick::new(self, &endpoints[at], false));
        }
        if (0..endpoints.len()).any(is_in_use) {
            return Err(Unavailable::AllTried);
        }
        let at = draw.choose(is_untried).ok_or(Unavailable::AllTried)?;
        self.shard.count_failed_open();
        Ok(Pick::new(self, &endpoints[at], false))
    }

    /// An endpoint that has its share now, or one that is to be tried after an ejection.
    fn pick_of_its_share(self: &Rc<Self>, draw: &Draw<'_>, tried: &[SocketAddr]) -> Option<Pick> {
        /// Another worker may begin to try an endpoint between the choice and the trial.
        const ATTEMPTS: usize = 2;
        let (members, now) = (draw.members, draw.now);
        for _ in 0..ATTEMPTS {
            let at = draw.choose(|i| {
                let state = &members.endpoints[i].state;
                !tried.contains(&state.address())
                    && match state.standing(now) {
                        Standing::InUse => draw.is_in_share(i),
                        // A request that failed once is not risked again.
                        Standing::Probation => tried.is_empty(),
                        Standing::Out => false,
                    }
            })?;
            let endpoint = &members.endpoints[at];
            match endpoint.state.standing(now) {
                Standing::InUse => return Some(Pick::new(self, endpoint, false)),
                Standing::Probation if endpoint.state.begin_trial() => {
                    return Some(Pick::new(self, endpoint, true));
                }
                Standing::Probation | Standing::Out => {}
            }
        }
        None
    }

    /// Takes the mean latency of all endpoints on by one.
    pub(super) fn observe(&self, latency: Duration) {
        let latency = latency.as_secs_f64();
        let mean = self.mean.get().unwrap_or(latency);
        self.mean.set(Some(mean + (latency - mean) * MEAN_PART));
    }

    /// The latency that stands for an endpoint before its first sample, in seconds.
    pub(super) fn mean(&self) -> f64 {
        self.mean.get().unwrap_or(FIRST_MEAN)
    }

    /// The endpoints as they are now.
    pub(super) fn members(&self) -> Rc<Members> {
        Rc::clone(&self.members.borrow())
    }

    /// Whether `address` is one of the endpoints.
    #[cfg(test)]
    pub(super) fn has(&self, address: SocketAddr) -> bool {
        self.members.borrow().addresses.contains(&address)
    }

    /// Notes that a request came.
    pub(super) fn use_it(&self) {
        self.is_used.set(true);
    }

    /// Gives idle permits back when no request came since the last call.
    pub(super) fn rest(&self) {
        if !self.is_used.take() {
            self.shard.release_idle();
        }
    }

    /// Takes up what the table of `generation` says, unless a newer one was taken up.
    pub(super) fn take_up(&self, backend: &Backend, generation: Generation, now: Duration) {
        if !self.advance(generation) {
            return;
        }
        let members = self.members();
        if members.are_of(backend) {
            return;
        }
        if members.policy.limits != backend.policy.limits {
            self.shard.release_idle();
        }
        let states = if members.addresses == backend.endpoints && members.policy == backend.policy {
            members.states.clone()
        } else {
            let (addresses, number) = (&backend.endpoints, generation.number());
            self.state
                .endpoints(addresses, &backend.policy, number, now)
        };
        let endpoints = members.endpoints_of(&states);
        if members.endpoints.is_empty() {
            // Workers begin anywhere, so that together they do not begin with one endpoint.
            self.turn.set(below(endpoints.len(), self.random.next()));
        }
        let members = Members {
            addresses: Arc::clone(&backend.endpoints),
            policy: Arc::clone(&backend.policy),
            endpoints,
            states,
        };
        self.members.replace(Rc::new(members));
    }

    /// Goes on to the table of `generation`; false when a newer one was seen.
    fn advance(&self, generation: Generation) -> bool {
        if generation > self.generation.get() {
            self.generation.set(generation);
            self.state.advance(generation.number());
        }
        generation == self.generation.get()
    }

    /// Leaves the Service without endpoints, as no table has it any more.
    pub(super) fn retire(&self, generation: Generation) {
        if !self.advance(generation) {
            return;
        }
        let policy = Arc::clone(&self.members().policy);
        self.members.replace(Rc::new(Members {
            addresses: Arc::new([]),
            policy,
            endpoints: Vec::new(),
            states: Vec::new(),
        }));
        self.shard.release_idle();
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.shard.release_idle();
    }
}

impl Members {
    /// Whether they are made of the very parts of `backend`.
    fn are_of(&self, backend: &Backend) -> bool {
        Arc::ptr_eq(&self.addresses, &backend.endpoints)
            && Arc::ptr_eq(&self.policy, &backend.policy)
    }

    /// How the endpoints are spoken to.
    pub(super) fn policy(&self) -> &BackendPolicy {
        &self.policy
    }

    /// The endpoints of `states`: those that are there, and new ones.
    fn endpoints_of(&self, states: &[Arc<EndpointState>]) -> Vec<Rc<Endpoint>> {
        let by_state =
            |endpoint: &Rc<Endpoint>| (Arc::as_ptr(&endpoint.state), Rc::clone(endpoint));
        let mut known: HashMap<_, _> = self.endpoints.iter().map(by_state).collect();
        states
            .iter()
            .map(|state| {
                let new = || Rc::new(Endpoint::new(state));
                known.remove(&Arc::as_ptr(state)).unwrap_or_else(new)
            })
            .collect()
    }
}

impl Endpoint {
    fn new(state: &Arc<EndpointState>) -> Self {
        Self {
            outcomes: state.outcomes(),
            latency: Latency::default(),
            in_flight: Cell::new(0),
            hash: xxh3_64(state.address().to_string().as_bytes()),
            state: Arc::clone(state),
        }
    }
}
