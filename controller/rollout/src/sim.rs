//! Traffic under virtual time: the counters that a proxy would show if two versions behaved so.
//!
//! Every request is drawn: when it comes, which version gets it, how long it takes and whether it fails. The same seed
//! draws the same requests.
//!
//! ```
//! use rollout::sim::Traffic;
//! use traffic::Weight;
//! let mut traffic = Traffic::new(1_000.0, Weight::from_percent(10).unwrap(), 1);
//! traffic.canary.failure_ratio = 1.0;
//! let snapshot = (0..10).map(|_| traffic.tick()).last().unwrap();
//! assert!(snapshot.canary.failed > 30 && snapshot.stable.failed < 10);
//! ```

mod pilot;
mod random;
mod rivals;
mod weather;

pub use pilot::{Ending, Flight, Kept, Pilot};
pub use random::Random;
pub use rivals::{Loss, Rival, Rule};
pub use weather::{Burst, Bursts, Climate, Conditions, Drift, Weather};

use jiff::{SignedDuration, Timestamp};
use std::{collections::VecDeque, net::SocketAddr, time::Duration};
use traffic::{
    Bucket, Counts, EndpointCounts, Generation, HalfOctave, HalfOctaves, RouteTable, Routes,
    Snapshot, Weight,
};

/// How often [`Traffic`] is looked at.
pub const TICK: Duration = Duration::from_millis(100);

/// How a version answers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Behaviour {
    /// The share of requests that fail.
    pub failure_ratio: f64,
    /// The share of the others that are answered with a client error.
    pub client_error_ratio: f64,
    /// The share of requests that are never answered.
    pub hang_ratio: f64,
    /// The median latency.
    pub latency: Duration,
    /// The spread of the latency, log-normal: the standard deviation of its logarithm.
    pub spread: f64,
    /// How long a failed request takes, if it is not as long as any other.
    pub failure_latency: Option<Duration>,
    /// How slow it is at first.
    pub cold: Option<Cold>,
}

/// A version that is slow until its caches are filled.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cold {
    /// How many times as long its first request takes. It falls evenly to 1.
    pub factor: f64,
    /// How long after the first request that is.
    pub time: Duration,
}

impl Cold {
    /// How many times as long a request takes that comes so long after the first.
    fn at(self, since_first: Duration) -> f64 {
        let left = 1.0 - since_first.as_secs_f64() / self.time.as_secs_f64();
        // Not above 0 also where nothing is divided by nothing.
        if left > 0.0 {
            1.0 + (self.factor - 1.0) * left
        } else {
            1.0
        }
    }
}

impl Default for Behaviour {
    /// One failure in a thousand, 50 ms, two thirds of the requests within a factor of 1.6.
    fn default() -> Self {
        Self {
            failure_ratio: 0.001,
            client_error_ratio: 0.0,
            hang_ratio: 0.0,
            latency: Duration::from_millis(50),
            spread: 0.5,
            failure_latency: None,
            cold: None,
        }
    }
}

/// How one endpoint of a version does at the moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Endpoint {
    /// The share of requests that fail, in the place of the behaviour's ratio.
    pub failure_ratio: f64,
    /// How many times as long as usual it takes.
    pub slower: f64,
}

/// Requests that come at random moments, at a constant rate, to a stable and a canary. Rate and behaviours may be
/// changed between ticks.
#[derive(Debug)]
pub struct Traffic {
    /// Requests a second.
    pub rps: f64,
    /// How the stable answers.
    pub stable: Behaviour,
    /// How the canary answers.
    pub canary: Behaviour,
    /// How each endpoint of stable and canary does at the moment. They get equally many requests. Of a side without
    /// any, nothing is counted by endpoint.
    pub endpoints: [Vec<Endpoint>; 2],
    weight: Weight,
    routes: Routes,
    generation: Generation,
    random: Random,
    at: Duration,
    next_arrival: Duration,
    versions: [Version; 2],
}

#[derive(Debug, Default)]
struct Version {
    counts: Counts,
    under_way: VecDeque<Request>,
    first_request: Option<Duration>,
}

#[derive(Debug)]
struct Request {
    began: Duration,
    /// Nothing when it hangs.
    ends: Option<Duration>,
    fails: bool,
    is_refused: bool,
    endpoint: Option<usize>,
}

impl Traffic {
    /// Two versions that behave alike, with the canary at `weight`.
    pub fn new(rps: f64, weight: Weight, seed: u64) -> Self {
        let routes = Routes::default();
        let generation = routes.publish(RouteTable::default());
        Self {
            rps,
            stable: Behaviour::default(),
            canary: Behaviour::default(),
            endpoints: Default::default(),
            weight,
            routes,
            generation,
            random: Random::new(seed),
            at: Duration::ZERO,
            next_arrival: Duration::ZERO,
            versions: Default::default(),
        }
    }

    /// Publishes another weight: the next request is split by it, and the snapshots carry another generation.
    pub fn set_weight(&mut self, weight: Weight) {
        if self.weight != weight {
            self.publish(weight);
        }
    }

    fn publish(&mut self, weight: Weight) {
        self.weight = weight;
        self.generation = self.routes.publish(RouteTable::default());
    }

    /// What was the canary is the stable now.
    fn promote(&mut self) {
        self.stable = self.canary;
        let [stable, canary] = &mut self.versions;
        stable.first_request = canary.first_request;
    }

    /// The canary is another version, which has had no request yet.
    fn renew_canary(&mut self) {
        let [_, canary] = &mut self.versions;
        canary.first_request = None;
    }

    /// The canary's weight.
    pub fn weight(&self) -> Weight {
        self.weight
    }

    /// The time of the simulation: 1970 and what has passed since it began.
    pub fn now(&self) -> Timestamp {
        let passed = SignedDuration::try_from(self.at).unwrap_or(SignedDuration::MAX);
        Timestamp::UNIX_EPOCH
            .saturating_add(passed)
            .unwrap_or(Timestamp::MAX)
    }

    /// The proxy restarts: every counter begins at 0 again, and what is under way is lost.
    pub fn restart(&mut self) {
        for version in &mut self.versions {
            version.counts = Counts::default();
            version.under_way.clear();
        }
    }

    /// Lets [`TICK`] pass and tells what the counters show then.
    pub fn tick(&mut self) -> Snapshot {
        self.pass(TICK);
        self.snapshot()
    }

    /// Lets `time` pass.
    fn pass(&mut self, time: Duration) {
        let end = self.at + time;
        if self.next_arrival < self.at {
            self.next_arrival = self.at;
        }
        while self.rps > 0.0 && self.next_arrival < end {
            self.arrive();
            let gap = self.random.exponential() / self.rps;
            self.next_arrival += Duration::try_from_secs_f64(gap).unwrap_or(TICK);
        }
        self.at = end;
        for version in &mut self.versions {
            version.finish(end);
        }
    }

    /// The counters as they stand.
    pub fn snapshot(&self) -> Snapshot {
        let [stable, canary] = &self.versions;
        Snapshot {
            at: self.at,
            generation: Some(self.generation),
            stable: stable.counts.clone(),
            canary: canary.counts.clone(),
            users: None,
            trip: None,
        }
    }

    fn arrive(&mut self) {
        let to_canary = self.random.chance(self.weight.fraction());
        let mut behaviour = if to_canary { self.canary } else { self.stable };
        let endpoints = &self.endpoints[usize::from(to_canary)];
        let endpoint = (!endpoints.is_empty())
            .then(|| (self.random.unit() * endpoints.len() as f64) as usize)
            .filter(|endpoint| *endpoint < endpoints.len());
        let now = endpoint.map(|endpoint| endpoints[endpoint]);
        if let Some(now) = now {
            behaviour.failure_ratio = now.failure_ratio;
        }
        let version = &mut self.versions[usize::from(to_canary)];
        let first = *version.first_request.get_or_insert(self.next_arrival);
        let since_first = self.next_arrival.saturating_sub(first);
        let slower = behaviour.cold.map_or(1.0, |cold| cold.at(since_first))
            * now.map_or(1.0, |now| now.slower);
        let mut request = Request::draw(&behaviour, slower, self.next_arrival, &mut self.random);
        request.endpoint = endpoint;
        version.counts.dispatched += 1;
        if let Some(endpoint) = endpoint {
            of_endpoint(&mut version.counts, endpoint).dispatched += 1;
        }
        version.under_way.push_back(request);
    }
}

impl Request {
    /// A request to a version that takes `slower` times as long as usual.
    fn draw(behaviour: &Behaviour, slower: f64, began: Duration, random: &mut Random) -> Self {
        let fails = random.chance(behaviour.failure_ratio);
        let latency = match behaviour.failure_latency {
            Some(latency) if fails => latency,
            _ => {
                let factor = slower * (behaviour.spread * random.normal()).exp();
                Duration::try_from_secs_f64(behaviour.latency.as_secs_f64() * factor)
                    .unwrap_or(behaviour.latency)
            }
        };
        // Nothing is drawn where there is no chance, so that a seed draws the same requests with and without the share.
        let ratio = behaviour.client_error_ratio;
        let is_refused = !fails && ratio > 0.0 && random.chance(ratio);
        let hangs = random.chance(behaviour.hang_ratio);
        Self {
            began,
            ends: (!hangs).then(|| began.saturating_add(latency)),
            fails,
            is_refused,
            endpoint: None,
        }
    }
}

/// The counts of the endpoint that is number `endpoint` of its version.
fn of_endpoint(counts: &mut Counts, endpoint: usize) -> &mut EndpointCounts {
    let endpoints = &mut counts.endpoints;
    while endpoints.len() <= endpoint {
        let number = endpoints.len() as u32;
        endpoints.push(EndpointCounts {
            address: SocketAddr::from((number.to_be_bytes(), 80)),
            dispatched: 0,
            failed: 0,
            took: HalfOctaves::default(),
        });
    }
    &mut endpoints[endpoint]
}

impl Version {
    /// Counts what has ended by `now`.
    fn finish(&mut self, now: Duration) {
        let counts = &mut self.counts;
        self.under_way.retain(|request| match request.ends {
            Some(ends) if ends <= now => {
                counts.failed += u64::from(request.fails);
                counts.client_errors += u64::from(request.is_refused);
                let latency = ends.saturating_sub(request.began);
                if let Some(endpoint) = request.endpoint {
                    let endpoint = of_endpoint(counts, endpoint);
                    endpoint.failed += u64::from(request.fails);
                    endpoint.took.add(HalfOctave::of(latency), 1);
                }
                counts.latency.add(Bucket::of(latency), 1);
                false
            }
            Some(_) | None => true,
        });
        counts.waiting.clear();
        // The youngest came last.
        for request in self.under_way.iter().rev() {
            let age = Bucket::of(now.saturating_sub(request.began));
            match counts.waiting.last_mut() {
                Some((last, requests)) if *last == age => *requests += 1,
                _ => counts.waiting.push((age, 1)),
            }
        }
    }
}

#[cfg(test)]
mod tests;
