//! A Rollout whose spec cannot be followed: it says why, and stays as it is.

use std::time::Duration;

use crds::status::{ConditionStatus, RolloutPhase};
use jiff::Timestamp;

use super::conditions::{self, INVALID};
use super::work::after;
use super::{Turn, World, phase, status, work};

/// How soon to look again: what is missing may have come, such as a Service that was applied later.
const LOOK_AGAIN: Duration = Duration::from_secs(20);

/// The turn of a Rollout that is wrong because of `why`.
pub(super) fn turn(world: &World, why: &str, now: Timestamp) -> Turn {
    let seen = work::status(world);
    let name = world.rollout.metadata.name.as_deref().unwrap_or_default();
    let message = format!("The Rollout {name:?} is invalid: {why}");
    let mut next = seen.clone();
    let known = conditions::get(&seen.conditions, INVALID);
    if known.is_none_or(|known| known.message != message) {
        conditions::remove(&mut next.conditions, INVALID);
        let condition = conditions::new(INVALID, ConditionStatus::True, INVALID, message, now);
        conditions::set(&mut next.conditions, condition);
    }
    let generation = world.rollout.metadata.generation;
    next.observed_generation = generation.map(|generation| generation.to_string());
    next.phase = Some(RolloutPhase::Degraded);
    next.message = phase::degraded(&next);
    Turn {
        writes: status::write(&seen, &next).into_iter().collect(),
        wake_at: Some(after(now, LOOK_AGAIN)),
        needs_pods: false,
        needs_likeness: false,
    }
}
