//! The pods of versions whose traffic the proxies split. They come before their traffic and go after it.

use std::time::Duration;

use rollout::pods::{Counts, Dynamic, Pods, Routed, Scale as By, is_available};
use traffic::Weight;

use crate::reconcile::spec::{Abort, Canary, Routing, Scale};
use crate::reconcile::work::Work;

/// How long a version keeps its pods where nobody can tell whether a proxy still sends it requests: much longer than proxies
/// take to serve another split.
const UNSEEN: Duration = Duration::from_secs(30);

impl Work<'_> {
    /// Scales the sets, stable before the canary and that before the others. Whether something was scaled.
    pub(in crate::reconcile) fn routed_sets(
        &mut self,
        canary: &Canary<'_>,
        routing: &Routing<'_>,
    ) -> bool {
        let counts = self.routed_counts(canary, routing, self.weight(canary));
        if let Some(stable) = self.stable_beside() {
            let has = self.sets[stable].wanted.min(self.spec.replicas);
            // Past the steps, the way back stays open until the canary is promoted.
            let is_past = self.status.promote_full != Some(true)
                && self
                    .step_index()
                    .is_none_or(|index| index >= canary.steps.len());
            let least = if is_past { has } else { 0 };
            let wanted = self.unless_in_use(stable, counts.stable.max(least));
            if self.scale(stable, wanted) {
                return true;
            }
        }
        if let Some(new) = self.new {
            let before = self.sets[new].wanted;
            let scaled = self.scale_routed_canary(canary, routing, new, counts.canary);
            self.replace_workload(self.sets[new].wanted < before);
            if scaled {
                return true;
            }
        }
        self.retire_routed(canary, routing)
    }

    /// How many pods the two versions are to have while the canary has `weight`.
    pub(super) fn routed_counts(
        &self,
        canary: &Canary<'_>,
        routing: &Routing<'_>,
        weight: Weight,
    ) -> Counts {
        let index = self
            .step_index()
            .filter(|index| *index < canary.steps.len());
        let is_whole = self.status.promote_full == Some(true) || self.stable_beside().is_none();
        let scale = match index.map(|index| canary.scale_at(index)) {
            _ if is_whole => By::Weight(Weight::FULL),
            _ if self.is_aborted() => By::Weight(weight),
            Some(Scale::Pods(pods)) => By::Pods(pods),
            Some(Scale::Weight(percent)) => {
                By::Weight(Weight::from_percent(percent).unwrap_or(weight))
            }
            Some(Scale::Traffic) | None => By::Weight(weight),
        };
        let dynamic = Dynamic {
            served: self.split().map(|_| self.held_weight()),
            aborted: self.is_aborted(),
        };
        let routed = Routed {
            replicas: self.spec.replicas,
            least_each: routing.least_each,
            dynamic: routing.is_dynamic.then_some(dynamic),
        };
        let mut counts = routed.counts(scale);
        if self.stable_beside().is_some() && self.scales_by_traffic(canary) {
            // What the canary loses it has still to serve.
            let held = routed.counts(By::Weight(self.held_weight()));
            counts.canary = counts.canary.max(held.canary);
        }
        counts
    }

    fn scales_by_traffic(&self, canary: &Canary<'_>) -> bool {
        let index = self
            .step_index()
            .filter(|index| *index < canary.steps.len());
        index.is_none_or(|index| canary.scale_at(index) == Scale::Traffic)
    }

    fn scale_routed_canary(
        &mut self,
        canary: &Canary<'_>,
        routing: &Routing<'_>,
        new: usize,
        wanted: u32,
    ) -> bool {
        let stays = self.sets[new].wanted;
        if self.stable_beside().is_none() {
            return self.scale(new, wanted);
        }
        if !self.is_aborted() {
            let wanted = if self.scales_by_traffic(canary) {
                self.unless_in_use(new, wanted)
            } else {
                wanted
            };
            return self.scale(new, wanted);
        }
        match routing.abort {
            Abort::Never => self.scale(new, stays),
            Abort::WithTraffic if self.is_idle(new) => self.scale(new, wanted),
            _ if self.outlives_its_delay(new) => self.scale(new, stays),
            Abort::After(delay) => self.retire_aborted(new, delay),
            Abort::WithTraffic => self.retire_aborted(new, UNSEEN),
        }
    }

    /// `wanted`, or what the set has as long as it may get requests for all of that. A smaller Rollout is never waited with.
    fn unless_in_use(&self, index: usize, wanted: u32) -> u32 {
        let has = self.sets[index].wanted.min(self.spec.replicas);
        let serving = self.world.traffic.serving();
        let is_as_written = serving.is_some() && serving == self.split().as_ref();
        if is_as_written {
            wanted
        } else {
            wanted.max(has)
        }
    }

    /// Whether a set has its pods beyond its delay, as some proxy that is live may still send them requests: one that is cut off
    /// from the API server goes on as it was told last.
    fn outlives_its_delay(&self, index: usize) -> bool {
        let deadline = self.sets[index].deadline();
        let is_over = deadline.is_some_and(|deadline| deadline <= self.now);
        is_over && self.world.traffic.proxies > 0 && !self.is_idle(index)
    }

    /// Whether all proxies are known to send a set nothing.
    fn is_idle(&self, index: usize) -> bool {
        self.gets_none(self.sets[index].hash().unwrap_or_default())
    }

    /// Whether all proxies are known to send no requests to the version with `hash`.
    pub(in crate::reconcile) fn gets_none(&self, hash: &str) -> bool {
        self.world.traffic.is_all(|split| {
            let gets_canary = hash == split.canary && split.weight > Weight::ZERO;
            let gets_stable = hash == split.stable && split.weight < Weight::FULL;
            !gets_canary && !gets_stable
        })
    }

    /// Scales down the versions that are neither stable nor wanted. What was stable keeps its pods for a time, so that the
    /// way back is short; what never was goes when no proxy sends it anything.
    fn retire_routed(&mut self, canary: &Canary<'_>, routing: &Routing<'_>) -> bool {
        let mut others = self.others();
        others.sort_by_key(|index| std::cmp::Reverse(self.sets[*index].revision()));
        let mut waiting = 0;
        let mut scaled = false;
        for index in others {
            let set = &self.sets[index];
            let kept = set.wanted;
            if kept == 0 || self.gets_requests(canary, routing, set.hash()) {
                continue;
            }
            let waits = self.is_promoted() || set.deadline().is_some();
            let mut delay = Duration::ZERO;
            if waits && !routing.is_dynamic {
                waiting += 1;
                if waiting <= routing.delayed {
                    delay = routing.scale_down_delay;
                }
            }
            if self.outlives_its_delay(index) {
                scaled |= self.scale(index, kept);
            } else if !delay.is_zero() {
                scaled |= self.retire_in(index, delay, kept);
            } else if self.is_idle(index) {
                scaled |= self.scale(index, 0);
            } else if self.world.traffic.proxies == 0 {
                scaled |= self.retire_in(index, UNSEEN, kept);
            }
        }
        scaled
    }

    /// Whether the weights or a Service lead to the version with `hash`. What the canary's Service of `pingPong` leads to
    /// is for who looks at it, and holds no pods.
    fn gets_requests(
        &self,
        canary: &Canary<'_>,
        routing: &Routing<'_>,
        hash: Option<&str>,
    ) -> bool {
        let split = self.split();
        let leads_to = |service: Option<&str>| service.and_then(|service| self.leads_to(service));
        let known = [
            self.status.stable_rs.as_deref(),
            self.status.current_pod_hash.as_deref(),
            split.as_ref().map(|split| split.stable.as_str()),
            split.as_ref().map(|split| split.canary.as_str()),
            self.leads_to(routing.services.by(&self.status).stable),
            leads_to(canary.stable_service),
            leads_to(canary.canary_service),
        ];
        hash.is_some() && known.contains(&hash)
    }

    /// Whether pods are as the present step asks. With `dynamicStableScale` stable's follow later.
    pub(super) fn has_routed_pods(&self, canary: &Canary<'_>, routing: &Routing<'_>) -> bool {
        let counts = self.routed_counts(canary, routing, self.weight(canary));
        let new = self.new_set().map_or_else(Pods::default, |set| set.pods());
        let stable = self.stable_set();
        is_available(canary.threshold, new, counts.canary)
            && (routing.is_dynamic
                || stable.is_some_and(|set| {
                    set.wanted == counts.stable && set.replicas == counts.stable
                }))
    }
}
