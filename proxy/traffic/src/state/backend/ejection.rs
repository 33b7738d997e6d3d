//! When an endpoint is left out because of what was seen of its requests.

use super::{BackendShard, BackendState, EndpointState};
use crate::policy::Ejection;
use std::{
    sync::{Arc, PoisonError, atomic::Ordering::Relaxed},
    time::Duration,
};

/// Why an endpoint was ejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EjectionReason {
    /// Failures in a row.
    ConsecutiveFailures,
    /// A share of failures above that of the others.
    FailureRatio,
    /// It failed the request that tried it after an ejection.
    Probation,
}

impl EjectionReason {
    /// Every reason, in the order of [`EjectionReason`].
    pub const ALL: [Self; 3] = [
        Self::ConsecutiveFailures,
        Self::FailureRatio,
        Self::Probation,
    ];

    /// The reason as metric labels and messages spell it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ConsecutiveFailures => "consecutive_failures",
            Self::FailureRatio => "failure_ratio",
            Self::Probation => "probation",
        }
    }
}

/// An endpoint that has just been ejected.
#[derive(Clone, Debug)]
pub struct Ejected {
    /// Which.
    pub endpoint: Arc<EndpointState>,
    /// Why.
    pub reason: EjectionReason,
    /// For how long.
    pub time: Duration,
}

/// How often one worker compares endpoints, at most: that looks at all counts of all of them.
const COMPARE_EVERY: Duration = Duration::from_millis(100);

/// The endpoints of a Service and when they are ejected.
#[derive(Clone, Copy, Debug)]
pub struct Ejecting<'a> {
    /// The Service.
    pub state: &'a BackendState,
    /// Its policy.
    pub policy: &'a Ejection,
    /// All its endpoints.
    pub endpoints: &'a [Arc<EndpointState>],
}

impl Ejecting<'_> {
    /// Notes at `now` that a request to `endpoint` succeeded; `is_trial` if it tried the endpoint after an ejection.
    /// True when that takes the endpoint into use again.
    pub fn succeeded(&self, endpoint: &EndpointState, is_trial: bool, now: Duration) -> bool {
        if !endpoint.is_ejected() {
            endpoint.end_row();
            return false;
        }
        // Whatever was sent before the ejection proves nothing about the time since. A trial that was ejected meanwhile
        // by another is out of date, too.
        let proves = is_trial && endpoint.is_on_probation(now);
        if proves {
            endpoint.readmit(now);
        }
        proves
    }

    /// Notes at `now` that a request to `endpoint` failed, and ejects it when the policy says so.
    pub fn failed(
        &self,
        endpoint: &Arc<EndpointState>,
        is_trial: bool,
        now: Duration,
    ) -> Option<Ejected> {
        if endpoint.is_ejected() {
            // It is counted among the ejected already, so that no cap has to be looked at.
            let proves = is_trial && endpoint.is_on_probation(now);
            return proves.then(|| self.eject(endpoint, EjectionReason::Probation, now));
        }
        let row = endpoint.count_failure();
        // An endpoint that the cap protects is looked at again after as many failures.
        let most = self.policy.consecutive_failures;
        most.filter(|most| row.is_multiple_of(most.get()))
            .and_then(|_| self.eject_within_cap(endpoint, EjectionReason::ConsecutiveFailures, now))
    }

    /// Ejects at `now` the endpoints that fail too much more often than the others; to be called after a failure. Does
    /// nothing when `shard`'s worker did so a moment ago.
    pub fn compare(&self, shard: &BackendShard, now: Duration) -> Vec<Ejected> {
        let Some(excess) = self.policy.excess_failure_ratio else {
            return Vec::new();
        };
        if !shard.is_due(now, COMPARE_EVERY) {
            return Vec::new();
        }
        let recent: Vec<(u64, u64)> = self.endpoints.iter().map(|each| each.recent(now)).collect();
        let mut outliers: Vec<(f64, &Arc<EndpointState>)> =
            excesses(&recent, self.policy.min_requests)
                .zip(self.endpoints)
                .filter_map(|(found, endpoint)| {
                    Some((found.filter(|found| *found > excess)?, endpoint))
                })
                .collect();
        // The worst goes first, as the cap may not let all go.
        outliers.sort_by(|a, b| b.0.total_cmp(&a.0));
        let eject =
            |(_, endpoint)| self.eject_within_cap(endpoint, EjectionReason::FailureRatio, now);
        outliers.into_iter().filter_map(eject).collect()
    }

    fn eject_within_cap(
        &self,
        endpoint: &Arc<EndpointState>,
        reason: EjectionReason,
        now: Duration,
    ) -> Option<Ejected> {
        // Two workers that decide at the same time must not exceed the cap together.
        let _alone = self
            .state
            .deciding
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        (!endpoint.is_ejected() && self.has_room(endpoint))
            .then(|| self.eject(endpoint, reason, now))
    }

    /// Whether `endpoint` may be ejected, too: the cap leaves room, and another stays that works.
    fn has_room(&self, endpoint: &Arc<EndpointState>) -> bool {
        let endpoints = self.endpoints;
        let is_known = endpoints.iter().any(|other| Arc::ptr_eq(other, endpoint));
        let ejected = endpoints.iter().filter(|other| other.is_ejected()).count() as u64;
        let share = u64::from(self.policy.max_ejected.basis_points());
        let most = endpoints.len() as u64 * share / 10_000;
        let another_works = endpoints.iter().any(|other| {
            !Arc::ptr_eq(other, endpoint) && !other.is_ejected() && other.is_healthy()
        });
        is_known && ejected < most && another_works
    }

    fn eject(
        &self,
        endpoint: &Arc<EndpointState>,
        reason: EjectionReason,
        now: Duration,
    ) -> Ejected {
        let time = endpoint.eject(self.policy.base_time, self.policy.max_time, now);
        self.state.ejections[reason as usize].fetch_add(1, Relaxed);
        Ejected {
            endpoint: Arc::clone(endpoint),
            reason,
            time,
        }
    }
}

impl BackendState {
    /// Ejections for `reason`.
    pub fn ejections(&self, reason: EjectionReason) -> u64 {
        self.ejections[reason as usize].load(Relaxed)
    }
}

/// For each of `recent` (requests, failures): by how much its share of failures exceeds that of all others together.
/// Nothing when it, or the others, have fewer requests than `least`.
fn excesses(recent: &[(u64, u64)], least: u32) -> impl Iterator<Item = Option<f64>> {
    let least = u64::from(least).max(1);
    let sum = recent
        .iter()
        .fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
    recent.iter().map(move |&(ended, failed)| {
        let others = (sum.0 - ended, sum.1 - failed);
        (ended >= least && others.0 >= least)
            .then(|| failed as f64 / ended as f64 - others.1 as f64 / others.0 as f64)
    })
}

#[cfg(test)]
mod tests;
