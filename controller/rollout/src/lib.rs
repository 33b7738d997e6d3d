//! The deciding part: plan, state, step, analysis. No I/O and no clock.
