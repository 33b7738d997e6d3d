//! Counts over the last ten seconds.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

/// The time that a [`Window`] looks back, in seconds; it has one bucket for each.
pub(super) const WINDOW_SECONDS: u64 = 10;

/// Two counts over the last ten seconds: those of the second that is under way and of the nine before. Buckets count
/// exactly, so that a short burst of failures shows, which a moving average would smooth away.
///
/// A bucket is one word, so that a reader never sees the counts of one second under the name of another: the second
/// modulo 2^20 (12 days), then two counts of 22 bits, which stay at their largest value (4 million in one second).
#[derive(Debug, Default)]
pub(super) struct Window([AtomicU64; WINDOW_SECONDS as usize]);

const COUNT_BITS: u32 = 22;
const COUNT_MAX: u64 = (1 << COUNT_BITS) - 1;
const SECOND_MAX: u64 = (1 << 20) - 1;

impl Window {
    /// Adds to both counts at `now`. Only one thread at a time may call it.
    pub(super) fn add(&self, now: Duration, first: u32, second: u32) {
        let at = now.as_secs();
        // The place is below the number of buckets.
        let cell = &self.0[(at % WINDOW_SECONDS) as usize];
        let word = cell.load(Relaxed);
        let (mut counts, stamp) = ((0, 0), at & SECOND_MAX);
        if word >> (2 * COUNT_BITS) == stamp {
            counts = (word >> COUNT_BITS & COUNT_MAX, word & COUNT_MAX);
        }
        let first = (counts.0 + u64::from(first)).min(COUNT_MAX);
        let second = (counts.1 + u64::from(second)).min(COUNT_MAX);
        cell.store(
            stamp << (2 * COUNT_BITS) | first << COUNT_BITS | second,
            Relaxed,
        );
    }

    /// Both counts, as of `now`, without what was counted in or before the second of `after`.
    pub(super) fn sum(&self, now: Duration, after: Option<Duration>) -> (u64, u64) {
        let oldest = match after {
            Some(after) => now.as_secs().saturating_sub(after.as_secs()),
            None => WINDOW_SECONDS,
        };
        let reach = oldest.min(WINDOW_SECONDS);
        self.0.iter().fold((0, 0), |(first, second), cell| {
            let word = cell.load(Relaxed);
            let age = now.as_secs().wrapping_sub(word >> (2 * COUNT_BITS)) & SECOND_MAX;
            if age >= reach {
                return (first, second);
            }
            (
                first + (word >> COUNT_BITS & COUNT_MAX),
                second + (word & COUNT_MAX),
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const fn seconds(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    #[test]
    fn what_is_older_than_ten_seconds_does_not_count() {
        let window = Window::default();
        window.add(seconds(5), 1, 1);
        window.add(seconds(5), 1, 0);
        window.add(seconds(14), 1, 0);
        for (now, after, expected) in [
            (5, None, (2, 1)),
            (14, None, (3, 1)),
            (15, None, (1, 0)),
            (24, None, (0, 0)),
            (14, Some(5), (1, 0)),
            (14, Some(4), (3, 1)),
            (14, Some(20), (0, 0)),
            // Another worker's clock was read a moment before.
            (13, None, (2, 1)),
        ] {
            let after = after.map(seconds);
            assert_eq!(window.sum(seconds(now), after), expected, "{now} {after:?}");
        }
    }

    #[test]
    fn counts_do_not_overflow_into_each_other() {
        let window = Window::default();
        for _ in 0..3 {
            window.add(seconds(1), u32::MAX, u32::MAX);
        }
        assert_eq!(window.sum(seconds(1), None), (COUNT_MAX, COUNT_MAX));
    }

    proptest! {
        #[test]
        fn the_sum_is_that_of_the_last_ten_seconds(
            adds in prop::collection::vec((0u64..3000, 0u32..5, 0u32..5), 0..200)
        ) {
            let window = Window::default();
            let mut past = Vec::new();
            let mut now = seconds(1 << 20) - seconds(5);
            for (wait, first, second) in adds {
                now += Duration::from_millis(wait);
                window.add(now, first, second);
                past.push((now.as_secs(), u64::from(first), u64::from(second)));
                let recent = past.iter().filter(|(at, ..)| at + WINDOW_SECONDS > now.as_secs());
                let expected = recent.fold((0, 0), |sum, add| (sum.0 + add.1, sum.1 + add.2));
                prop_assert_eq!(window.sum(now, None), expected);
            }
        }
    }
}
