//! Pods behind a router, which splits traffic whatever their numbers are.

use traffic::Weight;

use super::{Counts, Pods, part};

/// What a canary's pods follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// Its share of traffic, or `setCanaryScale.weight` in place of that.
    Weight(Weight),
    /// `setCanaryScale.replicas`.
    Pods(u32),
}

/// `dynamicStableScale`: stable's pods follow its traffic too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dynamic {
    /// The canary's weight that was last served, if one was.
    pub served: Option<Weight>,
    /// Whether the canary was aborted.
    pub aborted: bool,
}

/// A rollout behind a router.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Routed {
    /// `spec.replicas`.
    pub replicas: u32,
    /// `minPodsPerReplicaSet`: a version that has pods has as many, but never more than `replicas`. 0 is none.
    pub least_each: u32,
    /// `dynamicStableScale`, where it is on. Otherwise stable keeps all its pods, so that an abort waits for none.
    pub dynamic: Option<Dynamic>,
}

impl Routed {
    /// What both versions are to have while the canary's pods follow `scale`.
    ///
    /// Pods come before their traffic and go after it: a side that is to lose traffic keeps what it needs for the
    /// weight that is still served.
    pub fn counts(self, scale: Scale) -> Counts {
        let (canary, weight) = match scale {
            // What was asked for as a number is not made more, unless both sides change by themselves.
            Scale::Pods(pods) => (pods, Weight::ZERO),
            Scale::Weight(weight) => (self.at_least(part(self.replicas, weight)), weight),
        };
        let Some(dynamic) = self.dynamic else {
            return Counts {
                canary,
                stable: self.replicas,
            };
        };
        let needs = |weight| part(self.replicas, weight);
        let served = dynamic.served;
        let still = served.map_or(0, |canary| needs(canary.complement()));
        let drains = served.filter(|_| dynamic.aborted).map_or(0, needs);
        Counts {
            canary: self.at_least(canary.max(drains)),
            stable: self.at_least(needs(weight.complement()).max(still)),
        }
    }

    fn at_least(self, pods: u32) -> u32 {
        if pods == 0 {
            0
        } else {
            pods.max(self.least_each.min(self.replicas))
        }
    }
}

/// The weight of an aborted canary's pods with `dynamicStableScale`: it goes back by the weights of its steps, the last
/// one first, as stable's pods become available, so that stable does not need all of them at one moment. `steps` are the
/// weights in order. `kept` says that the canary keeps its pods for a time that was asked for, so that they say nothing
/// about how far it is.
///
/// This is about pods. An abort takes the traffic away at once where the proxy is ours.
pub fn stepped_back(
    replicas: u32,
    steps: &[Weight],
    canary: Pods,
    stable: Pods,
    kept: bool,
) -> Weight {
    let missing = replicas.saturating_sub(stable.available);
    let holds = if kept {
        missing
    } else {
        missing.max(canary.available)
    };
    let next = steps
        .iter()
        .rev()
        .find(|weight| part(replicas, **weight) < holds);
    next.copied().unwrap_or(Weight::ZERO)
}
