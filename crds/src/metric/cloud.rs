//! Metric services.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::IntOrString;
use crate::lenient;

/// A query to Datadog.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Datadog {
    /// How far back it looks; default `5m`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-default" = "5m"))]
    pub interval: Option<String>,
    /// The query.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// Queries by name, which the formula puts together; only with `v2`.
    #[serde(default, deserialize_with = "lenient::or_default")]
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub queries: BTreeMap<String, String>,
    /// How the queries are put together; only with `v2`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub formula: Option<String>,
    /// `v1` or `v2`; default `v1`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-default" = "v1", "x-words" = ["v1", "v2"]))]
    pub api_version: Option<String>,
    /// How many values become one; only with `v2`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-words" = Self::AGGREGATORS))]
    pub aggregator: Option<String>,
    /// The secret with the keys.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<DatadogSecret>,
    /// How long a request may take; default `10s`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-default" = "10s"))]
    pub request_timeout: Option<String>,
}

impl Datadog {
    /// How many values may become one.
    const AGGREGATORS: [&str; 9] = [
        "avg",
        "min",
        "max",
        "sum",
        "last",
        "percentile",
        "mean",
        "l2norm",
        "area",
    ];
}

/// The secret with Datadog's keys.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DatadogSecret {
    /// Its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// It is in the namespace of the analysis, not of the controller; default false.
    #[serde(default, deserialize_with = "lenient::flag")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespaced: Option<bool>,
}

/// A query to New Relic.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NewRelic {
    /// The secret that says where and who.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// The query, in NRQL.
    pub query: String,
    /// Seconds it may take.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<i64>,
}

/// A query to Wavefront.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Wavefront {
    /// Its host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// The query.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
}

/// Queries to AWS CloudWatch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CloudWatch {
    /// How far back they look; default `5m`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval: Option<String>,
    /// The queries.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub metric_data_queries: Vec<CloudWatchQuery>,
}

/// One query to AWS CloudWatch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CloudWatchQuery {
    /// Its name among the queries.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// An expression over the others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expression: Option<String>,
    /// What it is called for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// A metric, in place of an expression.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metric_stat: Option<CloudWatchStat>,
    /// Seconds between two values.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub period: Option<IntOrString>,
    /// Whether it is part of the result; default true.
    #[serde(default, deserialize_with = "lenient::flag")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub return_data: Option<bool>,
}

/// A statistic of a metric.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CloudWatchStat {
    /// The metric.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metric: Option<CloudWatchMetric>,
    /// Seconds between two values.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub period: Option<IntOrString>,
    /// The statistic, such as `Sum`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stat: Option<String>,
    /// The unit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
}

/// A metric.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CloudWatchMetric {
    /// Which one of that name.
    #[serde(default, deserialize_with = "lenient::or_default")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub dimensions: Vec<CloudWatchDimension>,
    /// Its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metric_name: Option<String>,
    /// Whose it is, such as `AWS/ApplicationELB`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
}

/// What tells metrics of one name apart.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CloudWatchDimension {
    /// Its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
}
