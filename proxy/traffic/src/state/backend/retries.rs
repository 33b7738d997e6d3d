//! How many retries a Service gets, so that they do not become the load that keeps it down.

use super::{BackendShard, BackendState, add, window::WINDOW_SECONDS};
use crate::policy::Retry;
use std::{
    sync::{PoisonError, atomic::Ordering::Relaxed},
    time::Duration,
};

impl BackendShard {
    /// Counts a request's first attempt, which the budget grows by.
    pub fn count_request(&self, now: Duration) {
        self.attempts.add(now, 1, 0);
    }
}

impl BackendState {
    /// Whether a request of `shard`'s worker may be sent again at `now`; counts the retry, or the refusal.
    ///
    /// A worker may add `budget` retries for each of its own requests of the last ten seconds. Beyond that all workers
    /// share `min_per_second` of them, over the same ten seconds, so that a Service with few requests is not without.
    /// Any ten seconds thus have at most 10 × `min_per_second` retries, and `budget` for each request of these and the
    /// ten seconds before.
    pub fn may_retry(&self, shard: &BackendShard, retry: &Retry, now: Duration) -> bool {
        let (requests, retries) = shard.attempts.sum(now, None);
        if (retries + 1) as f64 <= retry.budget * requests as f64 {
            shard.attempts.add(now, 0, 1);
            add(&shard.retries, 1);
            return true;
        }
        let may = self.take_spare(u64::from(retry.min_per_second) * WINDOW_SECONDS, now);
        add(
            if may {
                &shard.retries
            } else {
                &shard.retries_refused
            },
            1,
        );
        may
    }

    fn take_spare(&self, most: u64, now: Duration) -> bool {
        let is_spent = || self.spare_retries.sum(now, None).1 >= most;
        // Looking needs no lock, and is all that happens while there is nothing to be had.
        if is_spent() {
            return false;
        }
        let _alone = self.deciding.lock().unwrap_or_else(PoisonError::into_inner);
        if is_spent() {
            return false;
        }
        self.spare_retries.add(now, 0, 1);
        true
    }

    /// Retries that were sent.
    pub fn retries(&self) -> u64 {
        self.total(|shard| shard.retries.load(Relaxed))
    }

    /// Retries that the budget refused.
    pub fn retries_refused(&self) -> u64 {
        self.total(|shard| shard.retries_refused.load(Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn retry(budget: f64, min_per_second: u32) -> Retry {
        Retry {
            budget,
            min_per_second,
            ..Retry::default()
        }
    }

    /// How many of `wanted` retries are allowed on one worker after `requests`, at the same moment.
    fn allowed(requests: u32, wanted: u32, retry: &Retry) -> usize {
        let state = BackendState::default();
        let shard = state.shard(0, 1);
        (0..requests).for_each(|_| shard.count_request(Duration::ZERO));
        let allowed = (0..wanted).filter(|_| state.may_retry(&shard, retry, Duration::ZERO));
        let allowed = allowed.count();
        assert_eq!(state.retries(), allowed as u64);
        assert_eq!(state.retries_refused(), u64::from(wanted) - allowed as u64);
        allowed
    }

    #[test]
    fn the_budget_is_a_share_of_the_requests_and_a_minimum() {
        for (requests, budget, min_per_second, expected) in [
            (0, 0.2, 0, 0),
            (100, 0.2, 0, 20),
            (100, 0.2, 3, 50),
            (4, 0.2, 0, 0),
            (5, 0.2, 0, 1),
            (0, 0.0, 3, 30),
            (100, 0.0, 0, 0),
        ] {
            let retry = retry(budget, min_per_second);
            assert_eq!(
                allowed(requests, 1000, &retry),
                expected,
                "{requests} {retry:?}"
            );
        }
    }

    proptest! {
        /// Two workers never send more retries, in any ten seconds, than what came before them pays for.
        #[test]
        fn no_ten_seconds_have_more_retries_than_the_budget(
            steps in prop::collection::vec((0u64..400, 0usize..2, any::<bool>()), 0..400),
            budget in 0.0f64..1.0,
            min_per_second in 0u32..3,
        ) {
            let state = BackendState::default();
            let shards = [state.shard(0, 2), state.shard(1, 2)];
            let retry = retry(budget, min_per_second);
            let (mut now, mut past) = (Duration::ZERO, Vec::new());
            for (wait, worker, is_request) in steps {
                now += Duration::from_millis(wait);
                if is_request {
                    shards[worker].count_request(now);
                } else if !state.may_retry(&shards[worker], &retry, now) {
                    continue;
                }
                past.push((now.as_secs(), is_request));
                let within = |seconds: u64, requests: bool| {
                    let recent = past.iter().filter(|(at, _)| at + seconds > now.as_secs());
                    recent.filter(|(_, is_request)| *is_request == requests).count() as f64
                };
                let spare = f64::from(min_per_second) * WINDOW_SECONDS as f64;
                let paid = budget * within(2 * WINDOW_SECONDS, true) + spare;
                prop_assert!(within(WINDOW_SECONDS, false) <= paid + 1e-9);
            }
        }
    }
}
