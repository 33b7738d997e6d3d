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
    if rises {
        let stable = Side {
            pods: stable,
            goal: goal.stable,
            grown: grown.stable,
        };
        let (stable, canary) = shrink(budget, &stable, canary, grown.canary);
        Counts { canary, stable }
    } else {
        let canary = Side {
            pods: canary,
            goal: goal.canary,
            grown: grown.canary,
        };
        let (canary, stable) = shrink(budget, &canary, stable, grown.stable);
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

/// The version that makes room.
struct Side {
    pods: Pods,
    goal: u32,
    grown: u32,
}

/// What the version that `leaves`, and the other one that is to have `stays` pods, get.
fn shrink(budget: Budget, leaves: &Side, other: Pods, stays: u32) -> (u32, u32) {
    let least = budget.least();
    let spare = leaves
        .pods
        .wanted
        .saturating_add(other.kept())
        .saturating_sub(least);
    if spare == 0 {
        return (leaves.grown, stays);
    }
    let left = if leaves.pods.wanted > leaves.goal {
        leaves.goal.max(leaves.pods.wanted.saturating_sub(spare))
    } else {
        leaves.grown
    };
    fit(budget, (leaves.pods, left), (other, stays))
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
