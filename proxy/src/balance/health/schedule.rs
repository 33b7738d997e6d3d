//! When each endpoint is checked, and what its checks say together. Pure: time and randomness come in.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};
use traffic::{
    BackendId, BackendPolicy, BackendState,
    policy::HealthCheck,
    state::backend::{CheckResult, EndpointState},
};

/// An endpoint that is to be checked.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) id: BackendId,
    pub(super) state: Arc<BackendState>,
    pub(super) endpoint: Arc<EndpointState>,
    pub(super) policy: Arc<BackendPolicy>,
    pub(super) check: HealthCheck,
}

/// An endpoint, by the address of its state, which its entry keeps from being freed and used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Key(usize);

impl Target {
    pub(super) fn key(&self) -> Key {
        Key(Arc::as_ptr(&self.endpoint).addr())
    }
}

/// All endpoints that are checked. A new one is checked within a second, and is taken for healthy until then.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    entries: HashMap<Key, Entry>,
    /// The checks that are not under way, by their time.
    waiting: BTreeSet<(Duration, Key)>,
}

#[derive(Debug)]
struct Entry {
    target: Target,
    /// When the next check is due, or since when one is under way.
    at: Duration,
    is_healthy: bool,
    /// Results in a row that speak against `is_healthy`.
    row: u32,
}

/// New endpoints are first checked at a random moment within this time, so that many do not come at once.
const FIRST_WITHIN: Duration = Duration::from_secs(1);

impl Schedule {
    /// Checks `targets` from now on and nothing else. Those that are no longer checked count as healthy.
    pub(super) fn sync(
        &mut self,
        targets: Vec<Target>,
        now: Duration,
        mut random: impl FnMut() -> u64,
    ) {
        let mut gone = std::mem::take(&mut self.entries);
        for target in targets {
            let key = target.key();
            let entry = match gone.remove(&key) {
                Some(entry) => Entry { target, ..entry },
                None if self.entries.contains_key(&key) => continue,
                None => {
                    let first = FIRST_WITHIN.min(target.check.interval);
                    let at = now + first.mul_f64(fraction(random()));
                    self.waiting.insert((at, key));
                    Entry {
                        at,
                        is_healthy: target.endpoint.is_healthy(),
                        row: 0,
                        target,
                    }
                }
            };
            self.entries.insert(key, entry);
        }
        for (key, entry) in gone {
            self.waiting.remove(&(entry.at, key));
            entry.target.endpoint.set_healthy(true, now);
        }
    }

    /// Up to `most` checks that are due at `now` and begin now.
    pub(super) fn due(&mut self, now: Duration, most: usize) -> Vec<Target> {
        let mut due = Vec::new();
        while due.len() < most
            && let Some(&(at, key)) = self.waiting.first()
            && at <= now
        {
            self.waiting.pop_first();
            if let Some(entry) = self.entries.get_mut(&key) {
                entry.at = now;
                due.push(entry.target.clone());
            }
        }
        due
    }

    /// When the next check is due, if one waits.
    pub(super) fn next(&self) -> Option<Duration> {
        self.waiting.first().map(|(at, _)| *at)
    }

    /// Notes at `now` how the check of `key` ended, plans the next one, and says the endpoint's health when that changed.
    pub(super) fn ended(
        &mut self,
        key: Key,
        result: CheckResult,
        now: Duration,
        random: u64,
    ) -> Option<(&Target, bool)> {
        let entry = self.entries.get_mut(&key)?;
        let check = &entry.target.check;
        // From the beginning of one to that of the next, give or take a tenth.
        let interval = check.interval.mul_f64(0.9 + 0.2 * fraction(random));
        // An endpoint that went and came back during its check waits already.
        self.waiting.remove(&(entry.at, key));
        entry.at = (entry.at + interval).max(now);
        self.waiting.insert((entry.at, key));
        entry.target.state.count_check(result);
        let is_success = result == CheckResult::Success;
        if is_success == entry.is_healthy {
            entry.row = 0;
            return None;
        }
        entry.row += 1;
        let needed = if is_success {
            check.healthy_after
        } else {
            check.unhealthy_after
        };
        if entry.row < needed.get() {
            return None;
        }
        entry.is_healthy = is_success;
        entry.row = 0;
        entry.target.endpoint.set_healthy(is_success, now);
        Some((&entry.target, is_success))
    }
}

/// A number from 0 to 1 from a random one.
fn fraction(random: u64) -> f64 {
    random as f64 / u64::MAX as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use CheckResult::{Failure, Success, Timeout};
    use proptest::prelude::*;
    use std::{net::SocketAddr, num::NonZeroU32};

    const fn seconds(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    fn targets(endpoints: u16) -> Vec<Target> {
        let check = HealthCheck {
            path: None,
            host: None,
            interval: seconds(10),
            timeout: seconds(1),
            unhealthy_after: NonZeroU32::new(3).unwrap(),
            healthy_after: NonZeroU32::new(2).unwrap(),
        };
        let state = Arc::<BackendState>::default();
        let policy = Arc::<BackendPolicy>::default();
        let address = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let addresses: Vec<_> = (1..=endpoints).map(address).collect();
        let endpoints = state.endpoints(&addresses, &policy, 1, Duration::ZERO);
        let target = |endpoint: &Arc<EndpointState>| Target {
            id: BackendId::new("default", "shop"),
            state: Arc::clone(&state),
            endpoint: Arc::clone(endpoint),
            policy: Arc::clone(&policy),
            check: check.clone(),
        };
        endpoints.iter().map(target).collect()
    }

    #[test]
    fn results_in_a_row_change_the_health() {
        // What comes, and the health after each.
        for (results, expected) in [
            (vec![Failure, Timeout, Failure], vec![true, true, false]),
            (
                vec![Failure, Failure, Success, Failure],
                vec![true, true, true, true],
            ),
            (
                vec![
                    Failure, Failure, Failure, Success, Failure, Success, Success,
                ],
                vec![true, true, false, false, false, false, true],
            ),
        ] {
            let target = targets(1).remove(0);
            let mut schedule = Schedule::default();
            schedule.sync(vec![target.clone()], Duration::ZERO, || 0);
            for (i, (result, expected)) in results.iter().zip(expected).enumerate() {
                let now = seconds(i as u64);
                let before = target.endpoint.is_healthy();
                let changed = schedule.ended(target.key(), *result, now, 0).is_some();
                assert_eq!(target.endpoint.is_healthy(), expected, "{results:?} {i}");
                assert_eq!(changed, before != expected);
            }
            let counted = |result| target.state.checks(result) as usize;
            let sum: usize = CheckResult::ALL.map(counted).iter().sum();
            assert_eq!(sum, results.len());
        }
    }

    #[test]
    fn a_check_is_not_begun_twice_and_the_next_comes_after_the_interval() {
        let target = targets(1).remove(0);
        let mut schedule = Schedule::default();
        schedule.sync(vec![target.clone()], seconds(5), || u64::MAX / 2);
        assert!(
            schedule.due(seconds(5), 9).is_empty(),
            "spread over a second"
        );
        assert_eq!(schedule.due(seconds(6), 9).len(), 1);
        assert!(schedule.due(seconds(60), 9).is_empty(), "it is under way");
        assert_eq!(schedule.next(), None);
        schedule.ended(target.key(), Success, seconds(7), 0);
        assert_eq!(
            schedule.next(),
            Some(seconds(15)),
            "from the beginning, less a tenth"
        );
        schedule.due(seconds(15), 9);
        schedule.ended(target.key(), Success, seconds(16), u64::MAX);
        assert_eq!(schedule.next(), Some(seconds(26)));
    }

    #[test]
    fn what_is_no_longer_checked_is_healthy() {
        let all = targets(2);
        let mut schedule = Schedule::default();
        schedule.sync(all.clone(), Duration::ZERO, || 0);
        for _ in 0..3 {
            all.iter().for_each(|target| {
                schedule.ended(target.key(), Failure, seconds(1), 0);
            });
        }
        schedule.sync(all[..1].to_vec(), seconds(2), || 0);
        let healthy = || {
            all.iter()
                .map(|t| t.endpoint.is_healthy())
                .collect::<Vec<_>>()
        };
        assert_eq!(
            healthy(),
            [false, true],
            "what is still checked keeps its health"
        );
        assert!(
            schedule
                .ended(all[1].key(), Failure, seconds(3), 0)
                .is_none()
        );
        schedule.sync(Vec::new(), seconds(4), || 0);
        assert_eq!(healthy(), [true, true]);
        assert_eq!(schedule.next(), None);
    }

    proptest! {
        /// However long checks take and whenever targets change, each endpoint has one check waiting or under way.
        #[test]
        fn every_endpoint_is_checked(
            steps in prop::collection::vec((0u8..4, 0usize..6, any::<u64>()), 1..100)
        ) {
            let all = targets(6);
            let mut schedule = Schedule::default();
            let mut under_way = Vec::new();
            let mut now = Duration::ZERO;
            for (step, n, random) in steps {
                now += Duration::from_millis(random % 4000);
                match step {
                    0 => schedule.sync(all[n..].to_vec(), now, || random),
                    1 => under_way.extend(schedule.due(now, n).iter().map(Target::key)),
                    _ if !under_way.is_empty() => {
                        let key = under_way.swap_remove(n % under_way.len());
                        schedule.ended(key, Success, now, random);
                    }
                    _ => {}
                }
                let waiting: BTreeSet<_> = schedule.waiting.iter().map(|(_, key)| *key).collect();
                prop_assert_eq!(waiting.len(), schedule.waiting.len(), "each waits once");
                for key in schedule.entries.keys() {
                    prop_assert!(waiting.contains(key) || under_way.contains(key));
                }
                prop_assert!(waiting.iter().all(|key| schedule.entries.contains_key(key)));
            }
        }
    }
}
