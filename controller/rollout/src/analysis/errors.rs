//! The error test: is the canary's failure ratio above `relative_margin` times the stable's plus `absolute_margin`?

use super::{
    block::Margin,
    blocks::{Seen, Tally, Tick},
    config::Parameters,
    interval::Interval,
};

/// The error test's margin for users who are alike.
pub(super) fn margin(parameters: &Parameters) -> Margin {
    Margin {
        relative: parameters.relative_margin,
        absolute: parameters.absolute_margin,
    }
}

/// The failures of `interval`, of which the canary's last `forgiven` are an earlier canary's. Stable usually fails
/// `stable_ratio` of its requests.
pub(super) fn tick(start: f64, interval: &Interval<'_>, forgiven: u64, stable_ratio: f64) -> Tick {
    let (canary, stable) = (interval.canary(), interval.stable());
    Tick {
        start,
        seen: Seen {
            canary: Tally {
                requests: canary.requests(),
                bad: canary.failures().saturating_sub(forgiven),
            },
            stable: Tally {
                requests: stable.requests(),
                bad: stable.failures(),
            },
        },
        stable_ratio,
        unanswered: canary.after().in_flight(),
    }
}
