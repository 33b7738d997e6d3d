//! The right to write, which ends by itself.
//!
//! Who leads writes for as long as nobody else can: until the renew deadline has passed since the request was sent that
//! last renewed its lease. The time is that of a clock that goes on while the process is stopped or the machine sleeps.

#[cfg(test)]
mod tests;

use rustix::time::{ClockId, clock_gettime};
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

/// The time since the machine was started, sleep included.
pub(crate) fn now() -> Duration {
    let now = clock_gettime(ClockId::Boottime);
    let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
    let nanoseconds = u32::try_from(now.tv_nsec).unwrap_or(0);
    Duration::new(seconds, nanoseconds)
}

/// The right to write, for as long as it lasts. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Fence(Arc<Mutex<Until>>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Until {
    Forever,
    Then(Duration),
    Over,
}

impl Fence {
    /// For whoever leads without being elected.
    pub(crate) fn open() -> Self {
        Self(Arc::new(Mutex::new(Until::Forever)))
    }

    /// For whoever was elected until `then`.
    pub(crate) fn until(then: Duration) -> Self {
        Self(Arc::new(Mutex::new(Until::Then(then))))
    }

    /// Prolongs the right until `then`, unless it was taken away: a new term has a fence of its own.
    pub(crate) fn extend(&self, then: Duration) {
        let mut until = self.lock();
        if let Until::Then(before) = *until {
            *until = Until::Then(before.max(then));
        }
    }

    /// Takes the right away at once.
    pub(crate) fn close(&self) {
        *self.lock() = Until::Over;
    }

    /// For how long the right lasts; none when it has ended.
    pub(crate) fn left(&self, now: Duration) -> Option<Duration> {
        match *self.lock() {
            Until::Forever => Some(Duration::MAX),
            Until::Over => None,
            Until::Then(then) => then.checked_sub(now).filter(|left| !left.is_zero()),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Until> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
