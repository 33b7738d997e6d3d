//! Watches all Rollouts and their ReplicaSets, and tells when something is seen that must never be.

mod rules;

use super::NAMESPACE;
use crate::process;
use anyhow::Result;
use futures_util::{Stream, StreamExt as _};
use k8s_openapi::{api::apps::v1::ReplicaSet, jiff::Timestamp};
use kube::{
    Api, Client,
    api::DynamicObject,
    runtime::{
        WatchStreamExt as _,
        watcher::{self, Event, watcher},
    },
};
use rules::Before;
pub(super) use rules::{Rollout, Set};
use std::{
    collections::{BTreeMap, BTreeSet},
    mem,
    pin::pin,
    sync::Arc,
    time::Instant,
};
use tokio::{sync::watch, task::AbortHandle};

/// What is seen.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// Rollouts by name.
    pub(super) rollouts: BTreeMap<String, Rollout>,
    /// ReplicaSets by name.
    pub(super) sets: BTreeMap<String, Set>,
    /// Those of a list that is coming in.
    listing: BTreeMap<String, Set>,
    before: Before,
    /// By Rollout and version, those that somebody tries again, and whether that is still to be seen.
    retried: BTreeMap<(String, String), bool>,
    broken: Option<String>,
    looks: u64,
}

/// Watches until its last copy is dropped.
#[derive(Clone)]
pub(super) struct Observer {
    seen: watch::Sender<Seen>,
    _watching: Arc<[Watching; 2]>,
}

struct Watching(AbortHandle);

impl Drop for Watching {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Observer {
    pub(super) fn begin(client: &Client) -> Self {
        let seen = watch::Sender::new(Seen::default());
        let rollouts: Api<DynamicObject> =
            Api::namespaced_with(client.clone(), NAMESPACE, &process::rollouts());
        let sets: Api<ReplicaSet> = Api::namespaced(client.clone(), NAMESPACE);
        let config = watcher::Config::default;
        let rollouts = watcher(rollouts, config()).default_backoff();
        let sets = watcher(sets, config()).default_backoff();
        let both = [
            tokio::spawn(look(rollouts, seen.clone(), Seen::see_rollout)),
            tokio::spawn(look(sets, seen.clone(), Seen::see_set)),
        ];
        let watching = both.map(|task| Watching(task.abort_handle()));
        Self {
            seen,
            _watching: Arc::new(watching),
        }
    }

    /// Waits until what is seen is as `condition` says; returns its word.
    pub(super) async fn wait<T>(&self, mut condition: impl FnMut(&Seen) -> Option<T>) -> Result<T> {
        let mut word = None;
        let mut seen = self.seen.subscribe();
        let is_so = |seen: &Seen| {
            word = condition(seen);
            word.is_some()
        };
        seen.wait_for(is_so).await?;
        word.ok_or_else(|| anyhow::anyhow!("it was there"))
    }

    /// Waits until something is seen that must never be, and returns what.
    pub(super) async fn is_broken(&self) -> Result<String> {
        self.wait(|seen| seen.broken.clone()).await
    }

    /// Tells of something that must never be.
    pub(super) fn tell(&self, what: &str) {
        self.seen.send_modify(|seen| seen.tell(what));
    }

    /// Tells of something of a Rollout that must never be.
    pub(super) fn tell_of(&self, name: &str, what: &str) {
        self.seen.send_modify(|seen| {
            let (rollout, sets) = (seen.rollouts.get(name), seen.sets_of(name));
            seen.tell(&format!("{name}: {what}: {rollout:?}, {sets:?}"));
        });
    }

    /// Somebody is about to try the present version of a Rollout again.
    pub(super) fn expect_retry(&self, name: &str) {
        self.seen.send_modify(|seen| {
            if let Some(rollout) = seen.rollouts.get(name) {
                let version = (name.to_owned(), rollout.current.clone());
                seen.retried.insert(version, true);
            }
        });
    }

    /// In words, what was looked at.
    pub(super) fn told(&self) -> String {
        format!(
            "{} states of Rollouts and ReplicaSets were looked at, and none was one that must never be",
            self.seen.borrow().looks
        )
    }
}

async fn look<K>(
    events: impl Stream<Item = Result<Event<K>, watcher::Error>>,
    seen: watch::Sender<Seen>,
    see: fn(&mut Seen, Event<K>),
) {
    let mut events = pin!(events);
    while let Some(event) = events.next().await {
        // The API server is away now and then.
        if let Ok(event) = event {
            seen.send_modify(|seen| see(seen, event));
        }
    }
}

impl Seen {
    fn see_rollout(&mut self, event: Event<DynamicObject>) {
        if let Event::Apply(object) | Event::InitApply(object) = event {
            let now = Rollout::of(&object.data, &object.metadata);
            let name = object.metadata.name.unwrap_or_default();
            self.looks += 1;
            let before = self.rollouts.insert(name.clone(), now.clone());
            let retried = self.retried.get_mut(&(name.clone(), now.current.clone()));
            let wrong = rules::follows(before.as_ref(), &now, retried);
            let was_retried = |hash: &str| {
                let version = (name.clone(), hash.to_owned());
                self.retried.contains_key(&version)
            };
            let wrong = wrong
                .or_else(|| rules::is_split_whole(&now))
                .or_else(|| rules::is_stable_good(&name, &now, &self.sets, was_retried));
            self.break_by(&name, wrong);
        }
    }

    fn see_set(&mut self, event: Event<ReplicaSet>) {
        match event {
            Event::Init => self.listing.clear(),
            Event::InitApply(set) => {
                let (name, now) = self.taken(&set);
                self.listing.insert(name, now);
            }
            Event::InitDone => {
                self.sets = mem::take(&mut self.listing);
                let sets = self.sets.values();
                let owners: BTreeSet<_> = sets.map(|set| set.owner.clone()).collect();
                owners.iter().for_each(|owner| self.check_pods(owner));
            }
            Event::Apply(set) => {
                let (name, now) = self.taken(&set);
                let owner = now.owner.clone();
                let before = self.sets.insert(name, now.clone());
                let all = self.sets_of(&owner);
                let wrong = before.and_then(|before| rules::gives_away(&before, &now, &all));
                self.break_by(&owner, wrong);
                self.check_pods(&owner);
            }
            Event::Delete(set) => {
                let name = set.metadata.name.unwrap_or_default();
                let gone = self.sets.remove(&name);
                gone.iter().for_each(|gone| self.check_pods(&gone.owner));
            }
        }
    }

    /// The name of a ReplicaSet, and what is of interest of it.
    fn taken(&self, set: &ReplicaSet) -> (String, Set) {
        let name = set.metadata.name.clone().unwrap_or_default();
        let now = Set::of(set).after(self.sets.get(&name), Instant::now());
        (name, now)
    }

    /// The ReplicaSets of the Rollout `owner`.
    pub(super) fn sets_of(&self, owner: &str) -> Vec<&Set> {
        owned(&self.sets, owner)
    }

    fn check_pods(&mut self, owner: &str) {
        self.looks += 1;
        let wrong = self.before.pods(owner, &owned(&self.sets, owner));
        self.break_by(owner, wrong);
    }

    fn break_by(&mut self, name: &str, wrong: Option<String>) {
        if let Some(wrong) = wrong {
            self.tell(&format!("{name}: {wrong}"));
        }
    }

    /// The first thing is what counts.
    fn tell(&mut self, wrong: &str) {
        self.broken
            .get_or_insert_with(|| format!("{}: {wrong}", Timestamp::now()));
    }
}

/// Those of `sets` that the Rollout `owner` controls.
fn owned<'s>(sets: &'s BTreeMap<String, Set>, owner: &str) -> Vec<&'s Set> {
    let sets = sets.values();
    sets.filter(|set| set.owner == owner).collect()
}
