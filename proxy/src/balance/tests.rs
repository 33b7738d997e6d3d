mod standing;

use super::*;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use traffic::{
    BackendId, BackendPolicy, Role, RolloutId, Route, Routes, Stats, Target,
    matches::{HostMatch, RequestMatch},
    policy::{BackendLimits, Balancing, HashKey, Retry},
    state::backend::Limit,
};

const fn millis(n: u64) -> Duration {
    Duration::from_millis(n)
}

const fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn address(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

/// A Service with endpoints on the ports from 1 to `endpoints`.
fn backend(endpoints: u16, policy: BackendPolicy) -> Backend {
    let stats = Stats::new(1);
    let addresses: Vec<_> = (1..=endpoints).map(address).collect();
    Backend {
        policy: Arc::new(policy),
        ..Backend::plain(
            BackendId::new("default", "shop"),
            addresses.into(),
            stats.series(&RolloutId::new("default", "shop"), Role::Active),
        )
    }
}

/// Tables with `backend`, and then without; and their generations.
fn tables(backend: &Backend) -> ((RouteTable, Generation), (RouteTable, Generation)) {
    let target = Target::Backend(backend.clone());
    let route = Route::plain(vec![HostMatch::Any], vec![RequestMatch::any()], target);
    let table = RouteTable::new(vec![route], Vec::new()).unwrap();
    let routes = Routes::default();
    let first = routes.publish(table.clone());
    let second = routes.publish(RouteTable::default());
    ((table, first), (RouteTable::default(), second))
}

fn service(balancer: &Balancer, backend: &Backend, now: Duration) -> Rc<Service> {
    balancer.service(backend, Generation::default(), now)
}

fn balanced(balancing: Balancing) -> BackendPolicy {
    BackendPolicy {
        balancing,
        ..BackendPolicy::default()
    }
}

/// How often each port was picked.
type Counts = BTreeMap<u16, u32>;

/// Picks `n` times, every millisecond from `now` on; each attempt succeeds after as many milliseconds as its port says.
fn pick(service: &Rc<Service>, n: u64, now: Duration) -> Counts {
    let mut counts = Counts::new();
    for i in 0..n {
        let now = now + millis(i);
        let pick = service.pick(None, &[], now).unwrap();
        let port = pick.address().port();
        *counts.entry(port).or_default() += 1;
        pick.end(Seen::Success, millis(port.into()), now);
    }
    counts
}

#[test]
fn round_robin_gives_every_endpoint_the_same_and_workers_begin_anywhere() {
    let backend = backend(5, balanced(Balancing::RoundRobin));
    let mut first = BTreeSet::new();
    for worker in 0..10 {
        let balancer = Balancer::new(worker, 10, worker as u64);
        let service = service(&balancer, &backend, Duration::ZERO);
        first.extend(pick(&service, 1, Duration::ZERO).into_keys());
        assert!(pick(&service, 20, Duration::ZERO).values().all(|n| *n == 4));
    }
    assert!(first.len() > 2, "{first:?}");
}

#[test]
fn power_of_two_prefers_the_faster() {
    let backend = backend(3, BackendPolicy::default());
    let balancer = Balancer::new(0, 1, 1);
    let service = service(&balancer, &backend, Duration::ZERO);
    let counts = pick(&service, 3000, Duration::ZERO);
    assert!(counts[&1] > 2 * counts[&2] - counts[&2] / 2, "{counts:?}");
    assert!(counts[&2] > counts[&3], "{counts:?}");
}

#[test]
fn requests_under_way_spread_over_endpoints() {
    let backend = backend(4, BackendPolicy::default());
    let balancer = Balancer::new(0, 1, 1);
    let service = service(&balancer, &backend, Duration::ZERO);
    let picks: Vec<_> = (0..400)
        .map(|_| service.pick(None, &[], Duration::ZERO).unwrap())
        .collect();
    let mut counts = Counts::new();
    for pick in &picks {
        *counts.entry(pick.address().port()).or_default() += 1;
    }
    assert!(
        counts.values().all(|n| (95..=105).contains(n)),
        "{counts:?}"
    );
    assert_eq!(service.in_flight.get(), 400);
    drop(picks);
    assert_eq!(service.in_flight.get(), 0);
}

#[test]
fn an_endpoint_that_fails_at_once_does_not_attract_requests() {
    let policy = BackendPolicy {
        ejection: None,
        ..BackendPolicy::default()
    };
    let backend = backend(2, policy);
    let balancer = Balancer::new(0, 1, 1);
    let service = service(&balancer, &backend, Duration::ZERO);
    let mut failed = 0;
    for i in 0..1000 {
        let pick = service.pick(None, &[], millis(i)).unwrap();
        if pick.address().port() == 1 {
            failed += 1;
            pick.end(Seen::ConnectFailure, Duration::ZERO, millis(i));
        } else {
            pick.end(Seen::Success, millis(100), millis(i));
        }
    }
    assert!(failed < 20, "{failed}");
}

#[test]
fn a_retry_goes_to_an_endpoint_that_was_not_tried() {
    for balancing in [Balancing::PowerOfTwo, Balancing::RoundRobin] {
        let backend = backend(3, balanced(balancing));
        let balancer = Balancer::new(0, 1, 1);
        let service = service(&balancer, &backend, Duration::ZERO);
        let mut tried = Vec::new();
        for _ in 0..3 {
            let pick = service.pick(None, &tried, Duration::ZERO).unwrap();
            assert!(!tried.contains(&pick.address()));
            tried.push(pick.address());
        }
        let after = service.pick(None, &tried, Duration::ZERO);
        assert_eq!(after.err(), Some(Unavailable::AllTried));
    }
}

#[test]
fn a_service_without_endpoints_has_none() {
    let balancer = Balancer::new(0, 1, 1);
    let service = service(
        &balancer,
        &backend(0, BackendPolicy::default()),
        Duration::ZERO,
    );
    let pick = service.pick(None, &[], Duration::ZERO);
    assert_eq!(pick.err(), Some(Unavailable::NoEndpoint));
}

#[test]
fn a_key_stays_with_its_endpoint_until_that_is_full() {
    let hash = Balancing::ConsistentHash(HashKey::ClientAddress);
    let backend = backend(4, balanced(hash));
    let balancer = Balancer::new(0, 1, 1);
    let service = service(&balancer, &backend, Duration::ZERO);
    let mut under_way = Vec::new();
    for _ in 0..100 {
        under_way.push(service.pick(Some(7), &[], Duration::ZERO).unwrap());
    }
    let first = under_way[0].address();
    let same = under_way.iter().take_while(|pick| pick.address() == first);
    assert_eq!(same.count(), 8, "up to the floor");
    let of_first = under_way.iter().filter(|pick| pick.address() == first);
    assert!(
        of_first.count() <= 32,
        "a hot key does not melt an endpoint"
    );
    under_way.clear();
    let again = service.pick(Some(7), &[], Duration::ZERO).unwrap();
    assert_eq!(again.address(), first);
    let next = service.pick(Some(7), &[first], Duration::ZERO).unwrap();
    assert_ne!(next.address(), first);
}

#[test]
fn a_new_endpoint_begins_slowly() {
    for balancing in [Balancing::PowerOfTwo, Balancing::RoundRobin] {
        let policy = BackendPolicy {
            slow_start: Some(seconds(100)),
            ..balanced(balancing)
        };
        let before = backend(3, policy);
        let after = Backend {
            endpoints: (1..=4).map(address).collect(),
            ..before.clone()
        };
        let balancer = Balancer::new(0, 1, 1);
        assert_eq!(
            pick(
                &service(&balancer, &before, Duration::ZERO),
                30,
                Duration::ZERO
            )
            .len(),
            3
        );
        let service = service(&balancer, &after, seconds(1));
        let share = |now| {
            let mut of_new = 0;
            for _ in 0..1000 {
                let pick = service.pick(None, &[], now).unwrap();
                of_new += u32::from(pick.address().port() == 4);
                pick.end(Seen::Success, millis(1), now);
            }
            of_new
        };
        let shares = [1, 51, 101].map(|at| share(seconds(at)));
        assert!((5..80).contains(&shares[0]), "{shares:?}");
        assert!(shares.is_sorted() && shares[2] > 200, "{shares:?}");
    }
}

#[test]
fn removed_endpoints_get_nothing_new_even_from_requests_of_before() {
    let backend = backend(2, balanced(Balancing::RoundRobin));
    let ((_, first), (_, second)) = tables(&backend);
    let after = Backend {
        endpoints: Arc::new([address(2), address(3)]),
        ..backend.clone()
    };
    let balancer = Balancer::new(0, 1, 1);
    let ports = |backend: &Backend, generation| {
        let service = balancer.service(backend, generation, Duration::ZERO);
        pick(&service, 100, Duration::ZERO)
            .into_keys()
            .collect::<Vec<_>>()
    };
    assert_eq!(ports(&backend, first), [1, 2]);
    assert_eq!(ports(&after, second), [2, 3]);
    assert_eq!(
        ports(&backend, first),
        [2, 3],
        "the older table changes nothing"
    );
    let current = [1, 2, 3].map(|port| balancer.is_current(&backend.state, address(port)));
    assert_eq!(current, [false, true, true]);
}

#[test]
fn a_table_that_comes_late_changes_nothing_though_nothing_changed_since() {
    let backend = backend(1, balanced(Balancing::RoundRobin));
    let ((_, first), (_, second)) = tables(&backend);
    let between = Backend {
        endpoints: Arc::new([address(9)]),
        ..backend.clone()
    };
    let balancer = Balancer::new(0, 1, 1);
    let picked = |backend: &Backend, generation| {
        let service = balancer.service(backend, generation, Duration::ZERO);
        service.pick(None, &[], Duration::ZERO).unwrap().address()
    };
    assert_eq!(picked(&backend, Generation::default()), address(1));
    assert_eq!(picked(&backend, second), address(1));
    assert_eq!(picked(&between, first), address(1));
    assert!(
        backend
            .state
            .known()
            .iter()
            .all(|e| e.address() == address(1))
    );
}

#[test]
fn sweeping_forgets_what_no_table_has() {
    let backend = backend(2, BackendPolicy::default());
    let ((with, first), (without, second)) = tables(&backend);
    let balancer = Balancer::new(0, 1, 1);
    let service = balancer.service(&backend, first, Duration::ZERO);
    let pick = service.pick(None, &[], Duration::ZERO).unwrap();
    drop(service);
    balancer.sweep(&with, first, seconds(1));
    assert!(balancer.is_current(&backend.state, pick.address()));
    balancer.sweep(&without, second, seconds(2));
    assert!(!balancer.is_current(&backend.state, pick.address()));
    assert_eq!(
        balancer.services.borrow().len(),
        1,
        "a request is under way"
    );
    pick.end(Seen::Failure, millis(1), seconds(2));
    balancer.sweep(&without, second, seconds(3));
    assert!(balancer.services.borrow().is_empty());
}

#[test]
fn permits_count_until_they_are_dropped() {
    let policy = BackendPolicy {
        limits: BackendLimits {
            requests: 2,
            ..BackendLimits::default()
        },
        ..BackendPolicy::default()
    };
    let backend = backend(1, policy);
    let workers = [Balancer::new(0, 2, 1), Balancer::new(1, 2, 2)];
    let admit =
        |worker: usize| service(&workers[worker], &backend, Duration::ZERO).admit(Limit::Requests);
    let (first, second) = (admit(0).unwrap(), admit(1).unwrap());
    assert_eq!(admit(0).err(), Some(Limit::Requests));
    drop(first);
    let third = admit(1).unwrap();
    assert_eq!(backend.state.under_way(Limit::Requests), 2);
    drop((second, third));
    assert_eq!(backend.state.under_way(Limit::Requests), 0);
    assert_eq!(backend.state.refusals(Limit::Requests), 1);
}

#[test]
fn retries_come_out_of_the_budget() {
    let policy = BackendPolicy {
        retry: Retry {
            budget: 0.5,
            min_per_second: 0,
            ..Retry::default()
        },
        ..BackendPolicy::default()
    };
    let balancer = Balancer::new(0, 1, 1);
    let service = service(&balancer, &backend(2, policy), Duration::ZERO);
    assert!(!service.may_retry(Duration::ZERO));
    (0..4).for_each(|_| service.count_request(Duration::ZERO));
    let allowed = (0..4).filter(|_| service.may_retry(Duration::ZERO)).count();
    assert_eq!(allowed, 2);
}
