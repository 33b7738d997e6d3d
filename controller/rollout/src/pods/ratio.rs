//! Pods where they are the traffic: no router splits it, so a version's share of the pods is its share of requests.

use traffic::Weight;

use super::closest::closest;
use super::{Budget, Counts, Pods};

/// What a canary of `weight` and the stable version beside it are to have next, while `older` pods of other versions
/// are still wanted.
///
/// First they grow, stable before the canary, within what there may be. They shrink only when the older versions are
/// gone, and no further than availability allows. Pods that are not available do not keep the side that shrinks from
/// shrinking: a version that crashes must be able to make room.
pub fn beside(budget: Budget, weight: Weight, canary: Pods, stable: Pods, older: u32) -> Counts {
    let goal = closest(budget, weight);
    let grown = grow(budget, goal, canary, stable, older);
    if older > 0 {
        return grown;
    }
    let rises = goal.canary >= canary.wanted;
    let canary = (canary, grown.canary);
    let stable = (stable, grown.stable);
    if rises {
        let (stable, canary) = shrink(budget, stable, goal.stable, canary);
        Counts { canary, stable }
    } else {
        let (canary, stable) = shrink(budget, canary, goal.canary, stable);
        Counts { canary, stable }
    }
}

/// What a version without another beside it is to have next: everything, as far as `older` pods leave room. It shrinks
/// only when those are gone, and then at once, as that is what a smaller `spec.replicas` asks for.
pub fn alone(budget: Budget, version: Pods, older: u32) -> u32 {
    let present = version.wanted.saturating_add(older);
    let room = budget.most().saturating_sub(present);
    let grown = version.wanted.saturating_add(room).min(budget.replicas());
    if older > 0 {
        grown.max(version.wanted)
    } else {
        grown
    }
}

fn grow(budget: Budget, goal: Counts, canary: Pods, stable: Pods, older: u32) -> Counts {
    let present = older
        .saturating_add(canary.wanted)
        .saturating_add(stable.wanted);
    let room = budget.most().saturating_sub(present);
    let for_stable = goal.stable.saturating_sub(stable.wanted).min(room);
    let for_canary = goal
        .canary
        .saturating_sub(canary.wanted)
        .min(room - for_stable);
    Counts {
        canary: canary.wanted + for_canary,
        stable: stable.wanted + for_stable,
    }
}

/// What a version gets that makes room until it has its `goal`, and what the other one that stays. Both come with the
/// pods that they have grown to.
fn shrink(
    budget: Budget,
    (leaves, grown): (Pods, u32),
    goal: u32,
    (other, stays): (Pods, u32),
) -> (u32, u32) {
    let counted = leaves.wanted.saturating_add(other.kept());
    let spare = counted.saturating_sub(budget.least());
    if spare == 0 {
        return (grown, stays);
    }
    let left = if leaves.wanted > goal {
        goal.max(leaves.wanted.saturating_sub(spare))
    } else {
        grown
    };
    fit(budget, (leaves, left), (other, stays))
}

/// Brings both within what there may be: at the cost of the one that stays, as far as that takes no available pod that
/// is needed; the rest at the cost of the one that leaves.
fn fit(budget: Budget, (leaves, left): (Pods, u32), (other, stays): (Pods, u32)) -> (u32, u32) {
    let over = |left: u32, stays: u32| left.saturating_add(stays).saturating_sub(budget.most());
    let fewer = stays.saturating_sub(over(left, stays));
    let available = leaves
        .available
        .min(left)
        .saturating_add(other.available.min(fewer));
    let missing = budget.least().saturating_sub(available);
    let lost = other.available.saturating_sub(fewer);
    let stays = fewer + lost.min(missing);
    (left.saturating_sub(over(left, stays)), stays)
}
