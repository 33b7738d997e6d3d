//! The guard: the test that takes the traffic away from a bad canary.

use serde::{Deserialize, Serialize};

use super::Switch;
use crate::GoDuration;
use crate::lenient;

/// The guard: off, on, or on with options.
pub type Guard = Switch<GuardOptions>;

/// What the guard tests and how sure it must be. Everything absent has its default.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GuardOptions {
    /// The chance of ever rolling back a canary that is as good as stable. Above 0, at most 0.5;
    /// default 0.01.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alpha: Option<f64>,
    /// The chance of ever promoting a canary that does more harm than the budget allows. Above 0,
    /// at most 0.5; default 0.05.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub beta: Option<f64>,
    /// How many times stable's failure share the canary's may be and still count as equal. 1 to
    /// 10; default 1.1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub relative_margin: Option<f64>,
    /// How much of its requests the canary may fail beyond that. 0 to 0.5; default 0.001.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub absolute_margin: Option<f64>,
    /// The share of all traffic that may fail because of the canary. Above 0, at most 0.5; default
    /// 0.005.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub harm_budget: Option<f64>,
    /// How much more than stable all traffic together may fail beyond the budget, as a share of
    /// stable's failures. 0 to 1; default 0.1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub harm_slack: Option<f64>,
    /// The time in which a worse canary is expected to show; later is found too, a little more
    /// slowly. 1s to 720h; default 15m.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub horizon: Option<GoDuration>,
    /// Fewer failed requests than this never convict a canary. 1 to 1000; default 3.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_canary_failures: Option<u32>,
    /// A stable that fails more than this share of its requests holds the rollout and convicts
    /// nobody. 0.0001 to 0.99; default 0.05.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub baseline_unhealthy_above: Option<f64>,
    /// The limit of `burstWindow` is off while at least this share of the step's canary requests
    /// failed: such a version never worked. Above 0, at most 1; default 0.5.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fast_path: Option<f64>,
    /// The least time on an evidence step. 0s to 24h; default 5s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dwell: Option<GoDuration>,
    /// The test of response times: off, on, or on with options; default on.
    #[serde(default, deserialize_with = "lenient::or_default")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency: Option<Switch<LatencyOptions>>,
    /// How long after a canary's first request its response times are ignored. 0s to 1h; default
    /// 5s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warm_up: Option<GoDuration>,
    /// What happens within this time counts for at most half of what a rollback needs, so that a
    /// hiccup convicts nobody. 100ms to 1m; default 1s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub burst_window: Option<GoDuration>,
    /// After this time what stable did counts half. 1s to 24h; default 5m.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stable_half_life: Option<GoDuration>,
}

/// When response times count as worse.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LatencyOptions {
    /// How much slower the canary may be, as a share of stable's time. 0.01 to 100; default
    /// 0.4.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub increase: Option<f64>,
    /// A difference below this is never held against the canary, however large its share. 0s to 1m;
    /// default 5ms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub negligible: Option<GoDuration>,
    /// The quantiles that are compared, one to eight, each from 0.01 to 0.9999; default 0.5, 0.9,
    /// 0.99.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quantiles: Option<Vec<f64>>,
}
