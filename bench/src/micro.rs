//! The steps of a request's way, one by one.

mod cases;

use crate::spread::Spread;
use std::{
    fmt,
    time::{Duration, Instant},
};

pub use cases::{all, named};

/// One operation that can be repeated.
pub struct Case {
    /// What it does.
    pub name: &'static str,
    /// Whether it is on the way of every request, where nothing may be allocated.
    pub is_allocation_free: bool,
    repeat: Box<dyn FnMut(u64)>,
}

impl Case {
    /// Does the operation `times` times.
    pub fn repeat(&mut self, times: u64) {
        (self.repeat)(times);
    }

    /// Nanoseconds per operation, over `repetitions` repetitions of about `each`. Information only: it varies with
    /// the machine and what else runs on it.
    pub fn time(&mut self, repetitions: usize, each: Duration) -> Option<Spread> {
        let times = self.times_in(each);
        Spread::of((0..repetitions).map(|_| self.elapsed(times).as_nanos() as f64 / times as f64))
    }

    /// How many operations take about `span`.
    fn times_in(&mut self, span: Duration) -> u64 {
        let mut times = 64;
        loop {
            let elapsed = self.elapsed(times);
            if elapsed * 2 >= span || times >= 1 << 32 {
                return times;
            }
            times *= 2;
        }
    }

    fn elapsed(&mut self, times: u64) -> Duration {
        let began = Instant::now();
        self.repeat(times);
        began.elapsed()
    }
}

impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Case")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
