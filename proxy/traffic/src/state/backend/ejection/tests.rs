use super::*;
use crate::state::backend::Outcomes;
use crate::{BackendPolicy, Weight};
use proptest::prelude::*;
use std::{net::SocketAddr, num::NonZeroU32};

const fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// A Service as one worker sees it.
struct Seen {
    state: BackendState,
    shard: Arc<BackendShard>,
    endpoints: Vec<Arc<EndpointState>>,
    outcomes: Vec<Arc<Outcomes>>,
    policy: Ejection,
}

impl Seen {
    fn new(endpoints: u16, policy: Ejection) -> Self {
        let state = BackendState::default();
        let address = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let addresses: Vec<_> = (1..=endpoints).map(address).collect();
        let endpoints = state.endpoints(&addresses, &BackendPolicy::default(), 1, Duration::ZERO);
        Self {
            shard: state.shard(0, 1),
            outcomes: endpoints.iter().map(|e| e.outcomes()).collect(),
            endpoints,
            state,
            policy,
        }
    }

    fn ejecting(&self) -> Ejecting<'_> {
        Ejecting {
            state: &self.state,
            policy: &self.policy,
            endpoints: &self.endpoints,
        }
    }

    /// A request to the endpoint at `at`; true when it moved the endpoint in or out.
    fn request(&self, at: usize, succeeds: bool, is_trial: bool, now: Duration) -> bool {
        let endpoint = &self.endpoints[at];
        self.outcomes[at].count(!succeeds, now);
        if succeeds {
            return self.ejecting().succeeded(endpoint, is_trial, now);
        }
        self.ejecting().failed(endpoint, is_trial, now).is_some()
    }

    fn ejected(&self) -> usize {
        self.endpoints.iter().filter(|e| e.is_ejected()).count()
    }
}

fn in_a_row(failures: u32) -> Ejection {
    Ejection {
        consecutive_failures: NonZeroU32::new(failures),
        ..Ejection::default()
    }
}

#[test]
fn failures_in_a_row_eject_and_a_success_ends_the_row() {
    for (outcomes, expected) in [
        ("fff", true),
        ("ff", false),
        ("ffsff", false),
        ("sfsfff", true),
    ] {
        let seen = Seen::new(2, in_a_row(3));
        let request = |outcome: char| seen.request(0, outcome == 's', false, seconds(1));
        let moved = outcomes.chars().any(request);
        assert_eq!(moved, expected, "{outcomes}");
        assert_eq!(seen.endpoints[0].is_ejected(), expected, "{outcomes}");
    }
}

#[test]
fn probation_ends_with_a_success_and_goes_on_with_a_failure() {
    let seen = Seen::new(2, in_a_row(1));
    assert!(seen.request(0, false, false, seconds(1)));
    // What was sent before proves nothing, either way.
    assert!(!seen.request(0, true, false, seconds(2)));
    assert!(!seen.request(0, false, false, seconds(12)));
    assert!(seen.request(0, false, true, seconds(12)), "ejected again");
    assert!(
        !seen.request(0, true, true, seconds(13)),
        "a trial of before"
    );
    assert_eq!(seen.state.ejections(EjectionReason::Probation), 1);
    assert!(
        seen.request(0, true, true, seconds(32)),
        "after twice the time"
    );
    assert!(!seen.endpoints[0].is_ejected());
}

#[test]
fn the_last_endpoint_that_works_stays() {
    let all = Ejection {
        max_ejected: Weight::FULL,
        ..in_a_row(1)
    };
    let seen = Seen::new(3, all);
    assert!(seen.request(0, false, false, seconds(1)));
    seen.endpoints[1].set_healthy(false, seconds(1));
    assert!(
        !seen.request(2, false, false, seconds(1)),
        "the other is unhealthy"
    );
    assert!(seen.request(1, false, false, seconds(1)));
    assert!(!Seen::new(1, all).request(0, false, false, seconds(1)));
}

#[test]
fn an_endpoint_that_fails_more_often_than_the_others_is_ejected() {
    let policy = |excess: f64| Ejection {
        consecutive_failures: None,
        excess_failure_ratio: Some(excess),
        min_requests: 10,
        ..Ejection::default()
    };
    // Requests and failures of each endpoint; who is ejected.
    for (counts, excess, expected) in [
        (vec![(10, 5), (10, 0), (10, 0)], 0.3, vec![0]),
        (vec![(10, 3), (10, 0), (10, 0)], 0.3, vec![]),
        (vec![(9, 9), (10, 0), (10, 0)], 0.3, vec![]),
        (vec![(100, 100), (9, 0)], 0.3, vec![]),
        // A bad version fails everywhere, which ejects nobody.
        (vec![(50, 25), (50, 26), (50, 24)], 0.3, vec![]),
        // The worst goes first, and the cap holds.
        (vec![(20, 12), (20, 18), (20, 0), (20, 0)], 0.1, vec![0, 1]),
        (vec![(20, 12), (20, 18), (20, 0)], 0.1, vec![1]),
    ] {
        let seen = Seen::new(counts.len() as u16, policy(excess));
        for (at, (requests, failures)) in counts.iter().enumerate() {
            for i in 0..*requests {
                seen.request(at, i >= *failures, false, seconds(1));
            }
        }
        let compare = |now| seen.ejecting().compare(&seen.shard, now);
        compare(seconds(2));
        let ejected: Vec<_> = (0..counts.len())
            .filter(|at| seen.endpoints[*at].is_ejected())
            .collect();
        assert_eq!(ejected, expected, "{counts:?}");
        assert!(compare(seconds(2)).is_empty(), "a moment ago");
        // What was before its return does not count against an endpoint.
        for at in ejected {
            assert!(seen.request(at, true, true, seconds(13)));
            assert_eq!(seen.endpoints[at].recent(seconds(13)), (0, 0));
        }
        assert!(compare(seconds(14)).is_empty());
    }
}

proptest! {
    #[test]
    fn the_cap_is_never_exceeded(
        endpoints in 1u16..8,
        most in 0u8..=100,
        steps in prop::collection::vec((0usize..8, prop::bool::weighted(0.3), 0u64..8), 0..200),
    ) {
        let most = Weight::from_percent(most).unwrap();
        let policy = Ejection { max_ejected: most, excess_failure_ratio: Some(0.1), min_requests: 2, ..in_a_row(2) };
        let seen = Seen::new(endpoints, policy);
        let mut now = Duration::ZERO;
        for (at, succeeds, wait) in steps {
            now += seconds(wait);
            let at = at % seen.endpoints.len();
            let is_trial = seen.endpoints[at].is_on_probation(now);
            seen.request(at, succeeds, is_trial, now);
            seen.ejecting().compare(&seen.shard, now);
            prop_assert!(seen.ejected() as f64 <= f64::from(endpoints) * most.fraction());
            prop_assert!(seen.ejected() < seen.endpoints.len(), "the last stays");
        }
    }
}
