//! One Rollout: what is shipped, and how that must end.

use super::{
    NAMESPACE,
    observer::{Observer, Rollout, Seen},
};
use crate::{bed::objects, process};
use anyhow::{Context as _, Result, bail, ensure};
use k8s_openapi::api::core::v1::{Pod, Service};
use kube::{
    Api, Client, ResourceExt as _,
    api::{DynamicObject, ListParams, Patch, PatchParams},
};
use serde_json::{Value, json};
use std::{future::Future, time::Duration};
use tokio::time::{Instant, sleep, timeout};

/// Pods of each Rollout.
pub(super) const REPLICAS: i32 = 4;
/// Of so many Rollouts, the last one is blue-green, the others canaries.
const BLUE_GREEN: usize = 4;
/// How long a version without a ready pod may take.
const DEADLINE: u32 = 12;
/// The longest that one version may take to come to its end. The cluster's own controller of ReplicaSets waits five minutes for
/// Pods when it was not told of them.
const PATIENCE: Duration = Duration::from_secs(900);

/// How a version ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// All pods are of it.
    Promoted,
    /// Somebody aborts it in the middle.
    Aborted,
    /// Its pods never become ready, so that its time passes.
    Late,
}

impl End {
    fn drawn(random: &mut fastrand::Rng) -> Self {
        match random.u32(..10) {
            0..6 => Self::Promoted,
            6..8 => Self::Aborted,
            _ => Self::Late,
        }
    }

    pub(super) const fn is_aborted(self) -> bool {
        matches!(self, Self::Aborted | Self::Late)
    }

    /// The image of version `revision`, which says how it ends.
    fn image(self, revision: u32) -> String {
        match self {
            Self::Promoted => format!("sluice/good-{revision}:1"),
            Self::Aborted => format!("sluice/aborted-{revision}:1"),
            Self::Late => format!("sluice/late-{revision}:missing"),
        }
    }
}

/// Whether the version with an image may be promoted.
pub(super) fn is_good(image: &str) -> bool {
    image.starts_with("sluice/good-")
}

/// Whether the Rollout of this name is blue-green.
pub(super) fn is_blue_green(name: &str) -> bool {
    name.starts_with("blue-green-")
}

/// How many pods the Rollout of this name may want at a time. One of blue-green has two versions, and while an aborted one's
/// delay passes, the next one.
pub(super) fn most_pods(name: &str) -> i32 {
    match is_blue_green(name) {
        true => 3 * REPLICAS,
        false => REPLICAS + 1,
    }
}

/// A Rollout and who ships it.
pub(super) struct Shop {
    name: String,
    rollouts: Api<DynamicObject>,
    services: Api<Service>,
    pods: Api<Pod>,
    observer: Observer,
    random: fastrand::Rng,
}

impl Shop {
    pub(super) fn new(client: &Client, observer: &Observer, index: usize, seed: u64) -> Self {
        let kind = match index % BLUE_GREEN {
            3 => "blue-green",
            _ => "canary",
        };
        Self {
            name: format!("{kind}-{index:03}"),
            rollouts: Api::namespaced_with(client.clone(), NAMESPACE, &process::rollouts()),
            services: Api::namespaced(client.clone(), NAMESPACE),
            pods: Api::namespaced(client.clone(), NAMESPACE),
            observer: observer.clone(),
            random: fastrand::Rng::with_seed(seed ^ ((index as u64 + 1) << 32)),
        }
    }

    /// Ships a first version and so many more, each when the one before has come to its end. Returns how they ended.
    pub(super) async fn ship_all(mut self, updates: u32) -> Result<Vec<End>> {
        if is_blue_green(&self.name) {
            let service = json!({
                "apiVersion": "v1", "kind": "Service", "metadata": {"name": self.name},
                "spec": {"selector": {"app": self.name}, "ports": [{"port": 80}]},
            });
            insist(|| objects::apply(&self.services, &service)).await?;
        }
        let mut ends = vec![End::Promoted];
        let mut stable = self.ship(1, End::Promoted, "").await?;
        for revision in 2..updates + 2 {
            let end = End::drawn(&mut self.random);
            stable = self.ship(revision, end, &stable).await?;
            ends.push(end);
        }
        Ok(ends)
    }

    /// Ships a version and waits for its end. `stable` is the hash of the version before; returns that of the one after.
    async fn ship(&self, revision: u32, end: End, stable: &str) -> Result<String> {
        let told = format!("{} at revision {revision}, {end:?}", self.name);
        let shipped = timeout(PATIENCE, self.ship_one(revision, end, stable));
        let Ok(shipped) = shipped.await else {
            bail!("{told} does not come to its end:\n{}", self.told().await?);
        };
        shipped.context(told)
    }

    async fn ship_one(&self, revision: u32, end: End, stable: &str) -> Result<String> {
        let object = self.object(revision, end);
        insist(|| objects::apply(&self.rollouts, &object)).await?;
        if end == End::Aborted {
            let is_paused = |rollout: &Rollout| rollout.is_paused.then_some(());
            self.wait(revision, is_paused).await?;
            let abort = Patch::Merge(json!({"status": {"abort": true}}));
            let how = PatchParams::default();
            insist(|| self.rollouts.patch_status(&self.name, &how, &abort)).await?;
        }
        let phase = match end.is_aborted() {
            true => "Degraded",
            false => "Healthy",
        };
        let ended = self
            .wait(revision, |rollout| {
                let is_over = ["Degraded", "Healthy"].contains(&rollout.phase.as_str());
                // What is Healthy before the new version is noticed is so with the one before.
                (is_over && (rollout.phase == phase || rollout.is_aborted)).then(|| rollout.clone())
            })
            .await?;
        ensure!(ended.phase == phase, "it ended otherwise: {ended:?}");
        let expected = match end.is_aborted() {
            true => stable,
            false => &ended.current,
        };
        ensure!(
            ended.stable == expected,
            "another version is stable than {expected}: {ended:?}"
        );
        self.settle(expected).await?;
        Ok(expected.to_owned())
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
    async fn settle(&self, stable: &str) -> Result<()> {
        self.observer
            .wait(|seen| {
                let is_settled =
                    seen.sets_of(&self.name)
                        .iter()
                        .all(|set| match set.hash == stable {
                            true => set.wanted == REPLICAS && set.available == REPLICAS,
                            false => set.wanted == 0,
                        });
                is_settled.then_some(())
            })
            .await?;
        if !is_blue_green(&self.name) {
            return Ok(());
        }
        let active = insist(|| self.services.get(&self.name)).await?;
        let selector = active.spec.and_then(|spec| spec.selector);
        let leads_to = selector.and_then(|all| all.get("rollouts-pod-template-hash").cloned());
        ensure!(
            leads_to.as_deref() == Some(stable),
            "its Service leads to {leads_to:?}, not to {stable}"
        );
        Ok(())
    }

    /// How the Rollout stands, its ReplicaSets, and its Pods that are not ready.
    async fn told(&self) -> Result<String> {
        let of_it = |seen: &Seen| {
            let own = seen.sets_of(&self.name);
            format!("{:?}\n{own:?}", seen.rollouts.get(&self.name))
        };
        let mut told = self.observer.wait(|seen| Some(of_it(seen))).await?;
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

    fn object(&self, revision: u32, end: End) -> Value {
        let deadline = match end {
            End::Late => DEADLINE,
            End::Promoted | End::Aborted => 600,
        };
        json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "metadata": {"name": self.name},
            "spec": {
                "replicas": REPLICAS,
                "progressDeadlineSeconds": deadline,
                "progressDeadlineAbort": true,
                "selector": {"matchLabels": {"app": self.name}},
                "strategy": self.strategy(end),
                "template": {
                    "metadata": {"labels": {"app": self.name}},
                    "spec": {
                        "terminationGracePeriodSeconds": 1,
                        "containers": [{"name": "app", "image": end.image(revision)}],
                    },
                },
            },
        })
    }

    fn strategy(&self, end: End) -> Value {
        let waits = end == End::Aborted;
        if is_blue_green(&self.name) {
            return json!({"blueGreen": {
                "activeService": self.name, "autoPromotionEnabled": !waits,
                "scaleDownDelaySeconds": 1, "abortScaleDownDelaySeconds": 1,
            }});
        }
        let pause = match waits {
            true => json!({}),
            false => json!({"duration": "1s"}),
        };
        json!({"canary": {"maxSurge": 1, "maxUnavailable": 0, "steps": [
            {"setWeight": 25}, {"pause": {"duration": "1s"}}, {"setWeight": 50}, {"pause": pause}, {"setWeight": 75},
        ]}})
    }
}

/// Does what users do when the API server is away: the same once more.
async fn insist<T, E, F>(mut act: impl FnMut() -> F) -> Result<T>
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
