//! Canaries under virtual time, as the judges see them.

use crate::cell::{Cell, HISTORY};
use rollout::{
    Plan, Revision, Step, Steps, Terms,
    analysis::{Config, Judge, Judgement, Parameters},
    sim::{Behaviour, Conditions, Pilot, Random, Weather},
};
use std::{net::SocketAddr, time::Duration};
use traffic::{
    Bucket, EndpointCounts, Generation, HalfOctave, HalfOctaves, RolloutId, RouteTable, Routes,
    Snapshot,
};

/// A canary, from its begin on.
pub(crate) trait Watched {
    /// Lets some time pass, and tells what is seen then.
    fn turn(&mut self) -> Seen;
}

/// What there is to see of a canary since its begin.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    pub(crate) elapsed: Duration,
    pub(crate) requests: u64,
    pub(crate) failures: u64,
    /// Whether the guard has said of it what the cell counts.
    pub(crate) convicted: bool,
}

/// A whole rollout: machine, guard and proxy, every request drawn with its latency, ten looks a second.
pub(crate) struct Flight {
    pilot: Pilot,
    weather: Weather,
}

impl Flight {
    /// Ships the cell's canary after the stable was alone for a while.
    pub(crate) fn new(cell: &Cell, seed: u64) -> Self {
        let mut weather = cell.weather(seed);
        let mut pilot = Pilot::new(plan(cell), Config::default(), cell.traffic(seed));
        while pilot.flight().took < HISTORY {
            weather.change(pilot.traffic());
            pilot.turn();
        }
        pilot.ship(Revision::new("v2"));
        Self { pilot, weather }
    }
}

impl Watched for Flight {
    fn turn(&mut self) -> Seen {
        self.weather.change(self.pilot.traffic());
        self.pilot.turn();
        let flight = self.pilot.flight();
        Seen {
            elapsed: flight.took,
            requests: flight.canary_requests,
            failures: flight.canary_failures,
            convicted: matches!(self.pilot.judge().judgement(), Judgement::RollBack { .. }),
        }
    }
}

/// The canary's share, until somebody decides. The guard only watches.
#[allow(clippy::expect_used, reason = "two steps, written here, are a plan")]
fn plan(cell: &Cell) -> Plan {
    let steps = vec![Step::SetWeight(cell.share()), Step::Pause(None)];
    Plan {
        rollout: RolloutId::new("default", "shop"),
        revision: Revision::new("v1"),
        steps: Steps::new(steps, "steps").expect("a weight and a pause"),
        paused: false,
        guard: false,
        terms: Terms::default(),
    }
}

/// Counts alone: how many requests and failures, drawn for half a second at a time, so that there can be tens of
/// thousands of rollouts. Latency is drawn and judged only in cells whose endpoints are slow in bursts, and a request
/// ends in the half second in which it was sent; elsewhere all of alpha is the error test's.
pub(crate) struct Stream {
    cell: Cell,
    judge: Judge,
    snapshot: Snapshot,
    generation: Generation,
    weather: Weather,
    random: Random,
    share: f64,
    /// When the canary began.
    begun: Duration,
}

/// All of alpha for the error test.
#[allow(clippy::expect_used, reason = "the defaults are in their ranges")]
pub(crate) fn errors_only() -> Config {
    let parameters = Parameters {
        latency: None,
        ..Parameters::default()
    };
    Config::new(parameters).expect("the defaults without latency")
}

/// The time between two looks.
const LOOK: Duration = Duration::from_millis(500);

impl Stream {
    /// The cell's canary at its begin, after the stable was alone for a while.
    pub(crate) fn new(cell: &Cell, seed: u64) -> Self {
        let mut stream = Self {
            cell: *cell,
            judge: Judge::new(if cell.has_latency() {
                Config::default()
            } else {
                errors_only()
            }),
            snapshot: Snapshot::default(),
            generation: Routes::default().publish(RouteTable::default()),
            weather: cell.weather(seed),
            random: Random::new(seed),
            share: 0.0,
            begun: HISTORY,
        };
        while stream.snapshot.at < HISTORY {
            stream.look();
        }
        stream.judge.begin(stream.now(), 1);
        stream.share = cell.share().fraction();
        stream
    }

    fn now(&self) -> jiff::Timestamp {
        let passed = jiff::SignedDuration::try_from(self.snapshot.at).unwrap_or_default();
        jiff::Timestamp::UNIX_EPOCH + passed
    }

    fn look(&mut self) {
        let Conditions { rps, .. } = self.weather.at(self.snapshot.at);
        let [stable, canary] = self.weather.endpoints(self.snapshot.at);
        let (random, seconds) = (&mut self.random, LOOK.as_secs_f64());
        let [stable_refuses, canary_refuses] = self.cell.refused();
        let (canary, stable) = ((canary, canary_refuses), (stable, stable_refuses));
        let sides = [
            (&mut self.snapshot.canary, self.share, canary),
            (&mut self.snapshot.stable, 1.0 - self.share, stable),
        ];
        for (counts, share, (endpoints, refuses)) in sides {
            let share = share / endpoints.len() as f64;
            for (number, endpoint) in endpoints.into_iter().enumerate() {
                let requests = random.poisson(rps * share * seconds);
                let failed = random.binomial(requests, endpoint.failure_ratio);
                counts.dispatched += requests;
                counts.failed += failed;
                counts.client_errors += random.binomial(requests - failed, refuses);
                let known = of_endpoint(&mut counts.endpoints, number);
                known.dispatched += requests;
                known.failed += failed;
                if self.cell.has_latency() {
                    for _ in 0..requests {
                        let took = latency(endpoint.slower, random);
                        counts.latency.add(Bucket::of(took), 1);
                        known.took.add(HalfOctave::of(took), 1);
                    }
                }
            }
        }
        self.snapshot.at += LOOK;
        self.snapshot.generation = Some(self.generation);
        self.judge.observe(&self.snapshot, None, self.now());
    }
}

/// How long a request takes at an endpoint that takes `slower` times as long as usual: as
/// [`Behaviour`](rollout::sim::Behaviour) has it.
fn latency(slower: f64, random: &mut Random) -> Duration {
    let Behaviour {
        latency, spread, ..
    } = Behaviour::default();
    latency.mul_f64(slower * (spread * random.normal()).exp())
}

/// The counts of endpoint `number` of a version.
fn of_endpoint(endpoints: &mut Vec<EndpointCounts>, number: usize) -> &mut EndpointCounts {
    while endpoints.len() <= number {
        endpoints.push(EndpointCounts {
            address: SocketAddr::from(([127, 0, 0, 1], endpoints.len() as u16)),
            dispatched: 0,
            failed: 0,
            took: HalfOctaves::default(),
        });
    }
    &mut endpoints[number]
}

impl Watched for Stream {
    fn turn(&mut self) -> Seen {
        self.look();
        Seen {
            elapsed: self.snapshot.at.saturating_sub(self.begun),
            requests: self.snapshot.canary.dispatched,
            failures: self.snapshot.canary.failed,
            convicted: self.cell.counts(self.judge.judgement()),
        }
    }
}
