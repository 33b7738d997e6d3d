//! What the proxy is told of a canary that it is to trip by itself, and what it tells of that.

use crate::spec::RolloutSpec;
use rollout::{State, analysis::Judge, state::Trial};
use traffic::{Arming, Margins, Trip, Weight, trip::ALPHA};
use xxhash_rust::xxh3::xxh3_64;

/// How the canary of `state` is to be tripped when it has `weight`: by the margins that its guard has. Nothing where no
/// request reaches it by weight, and where it is not to be.
pub(super) fn arming(
    spec: &RolloutSpec,
    state: &State,
    judge: &Judge,
    weight: Weight,
) -> Option<Arming> {
    let trial = state.trial().filter(|_| spec.trips)?;
    let (parameters, margin) = (judge.config().parameters(), judge.margin());
    let absolute = match weight {
        Weight::ZERO => return None,
        // Beside it is no stable. Half of the trip's alpha is for this bound.
        Weight::FULL => judge.past_limit(ALPHA / 2.0)?,
        _ => margin.absolute,
    };
    Some(Arming {
        trial: number(&trial),
        weight,
        margins: Margins {
            relative: margin.relative,
            absolute,
        },
        least_failures: parameters.min_canary_failures,
        by_user: !spec.split.sticky.is_empty(),
        rule: parameters.failure_rule,
    })
}

/// Whether `trip` is one of the canary of `state`.
pub(super) fn is_of(trip: &Trip, state: &State) -> bool {
    state
        .trial()
        .is_some_and(|trial| number(&trial) == trip.trial)
}

/// The trial as the proxy tells it from others.
fn number(trial: &Trial) -> u64 {
    xxh3_64(format!("{}\n{}", trial.revision, trial.started_at).as_bytes())
}
