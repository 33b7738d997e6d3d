//! What all workers know of one endpoint.

use super::window::Window;
use crate::Weight;
use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{
            AtomicBool, AtomicU32, AtomicU64,
            Ordering::{AcqRel, Acquire, Relaxed, Release},
        },
    },
    time::Duration,
};

/// Whether an endpoint gets requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It does.
    InUse,
    /// Its ejection is over: one request at a time may find out whether it works again.
    Probation,
    /// It does not: it is ejected, failed its health checks, or another request tries it already.
    Out,
}

/// The standing of one endpoint, shared by all workers. A request only reads it, apart from failures, the first success
/// after one, and what happens on probation.
#[derive(Debug)]
pub struct EndpointState {
    address: SocketAddr,
    /// Until when it is ejected, in microseconds from the process's epoch; then it is on probation. 0: not ejected.
    ejected_until: AtomicU64,
    /// Since when it is in use, in the same unit; 0 for an endpoint that was there from the beginning.
    in_use_since: AtomicU64,
    failures_in_a_row: AtomicU32,
    is_on_trial: AtomicBool,
    is_unhealthy: AtomicBool,
    past: Mutex<Past>,
    outcomes: Mutex<Vec<Arc<Outcomes>>>,
}

/// An endpoint's ejections until now.
#[derive(Clone, Copy, Debug, Default)]
struct Past {
    /// Ejections, each within [`MEMORY`] of the end of the one before.
    times: u32,
    /// When the last one ended or will end.
    end: Duration,
}

/// For how long an ejection lengthens the next.
const MEMORY: Duration = Duration::from_secs(600);

/// The share that an endpoint begins with, as a fraction.
const FIRST_SHARE: f64 = 0.1;

/// What one worker counted of an endpoint's requests: ended, and failed.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct Outcomes(Window);

impl Outcomes {
    /// Counts a request that ended at `now`. Only the worker that the counts belong to may call it.
    pub fn count(&self, is_failure: bool, now: Duration) {
        self.0.add(now, 1, u32::from(is_failure));
    }
}

fn micros(time: Duration) -> u64 {
    // 0 stands for something else. u64 lasts for half a million years.
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX).max(1)
}

impl EndpointState {
    /// An endpoint of which nothing is known; `since` when it came, if it was not there from the beginning.
    pub(super) fn new(address: SocketAddr, since: Option<Duration>) -> Self {
        Self {
            address,
            ejected_until: AtomicU64::new(0),
            in_use_since: AtomicU64::new(since.map_or(0, micros)),
            failures_in_a_row: AtomicU32::new(0),
            is_on_trial: AtomicBool::new(false),
            is_unhealthy: AtomicBool::new(false),
            past: Mutex::default(),
            outcomes: Mutex::default(),
        }
    }

    /// The address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether the ejection that it is in is over at `now`, so that it is on probation.
    pub(super) fn is_on_probation(&self, now: Duration) -> bool {
        let until = self.ejected_until.load(Acquire);
        until != 0 && micros(now) >= until
    }

    /// Whether it gets requests at `now`.
    pub fn standing(&self, now: Duration) -> Standing {
        if self.is_unhealthy.load(Relaxed) {
            return Standing::Out;
        }
        match self.ejected_until.load(Acquire) {
            0 => Standing::InUse,
            until if micros(now) >= until && !self.is_on_trial.load(Relaxed) => Standing::Probation,
            _ => Standing::Out,
        }
    }

    /// Whether it is ejected, or on probation after it.
    pub fn is_ejected(&self) -> bool {
        self.ejected_until.load(Acquire) != 0
    }

    /// Whether its health checks, if there are any, are content with it. New endpoints are taken for healthy.
    pub fn is_healthy(&self) -> bool {
        !self.is_unhealthy.load(Relaxed)
    }

    /// Notes at `now` what its health checks say. An endpoint that becomes healthy begins anew, with a small share
    /// where there is a slow start.
    pub fn set_healthy(&self, is_healthy: bool, now: Duration) {
        let was_unhealthy = self.is_unhealthy.swap(!is_healthy, AcqRel);
        if was_unhealthy && is_healthy {
            self.in_use_since.store(micros(now), Relaxed);
        }
    }

    /// Makes the request that asks the one that tries an endpoint on probation. False when another does already.
    pub fn begin_trial(&self) -> bool {
        !self.is_on_trial.swap(true, AcqRel)
    }

    /// Lets the next request try it. Only for the request that [`EndpointState::begin_trial`] said yes to.
    pub fn end_trial(&self) {
        self.is_on_trial.store(false, Release);
    }

    /// The part of its full share that it gets at `now`, when that rises for `slow_start` after it came into use: from
    /// a tenth to the whole.
    pub fn share(&self, slow_start: Option<Duration>, now: Duration) -> Weight {
        let (Some(whole), Some(since)) = (slow_start, self.in_use_since()) else {
            return Weight::FULL;
        };
        let passed = now.saturating_sub(since);
        if passed >= whole {
            return Weight::FULL;
        }
        let share = FIRST_SHARE + (1.0 - FIRST_SHARE) * passed.div_duration_f64(whole);
        // At most 10,000, as the fraction is below 1.
        Weight::from_basis_points((share * 10_000.0) as u16).unwrap_or(Weight::FULL)
    }

    /// Since when it is in use; none for an endpoint that was there from the beginning.
    pub(super) fn in_use_since(&self) -> Option<Duration> {
        match self.in_use_since.load(Relaxed) {
            0 => None,
            since => Some(Duration::from_micros(since)),
        }
    }

    /// A new worker's counts. Those that no worker holds any more are forgotten.
    pub fn outcomes(&self) -> Arc<Outcomes> {
        let outcomes = Arc::<Outcomes>::default();
        let mut all = self.outcomes.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|counts| Arc::strong_count(counts) > 1);
        all.push(Arc::clone(&outcomes));
        outcomes
    }

    /// Requests that ended within the last ten seconds since it came into use, and how many of them failed.
    pub(super) fn recent(&self, now: Duration) -> (u64, u64) {
        let after = self.in_use_since();
        let all = self.outcomes.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().fold((0, 0), |(ended, failed), worker| {
            let sum = worker.0.sum(now, after);
            (ended + sum.0, failed + sum.1)
        })
    }

    /// Counts a failure, and says how many there were in a row.
    pub(super) fn count_failure(&self) -> u32 {
        self.failures_in_a_row
            .fetch_add(1, Relaxed)
            .saturating_add(1)
    }

    /// Ends the row of failures.
    pub(super) fn end_row(&self) {
        if self.failures_in_a_row.load(Relaxed) != 0 {
            self.failures_in_a_row.store(0, Relaxed);
        }
    }

    /// Ejects it at `now`, for `base` times the number of ejections in a short time, but no longer than `longest`. Says
    /// for how long.
    pub(super) fn eject(&self, base: Duration, longest: Duration, now: Duration) -> Duration {
        let mut past = self.past.lock().unwrap_or_else(PoisonError::into_inner);
        let is_recent = past.times > 0 && now <= past.end.saturating_add(MEMORY);
        past.times = if is_recent {
            past.times.saturating_add(1)
        } else {
            1
        };
        let time = base.saturating_mul(past.times).min(longest);
        past.end = now.saturating_add(time);
        self.ejected_until.store(micros(past.end), Release);
        self.end_row();
        time
    }

    /// Ends its ejection, if it is ejected, for want of a reason to go on with it.
    pub(super) fn pardon(&self, now: Duration) {
        if self.is_ejected() {
            self.readmit(now);
        }
    }

    /// Takes it into use again at `now`.
    pub(super) fn readmit(&self, now: Duration) {
        self.end_row();
        self.in_use_since.store(micros(now), Relaxed);
        self.ejected_until.store(0, Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const fn seconds(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    fn endpoint(since: Option<Duration>) -> EndpointState {
        EndpointState::new(SocketAddr::from(([127, 0, 0, 1], 1)), since)
    }

    #[test]
    fn each_ejection_in_a_short_time_lasts_longer() {
        let endpoint = endpoint(None);
        let mut now = Duration::ZERO;
        // After a wait from the end of the one before: how long the next lasts.
        for (wait, expected) in [(0, 10), (0, 20), (599, 25), (601, 10), (600, 20)] {
            now += seconds(wait);
            let time = endpoint.eject(seconds(10), seconds(25), now);
            assert_eq!(time, seconds(expected), "after {wait} s");
            now += time;
        }
    }

    #[test]
    fn probation_lets_one_request_through_at_a_time() {
        let endpoint = endpoint(None);
        endpoint.eject(seconds(10), seconds(10), seconds(1));
        assert_eq!(endpoint.standing(seconds(10)), Standing::Out);
        assert_eq!(endpoint.standing(seconds(11)), Standing::Probation);
        assert!(endpoint.begin_trial());
        assert_eq!(endpoint.standing(seconds(11)), Standing::Out);
        assert!(!endpoint.begin_trial(), "another does already");
        endpoint.end_trial();
        assert_eq!(endpoint.standing(seconds(11)), Standing::Probation);
        endpoint.readmit(seconds(12));
        assert_eq!(endpoint.standing(seconds(12)), Standing::InUse);
    }

    #[test]
    fn health_checks_decide_beside_ejection() {
        let endpoint = endpoint(None);
        endpoint.set_healthy(true, seconds(1));
        let slow = Some(seconds(10));
        assert_eq!(
            endpoint.share(slow, seconds(1)),
            Weight::FULL,
            "it always was"
        );
        endpoint.set_healthy(false, seconds(1));
        assert_eq!(endpoint.standing(seconds(1)), Standing::Out);
        endpoint.set_healthy(true, seconds(2));
        assert_eq!(endpoint.standing(seconds(2)), Standing::InUse);
        assert_eq!(endpoint.share(slow, seconds(2)).basis_points(), 1000);
    }

    proptest! {
        #[test]
        fn a_share_rises_from_a_tenth_to_the_whole(
            since in 0u64..1000, slow in 1u64..100_000, a in 0u64..200_000, b in 0u64..200_000
        ) {
            let since = Duration::from_millis(since);
            let endpoint = endpoint(Some(since));
            let slow = Some(Duration::from_millis(slow));
            let share = |passed: u64| endpoint.share(slow, since + Duration::from_millis(passed));
            prop_assert!(share(a.min(b)) <= share(a.max(b)));
            prop_assert!(share(0).basis_points() <= 1001);
            prop_assert_eq!(share(200_000), Weight::FULL);
        }
    }
}
