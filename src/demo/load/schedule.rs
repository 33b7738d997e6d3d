//! When the requests of an open-loop load are due.

use std::time::Duration;

use crate::demo::random::uniform;

/// A fixed rate, with each request at a random place in its own interval: a strictly regular load could fall into
/// step with whatever else is regular, such as the ticks at which counters are read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Schedule {
    interval: f64,
}

impl Schedule {
    const SEED: u64 = 0x10AD;

    /// `rps` requests per second, above 0.
    pub(crate) fn new(rps: f64) -> Self {
        Self {
            interval: 1.0 / rps,
        }
    }

    /// When the `index`th request is due, counted from the start; never before the one before it.
    pub(crate) fn due(&self, index: u64) -> Duration {
        let intervals = index as f64 + uniform(Self::SEED, index);
        Duration::try_from_secs_f64(intervals * self.interval).unwrap_or(Duration::MAX)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Schedule;

    #[test]
    fn requests_are_due_at_their_rate_and_in_order() {
        for rps in [0.5, 3.0, 400.0, 20_000.0] {
            let schedule = Schedule::new(rps);
            let mut before = Duration::ZERO;
            for index in 0..1_000 {
                let due = schedule.due(index);
                assert!(
                    due >= before,
                    "at {rps} rps, request {index} is due before its predecessor"
                );
                let interval = Duration::from_secs_f64(1.0 / rps);
                let earliest = Duration::from_secs_f64(index as f64 / rps);
                assert!(
                    due + Duration::from_nanos(1) >= earliest,
                    "{due:?} {earliest:?}"
                );
                assert!(due <= earliest + interval, "{due:?} {earliest:?}");
                before = due;
            }
        }
    }
}
