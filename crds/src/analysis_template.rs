//! `AnalysisTemplate` and `ClusterAnalysisTemplate` of `argoproj.io/v1alpha1`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::analysis::{DryRun, FieldRef, MeasurementRetention, TemplateRef};
use crate::lenient;
use crate::meta::ObjectMeta;
use crate::metric::Metric;

/// Metrics that tell a good version from a bad one, to be filled with arguments.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AnalysisTemplate {
    /// Always `argoproj.io/v1alpha1`.
    pub api_version: String,
    /// Always `AnalysisTemplate`.
    pub kind: String,
    /// Name, namespace, labels, annotations.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub metadata: ObjectMeta,
    /// What is measured.
    pub spec: AnalysisTemplateSpec,
}

impl AnalysisTemplate {
    /// The kind's name.
    pub const KIND: &str = "AnalysisTemplate";
}

/// An AnalysisTemplate for all namespaces.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClusterAnalysisTemplate {
    /// Always `argoproj.io/v1alpha1`.
    pub api_version: String,
    /// Always `ClusterAnalysisTemplate`.
    pub kind: String,
    /// Name, labels, annotations.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub metadata: ObjectMeta,
    /// What is measured.
    pub spec: AnalysisTemplateSpec,
}

impl ClusterAnalysisTemplate {
    /// The kind's name.
    pub const KIND: &str = "ClusterAnalysisTemplate";
}

/// What is measured.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AnalysisTemplateSpec {
    /// The metrics.
    #[serde(default, deserialize_with = "lenient::or_default")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub metrics: Vec<Metric>,
    /// The arguments, and what they are unless somebody says otherwise.
    #[serde(default, deserialize_with = "lenient::or_default")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<TemplateArgument>,
    /// Metrics that are measured but never decide.
    #[serde(default, deserialize_with = "lenient::or_default")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub dry_run: Vec<DryRun>,
    /// How many measurements of a metric are kept.
    #[serde(default, deserialize_with = "lenient::or_default")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub measurement_retention: Vec<MeasurementRetention>,
    /// Other templates whose metrics are measured too.
    #[serde(default, deserialize_with = "lenient::or_default")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub templates: Vec<TemplateRef>,
}

/// An argument, and its value.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TemplateArgument {
    /// Its name; metrics have it as `{{args.NAME}}`.
    pub name: String,
    /// The value as it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// Where the value comes from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value_from: Option<TemplateValueFrom>,
}

/// Where the value of an argument comes from. One of the two is to be set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TemplateValueFrom {
    /// A secret. It is read for each measurement and kept nowhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_key_ref: Option<SecretKeyRef>,
    /// A field of the Rollout.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field_ref: Option<FieldRef>,
}

/// One entry of a secret.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretKeyRef {
    /// The secret's name.
    pub name: String,
    /// The entry.
    pub key: String,
}
