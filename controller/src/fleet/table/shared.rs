//! How a Rollout's requests are shared, by its status.

use super::{
    asked::{Splitting, managed_routes},
    trial::Trial,
};
use crate::{compile::Shares, fleet::Split, spec::Fault};
use crds::{
    FieldPath, Rollout,
    status::{RolloutStatus, TrafficWeights, WeightDestination},
};
use rollout::{
    plan::{HeaderRoute, MirrorRoute, Revision},
    state::Slot,
};
use serde::Deserialize as _;
use serde_json::json;
use traffic::Weight;

/// The weight that stands for all requests.
const ALL: i64 = 100;

/// How requests are shared, and what is told of that: the split, once it is known which version is stable.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Shared {
    pub(super) shares: Shares,
    pub(super) split: Option<Split>,
    /// The canary that the status tries out, whether there are endpoints of it at the moment or not.
    pub(super) trial: Option<Trial>,
}

/// The slot of the stable version. It is known also where the rest of the status cannot be read: the other one may be that
/// of an old version.
pub(super) fn stable_slot(rollout: &Rollout, asked: &Splitting) -> Slot {
    let status = rollout.status.as_ref();
    let said = status.map(|status| &status["canary"]["stablePingPong"]);
    // `pongService` where nothing is said, as in Argo Rollouts (`trafficrouting.IsStablePing`).
    match asked.takes_turns && said != Some(&json!("ping")) {
        true => Slot::Second,
        false => Slot::First,
    }
}

/// How the requests of `rollout` are shared when the canary of a split `has_endpoints`, or has none. All of them go to stable as long
/// as the status does not say otherwise, and when the rollout is aborted.
pub(super) fn shared(
    rollout: &Rollout,
    asked: &Splitting,
    has_endpoints: impl FnOnce(&Split) -> bool,
    faults: &mut Vec<Fault>,
) -> Shared {
    let before = faults.len();
    let status = status(rollout, faults);
    // Weights of before a promotion are of slots that have changed sides since.
    let stated = stated(&status, faults)
        .filter(|split| !asked.takes_turns || status.stable_rs.as_ref() == Some(&split.stable));
    let routes = routes_in_effect(rollout, &status, faults);
    let may_reach_canary = asked.is_sound && faults.len() == before;
    let tried = stated
        .clone()
        .filter(|split| status.abort != Some(true) && split.canary != split.stable);
    let canary = tried
        .clone()
        .filter(|split| may_reach_canary && has_endpoints(split));
    let trial = tried.filter(|split| split.weight > Weight::ZERO);
    let split = canary.clone().or_else(|| all_to_stable(stated, status));
    let stable = split.as_ref().map_or("", |split| &split.stable);
    let (header_routes, mirror_routes) = match canary {
        Some(_) => routes,
        None => Default::default(),
    };
    Shared {
        shares: Shares {
            stable: stable_slot(rollout, asked),
            stable_revision: Revision::new(stable),
            weight: canary.as_ref().map_or(Weight::ZERO, |split| split.weight),
            header_routes,
            mirror_routes,
            canary: canary.map(|split| Revision::new(split.canary)),
            arming: None,
            rule: asked.rule,
        },
        split,
        trial: trial.map(|split| Trial::new(split.canary, split.weight, asked.tripping.clone())),
    }
}

/// What `status` says of versions, with all requests for stable; nothing before it says which version that is.
fn all_to_stable(stated: Option<Split>, status: RolloutStatus) -> Option<Split> {
    let current = status.current_pod_hash.filter(|hash| !hash.is_empty());
    let stable = stated.map(|split| split.stable);
    let stable = stable.or_else(|| status.stable_rs.filter(|hash| !hash.is_empty()));
    let stable = stable.or_else(|| current.clone())?;
    Some(Split {
        canary: current.unwrap_or_else(|| stable.clone()),
        stable,
        weight: Weight::ZERO,
    })
}

fn status(rollout: &Rollout, faults: &mut Vec<Fault>) -> RolloutStatus {
    let Some(written) = &rollout.status else {
        return RolloutStatus::default();
    };
    RolloutStatus::deserialize(written).unwrap_or_else(|error| {
        let why = format!("cannot be read, and all requests go to stable: {error}");
        faults.push((FieldPath::parse("status"), why));
        RolloutStatus::default()
    })
}

/// The split that the status asks for, if it asks for one that there can be.
fn stated(status: &RolloutStatus, faults: &mut Vec<Fault>) -> Option<Split> {
    let weights = status.canary.as_ref()?.weights.as_ref()?;
    let at = FieldPath::parse("status.canary.weights");
    let Some(weight) = weight(weights) else {
        let (canary, stable) = (weights.canary.weight, weights.stable.weight);
        let found = format!("found {canary} for the canary and {stable} for stable");
        let allowed = format!("allowed are parts of {ALL} that are all of it together");
        faults.push((at, format!("{found}, {allowed}; all requests go to stable")));
        return None;
    };
    let hash = |side: &WeightDestination| {
        let hash = side.pod_template_hash.clone();
        hash.filter(|hash| !hash.is_empty())
    };
    let (stable, canary) = (hash(&weights.stable), hash(&weights.canary));
    let (Some(stable), Some(canary)) = (stable, canary) else {
        let needs = "needs podTemplateHash of both versions; all requests go to stable";
        faults.push((at, needs.to_owned()));
        return None;
    };
    Some(Split {
        stable,
        canary,
        weight,
    })
}

/// The canary's part. That of versions which are neither, in an experiment, is stable's here.
fn weight(weights: &TrafficWeights) -> Option<Weight> {
    let parts = [&weights.canary, &weights.stable];
    let parts = parts.into_iter().chain(&weights.additional);
    let parts: Vec<i64> = parts.map(|part| part.weight.into()).collect();
    let is_whole = parts.iter().all(|part| *part >= 0) && parts.iter().sum::<i64>() == ALL;
    let percent = weights.canary.weight.try_into().ok();
    percent.filter(|_| is_whole).and_then(Weight::from_percent)
}

/// The routes of the steps that are passed, as long as there are steps to come.
fn routes_in_effect(
    rollout: &Rollout,
    status: &RolloutStatus,
    faults: &mut Vec<Fault>,
) -> (Vec<HeaderRoute>, Vec<MirrorRoute>) {
    let canary = rollout
        .spec
        .strategy
        .as_ref()
        .and_then(|s| s.canary.as_ref());
    let index = status
        .current_step_index
        .and_then(|index| usize::try_from(index).ok());
    match (canary, index) {
        (Some(canary), Some(index)) if index < canary.steps.len() => {
            managed_routes(canary, index, faults)
        }
        _ => Default::default(),
    }
}

#[cfg(test)]
mod tests;
