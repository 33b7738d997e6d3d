//! Watching the objects of a kind.

use crate::{
    instance::Instance,
    key::Key,
    mirror::{Change, Mirror, Source},
    objects::{self, Kind, WorkloadKind},
    shard::Shard,
    shared::Shared,
    view::Viewed,
};
use futures_util::StreamExt as _;
use kube::{
    Api, Client,
    core::{DynamicObject, PartialObjectMeta},
    runtime::{
        WatchStreamExt as _,
        watcher::{self, Event, watcher},
    },
};
use std::{collections::HashMap, sync::Arc};

/// Which objects of a kind are looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    /// Those of this namespace; of all when absent.
    pub namespace: Option<String>,
    /// Of the Rollouts, those of this controller.
    pub instance: Instance,
    /// Of these, those of this shard.
    pub shard: Shard,
}

/// Watches for ever, for the view of a leader.
pub(crate) async fn watch<K: Viewed>(client: Client, scope: Scope, shared: Arc<Shared>) {
    let failed = || shared.counts.watch_failed(K::NAME);
    let told = |event| note::<K>(&shared, event, &scope);
    follow::<K>(client, &scope, told, failed).await;
}

/// Watches for ever: each event is `told`. While the API server is away it is asked again, ever more seldom, up to twice a
/// minute, with some chance in it. Only when it has forgotten what was seen last, all objects are listed again.
pub(crate) async fn follow<K: Kind>(
    client: Client,
    scope: &Scope,
    told: impl Fn(Event<K::Wire>),
    failed: impl Fn(),
) {
    let api: Api<K::Wire> = match &scope.namespace {
        None => Api::all_with(client, &K::resource()),
        Some(namespace) => Api::namespaced_with(client, namespace, &K::resource()),
    };
    let config = watcher::Config {
        label_selector: K::selector(&scope.instance),
        ..watcher::Config::default()
    };
    let mut events = Box::pin(watcher(api, config).default_backoff());
    while let Some(event) = events.next().await {
        match event {
            Ok(event) => told(event),
            Err(error) => {
                failed();
                tracing::warn!(kind = K::NAME, "cannot be watched for now: {error}");
            }
        }
    }
}

/// Watches the metadata of workloads for ever, from when the first Rollout takes its template from one of this kind. Those
/// that do are due when it changes; nothing of it is kept.
pub(crate) async fn watch_workloads(
    source: WorkloadKind,
    client: Client,
    scope: Scope,
    shared: Arc<Shared>,
) {
    shared.takes_from(source).await;
    let resource = source.resource();
    let api: Api<PartialObjectMeta<DynamicObject>> = match &scope.namespace {
        None => Api::all_with(client, &resource),
        Some(namespace) => Api::namespaced_with(client, namespace, &resource),
    };
    let mut events = Box::pin(watcher(api, watcher::Config::default()).default_backoff());
    // Of those that a Rollout takes its template from, as they were seen last.
    let mut generations = HashMap::new();
    while let Some(event) = events.next().await {
        let (object, is_there) = match event {
            Ok(Event::Init | Event::InitDone) => continue,
            Ok(Event::InitApply(object) | Event::Apply(object)) => (object, true),
            Ok(Event::Delete(object)) => (object, false),
            Err(error) => {
                shared.counts.watch_failed(source.name());
                tracing::warn!(kind = source.name(), "cannot be watched for now: {error}");
                continue;
            }
        };
        let meta = object.metadata;
        let (Some(namespace), Some(name)) = (&meta.namespace, &meta.name) else {
            continue;
        };
        let key = Key {
            namespace: namespace.as_str().into(),
            name: name.as_str().into(),
        };
        let due = shared.view().taking_from(source, &key);
        let is_news = match is_there && !due.is_empty() {
            true => generations.insert(key, meta.generation) != Some(meta.generation),
            false => generations.remove(&key).is_some() || !due.is_empty(),
        };
        if is_news {
            shared.wake(&due);
        }
    }
}

fn note<K: Viewed>(shared: &Shared, event: Event<K::Wire>, scope: &Scope) {
    let mut view = shared.view();
    let changes = changes::<K>(K::mirror(&mut view), event, scope);
    let due = view.follow(changes);
    let is_complete = view.is_complete();
    shared.tell_sources(view.source_kinds());
    drop(view);
    shared.wake(&due);
    if is_complete {
        shared.ring();
    }
}

/// What `event` changes in `mirror`. An object that is none of those that are looked at any more is as good as gone.
pub(crate) fn changes<K: Kind>(
    mirror: &mut Mirror<K>,
    event: Event<K::Wire>,
    scope: &Scope,
) -> Vec<Change<K>> {
    let (object, source) = match event {
        Event::Init => {
            mirror.begin_list();
            return Vec::new();
        }
        Event::InitDone => return mirror.end_list(),
        Event::InitApply(object) => (object, Some(Source::List)),
        Event::Apply(object) => (object, Some(Source::Watch)),
        Event::Delete(object) => (object, None),
    };
    let seen = objects::identify::<K>(&object).map(|seen| match source {
        None => mirror.gone(&seen),
        Some(source) if mirror.knows(&seen, source) => None,
        Some(source) => match objects::keep(object, scope) {
            Some(value) => mirror.see(seen.with(value), source),
            None => mirror.gone(&seen),
        },
    });
    match seen {
        Ok(change) => Vec::from_iter(change),
        Err(nameless) => {
            tracing::warn!("is left alone: {nameless}");
            Vec::new()
        }
    }
}
