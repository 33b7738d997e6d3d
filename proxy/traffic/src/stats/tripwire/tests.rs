use super::*;
use crate::{
    Backend, BackendId, FailureRule, Head, Outcome, Role, RolloutId, Split, SplitRule, Stats,
    Sticky, StickyKey,
    matches::{FieldMatch, ValueMatch},
    split::Side,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use std::{cmp::Reverse, collections::BinaryHeap, net::IpAddr, time::Duration};

fn rollout() -> RolloutId {
    RolloutId::new("default", "shop")
}

fn percent(percent: f64) -> Weight {
    Weight::from_basis_points((percent * 100.0).round() as u16).unwrap()
}

fn arming(weight: f64) -> Arming {
    Arming {
        trial: 1,
        weight: percent(weight),
        margins: Margins {
            relative: 1.1,
            absolute: 0.001,
        },
        least_failures: 3,
        by_user: false,
        rule: FailureRule::DEFAULT,
    }
}

const USER: HeaderName = HeaderName::from_static("x-user");

fn user(name: &str) -> HeaderMap {
    HeaderMap::from_iter([(USER, HeaderValue::from_str(name).unwrap())])
}

/// Two versions behind a split, with the counters as the proxy writes them.
struct Site {
    stats: Stats,
    split: Split,
    workers: usize,
    asked: usize,
}

impl Site {
    fn new(workers: usize, arming: &Arming) -> Self {
        let stats = Stats::new(workers);
        let backend = |role: Role| {
            let id = BackendId::new("default", role.as_str());
            Backend::plain(id, Arc::new([]), stats.series(&rollout(), role))
        };
        let split = Split {
            rollout: rollout(),
            stable: backend(Role::Stable),
            canary: Some(backend(Role::Canary)),
            weight: arming.weight,
            rules: Vec::new(),
            copies: Vec::new(),
            sticky: arming.by_user.then(|| Sticky {
                keys: vec![StickyKey::Header(USER)],
                salt: 7,
            }),
            tickets: stats.tickets(&rollout()),
            rescue: false,
            armed: stats.arm(&rollout(), Some(arming)),
            counted: None,
        };
        Self {
            stats,
            split,
            workers,
            asked: 0,
        }
    }

    /// Gives the canary what another table says.
    fn publish(&mut self, arming: Option<&Arming>) {
        self.split.armed = self.stats.arm(&rollout(), arming);
        self.split.weight = arming.map_or(Weight::ZERO, |arming| arming.weight);
    }

    fn choose(&self, headers: &HeaderMap, worker: usize) -> (Side, bool, Option<Stake>) {
        let uri = Uri::from_static("/");
        let head = Head {
            method: &Method::GET,
            uri: &uri,
            headers: headers.into(),
            client: &IpAddr::from([10, 0, 0, 1]),
            listener: "",
        };
        let choice = self.split.choose(&head, worker, || 42);
        (choice.side, choice.by_weight, choice.stake)
    }

    /// A request begins at `at`, on one worker after the other.
    fn begin(&mut self, headers: &HeaderMap, at: Duration) -> UnderWay {
        let worker = self.asked % self.workers;
        self.asked += 1;
        let (side, by_weight, stake) = self.choose(headers, worker);
        let series = &self.split.backend(side).series;
        series.shard(worker).begin(at, by_weight);
        UnderWay {
            side,
            stake,
            worker,
            began: at,
        }
    }

    /// It ends; whether that trips the canary.
    fn end(&self, request: &UnderWay, at: Duration, fails: bool) -> bool {
        let outcome = Outcome::Answered(if fails { 503 } else { 200 });
        let series = &self.split.backend(request.side).series;
        series.shard(request.worker).end(request.began, at, outcome);
        let trip = request
            .stake
            .and_then(|stake| series.ended(request.worker, stake, outcome));
        trip.is_some()
    }

    /// Requests that end as they begin, until the canary is tripped or there were so many. Gives the canary's failures.
    fn ask(&mut self, requests: usize, fails: impl Fn(Side) -> bool) -> (bool, usize) {
        let mut failures = 0;
        for _ in 0..requests {
            let request = self.begin(&HeaderMap::new(), Duration::ZERO);
            let has_failed = fails(request.side);
            failures += usize::from(has_failed && request.side == Side::Canary);
            if self.end(&request, Duration::ZERO, has_failed) {
                return (true, failures);
            }
        }
        (false, failures)
    }

    fn trip(&self) -> Option<Trip> {
        self.stats
            .snapshot(&rollout(), None, Duration::ZERO, &FailureRule::DEFAULT)
            .trip
    }
}

struct UnderWay {
    side: Side,
    stake: Option<Stake>,
    worker: usize,
    began: Duration,
}

fn canary(side: Side) -> bool {
    side == Side::Canary
}

#[test]
fn a_dead_canary_is_tripped_for_its_whole_trial_and_no_longer() {
    let first = arming(10.0);
    let mut site = Site::new(2, &first);
    assert_eq!(site.ask(1000, canary), (true, 8));
    let trip = site.trip().unwrap();
    assert_eq!((trip.trial, trip.weight), (1, percent(10.0)));
    assert_eq!(
        trip.counts,
        TripCounts {
            canary_requests: 8,
            canary_failures: 8,
            independent: 8,
            stable_failures: 0,
        }
    );
    assert!(trip.ln_e >= trip.ln_threshold);
    let gets_nothing = |site: &mut Site| {
        assert_eq!(site.ask(1000, canary), (false, 0));
        assert_eq!(site.trip(), Some(trip.clone()), "told with what it was");
    };
    gets_nothing(&mut site);
    // The table is published again, for another rollout's sake or with another weight, or has none for a while.
    for arming in [
        Some(&first),
        Some(&arming(50.0)),
        Some(&arming(99.99)),
        None,
        Some(&first),
    ] {
        site.publish(arming);
        gets_nothing(&mut site);
    }
    let retried = Arming { trial: 2, ..first };
    site.publish(Some(&retried));
    assert_eq!(site.trip(), None);
    assert_eq!(site.ask(1000, |_| false), (false, 0));
    let sent = site.split.canary.as_ref().unwrap().series.split() - 8;
    assert!((95..=105).contains(&sent), "{sent} of 1000 at 10 %");
    assert_eq!(site.stats.trips(), [(rollout(), 1)]);
}

#[test]
fn a_rule_leads_to_no_tripped_canary() {
    let mut site = Site::new(1, &arming(10.0));
    site.split.rules.push(SplitRule {
        name: "testers".into(),
        matches: vec![FieldMatch {
            headers: vec![(USER, ValueMatch::Exact("tester".into()))],
            ..FieldMatch::default()
        }],
        to: Side::Canary,
    });
    // The failures of those that a rule sends trip nothing: only the weight makes both sides alike.
    for _ in 0..100 {
        let request = site.begin(&user("tester"), Duration::ZERO);
        assert_eq!((request.side, request.stake), (Side::Canary, None));
        assert!(!site.end(&request, Duration::ZERO, true));
    }
    assert!(site.ask(1000, canary).0);
    assert_eq!(site.choose(&user("tester"), 0), (Side::Stable, true, None));
}

#[test]
fn what_an_earlier_table_sent_counts_for_nothing() {
    let mut site = Site::new(1, &arming(50.0));
    let begin = |site: &mut Site| site.begin(&HeaderMap::new(), Duration::ZERO);
    let late: Vec<_> = (0..200).map(|_| begin(&mut site)).collect();
    site.publish(Some(&arming(10.0)));
    for request in late.iter().filter(|request| request.side == Side::Canary) {
        assert!(!site.end(request, Duration::ZERO, true));
    }
    assert_eq!(site.trip(), None);
}

#[test]
fn a_users_failures_count_once() {
    for (users, expected) in [(1, false), (4, false), (30, true)] {
        let mut site = Site::new(
            1,
            &Arming {
                by_user: true,
                rule: FailureRule::DEFAULT,
                ..arming(10.0)
            },
        );
        let of_canary = |site: &Site, name: &String| site.choose(&user(name), 0).0 == Side::Canary;
        let names = (0..).map(|n: usize| format!("user-{n}"));
        let names: Vec<_> = names
            .filter(|name| of_canary(&site, name))
            .take(users)
            .collect();
        let tripped = (0..50).any(|_| {
            names.iter().any(|name| {
                let request = site.begin(&user(name), Duration::ZERO);
                site.end(&request, Duration::ZERO, true)
            })
        });
        assert_eq!(tripped, expected, "{users} users");
    }
}

/// Numbers that look random, the same ones for the same seed.
struct Random(u64);

impl Random {
    fn chance(&mut self, chance: f64) -> bool {
        self.unit() < chance
    }

    fn unit(&mut self) -> f64 {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// The share of requests that fail at a time, in seconds.
type Ratio = fn(f64) -> f64;

/// A site whose versions fail the share of their requests that the time of the request tells.
struct Weather {
    rps: f64,
    seconds: f64,
    canary: Ratio,
    stable: Ratio,
    /// How long good answers and failures take, in seconds: the canary's, then stable's.
    latency: [(f64, f64); 2],
}

impl Weather {
    /// Both versions alike, with answers after 20 ms and failures at once.
    fn alike(ratio: Ratio) -> Self {
        Self {
            rps: 1000.0,
            seconds: 3.0,
            canary: ratio,
            stable: ratio,
            latency: [(0.02, 0.0); 2],
        }
    }

    /// How many canary requests fail until it is tripped, and when that is; nothing when it is not.
    fn pass(&self, arming: &Arming, seed: u64) -> Option<(usize, f64)> {
        let mut site = Site::new(2, arming);
        let mut random = Random(seed);
        let mut under_way: BinaryHeap<Reverse<(Duration, usize, bool)>> = BinaryHeap::new();
        let mut requests = Vec::new();
        let mut failures = 0;
        let mut at = 0.0;
        while at < self.seconds {
            at -= (1.0 - random.unit()).ln() / self.rps;
            let now = Duration::from_secs_f64(at);
            while let Some(Reverse((ends, which, fails))) = under_way
                .peek()
                .copied()
                .filter(|Reverse((ends, ..))| *ends <= now)
            {
                under_way.pop();
                let request: &UnderWay = &requests[which];
                failures += usize::from(fails && request.side == Side::Canary);
                if site.end(request, ends, fails) {
                    return Some((failures, ends.as_secs_f64()));
                }
            }
            let request = site.begin(&HeaderMap::new(), now);
            let (ratio, (good, bad)) = match request.side {
                Side::Canary => (self.canary, self.latency[0]),
                Side::Stable => (self.stable, self.latency[1]),
            };
            let fails = random.chance(ratio(at));
            let latency = Duration::from_secs_f64(if fails { bad } else { good });
            under_way.push(Reverse((now + latency, requests.len(), fails)));
            requests.push(request);
        }
        None
    }
}

#[test]
fn versions_that_are_alike_are_never_tripped() {
    // Shared outages come and go, also at the very moment at which the canary begins.
    let ratios: [(&str, Ratio); 8] = [
        ("0.1 %", |_| 0.001),
        ("1 %", |_| 0.01),
        ("5 %", |_| 0.05),
        ("20 %", |_| 0.2),
        ("50 %", |_| 0.5),
        ("90 %", |_| 0.9),
        ("an outage first", |at| if at < 0.5 { 1.0 } else { 0.01 }),
        ("bursts", |at| if at % 0.3 < 0.05 { 1.0 } else { 0.001 }),
    ];
    for weight in [1.0, 5.0, 10.0, 25.0, 50.0] {
        for (name, ratio) in ratios {
            let weather = Weather::alike(ratio);
            for seed in 0..20 {
                let tripped = weather.pass(&arming(weight), seed);
                assert_eq!(tripped, None, "{name} at {weight} %, seed {seed}");
            }
        }
    }
}

#[test]
fn a_canary_that_fails_sooner_than_stable_is_not_worse() {
    // Both fail everything, stable by a timeout.
    let weather = Weather {
        latency: [(0.02, 0.0), (0.02, 2.0)],
        ..Weather::alike(|_| 1.0)
    };
    for weight in [1.0, 10.0, 50.0] {
        assert_eq!(weather.pass(&arming(weight), 1), None, "{weight} %");
    }
}

#[test]
fn a_bad_canary_is_tripped_after_a_handful_of_failures() {
    for (weight, latency, most) in [
        (1.0, 0.002, 6),
        (10.0, 0.002, 13),
        (10.0, 0.02, 26),
        (10.0, 0.1, 48),
        (50.0, 0.02, 85),
    ] {
        let weather = Weather {
            rps: 1000.0,
            canary: |_| 1.0,
            latency: [(latency, 0.0), (latency, 0.0)],
            ..Weather::alike(|_| 0.001)
        };
        for seed in 0..50 {
            let (failures, _) = weather.pass(&arming(weight), seed).unwrap();
            assert!(
                (5..=most).contains(&failures),
                "{failures} failures at {weight} %, {latency} s, seed {seed}"
            );
        }
    }
}
