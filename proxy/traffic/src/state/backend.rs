//! What a process knows at run time of a Service: how much is under way there, and how its endpoints do.
//!
//! On a request's way a worker writes its own [`BackendShard`] only, which no other core writes. What workers share of
//! an endpoint ([`EndpointState`]) is written when something goes wrong, and when it goes right again.

mod ejection;
mod endpoint;
mod limits;
mod retries;
mod window;

pub use ejection::{Ejected, Ejecting, EjectionReason};
pub use endpoint::{EndpointState, Outcomes, Standing};
pub use limits::Limit;

use crate::policy::BackendPolicy;
use limits::{Allowance, Holding};
use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};
use window::Window;

/// What is known of a Service. Shared by all workers; outlives route tables.
#[derive(Debug, Default)]
pub struct BackendState {
    allowances: Arc<[Allowance; Limit::ALL.len()]>,
    shards: Mutex<Vec<Arc<BackendShard>>>,
    /// The endpoints of the newest table that anybody asked for.
    known: Mutex<HashMap<SocketAddr, Arc<EndpointState>>>,
    /// The newest generation of the table that a worker saw.
    newest: AtomicU64,
    /// Held while an ejection is decided or a spare retry taken, both of which are rare.
    deciding: Mutex<()>,
    spare_retries: Window,
    ejections: [AtomicU64; EjectionReason::ALL.len()],
    checks: [AtomicU64; CheckResult::ALL.len()],
}

/// What one worker holds and counts of a Service; only this worker may write it. Aligned so that no two workers' shards
/// share a cache line (or its pair, which x86 prefetches along).
#[derive(Debug)]
#[repr(align(128))]
pub struct BackendShard {
    worker: usize,
    workers: u32,
    allowances: Arc<[Allowance; Limit::ALL.len()]>,
    holdings: [Holding; Limit::ALL.len()],
    refusals: [AtomicU64; Limit::ALL.len()],
    /// First attempts, and retries that the budget paid for.
    attempts: Window,
    retries: AtomicU64,
    retries_refused: AtomicU64,
    failed_open: AtomicU64,
    /// When endpoints were compared last, in microseconds from the process's epoch.
    compared: AtomicU64,
}

/// How a health check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CheckResult {
    /// The endpoint answered as it should.
    Success,
    /// It did not.
    Failure,
    /// It took too long.
    Timeout,
}

impl CheckResult {
    /// Every result, in the order of [`CheckResult`].
    pub const ALL: [Self; 3] = [Self::Success, Self::Failure, Self::Timeout];

    /// The result as metric labels spell it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Timeout => "timeout",
        }
    }
}

/// Adds to a counter that only this thread writes: a plain load, add and store.
fn add(cell: &AtomicU64, n: u64) {
    cell.store(cell.load(Relaxed).wrapping_add(n), Relaxed);
}

impl BackendState {
    /// The shard of worker `worker` of `workers`, which alone may write it. It stays while the state does.
    pub fn shard(&self, worker: usize, workers: usize) -> Arc<BackendShard> {
        let mut shards = self.shards.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = shards.iter().find(|shard| shard.worker == worker) {
            return Arc::clone(known);
        }
        let shard = Arc::new(BackendShard {
            worker,
            workers: u32::try_from(workers).unwrap_or(u32::MAX).max(1),
            allowances: Arc::clone(&self.allowances),
            holdings: Default::default(),
            refusals: Default::default(),
            attempts: Window::default(),
            retries: AtomicU64::new(0),
            retries_refused: AtomicU64::new(0),
            failed_open: AtomicU64::new(0),
            compared: AtomicU64::new(0),
        });
        shards.push(Arc::clone(&shard));
        shard
    }

    /// What is known of the endpoints at `addresses`, in their order and each once, as the table of `generation` names
    /// them. Endpoints that the newest table does not name are forgotten. One that joins others at `now` gets its share
    /// slowly, where `policy` says so; the first ones do not, as nobody is there to take theirs. Without a policy of
    /// ejection nobody stays ejected.
    pub fn endpoints(
        &self,
        addresses: &[SocketAddr],
        policy: &BackendPolicy,
        generation: u64,
        now: Duration,
    ) -> Vec<Arc<EndpointState>> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let since = (!known.is_empty()).then_some(now);
        let mut of_table = Vec::with_capacity(addresses.len());
        let mut seen = HashMap::with_capacity(addresses.len());
        for address in addresses {
            if seen.contains_key(address) {
                continue;
            }
            let state = known
                .get(address)
                .map_or_else(|| Arc::new(EndpointState::new(*address, since)), Arc::clone);
            of_table.push(Arc::clone(&state));
            seen.insert(*address, state);
        }
        // A worker that is behind must not bring back what the others have left.
        if self.advance(generation) {
            if policy.ejection.is_none() {
                of_table.iter().for_each(|endpoint| endpoint.pardon(now));
            }
            *known = seen;
        }
        of_table
    }

    /// Notes that the table of `generation` is there; false when there is a newer one.
    pub fn advance(&self, generation: u64) -> bool {
        // Workers mostly find it noted already; then nothing is written that others read.
        let newest = self.newest.load(Relaxed);
        if generation > newest {
            return self.newest.fetch_max(generation, Relaxed) <= generation;
        }
        generation == newest
    }

    /// The endpoints of the newest table that anybody asked for, in the order of their addresses.
    pub fn known(&self) -> Vec<Arc<EndpointState>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let mut endpoints: Vec<_> = known.values().map(Arc::clone).collect();
        endpoints.sort_by_key(|endpoint| endpoint.address());
        endpoints
    }

    /// How much of what `limit` limits is under way.
    pub fn under_way(&self, limit: Limit) -> u64 {
        self.total(|shard| u64::from(shard.holdings[limit as usize].used()))
    }

    /// How often `limit` refused something.
    pub fn refusals(&self, limit: Limit) -> u64 {
        self.total(|shard| shard.refusals[limit as usize].load(Relaxed))
    }

    /// Requests that were sent although no endpoint was in use.
    pub fn failed_open(&self) -> u64 {
        self.total(|shard| shard.failed_open.load(Relaxed))
    }

    /// Counts a health check.
    pub fn count_check(&self, result: CheckResult) {
        self.checks[result as usize].fetch_add(1, Relaxed);
    }

    /// Health checks that ended with `result`.
    pub fn checks(&self, result: CheckResult) -> u64 {
        self.checks[result as usize].load(Relaxed)
    }

    fn total(&self, of: impl Fn(&BackendShard) -> u64) -> u64 {
        let shards = self.shards.lock().unwrap_or_else(PoisonError::into_inner);
        shards.iter().map(|shard| of(shard)).sum()
    }

    /// Permits that workers hold, in use or idle.
    #[cfg(test)]
    fn held(&self, limit: Limit) -> u32 {
        self.allowances[limit as usize].held()
    }
}

impl BackendShard {
    /// Counts a request that is sent although no endpoint is in use.
    pub fn count_failed_open(&self) {
        add(&self.failed_open, 1);
    }

    /// Whether `every` has passed since the last time that this was true.
    fn is_due(&self, now: Duration, every: Duration) -> bool {
        let last = Duration::from_micros(self.compared.load(Relaxed));
        let is_due = last.is_zero() || now.saturating_sub(last) >= every;
        if is_due {
            let micros = u64::try_from(now.as_micros()).unwrap_or(u64::MAX);
            self.compared.store(micros, Relaxed);
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(ports: &[u16]) -> Vec<SocketAddr> {
        let address = |port: &u16| SocketAddr::from(([127, 0, 0, 1], *port));
        ports.iter().map(address).collect()
    }

    #[test]
    fn endpoints_are_those_of_the_newest_table() {
        let state = BackendState::default();
        let (policy, at) = (BackendPolicy::default(), Duration::from_secs);
        let first = state.endpoints(&addresses(&[1, 2, 1]), &policy, 1, at(0));
        assert_eq!(first.len(), 2, "each once");
        let second = state.endpoints(&addresses(&[3, 2]), &policy, 2, at(5));
        assert!(Arc::ptr_eq(&first[1], &second[1]), "what is known is kept");
        assert!(state.advance(3) && !state.advance(2));
        let late = state.endpoints(&addresses(&[1, 2]), &policy, 1, at(6));
        assert!(!Arc::ptr_eq(&first[0], &late[0]), "it had been forgotten");
        let known: Vec<u16> = state.known().iter().map(|e| e.address().port()).collect();
        assert_eq!(known, [2, 3]);
        let slow = Some(at(10));
        assert_eq!(second[1].share(slow, at(5)), crate::Weight::FULL);
        assert_eq!(second[0].share(slow, at(5)).basis_points(), 1000);
    }

    #[test]
    fn nobody_stays_ejected_without_a_policy() {
        let state = BackendState::default();
        let mut policy = BackendPolicy::default();
        let addresses = addresses(&[1, 2]);
        let endpoints = state.endpoints(&addresses, &policy, 1, Duration::ZERO);
        endpoints[0].eject(Duration::MAX, Duration::MAX, Duration::ZERO);
        let is_ejected = |policy: &BackendPolicy, generation| {
            let known = state.endpoints(&addresses, policy, generation, Duration::ZERO);
            known[0].is_ejected()
        };
        assert!(is_ejected(&policy, 2));
        policy.ejection = None;
        assert!(is_ejected(&policy, 1), "a worker that is behind");
        assert!(!is_ejected(&policy, 3));
    }

    #[test]
    fn a_worker_has_one_shard() {
        let state = BackendState::default();
        assert!(Arc::ptr_eq(&state.shard(0, 2), &state.shard(0, 2)));
        assert!(!Arc::ptr_eq(&state.shard(0, 2), &state.shard(1, 2)));
    }
}
