//! What one worker keeps for each version it sends requests to, and the record of a request that was sent.

use crate::{pool::Hashed, turn::Turn};
use foldhash::HashMap;
use std::{
    cell::{Cell, RefCell},
    net::SocketAddr,
    rc::Rc,
    sync::Arc,
    time::Duration,
};
use traffic::{Outcome, Series, Stake, Trip, stats::EndpointSeries};

/// One worker's side of a version: its counters.
#[derive(Debug)]
pub(crate) struct Lane {
    series: Arc<Series>,
    worker: usize,
    turn: Rc<Turn>,
    /// Whether a request took it since unused lanes were last forgotten.
    is_used: Cell<bool>,
    places: RefCell<HashMap<Hashed, Rc<Place>>>,
}

/// One worker's side of an endpoint of a version.
#[derive(Debug)]
struct Place {
    series: Arc<EndpointSeries>,
    /// Whether a request went there since unused places were last forgotten.
    is_used: Cell<bool>,
}

impl Lane {
    /// The place of the endpoint at `address`. Holding it costs a request no shared counter.
    fn place(&self, address: SocketAddr) -> Rc<Place> {
        let new = || {
            Rc::new(Place {
                series: self.series.endpoint(address),
                is_used: Cell::new(true),
            })
        };
        let mut places = self.places.borrow_mut();
        let place = places.entry(Hashed(address)).or_insert_with(new);
        place.is_used.set(true);
        Rc::clone(place)
    }

    /// Forgets the endpoints that no request went to since the last call.
    fn sweep(&self) {
        self.places
            .borrow_mut()
            .retain(|_, place| place.is_used.take());
    }
}

/// The lanes of one worker, by the series that they count into. Holding a lane costs a request no shared counter.
#[derive(Debug)]
pub(crate) struct Lanes {
    worker: usize,
    turn: Rc<Turn>,
    /// By the address of the series, which the lane keeps from being freed and used again.
    lanes: RefCell<HashMap<*const Series, Rc<Lane>>>,
}

impl Lanes {
    pub(crate) fn new(worker: usize, turn: Rc<Turn>) -> Self {
        Self {
            worker,
            turn,
            lanes: RefCell::default(),
        }
    }

    /// The lane to the version that `series` counts.
    pub(crate) fn of(&self, series: &Arc<Series>) -> Rc<Lane> {
        let new = || {
            Rc::new(Lane {
                series: Arc::clone(series),
                worker: self.worker,
                turn: Rc::clone(&self.turn),
                is_used: Cell::new(true),
                places: RefCell::default(),
            })
        };
        let mut lanes = self.lanes.borrow_mut();
        let lane = lanes.entry(Arc::as_ptr(series)).or_insert_with(new);
        lane.is_used.set(true);
        Rc::clone(lane)
    }

    /// Forgets the lanes, and the endpoints, that no request took since the last call.
    pub(crate) fn sweep(&self) {
        self.lanes.borrow_mut().retain(|_, lane| {
            lane.sweep();
            lane.is_used.take()
        });
    }
}

/// A request that was counted as sent. Its end is counted exactly once: with the outcome that [`Dispatched::end`] is
/// told, or as cancelled when it is dropped before, as happens when the client goes away.
#[derive(Debug)]
pub(crate) struct Dispatched {
    lane: Rc<Lane>,
    began: Duration,
    stake: Option<Stake>,
    ended: bool,
    /// Where the first attempt went, once it is known.
    place: Option<Rc<Place>>,
}

impl Dispatched {
    /// Counts a request that leaves for the version of `lane` now.
    pub(crate) fn begin(lane: Rc<Lane>, by_weight: bool) -> Self {
        let began = lane.turn.elapsed();
        lane.series.shard(lane.worker).begin(began, by_weight);
        Self {
            lane,
            began,
            stake: None,
            ended: false,
            place: None,
        }
    }

    /// Counts that the request goes to the endpoint at `address` first. Only the first call counts, and none after the
    /// end, as what follows is no first attempt.
    pub(crate) fn goes_to(&mut self, address: SocketAddr) {
        if self.ended || self.place.is_some() {
            return;
        }
        let place = self.lane.place(address);
        place.series.begin(self.lane.worker);
        self.place = Some(place);
    }

    /// Has the request's end count also by what the split gave it.
    pub(crate) fn with_stake(mut self, stake: Option<Stake>) -> Self {
        self.stake = stake;
        self
    }

    /// Counts the request's end. Only the first call counts.
    pub(crate) fn end(&mut self, outcome: Outcome) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        let shard = self.lane.series.shard(self.lane.worker);
        let now = self.lane.turn.elapsed();
        shard.end(self.began, now, outcome);
        if let Some(place) = &self.place {
            let took = now.saturating_sub(self.began);
            place.series.end(self.lane.worker, outcome, took);
        }
        if let Some(stake) = self.stake
            && let Some(trip) = self.lane.series.ended(self.lane.worker, stake, outcome)
        {
            tell(&self.lane.series, &trip);
        }
    }
}

/// The log's line for a trip. Nobody else may be there to tell.
fn tell(canary: &Series, trip: &Trip) {
    let counts = &trip.counts;
    tracing::warn!(
        rollout = %canary.rollout(),
        "the proxy gives all requests to stable by itself, as {} of {} canary requests failed at {}",
        counts.canary_failures, counts.canary_requests, trip.weight
    );
}

impl Drop for Dispatched {
    fn drop(&mut self) {
        self.end(Outcome::Cancelled);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Clock;
    use traffic::{FailureRule, Role, RolloutId, Stats};

    fn lanes() -> Lanes {
        Lanes::new(0, Rc::new(Turn::new(Clock::start())))
    }

    fn lane(stats: &Stats) -> Rc<Lane> {
        let series = stats.series(&RolloutId::new("default", "shop"), Role::Canary);
        lanes().of(&series)
    }

    #[test]
    fn a_request_ends_exactly_once() {
        let stats = Stats::new(1);
        let lane = lane(&stats);
        let mut answered = Dispatched::begin(Rc::clone(&lane), true);
        answered.end(Outcome::Answered(200));
        drop(answered);
        drop(Dispatched::begin(Rc::clone(&lane), false));
        let totals = lane.series.totals();
        assert_eq!((totals.dispatched, totals.split), (2, 1));
        assert_eq!((totals.cancelled, totals.in_flight), (1, 0));
        assert_eq!(totals.statuses, [(200, 1), (499, 1)]);
    }

    #[test]
    fn only_the_first_attempt_counts_at_an_endpoint() {
        let stats = Stats::new(1);
        let lane = lane(&stats);
        let address = |port: u16| SocketAddr::from(([127, 0, 0, 1], port));
        let mut sent = Dispatched::begin(Rc::clone(&lane), true);
        sent.goes_to(address(1));
        sent.goes_to(address(2));
        sent.end(Outcome::Answered(503));
        sent.goes_to(address(3));
        drop(sent);
        // It found no endpoint, and is sent to another version.
        let mut sent = Dispatched::begin(Rc::clone(&lane), true);
        sent.end(Outcome::Answered(503));
        sent.goes_to(address(4));
        drop(sent);
        let counts = lane.series.counts(Duration::ZERO, &FailureRule::DEFAULT);
        let endpoints = counts.endpoints.iter();
        let endpoints = endpoints.map(|e| (e.address, e.dispatched, e.failed));
        assert_eq!(endpoints.collect::<Vec<_>>(), [(address(1), 1, 1)]);
        assert_eq!((counts.dispatched, counts.failed), (2, 2));
    }

    #[test]
    fn an_endpoint_that_comes_back_goes_on_counting_while_another_is_new() {
        let stats = Stats::new(1);
        let series = stats.series(&RolloutId::new("default", "shop"), Role::Stable);
        let lanes = lanes();
        let send = |port: u16| {
            let mut sent = Dispatched::begin(lanes.of(&series), true);
            sent.goes_to(SocketAddr::from(([127, 0, 0, 1], port)));
            sent.end(Outcome::Answered(200));
        };
        let counted = || -> Vec<(u16, u64)> {
            let counts = series.counts(Duration::ZERO, &FailureRule::DEFAULT);
            let endpoints = counts.endpoints.iter();
            endpoints
                .map(|e| (e.address.port(), e.dispatched))
                .collect()
        };
        send(1);
        send(2);
        lanes.sweep();
        send(2);
        assert_eq!(counted(), [(1, 1), (2, 2)]);
        lanes.sweep();
        lanes.sweep();
        // Nobody holds either, and the one that is asked for is still there.
        send(1);
        assert_eq!(counted(), [(1, 2)]);
    }

    #[test]
    fn lanes_that_nobody_takes_are_forgotten() {
        let stats = Stats::new(1);
        let lanes = lanes();
        let series = stats.series(&RolloutId::new("default", "shop"), Role::Stable);
        let first = lanes.of(&series);
        lanes.sweep();
        assert!(Rc::ptr_eq(&first, &lanes.of(&series)));
        lanes.sweep();
        lanes.sweep();
        assert!(lanes.lanes.borrow().is_empty());
        assert!(!Rc::ptr_eq(&first, &lanes.of(&series)));
    }
}
