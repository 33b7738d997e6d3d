//! Rollouts as their users see them.

use anyhow::Result;
use e2e::{bed::objects::apply, process};
use futures_util::StreamExt as _;
use k8s_openapi::api::apps::v1::ReplicaSet;
use kube::{
    Api, Client,
    api::{DeleteParams, DynamicObject, ListParams, Patch, PatchParams},
    runtime::{WatchStreamExt as _, watcher},
};
use serde_json::{Value, json};

/// The Rollouts of a namespace, and what is made of them.
pub(crate) struct Rollouts {
    api: Api<DynamicObject>,
    replica_sets: Api<ReplicaSet>,
}

/// A Rollout with two pods and a pause, of a controller `instance`.
pub(crate) fn canary(name: &str, version: &str, instance: Option<&str>) -> Value {
    let labels = instance.map_or_else(
        || json!({}),
        |instance| json!({"argo-rollouts.argoproj.io/controller-instance-id": instance}),
    );
    json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "metadata": {"name": name, "labels": labels},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": {"app": name}},
            "strategy": {"canary": {"steps": [{"setWeight": 50}, {"pause": {}}]}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"terminationGracePeriodSeconds": 1, "containers": [
                    {"name": "app", "image": format!("sluice/demo:{version}")},
                ]},
            },
        },
    })
}

impl Rollouts {
    /// Those of `namespace`. The API server learns what a Rollout is, unless it knows.
    pub(crate) async fn of(client: &Client, namespace: &str) -> Result<Self> {
        process::define_rollouts(client).await?;
        Ok(Self {
            api: Api::namespaced_with(client.clone(), namespace, &process::rollouts()),
            replica_sets: Api::namespaced(client.clone(), namespace),
        })
    }

    pub(crate) async fn apply(&self, rollout: &Value) -> Result<DynamicObject> {
        apply(&self.api, rollout).await
    }

    pub(crate) async fn get(&self, name: &str) -> Result<DynamicObject> {
        Ok(self.api.get(name).await?)
    }

    /// Waits until a Rollout is in `phase` with a revision, and its controller has seen its last change.
    pub(crate) async fn wait(&self, name: &str, phase: &str, revision: u32) -> Result<()> {
        let revision = revision.to_string();
        let is_there = |state: &DynamicObject| {
            let annotations = state.metadata.annotations.as_ref();
            let found = annotations.and_then(|all| all.get("rollout.argoproj.io/revision"));
            state.data["status"]["phase"] == phase && found == Some(&revision)
        };
        self.reach(name, is_there).await
    }

    /// Waits until a Rollout is held, as what it asks for cannot be followed.
    pub(crate) async fn wait_until_held(&self, name: &str) -> Result<()> {
        let is_there = |state: &DynamicObject| {
            let message = state.data["status"]["message"].as_str();
            message.is_some_and(|message| message.starts_with("InvalidSpec: "))
        };
        self.reach(name, is_there).await
    }

    /// Waits until a Rollout is paused at the step with this index.
    pub(crate) async fn wait_for_pause(&self, name: &str, step: u32) -> Result<()> {
        let is_there = |state: &DynamicObject| {
            let status = &state.data["status"];
            status["phase"] == "Paused" && status["currentStepIndex"] == step
        };
        self.reach(name, is_there).await
    }

    /// Waits until a Rollout has so many pods, of all versions.
    pub(crate) async fn wait_for_pods(&self, name: &str, pods: u32) -> Result<()> {
        let is_there = |state: &DynamicObject| state.data["status"]["replicas"] == pods;
        self.reach(name, is_there).await
    }

    /// Asks for another number of pods, and waits until they are there.
    pub(crate) async fn scale(&self, name: &str, pods: u32) -> Result<()> {
        let patch = json!({"spec": {"replicas": pods}});
        let as_user = PatchParams::default();
        self.api.patch(name, &as_user, &Patch::Merge(patch)).await?;
        let is_there = |state: &DynamicObject| {
            let status = &state.data["status"];
            status["replicas"] == pods
                && status["availableReplicas"] == pods
                && status["phase"] == "Healthy"
        };
        self.reach(name, is_there).await
    }

    /// Waits until a Rollout is Healthy with so many pods, and no others.
    pub(crate) async fn settled(&self, name: &str, pods: u32) -> Result<()> {
        let is_there = |state: &DynamicObject| {
            let status = &state.data["status"];
            let counts = ["replicas", "updatedReplicas", "availableReplicas"];
            status["phase"] == "Healthy" && counts.iter().all(|count| status[*count] == pods)
        };
        self.reach(name, is_there).await
    }

    /// Waits until no pod of a Rollout is older than its `restartAt`.
    pub(crate) async fn restarted(&self, name: &str) -> Result<()> {
        let is_there = |state: &DynamicObject| {
            let asked = &state.data["spec"]["restartAt"];
            asked.is_string() && state.data["status"]["restartedAt"] == *asked
        };
        self.reach(name, is_there).await
    }

    /// Waits until a Rollout's controller has seen its last change, and it is as it is to be.
    async fn reach(&self, name: &str, is_there: impl Fn(&DynamicObject) -> bool) -> Result<()> {
        let config = watcher::Config::default().fields(&format!("metadata.name={name}"));
        let mut states = Box::pin(watcher(self.api.clone(), config).applied_objects());
        while let Some(state) = states.next().await {
            let state = state?;
            let seen = state.data["status"]["observedGeneration"].as_str();
            let generation = state.metadata.generation.map(|last| last.to_string());
            if seen == generation.as_deref() && is_there(&state) {
                return Ok(());
            }
        }
        anyhow::bail!("the watch of Rollouts ended")
    }

    /// Writes a part of a Rollout's status, as a controller does.
    pub(crate) async fn set_status(&self, name: &str, status: &Value) -> Result<()> {
        let patch = Patch::Merge(json!({"status": status}));
        let as_controller = PatchParams::default();
        self.api
            .patch_subresource("status", name, &as_controller, &patch)
            .await?;
        Ok(())
    }

    /// Deletes a Rollout.
    pub(crate) async fn delete(&self, name: &str) -> Result<()> {
        self.api.delete(name, &DeleteParams::default()).await?;
        Ok(())
    }

    /// Ends the pause, as `kubectl argo rollouts promote` does.
    pub(crate) async fn promote(&self, name: &str) -> Result<()> {
        self.set_status(name, &json!({"pauseConditions": null}))
            .await
    }

    /// How many pods are wanted of a version.
    pub(crate) async fn pods(&self, version: &str) -> Result<i32> {
        let image = format!("sluice/demo:{version}");
        let all = self.replica_sets.list(&ListParams::default()).await?;
        let of_version = all
            .items
            .into_iter()
            .filter_map(|set| set.spec)
            .filter(|spec| {
                let pod = spec
                    .template
                    .as_ref()
                    .and_then(|template| template.spec.as_ref());
                pod.is_some_and(|pod| pod.containers[0].image.as_deref() == Some(&image))
            });
        Ok(of_version.filter_map(|spec| spec.replicas).sum())
    }

    /// What a controller has written: the Rollouts, and of ReplicaSets all but their status.
    pub(crate) async fn written(&self) -> Result<Vec<String>> {
        let all = ListParams::default();
        let rollouts = self.api.list(&all).await?.items.into_iter();
        let rollouts = rollouts.map(|object| (object.metadata, object.data["status"].to_string()));
        let sets = self.replica_sets.list(&all).await?.items.into_iter();
        let sets = sets.map(|set| (set.metadata, String::new()));
        let lines = rollouts.chain(sets).map(|(meta, status)| {
            // It counts every change of the spec, also one that was taken back.
            let (name, generation) = (meta.name, meta.generation);
            format!("{name:?} {generation:?} {:?} {status}", meta.annotations)
        });
        Ok(lines.collect())
    }
}
