//! One Rollout: what is shipped, and how that must end.

use super::{
    NAMESPACE,
    kind::Kind,
    observer::{Observer, Rollout, Seen},
    proxies::Proxies,
    users::{Told, Users},
    version::{self, End, Version, WAITS_AT},
};
use crate::{bed::objects, process};
use anyhow::{Context as _, Result, bail, ensure};
use k8s_openapi::api::core::v1::{Pod, Service};
use kube::{
    Api, Client, ResourceExt as _,
    api::{DynamicObject, ListParams, Patch, PatchParams},
};
use serde_json::{Value, json};
use std::{future::Future, ops::Range, time::Duration};
use tokio::time::{Instant, sleep, timeout};

/// The longest that one version may take to come to its end. The cluster's own controller of ReplicaSets waits five minutes for
/// Pods when it was not told of them.
const PATIENCE: Duration = Duration::from_secs(900);
/// For how long a person looks at a version that was aborted before it is tried again, in milliseconds.
const LOOK: Range<u64> = 1_500..5_000;

/// A Rollout and who ships it.
pub(super) struct Shop {
    name: String,
    kind: Kind,
    rollouts: Api<DynamicObject>,
    services: Api<Service>,
    pods: Api<Pod>,
    observer: Observer,
    users: Option<Users>,
    random: fastrand::Rng,
}

/// What became of the versions of a Rollout.
pub(super) struct Shipped {
    /// The Rollout's name.
    pub(super) name: String,
    pub(super) versions: Vec<Version>,
    /// What its users got, where it has any.
    pub(super) told: Option<Told>,
}

/// The version that is stable.
struct Stable {
    hash: String,
    name: String,
}

impl Shop {
    pub(super) fn new(
        client: &Client,
        observer: &Observer,
        proxies: &Proxies,
        index: usize,
        seed: u64,
    ) -> Self {
        let kind = Kind::at(index);
        let name = format!("{}-{index:03}", kind.word());
        let has_users = kind == Kind::Routed;
        Self {
            kind,
            rollouts: Api::namespaced_with(client.clone(), NAMESPACE, &process::rollouts()),
            services: Api::namespaced(client.clone(), NAMESPACE),
            pods: Api::namespaced(client.clone(), NAMESPACE),
            observer: observer.clone(),
            users: has_users.then(|| Users::begin(&name, proxies, observer)),
            random: fastrand::Rng::with_seed(seed ^ ((index as u64 + 1) << 32)),
            name,
        }
    }

    /// Ships a first version and so many more, each when the one before has come to its end. Returns what became of them.
    pub(super) async fn ship_all(mut self, updates: u32) -> Result<Shipped> {
        for service in self.services() {
            insist(|| objects::apply(&self.services, &service)).await?;
        }
        let mut versions = vec![Version::first()];
        let mut stable = self.ship(&versions[0], None).await?;
        for revision in 2..updates + 2 {
            let version = Version::drawn(revision, self.kind, &mut self.random);
            stable = self.ship(&version, Some(stable)).await?;
            versions.push(version);
        }
        let told = self.users.as_ref().map(Users::told);
        Ok(Shipped {
            name: self.name,
            versions,
            told,
        })
    }

    fn services(&self) -> Vec<Value> {
        let service = |name: &str| {
            json!({
                "apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
                "spec": {
                    "selector": {"app": self.name},
                    "ports": [{"name": "http", "port": 80, "targetPort": 8080}],
                },
            })
        };
        match self.kind {
            Kind::Canary => Vec::new(),
            Kind::BlueGreen => vec![service(&self.name)],
            Kind::Routed => {
                let canary = version::canary_service(&self.name);
                vec![service(&self.name), service(&canary)]
            }
        }
    }

    /// Ships a version and waits for its end; returns the one that is stable then, which was `stable` before.
    async fn ship(&mut self, version: &Version, stable: Option<Stable>) -> Result<Stable> {
        let told = format!("{}: {version:?}", self.name);
        let shipped = timeout(PATIENCE, self.ship_one(version, stable));
        let Ok(shipped) = shipped.await else {
            bail!("{told} does not come to its end:\n{}", self.told().await?);
        };
        shipped.context(told)
    }

    async fn ship_one(&mut self, version: &Version, stable: Option<Stable>) -> Result<Stable> {
        let (revision, name) = (version.revision, version.name());
        let object = version.object(&self.name);
        insist(|| objects::apply(&self.rollouts, &object)).await?;
        if version.end == End::Aborted {
            let is_paused = |rollout: &Rollout| rollout.is_paused.then_some(());
            self.wait(revision, is_paused).await?;
            self.tell(&json!({"abort": true})).await?;
            self.bar(&name);
        }
        let mut ended = self.end(version, version.end == End::Promoted, "").await?;
        if version.is_retried {
            self.is_left(&stable, &ended)?;
            self.bar(&name);
            self.retry(version).await?;
            let before = ended.aborted_at;
            ended = self.end(version, version.is_promoted(), &before).await?;
        }
        let stable = match version.is_promoted() {
            true => {
                ensure!(ended.stable == ended.current, "not stable: {ended:?}");
                if let Some(before) = stable {
                    self.bar(&before.name);
                }
                let hash = ended.stable;
                Stable { hash, name }
            }
            false => {
                self.is_left(&stable, &ended)?;
                self.bar(&name);
                stable.context("the first version is promoted")?
            }
        };
        self.settle(&stable).await?;
        Ok(stable)
    }

    /// Waits until a version has come to its end, which must be this one. Where it had one before, that was `before`.
    async fn end(&self, version: &Version, is_promoted: bool, before: &str) -> Result<Rollout> {
        let phase = match is_promoted {
            true => "Healthy",
            false => "Degraded",
        };
        let ended = self
            .wait(version.revision, |rollout| {
                let is_over = ["Degraded", "Healthy"].contains(&rollout.phase.as_str());
                let is_news = !rollout.is_aborted || rollout.aborted_at != before;
                // What is Healthy before the new version is noticed is so with the one before, and what is tried again is
                // Degraded until that is noticed.
                let is_it = rollout.is_aborted || (is_promoted && rollout.phase == phase);
                (is_over && is_news && is_it).then(|| rollout.clone())
            })
            .await?;
        ensure!(ended.phase == phase, "it ended otherwise: {ended:?}");
        if version.end == End::Convicted {
            let says = |what: &str| ended.message.contains(what);
            ensure!(
                says("RolloutAborted: ") && says("requests failed"),
                "it is aborted, but not by a verdict: {ended:?}"
            );
        }
        Ok(ended)
    }

    /// That an aborted version left the one before as it was.
    fn is_left(&self, stable: &Option<Stable>, ended: &Rollout) -> Result<()> {
        let expected = stable.as_ref().map(|stable| stable.hash.as_str());
        ensure!(
            expected == Some(&ended.stable),
            "another version is stable than {expected:?}: {ended:?}"
        );
        Ok(())
    }

    /// Does what `kubectl argo rollouts retry rollout` does, and promotes what waits for a person, as `promote` does.
    async fn retry(&mut self, version: &Version) -> Result<()> {
        sleep(Duration::from_millis(self.random.u64(LOOK))).await;
        if let Some(users) = &self.users {
            users.allow(&version.name());
        }
        self.observer.expect_retry(&self.name);
        self.tell(&json!({"abort": false})).await?;
        if version.end != End::Aborted {
            return Ok(());
        }
        let waits = |rollout: &Rollout| {
            let is_there = self.kind == Kind::BlueGreen || rollout.step == WAITS_AT;
            (is_there && rollout.is_paused && !rollout.is_aborted).then_some(())
        };
        self.wait(version.revision, waits).await?;
        self.tell(&json!({"pauseConditions": null})).await
    }

    /// Patches the Rollout's status, as people's tools do.
    async fn tell(&self, status: &Value) -> Result<()> {
        let patch = Patch::Merge(json!({"status": status}));
        let how = PatchParams::default();
        insist(|| self.rollouts.patch_status(&self.name, &how, &patch)).await?;
        Ok(())
    }

    /// From now on, no user may get the version `name`.
    fn bar(&self, name: &str) {
        if let Some(users) = &self.users {
            users.bar(name);
        }
    }

    /// Waits until the Rollout with this revision, as its controller has seen it, is as `condition` says.
    async fn wait<T>(&self, revision: u32, condition: impl Fn(&Rollout) -> Option<T>) -> Result<T> {
        self.observer
            .wait(|seen| {
                let rollout = seen.rollouts.get(&self.name)?;
                let is_of_it = rollout.is_observed && rollout.revision == Some(revision);
                condition(rollout).filter(|_| is_of_it)
            })
            .await
    }

    /// Waits until all pods are of the version `stable`, and requests go to it.
    async fn settle(&self, stable: &Stable) -> Result<()> {
        let replicas = self.kind.replicas();
        self.observer
            .wait(|seen| {
                let is_settled =
                    seen.sets_of(&self.name)
                        .iter()
                        .all(|set| match set.hash == stable.hash {
                            true => set.wanted == replicas && set.available == replicas,
                            false => set.wanted == 0,
                        });
                is_settled.then_some(())
            })
            .await?;
        let leads_to = |service: Option<&Service>| {
            let selector = service?.spec.as_ref()?.selector.as_ref()?;
            selector.get("rollouts-pod-template-hash").cloned()
        };
        match (self.kind, &self.users) {
            (Kind::BlueGreen, _) => {
                let service = insist(|| self.services.get(&self.name)).await?;
                let leads_to = leads_to(Some(&service));
                ensure!(
                    leads_to.as_ref() == Some(&stable.hash),
                    "its Service leads to {leads_to:?}, not to {}",
                    stable.hash
                );
            }
            (_, Some(users)) => {
                // It is switched when the version is stable already.
                let is_led =
                    |service: Option<&Service>| leads_to(service) == Some(stable.hash.clone());
                insist(|| objects::wait(&self.services, &self.name, is_led)).await?;
                users.all_get(&stable.name).await?;
            }
            _ => {}
        }
        Ok(())
    }

    /// How the Rollout stands, its ReplicaSets, and its Pods that are not ready.
    async fn told(&self) -> Result<String> {
        let of_it = |seen: &Seen| {
            let own = seen.sets_of(&self.name);
            format!("{:?}\n{own:?}", seen.rollouts.get(&self.name))
        };
        let mut told = self.observer.wait(|seen| Some(of_it(seen))).await?;
        if let Some(users) = &self.users {
            told += &format!("\n{:?}", users.told());
        }
        let own = ListParams::default().labels(&format!("app={}", self.name));
        for pod in insist(|| self.pods.list(&own)).await? {
            let status = pod.status.clone().unwrap_or_default();
            let mut conditions = status.conditions.iter().flatten();
            if !conditions.any(|one| one.type_ == "Ready" && one.status == "True") {
                told += &format!("\n{} is not ready: {status:?}", pod.name_any());
            }
        }
        Ok(told)
    }
}

/// Does what users do when the API server is away: the same once more.
pub(super) async fn insist<T, E, F>(mut act: impl FnMut() -> F) -> Result<T>
where
    E: Into<anyhow::Error>,
    F: Future<Output = Result<T, E>>,
{
    let begun = Instant::now();
    loop {
        match act().await {
            Ok(done) => return Ok(done),
            Err(error) if begun.elapsed() > PATIENCE => return Err(error.into()),
            Err(_) => sleep(Duration::from_millis(300)).await,
        }
    }
}
