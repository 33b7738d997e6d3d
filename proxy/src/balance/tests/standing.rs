//! Endpoints that are left out, and how they come back.

use super::*;
use proptest::prelude::*;
use std::num::NonZeroU32;
use traffic::{policy::Ejection, state::backend::Standing};

fn ejecting(failures: u32) -> BackendPolicy {
    BackendPolicy {
        ejection: Some(Ejection {
            consecutive_failures: NonZeroU32::new(failures),
            ..Ejection::default()
        }),
        ..balanced(Balancing::RoundRobin)
    }
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
            prop_assert_ne!(endpoint.standing(now), Standing::Out);
        }
    }
}
