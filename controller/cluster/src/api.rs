//! Requests to the API server, with a limit of time each. Writes are made only by who may.

use crate::{
    fence::{self, Fence},
    key::Key,
    metrics::Counts,
    objects::{self, Kind, Owned, Workload, WorkloadKind},
    spans,
    view::State,
};
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, Client, Resource as _,
    api::{
        DeleteParams, EvictParams, ListParams, Patch, PatchParams, PostParams, Preconditions,
        Request,
    },
    core::{DynamicObject, response::reason},
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::{future::Future, sync::Arc, time::Duration};
use tracing::Instrument as _;

/// Who is to be seen in `metadata.managedFields`.
pub(crate) const MANAGER: &str = "sluice-controller";
/// The longest that an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why a request has no result.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// This process does not lead any more.
    #[error("this process does not lead any more")]
    Fenced,
    /// There was no answer in time. It may have been acted on.
    #[error("no answer within {0:?}")]
    Silent(Duration),
    /// It was refused, or did not get through.
    #[error("{0}")]
    Refused(#[from] kube::Error),
    /// It cannot be made of what was to be written.
    #[error("cannot be written: {0}")]
    Unfit(String),
}

impl Failure {
    fn status(&self) -> Option<&kube::core::Status> {
        match self {
            Self::Refused(kube::Error::Api(status)) => Some(status),
            Self::Refused(_) | Self::Fenced | Self::Silent(_) | Self::Unfit(_) => None,
        }
    }

    /// The API server has answered, and refuses.
    pub(crate) fn is_answer(&self) -> bool {
        self.status().is_some()
    }

    /// The object is not in the state any more in which it was seen.
    pub(crate) fn is_conflict(&self) -> bool {
        self.status().is_some_and(|status| status.code == 409) && !self.is_taken()
    }

    /// There is an object of that name.
    pub(crate) fn is_taken(&self) -> bool {
        self.status()
            .is_some_and(|status| status.reason == reason::ALREADY_EXISTS)
    }

    /// It is not to be done now, such as an eviction that a PodDisruptionBudget is against.
    pub(crate) fn is_too_early(&self) -> bool {
        self.status().is_some_and(|status| status.code == 429)
    }

    /// There is no such object, or no such thing as was asked for.
    pub(crate) fn is_not_found(&self) -> bool {
        self.status().is_some_and(|status| status.code == 404)
    }

    /// The right to it is missing.
    pub(crate) fn is_forbidden(&self) -> bool {
        self.status().is_some_and(|status| status.code == 403)
    }

    /// For a metric: the status of the answer, or why there is none.
    fn code(&self) -> String {
        match self {
            Self::Fenced => "fenced".to_owned(),
            Self::Silent(_) => "timeout".to_owned(),
            Self::Unfit(_) => "unfit".to_owned(),
            Self::Refused(_) => self
                .status()
                .map_or_else(|| "error".to_owned(), |status| status.code.to_string()),
        }
    }
}

/// The API server, for one term of a leader.
#[derive(Clone)]
pub(crate) struct Server {
    client: Client,
    fence: Fence,
    counts: Arc<Counts>,
}

impl Server {
    pub(crate) fn new(client: Client, fence: Fence, counts: Arc<Counts>) -> Self {
        Self {
            client,
            fence,
            counts,
        }
    }

    fn api<K: Kind>(&self, namespace: &str) -> Api<K::Wire> {
        Api::namespaced_with(self.client.clone(), namespace, &K::resource())
    }

    /// Reads an object; none when it is not there.
    pub(crate) async fn get<K: Kind>(&self, key: &Key) -> Result<Option<K::Wire>, Failure> {
        let api = self.api::<K>(&key.namespace);
        let read = async move { Ok(api.get_opt(&key.name).await?) };
        self.counted(K::NAME, "get", within(PATIENCE, read)).await
    }

    /// Changes an object by a merge patch.
    pub(crate) async fn patch<K: Kind>(
        &self,
        key: &Key,
        subresource: Option<&'static str>,
        patch: &Value,
    ) -> Result<K::Wire, Failure> {
        let api = self.api::<K>(&key.namespace);
        let patch = Patch::Merge(patch);
        let write = async move {
            Ok(match subresource {
                None => api.patch(&key.name, &as_us(), &patch).await?,
                Some(part) => {
                    api.patch_subresource(part, &key.name, &as_us(), &patch)
                        .await?
                }
            })
        };
        self.write(K::NAME, "patch", write).await
    }

    /// Creates an object in `namespace`.
    pub(crate) async fn create<K: Kind>(
        &self,
        namespace: &str,
        object: &Value,
    ) -> Result<K::Wire, Failure> {
        let path = K::Wire::url_path(&K::resource(), Some(namespace));
        self.create_at(K::NAME, path, object).await
    }

    /// Creates an object of the kind that is at `path`.
    pub(crate) async fn create_at<W: DeserializeOwned>(
        &self,
        kind: &'static str,
        path: String,
        object: &Value,
    ) -> Result<W, Failure> {
        let as_us = PostParams {
            field_manager: Some(MANAGER.to_owned()),
            ..PostParams::default()
        };
        let request = Request::new(path)
            .create(&as_us, object.to_string().into_bytes())
            .map_err(|error| Failure::Unfit(error.to_string()))?;
        let write = async move { Ok(self.client.request::<W>(request).await?) };
        self.write(kind, "create", write).await
    }

    /// Deletes an object, if it is still as it was seen. Returns what is left of it, if it takes some time to go.
    pub(crate) async fn delete<K: Kind>(
        &self,
        key: &Key,
        seen: &State,
    ) -> Result<Option<K::Wire>, Failure> {
        let api = self.api::<K>(&key.namespace);
        let how = DeleteParams {
            preconditions: Some(Preconditions {
                uid: Some(seen.uid.to_string()),
                resource_version: Some(seen.version.to_string()),
            }),
            ..DeleteParams::background()
        };
        let write = async move { Ok(api.delete(&key.name, &how).await?.left()) };
        self.write(K::NAME, "delete", write).await
    }

    /// Reads the workload that a template is taken from; none when it is not there.
    pub(crate) async fn workload(
        &self,
        source: WorkloadKind,
        key: &Key,
    ) -> Result<Option<Workload>, Failure> {
        let api = self.workloads(source, &key.namespace);
        let read = async move { Ok(api.get_opt(&key.name).await?) };
        let found = self
            .counted(source.name(), "get", within(PATIENCE, read))
            .await?;
        Ok(found.map(|object| Workload::read(source, object)))
    }

    /// Scales a Deployment, if it is still as it was read.
    pub(crate) async fn scale(
        &self,
        key: &Key,
        read: &Workload,
        replicas: u32,
    ) -> Result<(), Failure> {
        let source = WorkloadKind::Deployment;
        let api = self.workloads(source, &key.namespace);
        let patch =
            json!({"metadata": {"resourceVersion": read.version}, "spec": {"replicas": replicas}});
        let write = async move {
            let patch = Patch::Merge(patch);
            api.patch_subresource("scale", &key.name, &as_us(), &patch)
                .await?;
            Ok(())
        };
        self.write(source.name(), "patch", write).await
    }

    fn workloads(&self, source: WorkloadKind, namespace: &str) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), namespace, &source.resource())
    }

    /// What the pod template of a ReplicaSet is like; none when it is not there.
    pub(crate) async fn likeness(&self, key: &Key) -> Result<Option<String>, Failure> {
        let api: Api<DynamicObject> =
            Api::namespaced_with(self.client.clone(), &key.namespace, &Owned::resource());
        let read = async move { Ok(api.get_opt(&key.name).await?) };
        let found = self
            .counted(Owned::NAME, "get", within(PATIENCE, read))
            .await?;
        Ok(found.as_ref().map(objects::likeness))
    }

    /// Lists pods by their labels.
    pub(crate) async fn pods(&self, namespace: &str, labels: &str) -> Result<Vec<Pod>, Failure> {
        let api = self.pod_api(namespace);
        let which = ListParams::default().labels(labels);
        let read = async move { Ok(api.list(&which).await?.items) };
        self.counted("Pod", "list", within(PATIENCE, read)).await
    }

    /// Changes a pod.
    pub(crate) async fn patch_pod(
        &self,
        namespace: &str,
        name: &str,
        patch: &Value,
    ) -> Result<(), Failure> {
        let api = self.pod_api(namespace);
        let write = async move {
            api.patch_metadata(name, &as_us(), &Patch::Merge(patch))
                .await?;
            Ok(())
        };
        self.write("Pod", "patch", write).await
    }

    /// Asks for a pod to be evicted.
    pub(crate) async fn evict(&self, namespace: &str, name: &str) -> Result<(), Failure> {
        let api = self.pod_api(namespace);
        let write = async move {
            api.evict(name, &EvictParams::default()).await?;
            Ok(())
        };
        self.write("Pod", "evict", write).await
    }

    fn pod_api(&self, namespace: &str) -> Api<Pod> {
        Api::namespaced(self.client.clone(), namespace)
    }

    /// Asks for what is of no Rollout.
    pub(crate) async fn ask<T>(
        &self,
        kind: &'static str,
        verb: &'static str,
        request: impl Future<Output = kube::Result<T>>,
    ) -> Result<T, Failure> {
        let request = within(PATIENCE, async { Ok(request.await?) });
        self.counted(kind, verb, request).await
    }

    /// Makes a write, if there is time for it.
    async fn write<T>(
        &self,
        kind: &'static str,
        verb: &'static str,
        write: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let write = async {
            let left = self.fence.left(fence::now()).ok_or(Failure::Fenced)?;
            within(left.min(PATIENCE), write).await
        };
        self.counted(kind, verb, write).await
    }

    async fn counted<T>(
        &self,
        kind: &'static str,
        verb: &'static str,
        request: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        // On the heap, as what a request goes through takes much room.
        let span = spans::request_span(kind, verb);
        let result = Box::pin(request).instrument(span.clone()).await;
        let code = result
            .as_ref()
            .map_or_else(Failure::code, |_| "ok".to_owned());
        spans::answered(&span, &code, result.is_err());
        self.counts.requested(kind, verb, code);
        result
    }
}

fn as_us() -> PatchParams {
    PatchParams {
        field_manager: Some(MANAGER.to_owned()),
        ..PatchParams::default()
    }
}

async fn within<T>(
    patience: Duration,
    request: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    tokio::time::timeout(patience, request)
        .await
        .unwrap_or(Err(Failure::Silent(patience)))
}
