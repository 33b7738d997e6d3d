//! What is known of a cluster.

use super::objects::{Asking, Sliced};
use crate::{
    key::Key,
    mirror::{Change, Mirror},
    objects::Kind,
    view::index::Index,
};
use controller::{
    fleet::{Seen, Service},
    reconcile,
};
use std::{collections::HashMap, sync::Arc};
use traffic::BackendId;

/// All that is known.
#[derive(Debug, Default)]
pub(super) struct Known {
    rollouts: Mirror<Asking>,
    services: Mirror<Arc<Service>>,
    slices: Mirror<Sliced>,
    /// The EndpointSlices of each Service.
    of_service: Index<Key, Key>,
    /// The Rollouts that name each Service.
    naming: Index<Key, Key>,
}

/// A kind with a place in what is known.
pub(super) trait Noted: Kind {
    /// Where its objects are.
    fn mirror(known: &mut Known) -> &mut Mirror<Self>;

    /// Keeps the indexes true after `change`, and tells whether a table may differ now.
    fn index(known: &mut Known, change: &Change<Self>) -> bool;
}

impl Known {
    /// Whether all objects have been listed once. Before that, what is not known may be there.
    pub(super) fn is_complete(&self) -> bool {
        self.rollouts.is_complete() && self.services.is_complete() && self.slices.is_complete()
    }

    /// Keeps up with `changes` of a kind, and tells whether a table may differ now.
    pub(super) fn follow<K: Noted>(&mut self, changes: Vec<Change<K>>) -> bool {
        let mut is_news = false;
        for change in changes {
            is_news |= K::index(self, &change);
        }
        is_news
    }

    /// The Rollouts that can be read, with the Services that they name.
    pub(super) fn look(&self) -> Seen {
        let rollouts = self
            .rollouts
            .iter()
            .filter_map(|(_, held)| held.value.0.as_ref().ok());
        let mut seen = Seen {
            rollouts: rollouts.cloned().collect(),
            services: HashMap::new(),
            slices: HashMap::new(),
        };
        for key in self.naming.keys() {
            let id = BackendId {
                namespace: Arc::clone(&key.namespace),
                name: Arc::clone(&key.name),
            };
            let slices = self
                .of_service
                .get(key)
                .filter_map(|slice| self.slices.get(slice));
            let slices = slices.map(|held| Arc::clone(&held.value.slice));
            seen.slices.insert(id.clone(), slices.collect());
            if let Some(service) = self.services.get(key) {
                seen.services.insert(id, Arc::clone(&service.value));
            }
        }
        seen
    }

    fn is_named(&self, service: &Key) -> bool {
        self.naming.get(service).next().is_some()
    }
}

impl Noted for Asking {
    fn mirror(known: &mut Known) -> &mut Mirror<Self> {
        &mut known.rollouts
    }

    fn index(known: &mut Known, change: &Change<Self>) -> bool {
        let named = |rollout: &Option<Self>| {
            let rollout = rollout.as_ref().and_then(|asking| asking.0.as_ref().ok());
            let names = rollout.map_or_else(Vec::new, |rollout| reconcile::services(rollout));
            let names = names.into_iter().map(|name| change.key.beside(name));
            names.collect::<Vec<Key>>()
        };
        for service in named(&change.before) {
            known.naming.remove(&service, &change.key);
        }
        for service in named(&change.after) {
            known.naming.add(service, change.key.clone());
        }
        if let Some(Self(Err(why))) = &change.after {
            tracing::warn!(rollout = %change.key, "gets no requests, as it cannot be read: {why}");
        }
        true
    }
}

impl Noted for Arc<Service> {
    fn mirror(known: &mut Known) -> &mut Mirror<Self> {
        &mut known.services
    }

    fn index(known: &mut Known, change: &Change<Self>) -> bool {
        known.is_named(&change.key)
    }
}

impl Noted for Sliced {
    fn mirror(known: &mut Known) -> &mut Mirror<Self> {
        &mut known.slices
    }

    fn index(known: &mut Known, change: &Change<Self>) -> bool {
        let service = |slice: &Option<Self>| Some(change.key.beside(&slice.as_ref()?.service));
        let (before, after) = (service(&change.before), service(&change.after));
        if let Some(before) = &before {
            known.of_service.remove(before, &change.key);
        }
        if let Some(after) = &after {
            known.of_service.add(after.clone(), change.key.clone());
        }
        [before, after]
            .iter()
            .flatten()
            .any(|service| known.is_named(service))
    }
}

#[cfg(test)]
mod tests;
