//! `AnalysisRun` of `argoproj.io/v1alpha1`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Time;
use crate::analysis::{DryRun, MeasurementRetention};
use crate::analysis_template::TemplateArgument;
use crate::lenient;
use crate::meta::ObjectMeta;
use crate::metric::Metric;

/// Metrics that are measured, and what came out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AnalysisRun {
    /// Always `argoproj.io/v1alpha1`.
    pub api_version: String,
    /// Always `AnalysisRun`.
    pub kind: String,
    /// Name, namespace, labels, annotations.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub metadata: ObjectMeta,
    /// What is measured.
    pub spec: AnalysisRunSpec,
    /// What came out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<AnalysisRunStatus>,
}

impl AnalysisRun {
    /// The kind's name.
    pub const KIND: &str = "AnalysisRun";
}

/// What is measured.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AnalysisRunSpec {
    /// The metrics.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub metrics: Vec<Metric>,
    /// The arguments.
    #[serde(default, deserialize_with = "lenient::or_default")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<TemplateArgument>,
    /// Set to end it now; default false.
    #[serde(default, deserialize_with = "lenient::flag")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub terminate: Option<bool>,
    /// Metrics that are measured but never decide.
    #[serde(default, deserialize_with = "lenient::or_default")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub dry_run: Vec<DryRun>,
    /// How many measurements of a metric are kept.
    #[serde(default, deserialize_with = "lenient::or_default")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub measurement_retention: Vec<MeasurementRetention>,
    /// When the object is deleted once it has ended; absent means never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl_strategy: Option<TtlStrategy>,
}

/// Seconds that an ended run is kept. The more exact one counts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TtlStrategy {
    /// However it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds_after_completion: Option<i32>,
    /// When it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds_after_failure: Option<i32>,
    /// When it succeeded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds_after_success: Option<i32>,
}

/// How an analysis, a metric of it, or a measurement of that stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum AnalysisPhase {
    /// It has not begun.
    Pending,
    /// It has not ended.
    Running,
    /// The version is good.
    Successful,
    /// The version is bad.
    Failed,
    /// It could not be measured.
    Error,
    /// It cannot be told.
    Inconclusive,
    /// One that this version does not know.
    #[serde(untagged)]
    Other(String),
}

/// What came out of an analysis.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AnalysisRunStatus {
    /// How it stands.
    pub phase: AnalysisPhase,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Each metric.
    #[serde(default, deserialize_with = "lenient::or_default")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub metric_results: Vec<MetricResult>,
    /// When it began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Time>,
    /// How many metrics ended how.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_summary: Option<RunSummary>,
    /// The same for metrics that never decide.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dry_run_summary: Option<RunSummary>,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<Time>,
}

/// How many metrics ended how.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RunSummary {
    /// All but errors.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<i32>,
    /// The good ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub successful: Option<i32>,
    /// The bad ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed: Option<i32>,
    /// Those that cannot be told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inconclusive: Option<i32>,
    /// Errors.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<i32>,
}

/// What came out of one metric.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MetricResult {
    /// The metric.
    pub name: String,
    /// How it stands.
    pub phase: AnalysisPhase,
    /// The latest measurements.
    #[serde(default, deserialize_with = "lenient::or_default")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub measurements: Vec<Measurement>,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// How many measurements, without errors.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<i32>,
    /// How many were good.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub successful: Option<i32>,
    /// How many were bad.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed: Option<i32>,
    /// How many cannot be told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inconclusive: Option<i32>,
    /// How many errors.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<i32>,
    /// How many errors one after the other, up to now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub consecutive_error: Option<i32>,
    /// It never decides.
    #[serde(default, deserialize_with = "lenient::flag")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dry_run: Option<bool>,
    /// What its provider notes, such as the query.
    #[serde(default, deserialize_with = "lenient::or_default")]
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    /// How many good ones one after the other, up to now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub consecutive_success: Option<i32>,
}

/// One measurement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Measurement {
    /// How it stands.
    pub phase: AnalysisPhase,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// When it began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Time>,
    /// When it was there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Time>,
    /// What was measured, as a text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// What its provider notes, such as the name of a Job.
    #[serde(default, deserialize_with = "lenient::or_default")]
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    /// When to look again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resume_at: Option<Time>,
}
