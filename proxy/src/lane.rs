//! What one worker keeps for each version it sends requests to, and the record of a request that was sent.

use crate::Clock;
use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    rc::Rc,
    sync::Arc,
    time::Duration,
};
use traffic::{Outcome, Series, Stake, Trip};

/// One worker's side of a version: its counters.
#[derive(Debug)]
pub(crate) struct Lane {
    series: Arc<Series>,
    worker: usize,
    /// Whether a request took it since unused lanes were last forgotten.
    is_used: Cell<bool>,
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
    stake: Option<Stake>,
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
            stake: None,
            ended: false,
        }
    }

    /// Has a failure of the request count for what may trip the canary that it is sent to.
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
        shard.end(self.began, self.clock.elapsed(), outcome);
        if let Some(stake) = self.stake
            && let Some(trip) = self.lane.series.ended(stake, outcome)
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
    use traffic::{Role, RolloutId, Stats};

    fn lane(stats: &Stats) -> Rc<Lane> {
        let series = stats.series(&RolloutId::new("default", "shop"), Role::Canary);
        Lanes::new(0).of(&series)
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
