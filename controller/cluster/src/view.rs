//! What is known of a cluster, with look-ups by what belongs together: no question goes through all of a namespace.

pub(crate) mod index;
#[cfg(test)]
mod tests;

use crate::{
    key::Key,
    mirror::{Change, Held, Mirror, Source},
    objects::{Kind, Owned, Packed, Read, Seen, Workload, WorkloadKind},
};
use controller::reconcile::{self, ReplicaSet, Service, World};
use index::Index;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

/// All that is known.
#[derive(Debug, Default)]
pub(crate) struct View {
    rollouts: Mirror<Read>,
    replica_sets: Mirror<Owned>,
    services: Mirror<Arc<Service>>,
    /// The ReplicaSets of each Rollout, by its identity.
    owned: Index<Arc<str>, Key>,
    /// The Rollouts that name each Service.
    naming: Index<Key, Key>,
    /// The Services that say which Rollout they are of, by that.
    managed: Index<Key, Key>,
    /// The Rollouts that take their template from each workload.
    sources: Index<(WorkloadKind, Key), Key>,
    /// The kinds of these workloads, also of those that no Rollout refers to any more.
    source_kinds: BTreeSet<WorkloadKind>,
    /// The Rollouts whose requests proxies split, in the order of their names.
    splits: BTreeSet<Key>,
}

/// A Rollout with the objects around it, and in which states they were seen.
#[derive(Clone, Debug)]
pub(crate) struct Scene {
    /// What a turn is about.
    pub(crate) world: World,
    /// The Rollout's state.
    pub(crate) rollout: State,
    /// The states of its ReplicaSets, by name.
    pub(crate) replica_sets: HashMap<String, State>,
    /// The states of its Services, by name.
    pub(crate) services: HashMap<String, State>,
    /// The workload that its template is taken from, once it was read.
    pub(crate) workload: Option<Workload>,
}

/// Which object, and in which state it was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct State {
    /// Its identity.
    pub(crate) uid: Arc<str>,
    /// Its version.
    pub(crate) version: u64,
}

impl State {
    fn of<T>(held: &Held<T>) -> Self {
        Self {
            uid: Arc::clone(&held.uid),
            version: held.version,
        }
    }
}

/// A kind with a place in the view.
pub(crate) trait Viewed: Kind {
    /// Where its objects are.
    fn mirror(view: &mut View) -> &mut Mirror<Self>;

    /// Keeps the indexes true after `change`, and returns the Rollouts whose turn may differ now.
    fn index(view: &mut View, change: &Change<Self>) -> Vec<Key>;
}

impl View {
    /// Whether all objects have been listed once. Before that, what is not known may be there.
    pub(crate) fn is_complete(&self) -> bool {
        self.rollouts.is_complete()
            && self.replica_sets.is_complete()
            && self.services.is_complete()
    }

    /// Keeps up with `changes` of a kind. Returns the Rollouts whose turn may differ now.
    pub(crate) fn follow<K: Viewed>(
        &mut self,
        changes: impl IntoIterator<Item = Change<K>>,
    ) -> Vec<Key> {
        let changes = changes.into_iter();
        changes.flat_map(|change| K::index(self, &change)).collect()
    }

    /// An object was seen. Returns the Rollouts whose turn may differ now.
    pub(crate) fn see<K: Viewed>(&mut self, seen: Seen<K>, source: Source) -> Vec<Key> {
        let change = K::mirror(self).see(seen, source);
        self.follow(change)
    }

    /// An object is gone, or is none that is looked at any more. Returns the Rollouts whose turn may differ now.
    pub(crate) fn gone<K: Viewed>(&mut self, seen: &Seen<()>) -> Vec<Key> {
        let change = K::mirror(self).gone(seen);
        self.follow(change)
    }

    /// An object was deleted here, or was found to be so. Returns the Rollouts whose turn may differ now.
    pub(crate) fn deleted<K: Viewed>(&mut self, key: &Key, uid: &Arc<str>) -> Vec<Key> {
        let change = K::mirror(self).deleted(key, uid);
        self.follow(change)
    }

    /// A Rollout with the objects around it; none when it is not there, cannot be read, or is being deleted, as what it
    /// controls is deleted with it by others.
    pub(crate) fn scene(&self, key: &Key) -> Option<Scene> {
        let held = self.rollouts.get(key)?;
        let packed = held.value.as_ref().ok()?;
        if packed.facts().is_going {
            return None;
        }
        let rollout = packed.unpack()?;
        let owned = self.owned.get(&held.uid);
        let owned = owned.filter_map(|key| self.replica_sets.get(key));
        let (states, replica_sets): (_, Vec<Arc<ReplicaSet>>) = owned
            .map(|held| {
                let replica_set = &held.value.replica_set;
                let state = (replica_set.name.clone(), State::of(held));
                (state, Arc::clone(replica_set))
            })
            .unzip();
        let named = packed.facts().services.iter();
        let named = named.map(|name| key.beside(name));
        let named = named.chain(self.managed.get(key).cloned());
        let named = named.filter_map(|key| Some((key.name.to_string(), self.services.get(&key)?)));
        let mut services = BTreeMap::new();
        let mut service_states = HashMap::new();
        for (name, held) in named {
            service_states.insert(name.clone(), State::of(held));
            services.insert(name, Arc::clone(&held.value));
        }
        Some(Scene {
            world: World {
                rollout: Arc::new(rollout),
                replica_sets,
                services,
                workload: None,
                pods: None,
                likeness: None,
                traffic: reconcile::Traffic::default(),
            },
            rollout: State::of(held),
            replica_sets: states,
            services: service_states,
            workload: None,
        })
    }

    /// The Services that say they are of a Rollout which is not there, as far as is known here.
    pub(crate) fn left_behind(&self, rollout: &Key) -> Vec<(Key, State)> {
        if self.rollouts.get(rollout).is_some() {
            return Vec::new();
        }
        let services = self.managed.get(rollout);
        let services = services.filter_map(|key| Some((key, self.services.get(key)?)));
        services
            .map(|(key, held)| (key.clone(), State::of(held)))
            .collect()
    }

    /// The Rollouts that take their template from a workload.
    pub(crate) fn taking_from(&self, source: WorkloadKind, key: &Key) -> Vec<Key> {
        let source = (source, key.clone());
        self.sources.get(&source).cloned().collect()
    }

    /// The kinds of workloads that some Rollout takes its template from, or has taken it from.
    pub(crate) fn source_kinds(&self) -> &BTreeSet<WorkloadKind> {
        &self.source_kinds
    }

    /// The Rollouts whose requests proxies split, in the order of their names.
    pub(crate) fn splits(&self) -> impl Iterator<Item = &Key> {
        self.splits.iter()
    }

    /// One of these, with its identity and in which state it was seen.
    pub(crate) fn split(&self, key: &Key) -> Option<(&Arc<str>, u64, &Packed)> {
        let held = self
            .rollouts
            .get(key)
            .filter(|_| self.splits.contains(key))?;
        Some((&held.uid, held.version, held.value.as_ref().ok()?))
    }

    /// All Rollouts that can be read.
    pub(crate) fn rollouts(&self) -> impl Iterator<Item = (&Key, &Packed)> {
        self.rollouts
            .iter()
            .filter_map(|(key, held)| Some((key, held.value.as_ref().ok()?)))
    }
}

impl Viewed for Read {
    fn mirror(view: &mut View) -> &mut Mirror<Self> {
        &mut view.rollouts
    }

    fn index(view: &mut View, change: &Change<Self>) -> Vec<Key> {
        let key = &change.key;
        if let Some(Ok(before)) = &change.before {
            let before = before.facts();
            if let Some(source) = before.source(key) {
                view.sources.remove(&source, key);
            }
            for service in &before.services {
                view.naming.remove(&key.beside(service), key);
            }
        }
        let after = change.after.as_ref().and_then(|read| read.as_ref().ok());
        let after = after.map(Packed::facts);
        match after.is_some_and(|after| after.is_split) {
            true => view.splits.insert(key.clone()),
            false => view.splits.remove(key),
        };
        if let Some(after) = after {
            if let Some(source) = after.source(key) {
                view.source_kinds.insert(source.0);
                view.sources.add(source, key.clone());
            }
            for service in &after.services {
                view.naming.add(key.beside(service), key.clone());
            }
        }
        if let Some(Err(why)) = &change.after {
            tracing::warn!(rollout = %key, "is left alone, as it cannot be read: {why}");
        }
        vec![key.clone()]
    }
}

impl Viewed for Owned {
    fn mirror(view: &mut View) -> &mut Mirror<Self> {
        &mut view.replica_sets
    }

    fn index(view: &mut View, change: &Change<Self>) -> Vec<Key> {
        let mut owners = Vec::new();
        if let Some(before) = &change.before {
            view.owned.remove(&before.owner_uid, &change.key);
            owners.push(change.key.beside(&before.owner));
        }
        if let Some(after) = &change.after {
            view.owned
                .add(Arc::clone(&after.owner_uid), change.key.clone());
            owners.push(change.key.beside(&after.owner));
        }
        owners.dedup();
        owners
    }
}

impl Viewed for Arc<Service> {
    fn mirror(view: &mut View) -> &mut Mirror<Self> {
        &mut view.services
    }

    fn index(view: &mut View, change: &Change<Self>) -> Vec<Key> {
        let manager = |service: &Option<Self>| {
            let name = reconcile::managed_by(&service.as_ref()?.annotations)?;
            Some(change.key.beside(name))
        };
        let (before, after) = (manager(&change.before), manager(&change.after));
        if let Some(manager) = &before {
            view.managed.remove(manager, &change.key);
        }
        if let Some(manager) = &after {
            view.managed.add(manager.clone(), change.key.clone());
        }
        let mut due: Vec<Key> = view.naming.get(&change.key).cloned().collect();
        due.extend(after.filter(|manager| !due.contains(manager)));
        due
    }
}
