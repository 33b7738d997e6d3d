//! Services lead to a version by the hash in their selector.

use crds::status::{CanaryStatus, PingPongRole, RolloutStatus};
use serde_json::{Value, json};
use traffic::Weight;

use super::Write;
use super::names::{MANAGED_BY, POD_HASH};
use super::spec::{Canary, Pair, Strategy};
use super::work::Work;

/// The patch that has a Service lead to all pods again.
pub fn released() -> Value {
    json!({
        "metadata": {"annotations": {MANAGED_BY: null}},
        "spec": {"selector": {POD_HASH: null}},
    })
}

impl Work<'_> {
    /// The hash of the version that a Service leads to, as it was seen.
    pub(super) fn leads_to(&self, service: &str) -> Option<&str> {
        let service = self.world.services.get(service)?;
        service.selector.get(POD_HASH).map(String::as_str)
    }

    /// Makes a Service lead to the version with `hash`.
    pub(super) fn switch(&mut self, service: &str, hash: &str) {
        let Some(seen) = self.world.services.get(service) else {
            return;
        };
        let from = seen.selector.get(POD_HASH).cloned();
        let is_managed = seen.annotations.contains_key(MANAGED_BY);
        if from.as_deref() == Some(hash) && is_managed {
            return;
        }
        let mut patch = json!({"spec": {"selector": {POD_HASH: hash}}});
        if !is_managed {
            patch["metadata"] = json!({"annotations": {MANAGED_BY: self.name()}});
        }
        self.write(Write::PatchService {
            name: service.to_owned(),
            patch,
        });
        let from = from.unwrap_or_default();
        let message =
            format!("Switched selector for service '{service}' from '{from}' to '{hash}'");
        self.tell("SwitchService", message);
    }

    /// Services that the spec does not name any more lead to all pods again.
    pub(super) fn release_services(&mut self) {
        let named = super::services(&self.world.rollout);
        let services = self.world.services.iter();
        let left = services.filter(|(name, service)| {
            let manager = super::managed_by(&service.annotations);
            !named.contains(&name.as_str()) && manager == Some(self.name())
        });
        let left: Vec<String> = left.map(|(name, _)| name.clone()).collect();
        for name in left {
            let patch = released();
            self.write(Write::PatchService { name, patch });
        }
    }

    /// The Services of a canary, each to its version.
    pub(super) fn canary_services(&mut self, canary: &Canary<'_>) {
        if let Some(routing) = &canary.routing
            && routing.services.take_turns()
        {
            self.slots(routing.services.by(&self.status));
        }
        if let Some(stable) = self.stable {
            self.lead(canary.stable_service, stable);
        }
        let version = if self.is_aborted() {
            self.stable
        } else {
            self.new.filter(|_| self.is_canary_service_free(canary))
        };
        if let Some(version) = version {
            self.lead(canary.canary_service, version);
        }
    }

    /// Whether no proxy sends a version requests by the canary's Service, so that it may lead to another one. One that is late may
    /// still do so after a promotion, and would have no endpoints any more.
    fn is_canary_service_free(&self, canary: &Canary<'_>) -> bool {
        let leads_to = canary.canary_service.and_then(|name| self.leads_to(name));
        let traffic = &self.world.traffic;
        canary.routing.is_none()
            || traffic.proxies == 0
            || leads_to.is_none_or(|hash| {
                traffic.is_all(|split| split.canary != hash || split.weight == Weight::ZERO)
            })
    }

    /// The Services of `pingPong`. The canary's leads to the new version as soon as no proxy sends requests there, and most
    /// often before there is any pod, so that no proxy knows pods of an earlier version there when the canary gets its first
    /// requests. It is left where it is once the rollout is over: after a promotion the old version is there, after an abort
    /// the canary can be looked at.
    fn slots(&mut self, slots: Pair<'_>) {
        if let Some(stable) = self.stable {
            self.lead(Some(slots.stable), stable);
        }
        let is_over = self.status.stable_rs.is_none() || self.is_promoted() || self.is_aborted();
        let left = self.leads_to(slots.canary);
        let is_free =
            self.world.traffic.proxies == 0 || left.is_none_or(|hash| self.gets_none(hash));
        if !is_over && is_free && self.new.is_some() {
            let hash = self.hash.clone();
            self.switch(slots.canary, &hash);
        }
    }

    /// Which Service is stable's, in a status that says nothing else of the canary.
    pub(super) fn slots_kept(&self) -> Option<CanaryStatus> {
        let known = self.status.canary.as_ref()?;
        let role = known.stable_ping_pong.clone()?;
        Some(with_stable(role))
    }

    /// The Services of `pingPong` change sides.
    pub(super) fn swap_slots(&self, next: &mut RolloutStatus) {
        let Strategy::Canary(canary) = &self.spec.strategy else {
            return;
        };
        let routing = canary.routing.as_ref();
        if routing.is_some_and(|routing| routing.services.take_turns()) {
            let known = next.canary.as_ref();
            let was_ping = known.is_some_and(CanaryStatus::is_stable_ping);
            next.canary = Some(with_stable(match was_ping {
                true => PingPongRole::Pong,
                false => PingPongRole::Ping,
            }));
        }
    }

    /// Makes a Service lead to a set that can take its requests: with all its pods if the Service was nobody's so far,
    /// and with one pod at least.
    fn lead(&mut self, service: Option<&str>, index: usize) {
        let Some(service) = service else {
            return;
        };
        let set = &self.sets[index];
        let Some(hash) = set.hash().map(str::to_owned) else {
            return;
        };
        if self.leads_to(service) == Some(&hash) {
            return;
        }
        let seen = self.world.services.get(service);
        let is_managed = seen.is_some_and(|seen| seen.annotations.contains_key(MANAGED_BY));
        let is_whole = set.wanted > 0 && set.available == set.wanted;
        if set.available > 0 && (is_managed || is_whole) {
            self.switch(service, &hash);
        }
    }
}

/// The status of a canary that says only which Service is stable's.
fn with_stable(role: PingPongRole) -> CanaryStatus {
    CanaryStatus {
        stable_ping_pong: Some(role),
        ..CanaryStatus::default()
    }
}
