//! `Experiment` of `argoproj.io/v1alpha1`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ExperimentService;
use crate::Time;
use crate::analysis::{DryRun, MeasurementRetention, Metadata};
use crate::analysis_run::AnalysisPhase;
use crate::analysis_template::TemplateArgument;
use crate::lenient;
use crate::meta::{LabelSelector, ObjectMeta};
use crate::rollout::PodTemplate;
use crate::status::Condition;

/// Versions that run side by side for a time, and the analyses that compare them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Experiment {
    /// Always `argoproj.io/v1alpha1`.
    pub api_version: String,
    /// Always `Experiment`.
    pub kind: String,
    /// Name, namespace, labels, annotations.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub metadata: ObjectMeta,
    /// What is wanted.
    pub spec: ExperimentSpec,
    /// What became of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<ExperimentStatus>,
}

impl Experiment {
    /// The kind's name.
    pub const KIND: &str = "Experiment";
}

/// What is wanted of an experiment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExperimentSpec {
    /// The versions that run.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub templates: Vec<VersionTemplate>,
    /// How long they run once all are available, such as `1h`; absent means until it is ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration: Option<String>,
    /// Seconds in which all must become available; default 600.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress_deadline_seconds: Option<i32>,
    /// Set to end it now; default false.
    #[serde(default, deserialize_with = "lenient::flag")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub terminate: Option<bool>,
    /// The analyses.
    #[serde(default, deserialize_with = "lenient::or_default")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub analyses: Vec<AnalysisTemplateUse>,
    /// Seconds before the pods go when it has ended; default 30.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scale_down_delay_seconds: Option<i32>,
    /// Metrics that are measured but never decide.
    #[serde(default, deserialize_with = "lenient::or_default")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub dry_run: Vec<DryRun>,
    /// How many measurements of a metric are kept.
    #[serde(default, deserialize_with = "lenient::or_default")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub measurement_retention: Vec<MeasurementRetention>,
    /// Labels and annotations for the analysis runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub analysis_run_metadata: Option<Metadata>,
}

/// One version that runs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VersionTemplate {
    /// Its name in the experiment.
    pub name: String,
    /// How many pods; default 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replicas: Option<i32>,
    /// Seconds a pod must be ready before it counts as available; default 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_ready_seconds: Option<i32>,
    /// Which pods belong to it.
    pub selector: LabelSelector,
    /// What its pods look like.
    pub template: PodTemplate,
    /// The Service that leads to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<ExperimentService>,
}

/// One analysis of an experiment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AnalysisTemplateUse {
    /// Its name in the experiment.
    pub name: String,
    /// The template's name.
    pub template_name: String,
    /// Whether it is a ClusterAnalysisTemplate; default false.
    #[serde(default, deserialize_with = "lenient::flag")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster_scope: Option<bool>,
    /// Values for the arguments of the template.
    #[serde(default, deserialize_with = "lenient::or_default")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<TemplateArgument>,
    /// The experiment is not over before this analysis is; default false.
    #[serde(default, deserialize_with = "lenient::flag")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub required_for_completion: Option<bool>,
}

/// What became of an experiment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExperimentStatus {
    /// How it stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<AnalysisPhase>,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Each version.
    #[serde(default, deserialize_with = "lenient::or_default")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub template_statuses: Vec<VersionStatus>,
    /// When all versions were available.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub available_at: Option<Time>,
    /// What holds of it.
    #[serde(default, deserialize_with = "lenient::or_default")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// Each analysis.
    #[serde(default, deserialize_with = "lenient::or_default")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub analysis_runs: Vec<ExperimentAnalysisRun>,
}

/// What became of one version.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VersionStatus {
    /// Its name in the experiment.
    pub name: String,
    /// Pods that run.
    pub replicas: i32,
    /// Pods of this template.
    pub updated_replicas: i32,
    /// Pods that are ready.
    pub ready_replicas: i32,
    /// Pods that have been ready for `minReadySeconds`.
    pub available_replicas: i32,
    /// How often a hash was already that of another template.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub collision_count: Option<i32>,
    /// How it stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<VersionPhase>,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// When it last went on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_transition_time: Option<Time>,
    /// The Service that leads to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_name: Option<String>,
    /// The hash of its pod template.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod_template_hash: Option<String>,
}

/// How a version of an experiment stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum VersionPhase {
    /// Its pods are on their way.
    Progressing,
    /// It runs.
    Running,
    /// It ran to the end.
    Successful,
    /// Its pods did not come, or went.
    Failed,
    /// It could not be set up.
    Error,
    /// One that this version does not know.
    #[serde(untagged)]
    Other(String),
}

/// An analysis run of an experiment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExperimentAnalysisRun {
    /// The analysis.
    pub name: String,
    /// The AnalysisRun.
    pub analysis_run: String,
    /// How it stands.
    pub phase: AnalysisPhase,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}
