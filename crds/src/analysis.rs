//! How a rollout asks for analysis: which templates, with which arguments.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::lenient;

/// An analysis that runs at one point of a rollout.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Analysis {
    /// The templates whose metrics are measured, all of them together.
    #[serde(default, deserialize_with = "lenient::or_default")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub templates: Vec<TemplateRef>,
    /// Values for the arguments of the templates.
    #[serde(default, deserialize_with = "lenient::or_default")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<Argument>,
    /// Metrics that are measured but never decide.
    #[serde(default, deserialize_with = "lenient::or_default")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub dry_run: Vec<DryRun>,
    /// How many measurements of a metric are kept.
    #[serde(default, deserialize_with = "lenient::or_default")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub measurement_retention: Vec<MeasurementRetention>,
    /// Labels and annotations for the analysis run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub analysis_run_metadata: Option<Metadata>,
}

/// An analysis that runs beside the steps of a canary until they are done.
///
/// The same fields as [`Analysis`] and one more. They are repeated, because serde loses the path
/// of a faulty field behind `flatten`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BackgroundAnalysis {
    /// The templates whose metrics are measured, all of them together.
    #[serde(default, deserialize_with = "lenient::or_default")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub templates: Vec<TemplateRef>,
    /// Values for the arguments of the templates.
    #[serde(default, deserialize_with = "lenient::or_default")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<Argument>,
    /// Metrics that are measured but never decide.
    #[serde(default, deserialize_with = "lenient::or_default")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub dry_run: Vec<DryRun>,
    /// How many measurements of a metric are kept.
    #[serde(default, deserialize_with = "lenient::or_default")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub measurement_retention: Vec<MeasurementRetention>,
    /// Labels and annotations for the analysis run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub analysis_run_metadata: Option<Metadata>,
    /// The step, counted from 0, at which it begins; default 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub starting_step: Option<i32>,
}

/// Which analysis template is meant.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TemplateRef {
    /// Its name.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub template_name: String,
    /// Whether it is a ClusterAnalysisTemplate; default false.
    #[serde(default, deserialize_with = "lenient::flag")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster_scope: Option<bool>,
}

/// A value for one argument of a template.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Argument {
    /// The argument's name.
    pub name: String,
    /// The value as it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// Where the value comes from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value_from: Option<ValueFrom>,
}

/// Where the value of an argument comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ValueFrom {
    /// The hash of the pod template of one of the two versions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod_template_hash_value: Option<PodTemplateHash>,
    /// A field of the Rollout.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field_ref: Option<FieldRef>,
}

/// The version whose pod template hash is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum PodTemplateHash {
    /// The one that serves all traffic when nothing is rolled out.
    Stable,
    /// The one that is rolled out.
    Latest,
}

/// A field of the Rollout.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FieldRef {
    /// Its path, such as `metadata.labels['region']`.
    pub field_path: String,
}

/// A metric that is measured but never decides.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DryRun {
    /// The metric's name, or a regular expression for several.
    pub metric_name: String,
}

/// How many measurements of a metric are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MeasurementRetention {
    /// The metric's name, or a regular expression for several.
    pub metric_name: String,
    /// How many.
    pub limit: i32,
}

/// Labels and annotations to be put on other objects.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Metadata {
    /// Labels.
    #[serde(default, deserialize_with = "lenient::or_default")]
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Annotations.
    #[serde(default, deserialize_with = "lenient::or_default")]
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}
