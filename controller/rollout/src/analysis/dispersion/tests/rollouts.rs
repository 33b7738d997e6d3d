//! Whole canaries whose outcomes agree: how often a good one is rolled back, and how fast a bad one. Bounds have three
//! standard deviations of the count of runs on top; the seeds are fixed.

use super::outcomes;
use crate::{
    analysis::{Config, Judge, Judgement, Parameters},
    sim::{Burst, Bursts, Climate, Conditions, Random, Weather},
};
use jiff::{SignedDuration, Timestamp};
use std::{net::SocketAddr, time::Duration};
use traffic::{Bucket, Counts, EndpointCounts, HalfOctave, HalfOctaves, Snapshot};

/// The endpoints of stable and canary, and the requests of one in a second.
#[derive(Clone, Copy)]
struct Fleet {
    endpoints: [usize; 2],
    requests: [f64; 2],
}

/// What an endpoint of a side fails of so many requests, from second to second.
trait Failing {
    fn failed(&mut self, second: u32, side: usize, endpoint: usize, requests: u64) -> u64;
}

/// Endpoints whose outcomes within a second agree.
struct Agreeing {
    ratios: [f64; 2],
    agreement: f64,
    random: Random,
}

impl Failing for Agreeing {
    fn failed(&mut self, _second: u32, side: usize, _endpoint: usize, requests: u64) -> u64 {
        outcomes(
            requests,
            self.ratios[side],
            self.agreement,
            &mut self.random,
        )
    }
}

/// Endpoints that fail everything now and then.
struct Bursting {
    weather: Weather,
    random: Random,
}

impl Failing for Bursting {
    fn failed(&mut self, second: u32, side: usize, endpoint: usize, requests: u64) -> u64 {
        // Bursts begin within a second as well.
        let halves = [0, 500].map(|millis| {
            let now = Duration::from_millis(1_000 * u64::from(second) + millis);
            self.weather.endpoints(now)[side][endpoint].failure_ratio
        });
        let first = self.random.binomial(requests, 0.5);
        self.random.binomial(first, halves[0]) + self.random.binomial(requests - first, halves[1])
    }
}

/// What becomes of the requests that go wrong.
#[derive(Clone, Copy, Debug)]
enum Wrong {
    Failed,
    Slow,
}

impl Wrong {
    /// With a guard that looks for nothing else.
    fn judge(self) -> Judge {
        let parameters = match self {
            Self::Failed => Parameters {
                latency: None,
                ..Parameters::default()
            },
            Self::Slow => Parameters::default(),
        };
        Judge::new(Config::new(parameters).unwrap())
    }

    /// Counts so many requests to an endpoint, of which some went wrong.
    fn add(self, counts: &mut Counts, endpoint: usize, requests: u64, bad: u64) {
        match self {
            Self::Failed => {
                take(counts, endpoint, requests, Duration::from_millis(50));
                counts.failed += bad;
                counts.endpoints[endpoint].failed += bad;
            }
            Self::Slow => {
                let good = requests - bad;
                take(counts, endpoint, good, Duration::from_millis(50));
                take(counts, endpoint, bad, Duration::from_millis(500));
            }
        }
    }
}

/// Counts so many requests to an endpoint, which took so long.
pub(super) fn take(counts: &mut Counts, endpoint: usize, requests: u64, took: Duration) {
    while counts.endpoints.len() <= endpoint {
        let number = counts.endpoints.len() as u16;
        counts.endpoints.push(EndpointCounts {
            address: SocketAddr::from(([127, 0, 0, 1], number)),
            dispatched: 0,
            failed: 0,
            took: HalfOctaves::default(),
        });
    }
    let of_endpoint = &mut counts.endpoints[endpoint];
    counts.dispatched += requests;
    counts.latency.add(Bucket::of(took), requests);
    of_endpoint.dispatched += requests;
    of_endpoint.took.add(HalfOctave::of(took), requests);
}

/// Every how many seconds the guard looks: as when it is asked all the time, and at what proxies remember of long ago.
const LOOKS: [u32; 2] = [1, 8];

/// How long stable is alone before the canary, and how long that is watched, in seconds.
const ALONE: u32 = 120;
const WATCHED: u32 = 300;

/// After how many seconds the canary is rolled back, if it is, where the guard looks every so many.
fn rolled_back(
    wrong: Wrong,
    fleet: Fleet,
    every: u32,
    failing: &mut impl Failing,
    random: &mut Random,
) -> Option<u32> {
    let (mut judge, mut snapshot) = (wrong.judge(), Snapshot::default());
    let mut now = Timestamp::UNIX_EPOCH;
    judge.observe(&snapshot, None, now);
    for second in 0..ALONE + WATCHED {
        if second == ALONE {
            judge.begin(now, 1);
        }
        for (side, counts) in [&mut snapshot.stable, &mut snapshot.canary]
            .into_iter()
            .enumerate()
        {
            for endpoint in 0..fleet.endpoints[side] {
                let sent = side == 0 || second >= ALONE;
                let requests = if sent {
                    random.poisson(fleet.requests[side])
                } else {
                    0
                };
                let failed = failing.failed(second, side, endpoint, requests);
                wrong.add(counts, endpoint, requests, failed);
            }
        }
        snapshot.at += Duration::from_secs(1);
        now += SignedDuration::from_secs(1);
        if !(second + 1).is_multiple_of(every) {
            continue;
        }
        judge.observe(&snapshot, None, now);
        if matches!(judge.judgement(), Judgement::RollBack { .. }) {
            return Some(second + 1 - ALONE);
        }
    }
    None
}

fn check_harmless<F: Failing>(name: &str, fleet: Fleet, every: u32, failing: impl Fn(u64) -> F) {
    let alpha = Parameters::default().alpha;
    // Four tests share what one has for failures, and take four times as long.
    for (wrong, runs) in [(Wrong::Failed, 100_u64), (Wrong::Slow, 40)] {
        let slack = 3.0 * (alpha * (1.0 - alpha) / runs as f64).sqrt();
        let is_convicted = |seed: &u64| {
            let random = &mut Random::new(!seed);
            rolled_back(wrong, fleet, every, &mut failing(*seed), random).is_some()
        };
        let rate = (0..runs).filter(is_convicted).count() as f64 / runs as f64;
        assert!(
            rate <= alpha + slack,
            "{wrong:?}, {name}, {every} s: {rate}"
        );
    }
}

const FLEETS: [Fleet; 3] = [
    Fleet {
        endpoints: [4, 4],
        requests: [45.0, 5.0],
    },
    Fleet {
        endpoints: [4, 1],
        requests: [45.0, 20.0],
    },
    Fleet {
        endpoints: [4, 1],
        requests: [25.0, 100.0],
    },
];

#[test]
fn a_good_canary_whose_outcomes_agree_is_hardly_ever_rolled_back() {
    for fleet in FLEETS {
        for agreement in [0.0, 0.01, 0.05, 0.3] {
            let Fleet {
                endpoints,
                requests,
            } = fleet;
            let name = format!("{endpoints:?}, {requests:?}, {agreement}");
            for every in LOOKS {
                check_harmless(&name, fleet, every, |seed| Agreeing {
                    ratios: [0.02; 2],
                    agreement,
                    random: Random::new(seed),
                });
            }
        }
    }
}

#[test]
fn a_second_of_failures_every_half_minute_at_each_endpoint_convicts_nobody() {
    for fleet in FLEETS {
        let Fleet {
            endpoints,
            requests,
        } = fleet;
        let bursting = |seed: u64| {
            let climate = Climate {
                bursts: Some(Bursts {
                    endpoints,
                    apart: Duration::from_secs(30),
                    lasts: Duration::from_secs(1),
                    then: Burst::Fails,
                }),
                drift: None,
            };
            let fair = Conditions {
                rps: 0.0,
                stable: 0.001,
                canary: 0.001,
            };
            Bursting {
                weather: Weather::new(climate, fair, seed),
                random: Random::new(seed),
            }
        };
        for every in LOOKS {
            let name = format!("{endpoints:?}, {requests:?}");
            check_harmless(&name, fleet, every, bursting);
        }
    }
}

#[test]
fn a_bad_canary_whose_outcomes_agree_is_found() {
    // Median seconds, at most, for a canary that fails so much.
    let check = |wrong: Wrong, canary: f64, agreement: f64, at_most: u32| {
        let [_, fleet, _] = FLEETS;
        let took = |seed: u64| {
            let mut failing = Agreeing {
                ratios: [0.02, canary],
                agreement,
                random: Random::new(seed),
            };
            let random = &mut Random::new(!seed);
            rolled_back(wrong, fleet, 1, &mut failing, random).unwrap_or(u32::MAX)
        };
        let mut took: Vec<_> = (0..21).map(took).collect();
        took.sort_unstable();
        assert!(
            took[10] <= at_most,
            "{wrong:?}, {canary}, {agreement}: {took:?}"
        );
    };
    for (agreement, dead, half, fifth) in [
        (0.0, 1, 2, 5),
        (0.01, 1, 3, 5),
        (0.05, 1, 3, 8),
        (0.3, 3, 9, 25),
    ] {
        check(Wrong::Failed, 1.0, agreement, dead);
        check(Wrong::Failed, 0.5, agreement, half);
        check(Wrong::Failed, 0.2, agreement, fifth);
        // Latency is not judged for the first five seconds, and each of its tests has a third of alpha.
        check(Wrong::Slow, 1.0, agreement, dead + 7);
        check(Wrong::Slow, 0.5, agreement, half + 9);
        check(Wrong::Slow, 0.2, agreement, 2 * fifth + 7);
    }
}
