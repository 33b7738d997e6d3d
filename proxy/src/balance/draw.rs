//! The choice of an endpoint for one attempt.

use super::{
    choose::{mix, power_of_two, rendezvous, round_robin},
    service::{Members, Service},
};
use std::{cell::OnceCell, time::Duration};
use traffic::policy::Balancing;

/// With consistent hashing, an endpoint is passed over when it has more requests of this worker under way than its equal
/// part times this (Mirrokni, Thorup and Zadimoghaddam, "Consistent Hashing with Bounded Loads").
const LOAD_BOUND: f64 = 1.25;

/// An endpoint with fewer requests of this worker under way is never passed over for its load.
const LOAD_FLOOR: u32 = 8;

/// What one choice goes by.
pub(super) struct Draw<'a> {
    pub(super) service: &'a Service,
    pub(super) members: &'a Members,
    pub(super) key: Option<u64>,
    /// The key, or a random number: what decides whether an endpoint that begins slowly gets this request.
    pub(super) salt: u64,
    pub(super) now: Duration,
}

impl Draw<'_> {
    /// One of the endpoints that `fits`.
    pub(super) fn choose(&self, fits: impl Fn(usize) -> bool) -> Option<usize> {
        let n = self.members.endpoints.len();
        match (&self.members.policy().balancing, self.key) {
            (Balancing::ConsistentHash(_), Some(key)) => {
                let hash = |i: usize| self.members.endpoints[i].hash;
                let most = OnceCell::new();
                let is_full = |i: usize| {
                    let load = self.members.endpoints[i].in_flight.get();
                    load >= LOAD_FLOOR && load >= *most.get_or_init(|| self.bound(&fits))
                };
                rendezvous(n, key, hash, &fits, is_full)
            }
            (Balancing::RoundRobin, _) => {
                let at = round_robin(n, self.service.turn.get(), fits)?;
                self.service.turn.set(at + 1);
                Some(at)
            }
            (Balancing::PowerOfTwo | Balancing::ConsistentHash(_), _) => {
                let random = || self.service.random.next();
                power_of_two(n, random, fits, |i| self.cost(i))
            }
        }
    }

    /// Requests under way beyond which an endpoint is full, when those that `fits` share all.
    fn bound(&self, fits: impl Fn(usize) -> bool) -> u32 {
        let n = (0..self.members.endpoints.len())
            .filter(|i| fits(*i))
            .count();
        let all = self.service.in_flight.get().saturating_add(1);
        (f64::from(all) * LOAD_BOUND / n.max(1) as f64).ceil() as u32
    }

    /// Requests under way times mean latency. One on probation costs nothing: it would not be tried otherwise.
    fn cost(&self, i: usize) -> f64 {
        let endpoint = &self.members.endpoints[i];
        if endpoint.state.is_ejected() {
            return 0.0;
        }
        let load = f64::from(endpoint.in_flight.get()) + 1.0;
        load * endpoint.latency.mean(self.service.mean(), self.now)
    }

    /// Whether an endpoint that begins slowly gets this request. For one key it is always the same endpoints that do
    /// not, until their share has risen enough.
    pub(super) fn is_in_share(&self, i: usize) -> bool {
        let Some(slow_start) = self.members.policy().slow_start else {
            return true;
        };
        let endpoint = &self.members.endpoints[i];
        let share = endpoint.state.share(Some(slow_start), self.now);
        share.admits(mix(self.salt ^ endpoint.hash.rotate_left(32)))
    }
}
