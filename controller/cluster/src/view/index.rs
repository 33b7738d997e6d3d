//! Which values belong to a key.

use std::{
    collections::{BTreeSet, HashMap},
    hash::Hash,
};

/// Sets of values by key. Keys without values take no room.
#[derive(Debug)]
pub(crate) struct Index<K, V>(HashMap<K, BTreeSet<V>>);

impl<K, V> Default for Index<K, V> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<K: Eq + Hash, V: Ord> Index<K, V> {
    pub(crate) fn add(&mut self, key: K, value: V) {
        self.0.entry(key).or_default().insert(value);
    }

    pub(crate) fn remove(&mut self, key: &K, value: &V) {
        let Some(values) = self.0.get_mut(key) else {
            return;
        };
        values.remove(value);
        if values.is_empty() {
            self.0.remove(key);
        }
    }

    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All keys.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &K> {
        self.0.keys()
    }

    /// The values of `key`, in their order.
    pub(crate) fn get(&self, key: &K) -> impl Iterator<Item = &V> {
        self.0.get(key).into_iter().flatten()
    }
}
