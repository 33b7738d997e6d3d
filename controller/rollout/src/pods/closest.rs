//! Whole pods that come closest to a weight.

use std::cmp::Ordering;

use traffic::Weight;

use super::{Budget, Counts, part};

/// The counts whose ratio is closest to `weight`. They sum to `spec.replicas`, or to one more where that comes closer
/// and surging is allowed. A weight between none and all leaves neither version without a pod where two are to be had.
/// Of equally close ones, that with more canary pods and without the surge.
///
/// Argo Rollouts gives a canary no pod at all when its weight is as far from all pods as from all but one, and no surge
/// is allowed (75 % of two); here it gets all but one.
pub(super) fn closest(budget: Budget, weight: Weight) -> Counts {
    let replicas = budget.replicas();
    if replicas == 0 {
        return Counts::default();
    }
    let above = part(replicas, weight);
    let below = replicas - part(replicas, weight.complement());
    let one_sided =
        weight == Weight::ZERO || weight == Weight::FULL || (replicas == 1 && !budget.may_surge());

    let more = budget.may_surge().then(|| replicas.saturating_add(1));
    [Some(replicas), more]
        .into_iter()
        .flatten()
        .flat_map(|total| [(above, total), (below, total)])
        .filter(|(canary, total)| one_sided || (*canary > 0 && canary < total))
        .min_by(|a, b| nearer(weight, *a, *b))
        .map(|(canary, total)| Counts {
            canary,
            stable: total - canary,
        })
        // One pod that may not surge has a side of its own above, so there is always one.
        .unwrap_or(Counts {
            canary: below,
            stable: replicas - below,
        })
}

/// Compares how far two pairs of canary's and all pods are from `weight`, exactly.
fn nearer(weight: Weight, a: (u32, u32), b: (u32, u32)) -> Ordering {
    // |canary / total - weight / whole|, times total and whole.
    let distance = |(canary, total): (u32, u32)| {
        let whole = u128::from(Weight::FULL.basis_points());
        let has = u128::from(canary) * whole;
        let wants = u128::from(total) * u128::from(weight.basis_points());
        has.abs_diff(wants)
    };
    let (over_a, over_b) = (u128::from(a.1), u128::from(b.1));
    (distance(a) * over_b).cmp(&(distance(b) * over_a))
}
