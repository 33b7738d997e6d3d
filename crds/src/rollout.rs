//! `Rollout` of `argoproj.io/v1alpha1`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::lenient;
use crate::meta::{LabelSelector, ObjectMeta};
use crate::status::RolloutStatus;
use crate::strategy::Strategy;

/// An application whose versions replace each other step by step.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Rollout {
    /// Always `argoproj.io/v1alpha1`.
    pub api_version: String,
    /// Always `Rollout`.
    pub kind: String,
    /// Name, namespace, labels, annotations.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub metadata: ObjectMeta,
    /// What is wanted.
    pub spec: RolloutSpec,
    /// What a controller last saw and did; never read from a file. A [`RolloutStatus`] once it is read.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<RolloutStatus>")]
    pub status: Option<Value>,
}

impl Rollout {
    /// The group and version of the API.
    pub const API_VERSION: &str = "argoproj.io/v1alpha1";
    /// The kind's name.
    pub const KIND: &str = "Rollout";
}

/// What is wanted of a rollout.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RolloutSpec {
    /// How many pods are wanted; absent means 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replicas: Option<i32>,
    /// Which pods belong to this rollout; must match the labels of the template.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-validations" = [
        {"rule": "self == oldSelf", "message": "spec.selector cannot be changed"}
    ]))]
    pub selector: Option<LabelSelector>,
    /// What a pod looks like. Any change of it is a new revision.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub template: Option<PodTemplate>,
    /// The object that holds the template, in place of `template`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workload_ref: Option<ObjectRef>,
    /// Seconds a pod must be ready before it counts as available; default 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_ready_seconds: Option<i32>,
    /// How far back a return to an older revision skips steps, pauses and analyses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rollback_window: Option<RollbackWindow>,
    /// How one version replaces the other; exactly one of canary and blueGreen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strategy: Option<Strategy>,
    /// How many old ReplicaSets are kept; default 10.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision_history_limit: Option<i32>,
    /// Holds the rollout where it is while true; default false.
    #[serde(default, deserialize_with = "lenient::flag")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paused: Option<bool>,
    /// Seconds without progress after which the rollout counts as degraded; default 600.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress_deadline_seconds: Option<i32>,
    /// Abort when the progress deadline has passed; default false.
    #[serde(default, deserialize_with = "lenient::flag")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress_deadline_abort: Option<bool>,
    /// Pods older than this time (RFC 3339) are restarted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"))]
    pub restart_at: Option<String>,
    /// How many finished analysis runs and experiments are kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub analysis: Option<AnalysisHistory>,
}

/// The pod template exactly as it was written. Only its identity matters here, not its content.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PodTemplate(pub Value);

/// The object that holds the pod template.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ObjectRef {
    /// Its API group and version, such as `apps/v1`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_version: Option<String>,
    /// `Deployment`, `ReplicaSet` or `PodTemplate`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Its name, in the same namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What becomes of its own pods while the rollout takes over; default `never`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scale_down: Option<ScaleDown>,
}

/// What becomes of the pods of a referenced workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ScaleDown {
    /// They stay.
    Never,
    /// They go when the rollout is healthy.
    OnSuccess,
    /// They go as the rollout's own pods come.
    Progressively,
}

/// How far back a return to an older revision is a quick one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RollbackWindow {
    /// Fewer revisions than this between the old one and stable.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revisions: Option<i32>,
}

/// How many finished analysis runs and experiments are kept for a rollout.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AnalysisHistory {
    /// Successful ones; default 5.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub successful_run_history_limit: Option<i32>,
    /// All others; default 5.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unsuccessful_run_history_limit: Option<i32>,
}
