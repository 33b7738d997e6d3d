//! Many Rollouts as their users see them: all are applied and changed at once, and one watch tells how they stand.

use crate::{bed::objects, process};
use anyhow::{Context as _, Result};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use k8s_openapi::api::{apps::v1::ReplicaSet, core::v1::Pod};
use kube::{
    Api, Client, Resource,
    api::{DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams},
    core::{NotUsed, Object},
    runtime::{
        WatchStreamExt as _,
        watcher::{self, Event, watcher},
    },
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, HashMap},
    fmt::Debug,
    time::{Duration, Instant},
};
use tokio::{
    sync::watch,
    task::AbortHandle,
    time::{sleep, timeout},
};

/// The namespace that all of them are in.
const NAMESPACE: &str = "crowd";
/// How many requests of this client are under way at a time.
const CLIENTS: usize = 64;
/// The longest that a phase may take.
const PATIENCE: Duration = Duration::from_secs(3600);

/// Rollouts, from their making to their end.
pub(super) struct Crowd {
    client: Client,
    api: Api<DynamicObject>,
    count: usize,
    replicas: u32,
    tally: watch::Receiver<Tally>,
    watching: AbortHandle,
}

/// How all of them stand.
#[derive(Clone, Debug, Default)]
struct Tally {
    there: usize,
    /// How many are Healthy, with nothing left to be seen by their controller, by revision.
    healthy: BTreeMap<u32, usize>,
}

/// A Rollout as far as it is of interest.
type Seen = Object<NotUsed, Status>;

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Status {
    phase: Option<String>,
    observed_generation: Option<String>,
}

impl Crowd {
    /// One of `count` Rollouts with so many pods each, none of which is there yet.
    pub(super) async fn new(client: &Client, count: usize, replicas: u32) -> Result<Self> {
        objects::namespace(client, NAMESPACE).await?;
        let resource = process::rollouts();
        let (sender, tally) = watch::channel(Tally::default());
        let seen = Api::namespaced_with(client.clone(), NAMESPACE, &resource);
        Ok(Self {
            client: client.clone(),
            api: Api::namespaced_with(client.clone(), NAMESPACE, &resource),
            count,
            replicas,
            tally,
            watching: tokio::spawn(watch_all(seen, sender)).abort_handle(),
        })
    }

    /// Waits until the garbage collector watches Rollouts, which it begins to half a minute after they are defined. Before, it asks
    /// the API server about the owner of each ReplicaSet, as it does in no cluster that is older.
    pub(super) async fn until_collected(&self) -> Result<()> {
        let first = serde_json::from_value(self.rollout(0))?;
        self.api.create(&PostParams::default(), &first).await?;
        // One that waits for what it owns goes when the collector has seen that it waits.
        let how = DeleteParams::foreground();
        self.api.delete(&name(0), &how).await?;
        while self.api.get_opt(&name(0)).await?.is_some() {
            sleep(Duration::from_secs(1)).await;
        }
        self.gone::<Pod>().await
    }

    /// Makes all of them.
    pub(super) async fn create(&self) -> Result<()> {
        self.each(async |index| {
            let object = serde_json::from_value(self.rollout(index))?;
            self.api.create(&PostParams::default(), &object).await?;
            Ok(())
        })
        .await
    }

    /// Ships the image of a revision to all of them.
    pub(super) async fn ship(&self, revision: u32) -> Result<()> {
        let patch = json!({"spec": {"template": {"spec": {"containers": containers(revision)}}}});
        let (patch, how) = (Patch::Merge(patch), PatchParams::default());
        self.each(async |index| {
            self.api.patch(&name(index), &how, &patch).await?;
            Ok(())
        })
        .await
    }

    /// Does something with each of them, with many at a time.
    async fn each(&self, act: impl AsyncFn(usize) -> Result<()>) -> Result<()> {
        let acts = stream::iter(0..self.count).map(|index| act(index));
        acts.buffer_unordered(CLIENTS).try_collect().await
    }

    /// Waits until all of them are Healthy with a revision. Returns how long after `since` half of them were.
    pub(super) async fn settle(
        &mut self,
        revision: u32,
        since: Instant,
    ) -> Result<Option<Duration>> {
        let (count, mut half) = (self.count, None);
        let all = self.tally.wait_for(|tally| {
            let healthy = tally.healthy.get(&revision).copied().unwrap_or(0);
            if half.is_none() && healthy * 2 >= count {
                half = Some(since.elapsed());
            }
            healthy == count
        });
        let reached = timeout(PATIENCE, all).await;
        reached.context("not all Rollouts become Healthy")??;
        Ok(half)
    }

    /// Deletes all of them, and waits until nothing is left of them.
    pub(super) async fn delete(&mut self) -> Result<()> {
        let how = DeleteParams::background();
        self.each(async |index| {
            self.api.delete(&name(index), &how).await?;
            Ok(())
        })
        .await?;
        let gone = self.tally.wait_for(|tally| tally.there == 0);
        timeout(PATIENCE, gone)
            .await
            .context("not all Rollouts go")??;
        self.gone::<ReplicaSet>().await?;
        self.gone::<Pod>().await
    }

    async fn gone<K>(&self) -> Result<()>
    where
        K: Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>
            + Clone
            + Debug
            + DeserializeOwned,
    {
        let api: Api<K> = Api::namespaced(self.client.clone(), NAMESPACE);
        let first = ListParams::default().limit(1);
        while !api.list_metadata(&first).await?.items.is_empty() {
            sleep(Duration::from_secs(1)).await;
        }
        Ok(())
    }

    fn rollout(&self, index: usize) -> Value {
        let app = name(index);
        json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "metadata": {"name": app},
            "spec": {
                "replicas": self.replicas,
                "selector": {"matchLabels": {"app": app}},
                "strategy": {"canary": {"steps": [
                    {"setWeight": 10}, {"pause": {"duration": "5s"}},
                    {"setWeight": 50}, {"pause": {"duration": "5s"}},
                ]}},
                "template": {
                    "metadata": {"labels": {"app": app}},
                    "spec": {"terminationGracePeriodSeconds": 1, "containers": containers(1)},
                },
            },
        })
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        self.watching.abort();
    }
}

fn name(index: usize) -> String {
    format!("app-{index:05}")
}

/// What a small application asks for. Its image runs nothing on the simulated nodes.
fn containers(revision: u32) -> Value {
    json!([{
        "name": "app", "image": format!("sluice/idle:{revision}"),
        "ports": [{"name": "http", "containerPort": 8080}],
        "env": [{"name": "PORT", "value": "8080"}, {"name": "LOG_LEVEL", "value": "info"}],
        "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"memory": "64Mi"}},
    }])
}

async fn watch_all(api: Api<Seen>, tally: watch::Sender<Tally>) {
    let mut events = Box::pin(watcher(api, watcher::Config::default()).default_backoff());
    let mut known = HashMap::new();
    while let Some(event) = events.next().await {
        let (name, now) = match event {
            Ok(Event::Apply(seen) | Event::InitApply(seen)) => {
                let now = healthy(&seen);
                (seen.metadata.name, Some(now))
            }
            Ok(Event::Delete(seen)) => (seen.metadata.name, None),
            // What goes while nobody watches is missed; then the phase takes too long.
            Ok(Event::Init | Event::InitDone) => continue,
            Err(error) => {
                eprintln!("Rollouts cannot be watched for now: {error}");
                continue;
            }
        };
        let before = match now {
            Some(now) => known.insert(name, now),
            None => known.remove(&name),
        };
        tally.send_modify(|tally| tally.turn(before.flatten(), now.flatten(), known.len()));
    }
}

impl Tally {
    /// One of `there` was Healthy with the revision `before`, and is so with `now`.
    fn turn(&mut self, before: Option<u32>, now: Option<u32>, there: usize) {
        self.there = there;
        if let Some(before) = before.and_then(|before| self.healthy.get_mut(&before)) {
            *before -= 1;
        }
        if let Some(now) = now {
            *self.healthy.entry(now).or_default() += 1;
        }
    }
}

/// The revision that a Rollout is Healthy with, if it is.
fn healthy(seen: &Seen) -> Option<u32> {
    let status = seen.status.as_ref()?;
    let generation = seen.metadata.generation.map(|last| last.to_string());
    let annotations = seen.metadata.annotations.as_ref()?;
    let revision = annotations.get("rollout.argoproj.io/revision")?;
    let is_healthy = status.phase.as_deref() == Some("Healthy");
    let is_seen = status.observed_generation == generation;
    (is_healthy && is_seen)
        .then(|| revision.parse().ok())
        .flatten()
}
