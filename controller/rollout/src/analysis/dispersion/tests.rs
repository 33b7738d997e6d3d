mod rollouts;

use super::*;
use crate::sim::Random;
use std::time::Duration;
use traffic::{Counts, EndpointCounts, HalfOctaves, Snapshot};

fn tally(requests: u64, bad: u64) -> Tally {
    Tally { requests, bad }
}

/// The agreement in these windows, without what is taken off for chance and for failures that come by themselves.
fn raw(windows: &[&[(u64, u64)]]) -> f64 {
    let mut sums = Sums::default();
    for window in windows {
        sums.add(window.iter().map(|(n, e)| tally(*n, *e)), 1.0);
    }
    sums.excess / sums.most.max(f64::MIN_POSITIVE)
}

#[test]
fn agreement_is_that_of_the_excess_of_pearsons_statistic() {
    let check = |windows: &[&[(u64, u64)]], wanted: f64| {
        let found = raw(windows);
        assert!((found - wanted).abs() < 1e-9, "{windows:?}: {found}");
    };
    // Q = 2 * 5^2, U = 10 * 10; A = 10, B = 380, C = 180, K = 90: 18,000 of 18,000.
    check(&[&[(10, 10), (10, 0)]], 1.0);
    // Q = 2 * 2.5^2, U = 5 * 15: (4,750 - 750) of (2,250 + 6,750).
    check(&[&[(10, 5), (10, 0)]], 4.0 / 9.0);
    // Q = 0, U = 10 * 10: closer together than by chance. -1,000 of 9,000.
    check(&[&[(10, 5), (10, 5)]], -1.0 / 9.0);
    // One failure lies somewhere, which says nothing: Q = 1/2, U = 19, and 190 - 190.
    check(&[&[(10, 1), (10, 0)]], 0.0);
    // Unequal: E/N = 0.1, Q = 2 * 1.6^2, U = 2 * 18; S = 272, A = 6.4, B = 380, C = 252,
    // K = 240 * 0.08 + 12 * 1.28 = 34.56: 1,945.6 - 230.4 of 1,290.24 + 1,244.16.
    check(&[&[(16, 0), (4, 2)]], 1_715.2 / 2_534.4);
    check(&[&[(16, 0), (4, 4)]], 1.0);
    // Windows are summed: one that agrees and one that does not.
    check(&[&[(10, 5), (10, 0)], &[(10, 5), (10, 5)]], 3.0 / 18.0);
    // Nothing is said by none, by all, by one endpoint, or by endpoints with a request each.
    check(&[&[(10, 0), (10, 0)]], 0.0);
    check(&[&[(10, 10), (10, 10)]], 0.0);
    check(
        &[&[(10, 5)], &[(10, 5), (0, 3)], &[(1, 1), (1, 0)], &[]],
        0.0,
    );
    // More failures than requests are failures of before.
    check(&[&[(10, 25), (10, 0)]], 1.0);
}

/// A stable whose endpoints are counted a window at a time.
struct Scene {
    agreement: Agreement,
    counts: Vec<EndpointCounts>,
    at: Duration,
}

impl Scene {
    fn new(endpoints: usize) -> Self {
        let counts = (0..endpoints).map(|number| EndpointCounts {
            address: SocketAddr::from(([127, 0, 0, 1], number as u16)),
            dispatched: 0,
            failed: 0,
            took: HalfOctaves::default(),
        });
        Self {
            agreement: Agreement::default(),
            counts: counts.collect(),
            at: Duration::ZERO,
        }
    }

    fn snapshot(&self) -> Snapshot {
        let sum = |of: fn(&EndpointCounts) -> u64| self.counts.iter().map(of).sum();
        Snapshot {
            at: self.at,
            stable: Counts {
                dispatched: sum(|counts| counts.dispatched),
                failed: sum(|counts| counts.failed),
                endpoints: self.counts.clone(),
                ..Counts::default()
            },
            ..Snapshot::default()
        }
    }

    /// Lets `seconds` pass, in which each endpoint gets so many requests and fails so many of them.
    fn pass(&mut self, seconds: f64, mut more: impl FnMut(usize) -> (u64, u64)) {
        let before = self.snapshot();
        for (number, counts) in self.counts.iter_mut().enumerate() {
            let (requests, failed) = more(number);
            counts.dispatched += requests;
            counts.failed += failed;
        }
        self.at += Duration::from_secs_f64(seconds);
        let after = self.snapshot();
        if let Some(interval) = Interval::between(&before, &after) {
            self.agreement.learn(&interval, &Parameters::default());
        }
    }
}

/// An endpoint's failures in one window, where any two of its outcomes correlate by `agreement`: with that chance all
/// are one.
fn outcomes(requests: u64, ratio: f64, agreement: f64, random: &mut Random) -> u64 {
    if random.chance(agreement) {
        if random.chance(ratio) { requests } else { 0 }
    } else {
        random.binomial(requests, ratio)
    }
}

#[test]
fn agreement_is_found_and_independence_is_not_taken_for_it() {
    const HOUR: usize = 3600;
    // The root mean square error allows for the chance of an hour; it is averaged over seeds, so none fails by itself.
    let check = |endpoints: usize, ratio: f64, agreement: f64, error: f64| {
        let square = |seed: u64| {
            let random = &mut Random::new(seed);
            let mut scene = Scene::new(endpoints);
            for _ in 0..HOUR {
                scene.pass(1.0, |_| {
                    let requests = random.poisson(20.0);
                    (requests, outcomes(requests, ratio, agreement, random))
                });
            }
            (scene.agreement.degree() - agreement).powi(2)
        };
        let found = ((0..20).map(square).sum::<f64>() / 20.0).sqrt();
        assert!(found <= error, "{endpoints}, {ratio}, {agreement}: {found}");
    };
    for endpoints in [2, 4, 20] {
        check(endpoints, 0.05, 0.0, 0.002);
        check(endpoints, 0.001, 0.0, 0.002);
        check(endpoints, 0.05, 0.05, 0.02);
        check(endpoints, 0.05, 0.5, 0.1);
    }
    // One endpoint, against itself.
    check(1, 0.05, 0.0, 0.005);
    check(1, 0.05, 0.5, 0.15);
}

#[test]
fn what_hits_all_endpoints_alike_is_no_agreement() {
    let random = &mut Random::new(1);
    let mut scene = Scene::new(4);
    for second in 0..600 {
        let ratio = if second % 10 == 0 { 0.9 } else { 0.001 };
        scene.pass(1.0, |_| (50, random.binomial(50, ratio)));
    }
    assert!(scene.agreement.degree() < 0.005, "{:?}", scene.agreement);
}

#[test]
fn slow_answers_agree_by_quantile_and_by_endpoint_only() {
    const BURST: [u64; 4] = [2_000, 30, 30, 30];
    let check = |slow: [u64; 4], wanted: std::ops::RangeInclusive<f64>| {
        let (mut slowness, mut at) = (Slowness::default(), Duration::ZERO);
        let (mut counts, mut usual) = (Counts::default(), Distribution::default());
        let parameters = Parameters::default();
        for second in 0..300 {
            let before = Snapshot {
                at,
                stable: counts.clone(),
                ..Snapshot::default()
            };
            for (endpoint, slow) in slow.into_iter().enumerate() {
                for request in 0..20 {
                    // Each request's own part is spread alike at every endpoint.
                    let usual = 20 + (7 * request + 3 * endpoint as u64 + second) % 20;
                    let millis = if second % 30 == 0 { slow } else { usual };
                    rollouts::take(&mut counts, endpoint, 1, Duration::from_millis(millis));
                }
            }
            at += Duration::from_secs(1);
            let after = Snapshot {
                at,
                stable: counts.clone(),
                ..Snapshot::default()
            };
            let interval = Interval::between(&before, &after).unwrap();
            slowness.learn(&interval, &usual, &parameters);
            usual.learn(interval.stable().ended());
        }
        let degree = slowness.degree(0.9);
        assert!(wanted.contains(&degree), "{slow:?}: {degree}");
        assert_eq!(slowness.degree(0.123), 0.0);
    };
    check(BURST, 0.3..=1.0);
    check([2_000; 4], 0.0..=0.01);
    check([30; 4], 0.0..=0.01);
}

#[test]
fn an_endpoint_that_was_down_is_forgotten_in_hours() {
    let mut scene = Scene::new(4);
    for _ in 0..30 {
        scene.pass(1.0, |number| (25, if number == 0 { 25 } else { 0 }));
    }
    let mut last = scene.agreement.degree();
    assert!(last > 0.8, "{last}");
    // No failure comes that could show otherwise.
    for hour in 1..=6 {
        for _ in 0..3600 {
            scene.pass(1.0, |_| (25, 0));
        }
        let degree = scene.agreement.degree();
        assert!(degree < last, "{hour}: {degree}, not below {last}");
        last = degree;
    }
    assert!(last < 0.05, "{last}");
}

#[test]
fn windows_are_as_long_as_a_burst_may_be_however_often_one_looks() {
    // Within a second, all failures of an endpoint come in one look of ten.
    let found = [1, 2, 10].map(|looks| {
        let mut scene = Scene::new(2);
        for second in 0..50 {
            for look in 0..looks {
                let fails = look == 0 && second % 2 == 0;
                let requests = 20 / looks;
                scene.pass(1.0 / looks as f64, |number| {
                    (requests, if fails && number == 0 { 2 } else { 0 })
                });
            }
        }
        scene.agreement.degree()
    });
    assert!(found[0] > 0.0);
    assert_eq!(found, [found[0]; 3]);
}

#[test]
fn hiccups_are_found_where_one_looks_less_often_than_they_last() {
    // Endpoints that agree in each second, and are looked at every so many.
    let check = |agreement: f64, every: usize, allowed: std::ops::RangeInclusive<f64>| {
        let degree = |seed: u64| {
            let random = &mut Random::new(seed);
            let mut scene = Scene::new(4);
            for _ in 0..3600 / every {
                scene.pass(every as f64, |_| {
                    let seconds = (0..every).map(|_| {
                        let requests = random.poisson(20.0);
                        (requests, outcomes(requests, 0.05, agreement, random))
                    });
                    seconds.fold((0, 0), |(n, e), (more, bad)| (n + more, e + bad))
                });
            }
            scene.agreement.degree()
        };
        let found = (0..20).map(degree).sum::<f64>() / 20.0;
        assert!(allowed.contains(&found), "{agreement}, {every} s: {found}");
    };
    for every in [1, 2, 8] {
        check(0.3, every, 0.24..=0.33);
        check(0.0, every, 0.0..=0.01);
    }
}

#[test]
fn many_requests_of_one_endpoint_tell_as_much_as_few() {
    let check = |agreement: f64, requests: f64, wanted: f64| {
        assert!((dispersion(agreement, requests) - wanted).abs() < 1e-12);
    };
    check(0.0, 1e9, 1.0);
    check(1.0, 0.0, 1.0);
    check(0.1, 20.0, 4.0);
}

#[test]
fn a_spread_is_one_over_the_number_of_equal_endpoints() {
    let check = |requests: &[u64], wanted: f64| {
        let mut scene = Scene::new(requests.len());
        let before = scene.snapshot();
        scene.pass(1.0, |number| (requests[number], 0));
        let after = scene.snapshot();
        let interval = Interval::between(&before, &after).unwrap();
        let mut spread = Spread::default();
        spread.add(interval.stable(), 1.0);
        assert!((spread.share() - wanted).abs() < 1e-12, "{requests:?}");
    };
    check(&[], 1.0);
    check(&[0], 1.0);
    check(&[7], 1.0);
    check(&[5, 5, 5, 5], 0.25);
    check(&[30, 10, 0], 0.625);
}

#[test]
fn an_endpoint_that_gets_no_more_requests_has_no_part_after_a_while() {
    let mut scene = Scene::new(2);
    let mut spread = Spread::default();
    for minute in 0..30 {
        let before = scene.snapshot();
        scene.pass(1.0, |number| {
            if (number == 0) == (minute < 10) {
                (100, 0)
            } else {
                (0, 0)
            }
        });
        let after = scene.snapshot();
        spread.add(Interval::between(&before, &after).unwrap().stable(), 0.5);
    }
    assert_eq!(spread.share(), 1.0);
    assert_eq!(spread.0.len(), 1);
}
