//! What an earlier outline knew of a stable version that no EndpointSlice names at the moment.
//!
//! After a promotion a version's pods are the canary Service's, until the EndpointSlices of the stable Service follow. Where they
//! take longer than the next canary takes to come, the canary Service has that one's pods already and the stable Service those of the
//! version before, which may have ended.

use super::{Outline, Outlined};
use crate::spec::ServiceSpec;
use traffic::RolloutId;

impl Outline {
    /// Has stable versions whose endpoints are lost get their requests where `older` had them get them.
    pub(in crate::fleet) fn remember(&mut self, older: &Self) {
        for (id, outlined) in &mut self.rollouts {
            if outlined.is_stable_lost
                && let Some(split) = &outlined.shared.split
                && let Some(found) = older.endpoints_of(id, &split.stable)
            {
                let stable = outlined.stable().clone();
                self.services.insert(stable, found.clone());
                outlined.is_stable_lost = false;
            }
        }
    }

    /// The Service, with its endpoints, that has the version `hash` of the Rollout `id`.
    fn endpoints_of(&self, id: &RolloutId, hash: &str) -> Option<&ServiceSpec> {
        let outlined = self.rollouts.get(id)?;
        let Outlined { shared, .. } = outlined;
        let split = shared.split.as_ref()?;
        let service = if split.stable == hash && !outlined.is_stable_lost {
            outlined.stable()
        } else if split.canary == hash && shared.shares.canary.is_some() {
            outlined.canary()
        } else {
            return None;
        };
        let found = self.services.get(service);
        found.filter(|found| !found.endpoints.is_empty())
    }
}
