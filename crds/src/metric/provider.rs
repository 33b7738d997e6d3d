//! Who measures.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    CloudWatch, Datadog, Graphite, Influxdb, Job, Kayenta, NewRelic, Prometheus, SkyWalking,
    Wavefront, Web,
};
use crate::lenient;

/// Who measures. Exactly one is to be set.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MetricProvider {
    /// A Prometheus.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prometheus: Option<Prometheus>,
    /// A Kayenta, which compares.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kayenta: Option<Kayenta>,
    /// Any HTTP server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub web: Option<Web>,
    /// Datadog.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub datadog: Option<Datadog>,
    /// Wavefront.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wavefront: Option<Wavefront>,
    /// New Relic.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new_relic: Option<NewRelic>,
    /// A Job, whose success is the measurement.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job: Option<Job>,
    /// AWS CloudWatch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cloud_watch: Option<CloudWatch>,
    /// Graphite.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub graphite: Option<Graphite>,
    /// InfluxDB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub influxdb: Option<Influxdb>,
    /// Apache SkyWalking.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skywalking: Option<SkyWalking>,
    /// Any other, by name, with its own options.
    #[serde(default, deserialize_with = "lenient::or_default")]
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub plugin: BTreeMap<String, Value>,
}
