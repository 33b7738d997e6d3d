//! Which version the endpoints of a Rollout's Services are of. A Service's selector says what they are to be, and EndpointSlices
//! follow that late: until then there are pods of an earlier version, which may have ended, or be what was just convicted.
//! Pods have the name of their ReplicaSet, and that has the hash.

use super::endpoints::{self, Placed};
use crate::{
    fleet::{
        Seen,
        seen::{Endpoint, EndpointSlice, Service},
    },
    spec::ServiceSpec,
};
use std::sync::Arc;
use traffic::BackendId;

/// A Service of the Rollout `rollout`, with its endpoints.
#[derive(Clone, Copy, Debug)]
pub(super) struct Side<'s> {
    rollout: &'s str,
    service: &'s Service,
    slices: &'s [Arc<EndpointSlice>],
}

impl<'s> Side<'s> {
    /// The Service `id`, where there is one.
    pub(super) fn of(seen: &'s Seen, id: &BackendId, rollout: &'s str) -> Option<Self> {
        Some(Self {
            rollout,
            service: seen.services.get(id)?,
            slices: seen.slices.get(id).map_or(&[], Vec::as_slice),
        })
    }

    /// With the endpoints that are not known to be of another version than `hash`. Nothing where none of them is to get
    /// requests.
    pub(super) fn without_others(self, hash: &str) -> Option<ServiceSpec> {
        self.only(|found| found.is_none_or(|found| found == hash))
    }

    /// Whether it has endpoints, ready or not, and all of them are known to be of other versions than `hash`: they are about to
    /// become others.
    pub(super) fn has_only_others(self, hash: &str) -> bool {
        let mut all = self.slices.iter().flat_map(|slice| &slice.endpoints);
        let is_other = |endpoint: &Endpoint| {
            let found = self.version_at(endpoint);
            found.is_some_and(|found| found != hash)
        };
        let has_any = self.slices.iter().any(|slice| !slice.endpoints.is_empty());
        has_any && all.all(is_other)
    }

    /// With those of its endpoints that are known to be of `hash`. Nothing where there is none.
    pub(super) fn only_of(self, hash: &str) -> Option<ServiceSpec> {
        self.only(|found| found == Some(hash))
    }

    fn only(self, is_wanted: impl Fn(Option<&str>) -> bool) -> Option<ServiceSpec> {
        let is_wanted = |placed: &Placed<'_>| is_wanted(self.version_at(placed.endpoint));
        let spec = endpoints::those(self.service, self.slices, is_wanted);
        (!spec.endpoints.is_empty()).then_some(spec)
    }

    /// The version that an endpoint is of, where that can be told.
    fn version_at(&self, endpoint: &'s Endpoint) -> Option<&'s str> {
        version_of(endpoint.pod.as_deref()?, self.rollout)
    }
}

/// The version of a Rollout that a pod is of, by its hash; nothing where the pod's name does not tell. Long ones are cut.
fn version_of<'p>(pod: &'p str, rollout: &str) -> Option<&'p str> {
    let rest = pod.strip_prefix(rollout)?.strip_prefix('-')?;
    let (hash, own) = rest.split_once('-')?;
    let is_whole = !hash.is_empty() && !own.is_empty() && !own.contains('-');
    is_whole.then_some(hash)
}

#[cfg(test)]
mod tests {
    use super::version_of;

    #[test]
    fn names_of_pods_tell_their_version() {
        let check = |pod: &str, expected: Option<&str>| {
            assert_eq!(version_of(pod, "shop"), expected, "{pod}");
        };
        check("shop-5db5cdf9f-qgz85", Some("5db5cdf9f"));
        // Other Rollouts', whose names begin alike.
        check("shop-canary-5db5cdf9f-qgz85", None);
        check("shops-5db5cdf9f-qgz85", None);
        // Made by hand, or cut.
        check("shop", None);
        check("shop-0", None);
        check("shop-5db5cdf9f-", None);
        check("shop--qgz85", None);
        check("shop-5db5cqgz85", None);
    }
}
