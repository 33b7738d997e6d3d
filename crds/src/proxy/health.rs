//! Endpoints that fail, and how that is found out.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::GoDuration;

/// When an endpoint is left out because of what was seen of its requests (passive health check).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Ejection {
    /// Failures in a row that eject an endpoint; 0 looks at no row.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 1000), extend("default" = 5))]
    pub consecutive_failures: Option<u32>,
    /// Ejects an endpoint whose share of failures, within ten seconds, is above that of all others of
    /// the Service together by this much. Absent does not compare.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.01, max = 1))]
    pub excess_failure_ratio: Option<f64>,
    /// Requests within ten seconds below which nothing is compared.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000), extend("default" = 20))]
    pub min_requests: Option<u32>,
    /// How long the first ejection lasts; each further one within ten minutes lasts as much longer. Then
    /// a single request at a time is let through until one succeeds.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "10s", "x-min" = "1ms", "x-max" = "24h"))]
    pub base_time: Option<GoDuration>,
    /// The longest that an ejection lasts.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "5m", "x-min" = "1ms", "x-max" = "24h"))]
    pub max_time: Option<GoDuration>,
    /// The share of endpoints that may be ejected at the same time; the last endpoint never is.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 100), extend("default" = 50, "x-unit" = "percent"))]
    pub max_ejected: Option<u32>,
}

/// Requests that the proxy itself sends to endpoints (active health check).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HealthCheck {
    /// The path that is asked for with GET; an answer from 200 to 399 is a success. Absent only
    /// connects.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The `Host` of these requests; absent sends the endpoint's address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// From one request to the next, give or take a tenth.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = Self::DEFAULT_INTERVAL, "x-min" = "10ms", "x-max" = "24h"))]
    pub interval: Option<GoDuration>,
    /// How long the answer may take.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = Self::DEFAULT_TIMEOUT, "x-min" = "1ms", "x-max" = "1h"))]
    pub timeout: Option<GoDuration>,
    /// Failures in a row that make an endpoint unhealthy.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(
        range(min = 1, max = 1000),
        extend("default" = Self::DEFAULT_UNHEALTHY_AFTER)
    )]
    pub unhealthy_after: Option<u32>,
    /// Successes in a row that make it healthy again.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(
        range(min = 1, max = 1000),
        extend("default" = Self::DEFAULT_HEALTHY_AFTER)
    )]
    pub healthy_after: Option<u32>,
}

impl HealthCheck {
    /// From one request to the next when nothing else is said.
    pub const DEFAULT_INTERVAL: GoDuration = GoDuration::from_secs(5);
    /// How long an answer may take when nothing else is said.
    pub const DEFAULT_TIMEOUT: GoDuration = GoDuration::from_secs(1);
    /// Failures in a row that make an endpoint unhealthy when nothing else is said.
    pub const DEFAULT_UNHEALTHY_AFTER: u32 = 3;
    /// Successes in a row that make it healthy again when nothing else is said.
    pub const DEFAULT_HEALTHY_AFTER: u32 = 2;
}
