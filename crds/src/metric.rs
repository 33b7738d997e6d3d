//! Metrics: what an analysis measures, how often, and what that means.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::IntOrString;

mod cloud;
mod http;
mod job;
mod kayenta;
mod provider;

pub use cloud::{
    CloudWatch, CloudWatchDimension, CloudWatchMetric, CloudWatchQuery, CloudWatchStat, Datadog,
    DatadogSecret, NewRelic, Wavefront,
};
pub use http::{
    Authentication, BasicAuth, Graphite, Header, Influxdb, OAuth2, Prometheus, RangeQuery, Sigv4,
    SkyWalking, Web,
};
pub use job::{Job, JobSpec};
pub use kayenta::{Kayenta, KayentaScope, KayentaScopeDetail, KayentaThreshold};
pub use provider::MetricProvider;

/// What is measured, how often, and what that means. Numbers may be arguments such as `"{{args.count}}"`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Metric {
    /// Its name in the analysis.
    pub name: String,
    /// Time between measurements, such as `30s`; absent means one measurement.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval: Option<String>,
    /// Time before the first measurement, such as `5m`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub initial_delay: Option<String>,
    /// How many measurements; absent means one, or any number where there is an interval.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<IntOrString>,
    /// An expression over `result` that is true of a good measurement.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub success_condition: Option<String>,
    /// An expression over `result` that is true of a bad measurement. Asked before the other.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure_condition: Option<String>,
    /// How many bad measurements are borne; default 0; -1 means any number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure_limit: Option<IntOrString>,
    /// How many measurements that are neither good nor bad are borne; default 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inconclusive_limit: Option<IntOrString>,
    /// How many errors one after the other are borne; default 4.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub consecutive_error_limit: Option<IntOrString>,
    /// Where it is measured.
    pub provider: MetricProvider,
    /// So many good measurements one after the other suffice; default 0: never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub consecutive_success_limit: Option<IntOrString>,
}
