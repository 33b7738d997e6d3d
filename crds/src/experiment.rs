//! Experiments: short-lived versions, to be compared by analyses. Here as a step of a canary; [`Experiment`] is the
//! object.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::analysis::{Argument, DryRun, Metadata};
use crate::lenient;
use crate::meta::LabelSelector;

mod object;

pub use object::{
    AnalysisTemplateUse, Experiment, ExperimentAnalysisRun, ExperimentSpec, ExperimentStatus,
    VersionPhase, VersionStatus, VersionTemplate,
};

/// Short-lived versions beside the canary, and the analyses that compare them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExperimentStep {
    /// The versions that run.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub templates: Vec<ExperimentTemplate>,
    /// How long they run once all are available, such as `1h`; absent means until the analyses end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration: Option<String>,
    /// The analyses.
    #[serde(default, deserialize_with = "lenient::or_default")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub analyses: Vec<ExperimentAnalysis>,
    /// Metrics that are measured but never decide.
    #[serde(default, deserialize_with = "lenient::or_default")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub dry_run: Vec<DryRun>,
    /// Labels and annotations for the analysis runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub analysis_run_metadata: Option<Metadata>,
    /// Seconds before the pods go when the experiment has ended; default 30.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scale_down_delay_seconds: Option<i32>,
}

/// One version that runs in an experiment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExperimentTemplate {
    /// Its name in the experiment.
    pub name: String,
    /// The version whose pod template it takes.
    pub spec_ref: SpecRef,
    /// How many pods; default 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replicas: Option<i32>,
    /// Labels and annotations of its pods.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Metadata>,
    /// Which pods belong to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub selector: Option<LabelSelector>,
    /// Its share of the traffic in percent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight: Option<i32>,
    /// The Service that leads to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<ExperimentService>,
}

/// The Service that leads to a version of an experiment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExperimentService {
    /// Its name; absent means the name of the template.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// The version whose pod template an experiment takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum SpecRef {
    /// The new version.
    Canary,
    /// The old version.
    Stable,
}

/// One analysis of an experiment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExperimentAnalysis {
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
    pub args: Vec<Argument>,
    /// The experiment is not over before this analysis is; default false.
    #[serde(default, deserialize_with = "lenient::flag")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub required_for_completion: Option<bool>,
}
