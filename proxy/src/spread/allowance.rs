//! How often a worker may pass connections on.

use std::time::Duration;

/// Passing one on costs a few microseconds, which a client that makes a connection for every request would pay every
/// time. A thousand a second are not felt (less than a hundredth of a core), and are far more than what lasts: with more
/// connections than that at once, the kernel's hash alone spreads them well.
///
/// Kept as the time when all of it is there again (the generic cell rate algorithm, ITU-T I.371).
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Allowance {
    whole_at: Duration,
}

impl Allowance {
    /// From one connection to the next.
    const EACH: Duration = Duration::from_millis(1);
    /// How long it takes until all is there again, which is what may be passed on at once.
    const WHOLE: Duration = Duration::from_secs(1);

    /// Whether a connection may be passed on at `now`, on a clock that only goes forward.
    pub(crate) fn is_left(self, now: Duration) -> bool {
        self.after(now) <= now + Self::WHOLE
    }

    /// What is left after a connection was passed on at `now`.
    #[must_use]
    pub(crate) fn taken(self, now: Duration) -> Self {
        Self {
            whole_at: self.after(now),
        }
    }

    fn after(self, now: Duration) -> Duration {
        self.whole_at.max(now) + Self::EACH
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many of `tries`, which come one each `pause`, may be passed on.
    fn passed(allowance: &mut Allowance, now: &mut Duration, pause: Duration, tries: u32) -> u32 {
        let mut passed = 0;
        for _ in 0..tries {
            if allowance.is_left(*now) {
                *allowance = allowance.taken(*now);
                passed += 1;
            }
            *now += pause;
        }
        passed
    }

    #[test]
    fn many_at_once_are_passed_on_and_a_thousand_a_second_after_that() {
        let (mut allowance, mut now) = (Allowance::default(), Duration::from_secs(7));
        for (what, pause, tries, expected) in [
            ("a burst", 0, 5_000, 1_000),
            ("every 10 us for a second", 10_000, 100_000, 999),
            ("every 2 ms", 2_000_000, 100, 100),
            ("a burst after 200 ms with half of that used", 0, 5_000, 101),
        ] {
            let pause = Duration::from_nanos(pause);
            let found = passed(&mut allowance, &mut now, pause, tries);
            assert_eq!(found, expected, "{what}");
        }
        now += Duration::from_secs(60);
        let found = passed(&mut allowance, &mut now, Duration::ZERO, 5_000);
        assert_eq!(found, 1_000, "what is not used is not saved up");
    }
}
