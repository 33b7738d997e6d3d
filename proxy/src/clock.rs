//! The process's epoch.

use std::time::{Duration, Instant};

/// A clock that starts with the process. Proxy and controller hold copies of one clock, so that what the one counted
/// and when the other looks are on the same axis.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    epoch: Instant,
}

impl Clock {
    /// A clock whose epoch is now.
    pub fn start() -> Self {
        Self {
            epoch: Instant::now(),
        }
    }

    /// The time since the epoch.
    pub fn elapsed(&self) -> Duration {
        self.epoch.elapsed()
    }

    /// The time from the epoch to `instant`; none when that was before.
    pub(crate) fn at(&self, instant: Instant) -> Duration {
        instant.saturating_duration_since(self.epoch)
    }
}
