//! What one worker keeps for each version it sends requests to, and the record of a request that was sent.

use crate::Clock;
use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    net::SocketAddr,
    rc::Rc,
    sync::Arc,
    time::Duration,
};
use traffic::{Outcome, Series};

/// One worker's side of a version: its counters, and whose turn it is among the endpoints.
#[derive(Debug)]
pub(crate) struct Lane {
    series: Arc<Series>,
    worker: usize,
    turn: Cell<usize>,
    /// Whether a request took it since unused lanes were last forgotten.
    is_used: Cell<bool>,
}

impl Lane {
    /// The endpoints in the order in which this request tries them: the one whose turn it is, then those after it.
    pub(crate) fn turn<'a>(
        &self,
        endpoints: &'a [SocketAddr],
    ) -> impl Iterator<Item = SocketAddr> + use<'a> {
        let first = self.turn.get() % endpoints.len().max(1);
        self.turn.set(first + 1);
        let (before, after) = endpoints.split_at(first.min(endpoints.len()));
        after.iter().chain(before).copied()
    }
}

/// The lanes of one worker, by the series that they count into. Holding a lane costs a request no shared counter.
#[derive(Debug)]
pub(crate) struct Lanes {
    worker: usize,
    /// By the address of the series, which the lane keeps from being freed and used again.
    lanes: RefCell<HashMap<*const Series, Rc<Lane>>>,
}

impl Lanes {
    pub(crate) fn new(worker: usize) -> Self {
        Self {
            worker,
            lanes: RefCell::default(),
        }
    }

    /// The lane to the version that `series` counts.
    pub(crate) fn of(&self, series: &Arc<Series>) -> Rc<Lane> {
        let new = || {
            Rc::new(Lane {
                series: Arc::clone(series),
                worker: self.worker,
                turn: Cell::new(0),
                is_used: Cell::new(true),
            })
        };
        let mut lanes = self.lanes.borrow_mut();
        let lane = lanes.entry(Arc::as_ptr(series)).or_insert_with(new);
        lane.is_used.set(true);
        Rc::clone(lane)
    }

    /// Forgets the lanes that no request took since the last call.
    pub(crate) fn sweep(&self) {
        self.lanes
            .borrow_mut()
            .retain(|_, lane| lane.is_used.take());
    }
}

/// A request that was counted as sent. Its end is counted exactly once: with the outcome that [`Dispatched::end`] is
/// told, or as cancelled when it is dropped before, as happens when the client goes away.
#[derive(Debug)]
pub(crate) struct Dispatched {
    lane: Rc<Lane>,
    clock: Clock,
    began: Duration,
    ended: bool,
}

impl Dispatched {
    /// Counts a request that leaves for the version of `lane` now.
    pub(crate) fn begin(lane: Rc<Lane>, clock: Clock, by_weight: bool) -> Self {
        let began = clock.elapsed();
        lane.series.shard(lane.worker).begin(began, by_weight);
        Self {
            lane,
            clock,
            began,
            ended: false,
        }
    }

    /// The lane that the request took.
    pub(crate) fn lane(&self) -> &Lane {
        &self.lane
    }

    /// Counts the request's end. Only the first call counts.
    pub(crate) fn end(&mut self, outcome: Outcome) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        let shard = self.lane.series.shard(self.lane.worker);
        shard.end(self.began, self.clock.elapsed(), outcome);
    }
}

impl Drop for Dispatched {
    fn drop(&mut self) {
        self.end(Outcome::Cancelled);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use traffic::{Role, RolloutId, Stats};

    fn lane(stats: &Stats) -> Rc<Lane> {
        let series = stats.series(&RolloutId::new("default", "shop"), Role::Canary);
        Lanes::new(0).of(&series)
    }

    #[test]
    fn endpoints_take_turns_and_each_request_may_try_all() {
        let stats = Stats::new(1);
        let lane = lane(&stats);
        let endpoints: Vec<SocketAddr> = (1..=3)
            .map(|port| SocketAddr::from(([127, 0, 0, 1], port)))
            .collect();
        let mut turns = Vec::new();
        for _ in 0..4 {
            turns.push(lane.turn(&endpoints).map(|a| a.port()).collect::<Vec<_>>());
        }
        assert_eq!(turns, [[1, 2, 3], [2, 3, 1], [3, 1, 2], [1, 2, 3]]);
        assert_eq!(lane.turn(&[]).count(), 0);
        assert_eq!(lane.turn(&endpoints[..1]).count(), 1, "after a change");
    }

    #[test]
    fn a_request_ends_exactly_once() {
        let stats = Stats::new(1);
        let lane = lane(&stats);
        let mut answered = Dispatched::begin(Rc::clone(&lane), Clock::start(), true);
        answered.end(Outcome::Answered(200));
        drop(answered);
        drop(Dispatched::begin(Rc::clone(&lane), Clock::start(), false));
        let totals = lane.series.totals();
        assert_eq!((totals.dispatched, totals.split), (2, 1));
        assert_eq!((totals.cancelled, totals.in_flight), (1, 0));
        assert_eq!(totals.statuses, [(200, 1), (499, 1)]);
    }

    #[test]
    fn lanes_that_nobody_takes_are_forgotten() {
        let stats = Stats::new(1);
        let lanes = Lanes::new(0);
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
