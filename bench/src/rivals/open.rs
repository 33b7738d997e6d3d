//! The open loop: requests come at random moments, whatever became of those before them. What it tells is latency.
//!
//! Latency counts from the moment in which a request was due, so that one that waits for a free connection, or for the
//! sender itself, is not forgotten.

use super::lane::Lane;
use crate::random::Random;
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use tokio::{sync::Semaphore, task::JoinSet, time::timeout};

/// Latencies at three quantiles, or the difference of two such, in microseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Latency {
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    pub(crate) p999: f64,
}

impl Latency {
    /// Of `micros`, in any order; nothing when there are none.
    pub(crate) fn of(mut micros: Vec<f64>) -> Option<Self> {
        micros.sort_by(f64::total_cmp);
        let last = micros.len().checked_sub(1)?;
        // The nearest rank.
        let at = |quantile: f64| {
            let rank = (quantile * micros.len() as f64).ceil() as usize;
            micros[rank.saturating_sub(1).min(last)]
        };
        Some(Self {
            p50: at(0.5),
            p99: at(0.99),
            p999: at(0.999),
        })
    }

    /// What is added to `base`, quantile by quantile.
    pub(crate) fn above(&self, base: &Self) -> Self {
        Self {
            p50: self.p50 - base.p50,
            p99: self.p99 - base.p99,
            p999: self.p999 - base.p999,
        }
    }
}

/// How long requests that are still under way at the end are waited for. Who cannot keep up is not waited for longer.
const DRAIN: Duration = Duration::from_millis(500);

/// Sends `rate` requests a second, as a Poisson process, for `span` over `lanes`.
///
/// Tells nothing when the contender cannot keep up: when requests were not answered half a second after the last.
///
/// # Errors
/// When a request fails.
pub(crate) async fn measure(
    lanes: Vec<Lane>,
    rate: f64,
    span: Duration,
    seed: u64,
) -> anyhow::Result<Option<Latency>> {
    let queue = Arc::new(Queue::default());
    let mut asking = JoinSet::new();
    for lane in lanes {
        asking.spawn(ask(lane, Arc::clone(&queue)));
    }
    send(&queue, rate, span, Random::new(seed)).await;
    queue.due.close();
    let all = async {
        let mut micros = Vec::new();
        while let Some(lane) = asking.join_next().await {
            micros.extend(lane??);
        }
        anyhow::Ok(micros)
    };
    match timeout(DRAIN, all).await {
        Ok(micros) => Ok(Latency::of(micros?)),
        Err(_) => Ok(None),
    }
}

/// Requests that are due and that nobody sends yet.
#[derive(Debug)]
struct Queue {
    /// A permit for each. Lanes that wait for one get them in the order in which they came.
    due: Semaphore,
    moments: Mutex<VecDeque<Instant>>,
}

impl Default for Queue {
    fn default() -> Self {
        Self {
            due: Semaphore::new(0),
            moments: Mutex::default(),
        }
    }
}

impl Queue {
    fn moments(&self) -> MutexGuard<'_, VecDeque<Instant>> {
        self.moments.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, moment: Instant) {
        self.moments().push_back(moment);
        self.due.add_permits(1);
    }

    /// The request that is due longest; nothing when there are none left and none will come.
    async fn next(&self) -> Option<Instant> {
        if let Ok(permit) = self.due.acquire().await {
            permit.forget();
        }
        self.moments().pop_front()
    }
}

/// Puts requests into `queue` when they are due. Looks again and again instead of setting a timer, which would be late by
/// up to a millisecond; other tasks and the sockets have their turn between two looks.
async fn send(queue: &Queue, rate: f64, span: Duration, mut random: Random) {
    let began = Instant::now();
    let mut next = || Duration::from_secs_f64(random.exponential() / rate);
    let mut due = next();
    while due < span {
        while due < span && due <= began.elapsed() {
            queue.push(began + due);
            due += next();
        }
        tokio::task::yield_now().await;
    }
}

/// Sends what is due until there is no more, and tells how many microseconds each took.
async fn ask(mut lane: Lane, queue: Arc<Queue>) -> anyhow::Result<Vec<f64>> {
    let mut micros = Vec::new();
    while let Some(due) = queue.next().await {
        lane.exchange().await?;
        micros.push(due.elapsed().as_secs_f64() * 1e6);
    }
    Ok(micros)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_the_nearest_rank() {
        let thousand = (1..=1_000).rev().map(f64::from).collect();
        for (micros, expected) in [
            (vec![], None),
            (vec![7.0], Some((7.0, 7.0, 7.0))),
            (vec![2.0, 1.0], Some((1.0, 2.0, 2.0))),
            (thousand, Some((500.0, 990.0, 999.0))),
        ] {
            let found = Latency::of(micros).map(|l| (l.p50, l.p99, l.p999));
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn what_is_added_may_be_less_than_nothing() {
        let latency = |p50, p99, p999| Latency { p50, p99, p999 };
        assert_eq!(
            latency(5.0, 9.0, 10.0).above(&latency(2.0, 9.0, 12.0)),
            latency(3.0, 0.0, -2.0)
        );
    }

    #[tokio::test]
    async fn what_is_due_comes_in_order_and_ends() {
        let (queue, now) = (Queue::default(), Instant::now());
        let moments = [now, now + Duration::from_secs(1)];
        moments.into_iter().for_each(|moment| queue.push(moment));
        queue.due.close();
        for expected in [Some(moments[0]), Some(moments[1]), None, None] {
            assert_eq!(queue.next().await, expected);
        }
    }
}
