//! How other tools decide, so that they can be shown the same requests: counts of whole windows in, a decision out.
//!
//! [`Rule`] is a threshold on the canary's failure ratio in windows of a minute, which is what Argo Rollouts and Flagger
//! do with the settings that their documentation shows. Neither looks at the stable. A window without requests has no
//! ratio, and counts as passed.
//!
//! ```
//! use rollout::sim::{Rival, Rule};
//! use std::time::Duration;
//! let mut argo = Rival::new(Rule::ARGO);
//! // A canary that fails everything, ten requests a second.
//! for second in 1..=600 {
//!     argo.take(Duration::from_secs(second), 10 * second, 10 * second);
//! }
//! assert_eq!(argo.rolled_back(), Some(Duration::from_secs(3 * 60 + 15)));
//! ```

use std::{collections::VecDeque, time::Duration};

/// A threshold on the failure ratio of whole windows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rule {
    /// The length of a window, and the time from one look to the next.
    pub interval: Duration,
    /// A window fails above this ratio of failed requests.
    pub limit: f64,
    /// At so many failed windows the canary is rolled back.
    pub failures: usize,
    /// Only the last so many windows count. Nothing: all of them do.
    pub within: Option<usize>,
    /// How long after its end a window is seen: the scrape, the query and the controller's loop.
    pub lag: Duration,
}

impl Rule {
    /// Argo Rollouts, an analysis of `interval: 1m` that fails at the third window of the last five above 5 %.
    pub const ARGO: Self = Self {
        interval: Duration::from_secs(60),
        limit: 0.05,
        failures: 3,
        within: Some(5),
        lag: Duration::from_secs(15),
    };

    /// Flagger, `interval: 1m`, `threshold: 5` and a `request-success-rate` of at least 99 %.
    pub const FLAGGER: Self = Self {
        interval: Duration::from_secs(60),
        limit: 0.01,
        failures: 5,
        within: None,
        lag: Duration::from_secs(15),
    };
}

/// A [`Rule`] that watches a canary.
#[derive(Clone, Debug)]
pub struct Rival {
    rule: Rule,
    /// The counters when the window began.
    base: (u64, u64),
    windows: usize,
    /// The windows that failed and still count, by number.
    failed: VecDeque<usize>,
    rolled_back: Option<Duration>,
    loss: Option<Loss>,
}

/// What a canary cost by its rollback.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Loss {
    /// How long it lived.
    pub took: Duration,
    /// Its failed requests of that time.
    pub failed: u64,
}

impl Rival {
    /// The rule, at the canary's begin.
    pub fn new(rule: Rule) -> Self {
        Self {
            rule,
            base: (0, 0),
            windows: 0,
            failed: VecDeque::new(),
            rolled_back: None,
            loss: None,
        }
    }

    /// Takes what the canary's counters show so long after its begin: requests, and failed ones of them. To be called
    /// at least once in each window, best often: a window ends at the first call at or after its end, and a rollback is
    /// counted at the first one at or after it. Nothing comes of the rollback: the canary's requests may go on.
    pub fn take(&mut self, elapsed: Duration, requests: u64, failures: u64) {
        if let Some(due) = self.rolled_back {
            if elapsed >= due {
                self.loss.get_or_insert(Loss {
                    took: elapsed,
                    failed: failures,
                });
            }
            return;
        }
        if elapsed < self.rule.interval * (self.windows as u32 + 1) {
            return;
        }
        let (n, bad) = (requests - self.base.0, failures - self.base.1);
        self.base = (requests, failures);
        self.windows += 1;
        if bad as f64 > self.rule.limit * n as f64 {
            self.failed.push_back(self.windows);
        }
        if let Some(within) = self.rule.within {
            self.failed.retain(|window| window + within > self.windows);
        }
        if self.failed.len() >= self.rule.failures {
            self.rolled_back = Some(elapsed + self.rule.lag);
        }
    }

    /// How long after the canary's begin it is rolled back, if it is.
    pub fn rolled_back(&self) -> Option<Duration> {
        self.rolled_back
    }

    /// What the canary had cost by then. Nothing while its counters have not been seen at that moment or after it.
    pub fn loss(&self) -> Option<Loss> {
        self.loss
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds minutes of a hundred requests with so many failures each.
    fn check(rule: Rule, minutes: &[u64], wanted: Option<u64>) {
        let mut rival = Rival::new(rule);
        let (mut requests, mut failures) = (0, 0);
        for (minute, failed) in minutes.iter().enumerate() {
            requests += 100;
            failures += failed;
            rival.take(
                Duration::from_secs(60 * (minute as u64 + 1)),
                requests,
                failures,
            );
        }
        let wanted = wanted.map(Duration::from_secs);
        assert_eq!(rival.rolled_back(), wanted, "{rule:?} {minutes:?}");
    }

    #[test]
    fn argo_needs_three_of_the_last_five_minutes() {
        check(Rule::ARGO, &[6, 6, 6], Some(195));
        check(Rule::ARGO, &[5, 5, 5, 5, 5, 5], None);
        check(Rule::ARGO, &[6, 0, 6, 0, 6], Some(315));
        check(Rule::ARGO, &[6, 0, 0, 6, 0, 6], None);
    }

    #[test]
    fn flagger_counts_five_minutes_whenever_they_were() {
        check(Rule::FLAGGER, &[2, 2, 2, 2, 2], Some(315));
        check(Rule::FLAGGER, &[1, 1, 1, 1, 1, 1], None);
        check(Rule::FLAGGER, &[2, 0, 2, 0, 2, 0, 2, 0, 2], Some(555));
    }

    #[test]
    fn a_window_without_requests_is_passed() {
        let mut rival = Rival::new(Rule::FLAGGER);
        (1..=20).for_each(|minute| rival.take(Duration::from_secs(60 * minute), 0, 0));
        assert_eq!(rival.rolled_back(), None);
    }

    #[test]
    fn what_fails_until_the_rollback_is_lost() {
        let mut rival = Rival::new(Rule::ARGO);
        let mut losses = (1..=300).map(|second| {
            rival.take(Duration::from_secs(second), 10 * second, 5 * second);
            rival.loss()
        });
        let lost = Loss {
            took: Duration::from_secs(195),
            failed: 5 * 195,
        };
        assert_eq!(losses.nth(193), Some(None));
        assert_eq!(losses.next(), Some(Some(lost)));
        assert_eq!(losses.last(), Some(Some(lost)));
    }
}
