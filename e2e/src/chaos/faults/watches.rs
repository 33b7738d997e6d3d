//! Which watches are open: what happens meanwhile, their client is told at once.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::time::Instant;

/// The watches that are open, of one client.
#[derive(Clone, Debug, Default)]
pub(super) struct Watches(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    opened: u64,
    /// By number, the resource that is watched, and since when.
    open: BTreeMap<u64, (String, Instant)>,
}

/// One that is open until this is dropped.
#[derive(Debug)]
pub(super) struct Open {
    watches: Watches,
    number: u64,
}

impl Watches {
    /// One of `resource` is opened.
    pub(super) fn open(&self, resource: &str) -> Open {
        let mut inner = self.inner();
        inner.opened += 1;
        let number = inner.opened;
        let opened = (resource.to_owned(), Instant::now());
        inner.open.insert(number, opened);
        Open {
            watches: self.clone(),
            number,
        }
    }

    /// Since when the newest ones of all `resources` are open, if there is one of each.
    pub(super) fn since(&self, resources: &[&str]) -> Option<Instant> {
        let inner = self.inner();
        let newest = |resource: &&str| {
            let of_it = inner.open.values().filter(|(of, _)| of == resource);
            of_it.map(|(_, since)| *since).max()
        };
        let all: Option<Vec<Instant>> = resources.iter().map(newest).collect();
        all?.into_iter().max()
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.watches.inner().open.remove(&self.number);
    }
}
