use super::*;
use proptest::prelude::*;
use std::{collections::BTreeMap, num::NonZeroU32};
use traffic::{
    BackendId, BackendPolicy, Role, RolloutId, Route, Routes, Stats, Target,
    matches::{HostMatch, RequestMatch},
    policy::{BackendLimits, Balancing, Ejection, HashKey, Retry},
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

fn ejecting(failures: u32) -> BackendPolicy {
    BackendPolicy {
        ejection: Some(Ejection {
            consecutive_failures: NonZeroU32::new(failures),
            ..Ejection::default()
        }),
        ..balanced(Balancing::RoundRobin)
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

/// Fails at `port` until it is ejected.
fn eject(service: &Rc<Service>, port: u16, now: Duration) {
    loop {
        let pick = service.pick(None, &[], now).unwrap();
        let is_it = pick.address().port() == port;
        let seen = if is_it { Seen::Failure } else { Seen::Success };
        pick.end(seen, millis(1), now);
        if is_it {
            break;
        }
    }
}

#[test]
fn round_robin_gives_every_endpoint_the_same_and_workers_begin_anywhere() {
    let backend = backend(5, balanced(Balancing::RoundRobin));
    let mut first = std::collections::BTreeSet::new();
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
fn what_one_worker_ejects_no_worker_uses_until_a_trial_succeeds() {
    let backend = backend(3, ejecting(1));
    let workers = [Balancer::new(0, 2, 1), Balancer::new(1, 2, 2)];
    let services = workers
        .each_ref()
        .map(|worker| service(worker, &backend, Duration::ZERO));
    eject(&services[0], 1, seconds(1));
    for service in &services {
        assert_eq!(pick(service, 100, seconds(2)).get(&1), None);
    }
    // On probation one of both workers may try it, and only once at a time.
    let now = seconds(11);
    let begun: Vec<_> = (0..12)
        .map(|i| services[i % 2].pick(None, &[], now).unwrap())
        .collect();
    let (mut trials, others): (Vec<_>, Vec<_>) = begun
        .into_iter()
        .partition(|pick| pick.address().port() == 1);
    assert_eq!(trials.len(), 1);
    drop(others);
    // A trial that was cancelled says nothing; the next one may come.
    drop(trials.pop());
    let trial = (0..3).map(|_| services[1].pick(None, &[], now).unwrap());
    let trial = { trial }.find(|pick| pick.address().port() == 1).unwrap();
    trial.end(Seen::Success, millis(1), now);
    assert_eq!(pick(&services[0], 9, now)[&1], 3);
}

#[test]
fn a_retry_does_not_try_an_endpoint_on_probation() {
    let backend = backend(3, ejecting(1));
    let balancer = Balancer::new(0, 1, 1);
    let service = service(&balancer, &backend, Duration::ZERO);
    eject(&service, 1, Duration::ZERO);
    for _ in 0..10 {
        let pick = service.pick(None, &[address(2)], seconds(100)).unwrap();
        assert_eq!(pick.address(), address(3));
    }
}

#[test]
fn a_long_answer_does_not_keep_others_from_trying() {
    let backend = backend(2, ejecting(1));
    let balancer = Balancer::new(0, 1, 1);
    let service = service(&balancer, &backend, Duration::ZERO);
    eject(&service, 1, Duration::ZERO);
    let now = seconds(100);
    let trial = |n: usize| {
        let picks: Vec<_> = (0..4)
            .map(|_| service.pick(None, &[], now).unwrap())
            .collect();
        let mut trials: Vec<_> = picks
            .into_iter()
            .filter(|p| p.address().port() == 1)
            .collect();
        assert_eq!(trials.len(), n);
        trials.pop()
    };
    let mut first = trial(1).unwrap();
    assert!(trial(0).is_none());
    first.answered(millis(1), now);
    drop(trial(1));
}

#[test]
fn when_no_endpoint_is_in_use_all_are() {
    let backend = backend(3, ejecting(1));
    let balancer = Balancer::new(0, 1, 1);
    let service = service(&balancer, &backend, Duration::ZERO);
    eject(&service, 1, Duration::ZERO);
    for endpoint in backend.state.known() {
        endpoint.set_healthy(false, Duration::ZERO);
    }
    assert_eq!(pick(&service, 9, seconds(1)).len(), 3);
    assert_eq!(backend.state.failed_open(), 9);
    backend.state.known()[2].set_healthy(true, seconds(1));
    assert_eq!(pick(&service, 9, seconds(1)).len(), 1);
    let tried = service.pick(None, &[address(3)], seconds(1));
    assert_eq!(
        tried.err(),
        Some(Unavailable::AllTried),
        "not one that is broken"
    );
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

proptest! {
    /// Whatever comes, counts return to nothing, and no endpoint is left with a trial that nobody makes.
    #[test]
    fn nothing_leaks(
        endpoints in 1u16..5,
        steps in prop::collection::vec((0u8..5, any::<prop::sample::Index>(), 0u64..6), 1..200),
    ) {
        let backend = backend(endpoints, BackendPolicy { balancing: Balancing::PowerOfTwo, ..ejecting(1) });
        let balancer = Balancer::new(0, 1, 1);
        let service = service(&balancer, &backend, Duration::ZERO);
        let (mut picks, mut now) = (Vec::new(), Duration::ZERO);
        for (step, which, wait) in steps {
            now += seconds(wait);
            if step < 2 || picks.is_empty() {
                picks.push(service.pick(None, &[], now).unwrap());
                continue;
            }
            let pick: Pick = picks.swap_remove(which.index(picks.len()));
            match step {
                2 => pick.end(Seen::Success, millis(1), now),
                3 => pick.end(Seen::Failure, millis(1), now),
                _ => pick.end(Seen::Cancelled, millis(1), now),
            }
        }
        picks.clear();
        prop_assert_eq!(service.in_flight.get(), 0);
        now += seconds(1000);
        for endpoint in backend.state.known() {
            prop_assert_ne!(endpoint.standing(now), traffic::state::backend::Standing::Out);
        }
    }
}
