//! When a regression is expected to begin: how the mass of the start times is given out.
//!
//! Half of it goes to the starts of steps, where most regressions show; most of the rest evenly over the horizon. A
//! tenth is kept for the time after the horizon and given out ever more slowly, so that the guard of a rollout that
//! stays on a step for days never goes blind. Whatever the schedule, the parts sum to at most 1, and that is all that
//! the bound on false rollbacks needs.

use serde::{Deserialize, Serialize};

const STEPS: f64 = 0.5;
const HORIZON: f64 = 0.4;
const AFTERWARDS: f64 = 0.1;

/// What has been given out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Onset {
    /// How many steps are to start.
    step_starts: usize,
    started: usize,
    /// Due with the next window.
    lumps: f64,
    /// What was given out for the passing of time.
    spread: f64,
}

impl Onset {
    /// Nothing given out yet; `step_starts` (at least one) steps will start.
    pub fn new(step_starts: usize) -> Self {
        Self {
            step_starts: step_starts.max(1),
            started: 0,
            lumps: 0.0,
            spread: 0.0,
        }
    }

    /// Whether it can be gone on with.
    pub(super) fn is_sound(&self) -> bool {
        let is_part = |x: &f64| (0.0..=1.0).contains(x);
        self.step_starts > 0 && is_part(&self.lumps) && is_part(&self.spread)
    }

    /// A step starts. Starts beyond the promised number get nothing.
    pub fn step_starts(&mut self) {
        if self.started < self.step_starts {
            self.started += 1;
            self.lumps += STEPS / self.step_starts as f64;
        }
    }

    /// The mass for a window that lasts until `until` seconds since the canary began.
    pub fn take(&mut self, until: f64, horizon: f64) -> f64 {
        let spread = spread(until, horizon).max(self.spread);
        let mass = self.lumps + spread - self.spread;
        self.lumps = 0.0;
        self.spread = spread;
        mass
    }
}

/// What is given out for the passing of time until `elapsed` seconds: evenly over the horizon, then with 1/t².
fn spread(elapsed: f64, horizon: f64) -> f64 {
    let elapsed = elapsed.max(0.0);
    if elapsed <= horizon {
        HORIZON * elapsed / horizon
    } else {
        HORIZON + AFTERWARDS * (1.0 - horizon / elapsed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn all_parts_together_are_at_most_one(
            steps in 0usize..8,
            starts in proptest::collection::vec((any::<bool>(), 0.0f64..1e5), 1..100),
        ) {
            let mut onset = Onset::new(steps);
            let (mut elapsed, mut sum) = (0.0, 0.0);
            for (step, seconds) in starts {
                if step {
                    onset.step_starts();
                }
                elapsed += seconds;
                let mass = onset.take(elapsed, 900.0);
                prop_assert!(mass >= 0.0);
                sum += mass;
            }
            prop_assert!(sum <= 1.0 + 1e-12, "{sum}");
        }
    }

    #[test]
    fn there_is_always_something_left_for_a_late_start() {
        let mut onset = Onset::new(1);
        onset.take(7.0 * 86_400.0, 900.0);
        assert!(onset.take(7.0 * 86_400.0 + 1.0, 900.0) > 0.0);
    }
}
