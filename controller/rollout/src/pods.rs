//! How many pods each version is to have, where versions are ReplicaSets of Kubernetes.
//!
//! Without a router, pods are the traffic: [`beside`] gives each version its share of them, within what may be
//! missing and what may be too many while they change. Behind a router, stable keeps its pods and [`Routed`] says what
//! the canary's traffic needs. The numbers are those of Argo Rollouts (`utils/replicaset/canary.go`), so that a
//! rollout that is taken over moves no pod; `tests/replica-counts` holds what it computes.
//!
//! All functions are pure and total. Applied again and again to what they asked for, they come to rest.

mod budget;
mod closest;
mod older;
mod progress;
mod ratio;
mod routed;

pub use budget::{Amount, Budget};
pub use older::retire;
pub use progress::{Threshold, is_available};
pub use ratio::{alone, beside};
pub use routed::{Dynamic, Routed, Scale, stepped_back};

use traffic::Weight;

/// The pods of one version, as its ReplicaSet tells of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pods {
    /// `spec.replicas`: how many it is to have.
    pub wanted: u32,
    /// `status.availableReplicas`: how many have been ready for long enough.
    pub available: u32,
}

impl Pods {
    /// Those that are available and will be kept. Fewer than are available, for as long as the ReplicaSet's controller has
    /// not done what its `replicas` ask for, or has not told of it.
    pub fn kept(self) -> u32 {
        self.available.min(self.wanted)
    }
}

/// How many pods each version is to have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// The canary.
    pub canary: u32,
    /// The stable version.
    pub stable: u32,
}

/// A weight's part of `replicas`, rounded up: what has traffic has a pod.
fn part(replicas: u32, weight: Weight) -> u32 {
    let whole = u64::from(Weight::FULL.basis_points());
    let part = (u64::from(replicas) * u64::from(weight.basis_points())).div_ceil(whole);
    // At most `replicas`, as a weight is at most the whole.
    u32::try_from(part).unwrap_or(replicas)
}

#[cfg(test)]
mod tests;
