//! The last known state of all objects of a kind, from what a watch and the answers to writes tell, in whatever order.
//!
//! What is older than what is known changes nothing. Versions grow with every write, over all objects of a kind, and
//! identities are never given twice.

#[cfg(test)]
mod tests;

use crate::{key::Key, objects::Seen};
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

/// All objects of a kind.
#[derive(Debug)]
pub(crate) struct Mirror<T> {
    objects: HashMap<Key, Held<T>>,
    /// Identities of objects that were deleted here, of which the watch may still tell older news.
    deleted: HashSet<Arc<str>>,
    /// While all of them are listed: those that are there.
    listed: Option<HashSet<Key>>,
    is_complete: bool,
    /// The version of the last news of the watch, which tells all of it in the order of versions.
    watched: u64,
}

/// Who tells of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// A list of all objects.
    List,
    /// The watch.
    Watch,
    /// The answer to a request of our own.
    Answer,
}

/// The last known state of an object.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Held<T> {
    /// Its identity.
    pub(crate) uid: Arc<str>,
    /// Which state.
    pub(crate) version: u64,
    /// What is kept of it.
    pub(crate) value: T,
}

/// What a piece of news changed.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Change<T> {
    /// Of which object.
    pub(crate) key: Key,
    /// What was known before, if anything was.
    pub(crate) before: Option<T>,
    /// What is known now, if it is there.
    pub(crate) after: Option<T>,
}

impl<T> Default for Mirror<T> {
    fn default() -> Self {
        Self {
            objects: HashMap::new(),
            deleted: HashSet::new(),
            listed: None,
            is_complete: false,
            watched: 0,
        }
    }
}

impl<T: Clone + PartialEq> Mirror<T> {
    /// Whether all objects have been listed once.
    pub(crate) fn is_complete(&self) -> bool {
        self.is_complete
    }

    /// What is known of an object.
    pub(crate) fn get(&self, key: &Key) -> Option<&Held<T>> {
        self.objects.get(key)
    }

    /// All that is known.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Key, &Held<T>)> {
        self.objects.iter()
    }

    /// A list of all objects begins, and is read after this.
    pub(crate) fn begin_list(&mut self) {
        self.listed = Some(HashSet::new());
        // Of what was deleted before, nothing can come any more.
        self.deleted.clear();
    }

    /// The list has ended: what it did not tell of is gone, unless it was written meanwhile.
    pub(crate) fn end_list(&mut self) -> Vec<Change<T>> {
        let Some(listed) = self.listed.take() else {
            return Vec::new();
        };
        self.is_complete = true;
        let gone: Vec<Key> = self
            .objects
            .keys()
            .filter(|key| !listed.contains(key))
            .cloned()
            .collect();
        gone.iter().filter_map(|key| self.remove(key)).collect()
    }

    /// Whether the watch or a list tells of no later state than is known, so that nothing need be read in it.
    pub(crate) fn knows(&mut self, seen: &Seen<()>, source: Source) -> bool {
        let held = self.objects.get(&seen.key);
        let is_known =
            held.is_some_and(|held| held.uid == seen.uid && held.version >= seen.version);
        if is_known && source == Source::Watch {
            self.watched = self.watched.max(seen.version);
        }
        if let Some(listed) = self.listed.as_mut().filter(|_| is_known) {
            listed.insert(seen.key.clone());
        }
        is_known
    }

    /// An object was seen.
    pub(crate) fn see(&mut self, seen: Seen<T>, source: Source) -> Option<Change<T>> {
        if source == Source::Watch {
            self.watched = self.watched.max(seen.version);
        }
        if self.deleted.contains(&seen.uid) || self.is_late(&seen, source) {
            return None;
        }
        if let Some(listed) = &mut self.listed {
            listed.insert(seen.key.clone());
        }
        let held = self.objects.get(&seen.key);
        if held.is_some_and(|held| held.version >= seen.version) {
            return None;
        }
        let held = Held {
            uid: seen.uid,
            version: seen.version,
            value: seen.value.clone(),
        };
        let before = self.objects.insert(seen.key.clone(), held);
        let before = before.map(|held| held.value);
        (before.as_ref() != Some(&seen.value)).then_some(Change {
            key: seen.key,
            before,
            after: Some(seen.value),
        })
    }

    /// The watch says that an object is gone, or is none that is looked at any more. `version` is when.
    pub(crate) fn gone(&mut self, seen: &Seen<()>) -> Option<Change<T>> {
        self.watched = self.watched.max(seen.version);
        self.deleted.remove(&seen.uid);
        let held = self.objects.get(&seen.key)?;
        // Of two with the same name, the one with the larger version came later.
        let is_it = held.uid == seen.uid || held.version < seen.version;
        is_it.then(|| self.remove(&seen.key)).flatten()
    }

    /// An object was deleted here: nothing of it can be news.
    pub(crate) fn deleted(&mut self, key: &Key, uid: &Arc<str>) -> Option<Change<T>> {
        let held = self.objects.get(key).filter(|held| held.uid == *uid)?;
        self.deleted.insert(Arc::clone(&held.uid));
        self.remove(key)
    }

    /// Whether an answer comes after the watch told that the object is gone again: it has told of that version, too.
    fn is_late(&self, seen: &Seen<T>, source: Source) -> bool {
        source == Source::Answer
            && seen.version <= self.watched
            && !self.objects.contains_key(&seen.key)
    }

    fn remove(&mut self, key: &Key) -> Option<Change<T>> {
        let held = self.objects.remove(key)?;
        Some(Change {
            key: key.clone(),
            before: Some(held.value),
            after: None,
        })
    }
}
