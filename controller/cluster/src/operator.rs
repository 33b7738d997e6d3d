//! Rollouts as a person reads and tells them from the command line, with the person's own rights.
//!
//! Nothing here needs a controller, or is one: what is told are patches that whoever leads acts on.

mod error;
mod objects;
mod watch;

pub use error::OperatorError;
pub use objects::ApiKind;
pub use watch::{Kinds, Tidings, Watch};

use crate::objects::{Kind as _, POD_HASH, Read, WorkloadKind};
use controller::verbs::Patch;
use crds::{ObjectRef, Rollout};
pub(crate) use error::About;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::{
    Api, Client,
    api::{ListParams, PatchParams},
    core::{ApiResource, DynamicObject, Selector},
};
use serde_json::{Value, json};
use std::{future::Future, time::Duration};

/// Who is to be seen in `metadata.managedFields`.
const MANAGER: &str = "sluice";
/// The longest that an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// A person's way to the Rollouts of a namespace, or of all of them.
#[derive(Clone)]
pub struct Operator {
    client: Client,
    /// None is all.
    namespace: Option<String>,
}

/// The objects around Rollouts, as the API server tells of them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Picture {
    /// Rollouts, by namespace and name.
    pub rollouts: Vec<Value>,
    /// ReplicaSets of Rollouts, of any of them.
    pub replica_sets: Vec<Value>,
    /// Pods of Rollouts, of any of them.
    pub pods: Vec<Value>,
}

/// The workload that a Rollout takes its pod template from.
#[derive(Clone, Debug, PartialEq)]
pub struct Workload {
    source: WorkloadKind,
    name: String,
    version: Value,
    /// Its pod template.
    pub template: Value,
}

impl Operator {
    /// A way to the Rollouts of `namespace`; without one, to those of all namespaces, which can only be looked at.
    pub fn new(client: Client, namespace: Option<String>) -> Self {
        Self { client, namespace }
    }

    fn api(&self, resource: &ApiResource) -> Api<DynamicObject> {
        match &self.namespace {
            None => Api::all_with(self.client.clone(), resource),
            Some(namespace) => Api::namespaced_with(self.client.clone(), namespace, resource),
        }
    }

    fn about(&self, kind: &'static str, name: &str) -> About {
        About {
            kind,
            name: name.to_owned(),
            namespace: self.namespace.clone(),
        }
    }

    /// Reads a Rollout.
    ///
    /// # Errors
    /// It is not there, or the API server does not say.
    pub async fn get(&self, name: &str) -> Result<Value, OperatorError> {
        let api = self.api(&Read::resource());
        let about = self.about(Rollout::KIND, name);
        about.value(within(api.get(name)).await)
    }

    /// Reads all Rollouts.
    ///
    /// # Errors
    /// The API server does not say.
    pub async fn list(&self) -> Result<Vec<Value>, OperatorError> {
        let about = self.about(Rollout::KIND, "");
        self.all(&Read::resource(), &ListParams::default(), &about)
            .await
    }

    /// Reads a Rollout with its ReplicaSets, and with their pods where `with_pods` says so. What is of other Rollouts
    /// may be there, too.
    ///
    /// # Errors
    /// The Rollout is not there, or the API server does not say.
    pub async fn picture(&self, name: &str, with_pods: bool) -> Result<Picture, OperatorError> {
        let rollout = self.get(name).await?;
        let selector = selector(&rollout);
        let which = ListParams::default().labels(&selector);
        let sets = self.about("ReplicaSet", "");
        let pods = self.about("Pod", "");
        Ok(Picture {
            rollouts: vec![rollout],
            replica_sets: self.all(&replica_set(), &which, &sets).await?,
            pods: match with_pods {
                true => self.all(&pod(), &which, &pods).await?,
                false => Vec::new(),
            },
        })
    }

    async fn all(
        &self,
        resource: &ApiResource,
        which: &ListParams,
        about: &About,
    ) -> Result<Vec<Value>, OperatorError> {
        let found = within(self.api(resource).list(which)).await;
        let found = found.map_err(|why| about.failed(why))?;
        found
            .items
            .into_iter()
            .map(|item| about.value(Ok(item)))
            .collect()
    }

    /// Reads the workload that `rollout` takes its pod template from, if it does.
    ///
    /// # Errors
    /// It is not there or of a kind that has none, or the API server does not say.
    pub async fn workload(&self, rollout: &Rollout) -> Result<Option<Workload>, OperatorError> {
        let Some(reference) = &rollout.spec.workload_ref else {
            return Ok(None);
        };
        let ObjectRef { kind, name, .. } = reference;
        let (kind, name) = (kind.as_deref().unwrap_or(""), name.as_deref().unwrap_or(""));
        let own = rollout.metadata.name.as_deref().unwrap_or_default();
        let sources = WorkloadKind::ALL.into_iter();
        let source = sources
            .into_iter()
            .find(|source| source.name() == kind)
            .ok_or_else(|| OperatorError::Unfit {
                about: self.about(Rollout::KIND, own).to_string(),
                why: format!(
                    "spec.workloadRef.kind: found {kind:?}, allowed Deployment, ReplicaSet and PodTemplate"
                ),
            })?;
        let about = self.about(source.name(), name);
        let object = about.value(within(self.api(&source.resource()).get(name)).await)?;
        let template = object.pointer(template_path(source));
        Ok(Some(Workload {
            source,
            name: name.to_owned(),
            version: object["metadata"]["resourceVersion"].clone(),
            template: template.cloned().unwrap_or_default(),
        }))
    }

    /// Tells the Rollout `seen`, as it was read, and the workload that its pod template comes from, where it has one.
    ///
    /// # Errors
    /// It is refused, or not answered. A template is changed only while its object is as it was read
    /// ([`OperatorError::is_conflict`]).
    pub async fn tell(
        &self,
        seen: &Value,
        workload: Option<&Workload>,
        patch: &Patch,
    ) -> Result<(), OperatorError> {
        let name = seen["metadata"]["name"].as_str().unwrap_or_default();
        let about = self.about(Rollout::KIND, name);
        let rollouts = self.api(&Read::resource());
        match (patch, workload) {
            (Patch::Spec(patch), _) => merge(&rollouts, &about, patch).await,
            (Patch::Status(patch), _) => status(&rollouts, &about, patch).await,
            (Patch::Template(template), None) => {
                let version = &seen["metadata"]["resourceVersion"];
                replace(&rollouts, &about, version, "/spec/template", template).await
            }
            (Patch::Template(template), Some(workload)) => {
                let about = self.about(workload.source.name(), &workload.name);
                let api = self.api(&workload.source.resource());
                let path = template_path(workload.source);
                replace(&api, &about, &workload.version, path, template).await
            }
        }
    }
}

async fn merge(
    api: &Api<DynamicObject>,
    about: &About,
    patch: &Value,
) -> Result<(), OperatorError> {
    let patch = kube::api::Patch::Merge(patch);
    let written = within(api.patch(&about.name, &as_person(), &patch)).await;
    written.map(|_| ()).map_err(|why| about.failed(why))
}

/// By way of the status, or, where the API server has no such way, of the object: so old definitions have it.
async fn status(
    api: &Api<DynamicObject>,
    about: &About,
    patch: &Value,
) -> Result<(), OperatorError> {
    let merged = kube::api::Patch::Merge(patch);
    let written = within(api.patch_status(&about.name, &as_person(), &merged)).await;
    match written.map_err(|why| about.failed(why)) {
        Err(OperatorError::Missing { .. }) => merge(api, about, patch).await,
        written => written.map(|_| ()),
    }
}

/// Replaces a pod template, if its object is still of that `version`.
async fn replace(
    api: &Api<DynamicObject>,
    about: &About,
    version: &Value,
    path: &str,
    template: &Value,
) -> Result<(), OperatorError> {
    let patch = json!([
        {"op": "replace", "path": "/metadata/resourceVersion", "value": version},
        {"op": "replace", "path": path, "value": template},
    ]);
    let patch = serde_json::from_value(patch).map_err(|why| about.unfit(&why))?;
    let patch = kube::api::Patch::<Value>::Json(patch);
    let written = within(api.patch(&about.name, &as_person(), &patch)).await;
    written.map(|_| ()).map_err(|why| about.failed(why))
}

/// Where a workload has its pod template.
const fn template_path(source: WorkloadKind) -> &'static str {
    match source {
        WorkloadKind::Deployment | WorkloadKind::ReplicaSet => "/spec/template",
        WorkloadKind::PodTemplate => "/template",
    }
}

/// Selects ReplicaSets and pods of a Rollout; those of others, too, where it does not say which are its own.
fn selector(rollout: &Value) -> String {
    let written = rollout["spec"]["selector"].clone();
    let written = serde_json::from_value::<LabelSelector>(written).ok();
    let written = written.and_then(|written| Selector::try_from(written).ok());
    let own = written.filter(|own| !own.selects_all());
    own.map_or_else(|| POD_HASH.to_owned(), |own| own.to_string())
}

fn replica_set() -> ApiResource {
    ApiResource::erase::<k8s_openapi::api::apps::v1::ReplicaSet>(&())
}

fn pod() -> ApiResource {
    ApiResource::erase::<k8s_openapi::api::core::v1::Pod>(&())
}

fn as_person() -> PatchParams {
    PatchParams {
        field_manager: Some(MANAGER.to_owned()),
        ..PatchParams::default()
    }
}

pub(crate) async fn within<T>(
    request: impl Future<Output = kube::Result<T>>,
) -> Result<T, Option<kube::Error>> {
    // On the heap, as what a request goes through takes much room.
    let answer = tokio::time::timeout(PATIENCE, Box::pin(request)).await;
    answer.map_or(Err(None), |answer| answer.map_err(Some))
}
