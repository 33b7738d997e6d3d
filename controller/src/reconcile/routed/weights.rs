//! `status.canary.weights`: what the proxies are to serve.

use crds::status::{CanaryStatus, RolloutStatus, TrafficWeights, WeightDestination};
use rollout::pods::is_available;
use traffic::Weight;

use crate::fleet::Split;
use crate::reconcile::spec::{Canary, Pair, Routing};
use crate::reconcile::status::is_complete;
use crate::reconcile::work::Work;

impl Work<'_> {
    /// Writes into `next` what the proxies are to serve, and what is kept of the canary beside it.
    pub(in crate::reconcile) fn weigh(&mut self, next: &mut RolloutStatus) {
        let Some((_, routing)) = self.routed() else {
            return;
        };
        let known = self.status.canary.as_ref();
        let known = known.and_then(|known| known.weights.clone());
        let wanted = match self.has_swapped(routing, next) {
            true => known.as_ref().map(|_| all_to(&self.hash)),
            false => self.wanted_split(),
        };
        let verified = wanted.as_ref().map(|wanted| self.is_served(wanted));
        let services = routing.services.by(next);
        let weights = wanted.map(|wanted| written(&wanted, services, verified));
        let weight = |weights: &TrafficWeights| weights.canary.weight;
        let told = match (known.as_ref().map(weight), weights.as_ref().map(weight)) {
            (None, Some(to)) => Some(format!("to {to}")),
            (Some(from), Some(to)) if from != to => Some(format!("from {from} to {to}")),
            _ => None,
        };
        let step_plugin_statuses = self.plugin_statuses(next);
        let slots = next.canary.take();
        let stable_ping_pong = slots.and_then(|slots| slots.stable_ping_pong);
        next.canary = Some(CanaryStatus {
            weights,
            stable_ping_pong,
            step_plugin_statuses,
            ..CanaryStatus::default()
        });
        if let Some(change) = told {
            let message = format!("Traffic weight updated {change}");
            self.tell("TrafficWeightUpdated", message);
        }
    }

    /// Whether a canary whose Service takes turns with stable's becomes stable by `next`. Its Service does with it, so that
    /// its weights are to be those of the stable version in the same write.
    fn has_swapped(&self, routing: &Routing<'_>, next: &RolloutStatus) -> bool {
        let was = self.status.stable_rs.as_ref();
        routing.services.take_turns() && was != Some(&self.hash) && is_complete(next)
    }

    /// Whether all proxies serve `wanted`.
    pub(super) fn is_served(&self, wanted: &Split) -> bool {
        let traffic = &self.world.traffic;
        traffic.proxies > 0 && traffic.serving() == Some(wanted)
    }

    /// The canary's weight by the status; none where that is about another canary.
    pub(super) fn held_weight(&self) -> Weight {
        let split = self.split().filter(|split| split.canary == self.hash);
        split.map_or(Weight::ZERO, |split| split.weight)
    }

    /// What the proxies are to serve now; nothing as long as there is no stable version.
    pub(super) fn wanted_split(&self) -> Option<Split> {
        let (canary, routing) = self.routed()?;
        let stable = self.status.stable_rs.clone()?;
        let services = routing.services.by(&self.status);
        if stable != self.hash {
            let leads = self.leads_to(services.canary) == Some(&self.hash);
            if routing.services.take_turns() && !leads {
                // There may be pods of an earlier version, to which no rule is to send anybody.
                return Some(all_to(&stable));
            }
            return Some(Split {
                stable,
                canary: self.hash.clone(),
                weight: self.canary_weight(canary, routing),
            });
        }
        let known = self.split();
        // A version that was promoted keeps the canary's way until the stable Service leads to it. One that was stable all
        // the time gets everything back at once.
        let is_back = known.as_ref().is_some_and(|known| known.stable == stable);
        if is_back || self.leads_to(services.stable) == Some(&self.hash) {
            Some(all_to(&stable))
        } else {
            known
        }
    }

    /// The weight of a canary beside another version.
    fn canary_weight(&self, canary: &Canary<'_>, routing: &Routing<'_>) -> Weight {
        let held = self.held_weight();
        let available = self.new_set().map_or(0, |set| set.available);
        let leads = self.leads_to(routing.services.by(&self.status).canary) == Some(&self.hash);
        if self.is_aborted() || available == 0 || !leads {
            return Weight::ZERO;
        }
        if self.has_changed(canary) || self.is_halted() {
            return held;
        }
        if self.status.promote_full == Some(true) {
            let share = per_cent(u64::from(available), u64::from(self.spec.replicas));
            return if routing.is_dynamic {
                held.max(share)
            } else {
                held
            };
        }
        let target = self.weight(canary);
        let may_change = if target > held {
            self.may_rise(canary, routing, target)
        } else {
            self.may_fall(canary, target)
        };
        if may_change { target } else { held }
    }

    /// Whether the canary may get more: it has its pods for that, and nothing holds it. A hold lets a canary have its first
    /// traffic, as it may be the cure of what stable suffers from.
    fn may_rise(&self, canary: &Canary<'_>, routing: &Routing<'_>, target: Weight) -> bool {
        let begins = self.held_weight() == Weight::ZERO && !canary.steps.is_empty();
        let is_held = self.hold(routing).is_some() && !begins;
        let wanted = self.routed_counts(canary, routing, target).canary;
        let pods = self.new_set().map(crate::reconcile::ReplicaSet::pods);
        let has_pods = pods.is_some_and(|pods| {
            pods.available >= wanted || is_available(canary.threshold, pods, wanted)
        });
        !is_held && has_pods
    }

    /// Whether stable has its pods for what the canary is to lose by its steps.
    fn may_fall(&self, canary: &Canary<'_>, target: Weight) -> bool {
        let share = u64::from(target.complement().basis_points());
        let whole = u64::from(Weight::FULL.basis_points());
        let wanted = u64::from(self.spec.replicas) * share / whole;
        let wanted = u32::try_from(wanted).unwrap_or(self.spec.replicas);
        self.stable_set().is_some_and(|stable| {
            stable.available >= wanted || is_available(canary.threshold, stable.pods(), wanted)
        })
    }
}

/// `part` of `whole` in whole per cent, rounded down; all where there is no whole.
fn per_cent(part: u64, whole: u64) -> Weight {
    let percent = (part * 100).checked_div(whole).unwrap_or(100).min(100);
    let percent = u8::try_from(percent).ok();
    percent
        .and_then(Weight::from_percent)
        .unwrap_or(Weight::FULL)
}

/// The split that a status holds; nothing where it is not whole.
pub(super) fn split(status: &RolloutStatus) -> Option<Split> {
    let weights = status.canary.as_ref()?.weights.as_ref()?;
    let percent = u8::try_from(weights.canary.weight).ok()?;
    Some(Split {
        stable: weights.stable.pod_template_hash.clone()?,
        canary: weights.canary.pod_template_hash.clone()?,
        weight: Weight::from_percent(percent)?,
    })
}

/// The split of a Rollout whose only version is `stable`.
fn all_to(stable: &str) -> Split {
    Split {
        stable: stable.to_owned(),
        canary: stable.to_owned(),
        weight: Weight::ZERO,
    }
}

/// `split` between `services` as the status has it. Weights are whole per cent, as that is what steps are written in.
fn written(split: &Split, services: Pair<'_>, verified: Option<bool>) -> TrafficWeights {
    let percent = |weight: Weight| i32::from(weight.basis_points() / 100);
    let destination = |weight, service: &str, hash: &str| WeightDestination {
        weight: percent(weight),
        service_name: Some(service.to_owned()),
        pod_template_hash: Some(hash.to_owned()),
    };
    TrafficWeights {
        canary: destination(split.weight, services.canary, &split.canary),
        stable: destination(split.weight.complement(), services.stable, &split.stable),
        additional: Vec::new(),
        verified,
    }
}
