//! Limits of the whole process, kept by workers that do not wait for each other.
//!
//! A worker takes permits from the process's allowance in lots, and serves requests from what it holds: the common way
//! touches memory of this worker only. What is under way is **never more than the limit**. The price is that a request
//! may be refused although permits lie idle with other workers: a worker keeps at most two lots, and a lot is a
//! sixteenth of a worker's equal part, so that at most an eighth of the limit lies idle on all workers together. Limits
//! below 16 for each worker have no lots: each permit is taken from the allowance by itself, and the limit is exact.

use super::BackendShard;
use crate::policy::BackendLimits;
use std::sync::atomic::{
    AtomicU32,
    Ordering::{AcqRel, Relaxed},
};

/// What is limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Limit {
    /// Connections to all endpoints together.
    Connections,
    /// Requests that wait for a connection.
    Pending,
    /// Requests under way.
    Requests,
}

impl Limit {
    /// Every limit, in the order of [`Limit`].
    pub const ALL: [Self; 3] = [Self::Connections, Self::Pending, Self::Requests];

    /// The limit as documents and metric labels spell it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Connections => "connections",
            Self::Pending => "pending",
            Self::Requests => "requests",
        }
    }

    /// What `limits` allows.
    pub const fn of(self, limits: &BackendLimits) -> u32 {
        match self {
            Self::Connections => limits.connections,
            Self::Pending => limits.pending,
            Self::Requests => limits.requests,
        }
    }
}

/// Permits of the whole process that workers hold, in use or idle.
#[derive(Debug, Default)]
pub(super) struct Allowance(AtomicU32);

impl Allowance {
    /// Takes up to `wanted` permits of `limit`, and says how many.
    fn take(&self, wanted: u32, limit: u32) -> u32 {
        let mut held = self.0.load(Relaxed);
        loop {
            let taken = wanted.min(limit.saturating_sub(held));
            if taken == 0 {
                return 0;
            }
            let exchanged = self
                .0
                .compare_exchange_weak(held, held + taken, AcqRel, Relaxed);
            match exchanged {
                Ok(_) => return taken,
                Err(now) => held = now,
            }
        }
    }

    fn give_back(&self, permits: u32) {
        self.0.fetch_sub(permits, AcqRel);
    }

    #[cfg(test)]
    pub(super) fn held(&self) -> u32 {
        self.0.load(Relaxed)
    }
}

/// One worker's permits of one limit.
#[derive(Debug, Default)]
pub(super) struct Holding {
    used: AtomicU32,
    idle: AtomicU32,
}

impl Holding {
    /// Permits in use.
    pub(super) fn used(&self) -> u32 {
        self.used.load(Relaxed)
    }
}

impl BackendShard {
    /// Takes a permit of `limit` for something that begins, or counts a refusal. Each permit is to be given back with
    /// [`BackendShard::release`].
    pub fn acquire(&self, limit: Limit, limits: &BackendLimits) -> bool {
        let holding = &self.holdings[limit as usize];
        let most = limit.of(limits);
        let idle = match holding.idle.load(Relaxed) {
            0 => self.allowance(limit).take(self.lot(most).max(1), most),
            idle => idle,
        };
        if idle == 0 {
            super::add(&self.refusals[limit as usize], 1);
            return false;
        }
        holding.idle.store(idle - 1, Relaxed);
        holding.used.store(holding.used() + 1, Relaxed);
        true
    }

    /// Whether [`BackendShard::acquire`] would give a permit of `limit` now. Counts nothing.
    pub fn is_available(&self, limit: Limit, limits: &BackendLimits) -> bool {
        self.holdings[limit as usize].idle.load(Relaxed) > 0
            || self.allowance(limit).0.load(Relaxed) < limit.of(limits)
    }

    /// Gives a permit of `limit` back.
    pub fn release(&self, limit: Limit, limits: &BackendLimits) {
        let holding = &self.holdings[limit as usize];
        let used = holding.used();
        debug_assert!(used > 0, "a permit was given back twice");
        holding.used.store(used.saturating_sub(1), Relaxed);
        let (idle, lot) = (holding.idle.load(Relaxed) + 1, self.lot(limit.of(limits)));
        let spare = if idle > 2 * lot { idle - lot } else { 0 };
        holding.idle.store(idle - spare, Relaxed);
        if spare > 0 {
            self.allowance(limit).give_back(spare);
        }
    }

    /// Gives all idle permits back: when limits change, and when nothing goes to the Service any more.
    pub fn release_idle(&self) {
        for limit in Limit::ALL {
            let idle = self.holdings[limit as usize].idle.swap(0, Relaxed);
            if idle > 0 {
                self.allowance(limit).give_back(idle);
            }
        }
    }

    fn allowance(&self, limit: Limit) -> &Allowance {
        &self.allowances[limit as usize]
    }

    /// How many permits are taken at once, 0 for none beyond the one that is needed.
    fn lot(&self, limit: u32) -> u32 {
        limit / 16 / self.workers
    }
}

#[cfg(test)]
mod tests {
    use crate::policy::BackendLimits;
    use crate::state::backend::{BackendState, Limit};
    use proptest::prelude::*;

    const fn limits(requests: u32) -> BackendLimits {
        BackendLimits {
            connections: 1,
            pending: 1,
            requests,
        }
    }

    #[test]
    fn small_limits_are_exact() {
        let state = BackendState::default();
        let shards = [state.shard(0, 2), state.shard(1, 2)];
        let most = limits(3);
        let acquire = |worker: usize| {
            let is_available = shards[worker].is_available(Limit::Requests, &most);
            assert_eq!(is_available, shards[worker].acquire(Limit::Requests, &most));
            is_available
        };
        assert_eq!(
            [0, 1, 0, 1, 0].map(acquire),
            [true, true, true, false, false]
        );
        shards[1].release(Limit::Requests, &most);
        assert!(acquire(0), "what one worker gave back, another gets");
        assert_eq!(state.under_way(Limit::Requests), 3);
        assert_eq!(state.refusals(Limit::Requests), 2);
        assert!(
            shards[0].acquire(Limit::Pending, &most),
            "each limit has its own permits"
        );
    }

    #[test]
    fn a_lower_limit_holds_as_soon_as_idle_permits_are_back() {
        let state = BackendState::default();
        let shard = state.shard(0, 1);
        assert!(shard.acquire(Limit::Requests, &limits(160)));
        shard.release_idle();
        assert!(!shard.acquire(Limit::Requests, &limits(1)));
        shard.release(Limit::Requests, &limits(1));
        assert!(shard.acquire(Limit::Requests, &limits(1)));
    }

    #[test]
    fn workers_that_race_never_exceed_the_limit_together() {
        use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
        for most in [3, 200] {
            let (state, under_way) = (BackendState::default(), AtomicU32::new(0));
            let limits = limits(most);
            std::thread::scope(|scope| {
                for worker in 0..4 {
                    let shard = state.shard(worker, 4);
                    let under_way = &under_way;
                    scope.spawn(move || {
                        for _ in 0..50 {
                            let wanted = (0..most).take_while(|_| {
                                shard.acquire(Limit::Requests, &limits) && {
                                    assert!(under_way.fetch_add(1, SeqCst) < most);
                                    true
                                }
                            });
                            for _ in 0..wanted.count() {
                                under_way.fetch_sub(1, SeqCst);
                                shard.release(Limit::Requests, &limits);
                            }
                        }
                        shard.release_idle();
                    });
                }
            });
            assert_eq!(state.held(Limit::Requests), 0);
        }
    }

    proptest! {
        /// Never above the limit, refused only when seven eighths are under way, and nothing is lost.
        #[test]
        fn the_limit_holds_within_its_bounds(
            workers in 1usize..5,
            most in 0u32..400,
            steps in prop::collection::vec((0usize..5, prop::bool::weighted(0.7), any::<bool>()), 0..900),
        ) {
            let state = BackendState::default();
            let shards: Vec<_> = (0..workers).map(|worker| state.shard(worker, workers)).collect();
            let mut used = vec![0u32; workers];
            let most_of = limits(most);
            for (worker, begins, cleans) in steps {
                let worker = worker % workers;
                if begins {
                    let total: u32 = used.iter().sum();
                    if shards[worker].acquire(Limit::Requests, &most_of) {
                        used[worker] += 1;
                        prop_assert!(total < most);
                    } else {
                        prop_assert!(total >= most - most / 8, "{total} of {most}");
                    }
                } else if used[worker] > 0 {
                    shards[worker].release(Limit::Requests, &most_of);
                    used[worker] -= 1;
                } else if cleans {
                    shards[worker].release_idle();
                }
                prop_assert_eq!(state.under_way(Limit::Requests), u64::from(used.iter().sum::<u32>()));
            }
            for (shard, used) in shards.iter().zip(used) {
                (0..used).for_each(|_| shard.release(Limit::Requests, &most_of));
                shard.release_idle();
            }
            prop_assert_eq!(state.held(Limit::Requests), 0, "no permit leaks");
        }
    }
}
