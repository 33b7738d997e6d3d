//! Rollouts as their users see them.

use anyhow::{Context as _, Result};
use e2e::bed::objects::apply;
use futures_util::StreamExt as _;
use k8s_openapi::api::{apps::v1::ReplicaSet, core::v1::Pod};
use kube::{
    Api, Client,
    api::{DynamicObject, ListParams, Patch, PatchParams},
    core::ApiResource,
    runtime::{WatchStreamExt as _, watcher},
};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The Rollouts of a namespace, and what is made of them.
pub(crate) struct Rollouts {
    api: Api<DynamicObject>,
    replica_sets: Api<ReplicaSet>,
    pods: Api<Pod>,
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
        super::process::apply(include_str!("../../../../crds/rollout.yaml")).await?;
        let wait = [
            "wait",
            "--for=condition=Established",
            "crd/rollouts.argoproj.io",
        ];
        super::process::kubectl(&wait).await?;
        let resource = ApiResource {
            group: "argoproj.io".into(),
            version: "v1alpha1".into(),
            api_version: "argoproj.io/v1alpha1".into(),
            kind: "Rollout".into(),
            plural: "rollouts".into(),
        };
        Ok(Self {
            api: Api::namespaced_with(client.clone(), namespace, &resource),
            replica_sets: Api::namespaced(client.clone(), namespace),
            pods: Api::namespaced(client.clone(), namespace),
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
        let config = watcher::Config::default().fields(&format!("metadata.name={name}"));
        let mut states = Box::pin(watcher(self.api.clone(), config).applied_objects());
        while let Some(state) = states.next().await {
            let state = state?;
            let is_seen = state.data["status"]["observedGeneration"].as_str()
                == state
                    .metadata
                    .generation
                    .map(|seen| seen.to_string())
                    .as_deref();
            let annotations = state.metadata.annotations.unwrap_or_default();
            let found = annotations.get("rollout.argoproj.io/revision");
            if is_seen
                && state.data["status"]["phase"] == phase
                && found.is_some_and(|found| *found == revision.to_string())
            {
                return Ok(());
            }
        }
        anyhow::bail!("the watch of Rollouts ended")
    }

    /// Ends the pause, as `kubectl argo rollouts promote` does.
    pub(crate) async fn promote(&self, name: &str) -> Result<()> {
        let patch = json!({"status": {"pauseConditions": null}});
        let as_user = PatchParams::default();
        self.api
            .patch_subresource("status", name, &as_user, &Patch::Merge(patch))
            .await?;
        Ok(())
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

    /// Which state each Rollout, ReplicaSet and pod is in.
    pub(crate) async fn states(&self) -> Result<BTreeMap<String, String>> {
        let all = ListParams::default();
        let rollouts = self
            .api
            .list(&all)
            .await?
            .items
            .into_iter()
            .map(|object| object.metadata);
        let sets = self
            .replica_sets
            .list(&all)
            .await?
            .items
            .into_iter()
            .map(|set| set.metadata);
        let pods = self
            .pods
            .list(&all)
            .await?
            .items
            .into_iter()
            .map(|pod| pod.metadata);
        rollouts
            .chain(sets)
            .chain(pods)
            .map(|meta| {
                let name = meta.name.context("a name")?;
                Ok((name, meta.resource_version.context("a version")?))
            })
            .collect()
    }
}
