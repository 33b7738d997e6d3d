//! What time it is for a task that runs.

use crate::Clock;
use std::{cell::Cell, time::Duration};
use tokio::time::Instant;

/// The time at which the task that runs now first wanted to know it: one look at the clock each time that a worker turns to a
/// request, in place of one for each thing that wants to know, and none where nothing does. What a task does until it waits again
/// takes microseconds.
///
/// Only what is called from such a task may ask: what is woken otherwise reads a [`Clock`], as this time is over there.
#[derive(Debug)]
pub(crate) struct Turn {
    clock: Clock,
    is_known: Cell<bool>,
    now: Cell<Instant>,
    elapsed: Cell<Duration>,
}

impl Turn {
    /// A turn that begins now, by `clock`.
    pub(crate) fn new(clock: Clock) -> Self {
        Self {
            clock,
            is_known: Cell::new(false),
            now: Cell::new(Instant::now()),
            elapsed: Cell::default(),
        }
    }

    /// A task begins to run.
    pub(crate) fn begin(&self) {
        self.is_known.set(false);
    }

    /// What time it is for the task.
    pub(crate) fn now(&self) -> Instant {
        self.know();
        self.now.get()
    }

    /// The same, as the time since the clock's epoch.
    pub(crate) fn elapsed(&self) -> Duration {
        self.know();
        self.elapsed.get()
    }

    fn know(&self) {
        if !self.is_known.replace(true) {
            let now = Instant::now();
            self.now.set(now);
            self.elapsed.set(self.clock.at(now.into_std()));
        }
    }
}
