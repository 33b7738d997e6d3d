//! Objects of the rollout API beside Rollouts: reading, creating and ending them.

use super::{Operator, OperatorError, as_person, merge, within};
use crds::{AnalysisRun, AnalysisTemplate, ClusterAnalysisTemplate, Experiment, Rollout};
use kube::{
    Api,
    api::PostParams,
    core::{ApiResource, DynamicObject, GroupVersionKind},
};
use serde_json::{Value, json};

/// A kind of the rollout API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApiKind {
    /// `Rollout`.
    Rollout,
    /// `AnalysisTemplate`.
    AnalysisTemplate,
    /// `ClusterAnalysisTemplate`, which is in no namespace.
    ClusterAnalysisTemplate,
    /// `AnalysisRun`.
    AnalysisRun,
    /// `Experiment`.
    Experiment,
}

impl ApiKind {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Rollout,
        Self::AnalysisTemplate,
        Self::ClusterAnalysisTemplate,
        Self::AnalysisRun,
        Self::Experiment,
    ];

    /// The kind of `object`; nothing where it is none of the rollout API.
    pub fn of(object: &Value) -> Option<Self> {
        let is_known = object["apiVersion"] == Rollout::API_VERSION;
        let mut kinds = Self::ALL.into_iter();
        kinds.find(|kind| is_known && object["kind"] == kind.name())
    }

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rollout => Rollout::KIND,
            Self::AnalysisTemplate => AnalysisTemplate::KIND,
            Self::ClusterAnalysisTemplate => ClusterAnalysisTemplate::KIND,
            Self::AnalysisRun => AnalysisRun::KIND,
            Self::Experiment => Experiment::KIND,
        }
    }

    fn resource(self) -> ApiResource {
        let (group, version) = Rollout::API_VERSION.split_once('/').unwrap_or_default();
        let plural = format!("{}s", self.name().to_lowercase());
        ApiResource::from_gvk_with_plural(
            &GroupVersionKind::gvk(group, version, self.name()),
            &plural,
        )
    }
}

impl Operator {
    /// The way to an object that says which namespace it is `of`, if it does.
    pub fn beside(&self, of: Option<&str>) -> Self {
        let namespace = of.map(str::to_owned).or_else(|| self.namespace.clone());
        Self {
            namespace,
            ..self.clone()
        }
    }

    fn objects(&self, kind: ApiKind) -> Api<DynamicObject> {
        match kind {
            ApiKind::ClusterAnalysisTemplate => {
                Api::all_with(self.client.clone(), &kind.resource())
            }
            _ => self.api(&kind.resource()),
        }
    }

    /// Reads an object.
    ///
    /// # Errors
    /// It is not there, or the API server does not say.
    pub async fn read(&self, kind: ApiKind, name: &str) -> Result<Value, OperatorError> {
        let about = self.about(kind.name(), name);
        about.value(within(self.objects(kind).get(name)).await)
    }

    /// Creates `object`. Returns its name, which the API server may have chosen.
    ///
    /// # Errors
    /// It is there already, it is refused, or the API server does not answer.
    pub async fn create(&self, kind: ApiKind, object: &Value) -> Result<String, OperatorError> {
        let meta = &object["metadata"];
        let name = meta["name"].as_str();
        let name = name.or_else(|| meta["generateName"].as_str());
        let about = self.about(kind.name(), name.unwrap_or_default());
        let object: DynamicObject =
            serde_json::from_value(object.clone()).map_err(|why| about.unfit(&why))?;
        let as_person = PostParams {
            field_manager: as_person().field_manager,
            ..PostParams::default()
        };
        let created = within(self.objects(kind).create(&as_person, &object)).await;
        let created = created.map_err(|why| about.failed(why))?;
        Ok(created.metadata.name.unwrap_or_default())
    }

    /// Tells an AnalysisRun or an Experiment to end now.
    ///
    /// # Errors
    /// It is not there, it is refused, or the API server does not answer.
    pub async fn terminate(&self, kind: ApiKind, name: &str) -> Result<(), OperatorError> {
        let about = self.about(kind.name(), name);
        let patch = json!({"spec": {"terminate": true}});
        merge(&self.objects(kind), &about, &patch).await
    }
}
