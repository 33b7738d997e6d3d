//! The guard: the test that takes the traffic away from a bad canary.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Failures, Switch};
use crate::GoDuration;
use crate::lenient;

/// The guard: off, on, or on with options.
pub type Guard = Switch<GuardOptions>;

/// What the guard tests and how sure it must be. Everything absent has its default.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GuardOptions {
    /// The chance of ever rolling back a canary that is as good as stable.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 0.5), extend("exclusiveMinimum" = 0, "default" = 0.01))]
    pub alpha: Option<f64>,
    /// The chance of ever promoting a canary that does more harm than the budget allows.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 0.5), extend("exclusiveMinimum" = 0, "default" = 0.05))]
    pub beta: Option<f64>,
    /// How many times stable's failure share the canary's may be and still count as equal.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10), extend("default" = 1.1))]
    pub relative_margin: Option<f64>,
    /// How much of its requests the canary may fail beyond that.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 0.5), extend("default" = 0.001))]
    pub absolute_margin: Option<f64>,
    /// The share of all traffic that may fail because of the canary.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 0.5), extend("exclusiveMinimum" = 0, "default" = 0.005))]
    pub harm_budget: Option<f64>,
    /// How much more than stable all traffic together may fail beyond the budget, as a share of
    /// stable's failures.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1), extend("default" = 0.1))]
    pub harm_slack: Option<f64>,
    /// The time in which a worse canary is expected to show; later is found too, a little more
    /// slowly.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "15m", "x-min" = "1s", "x-max" = "720h"))]
    pub horizon: Option<GoDuration>,
    /// Fewer failed requests than this never convict a canary.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000), extend("default" = 3))]
    pub min_canary_failures: Option<u32>,
    /// A stable that fails more than this share of its requests holds the rollout and convicts
    /// nobody.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0001, max = 0.99), extend("default" = 0.05))]
    pub baseline_unhealthy_above: Option<f64>,
    /// A canary that fails more than this share of its requests is rolled back whatever the margins
    /// allow, if stable is shown to be well; otherwise the rollout holds. Without it there is no such
    /// limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0001, max = 0.99))]
    pub max_failure_ratio: Option<f64>,
    /// What happens when stable fails more than `baselineUnhealthyAbove`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "hold"))]
    pub on_unhealthy_baseline: Option<OnUnhealthyBaseline>,
    /// The least requests a second, of stable and canary together. Without it there is no such
    /// limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.001, max = 1e9))]
    pub min_request_rate: Option<f64>,
    /// What happens when there are shown to be fewer.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "hold"))]
    pub on_low_request_rate: Option<OnLowRequestRate>,
    /// The limit of `burstWindow` is off while at least this share of the step's canary requests
    /// failed: such a version never worked.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 1), extend("exclusiveMinimum" = 0, "default" = 0.4))]
    pub fast_path: Option<f64>,
    /// The least time on an evidence step.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "5s", "x-min" = "0s", "x-max" = "24h"))]
    pub dwell: Option<GoDuration>,
    /// The test of response times: `off`, `on`, or on with options.
    #[serde(default, deserialize_with = "lenient::or_default")]
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "on"))]
    pub latency: Option<Switch<LatencyOptions>>,
    /// The test of client errors (4xx, and gRPC codes like NOT_FOUND) that are no failures: `off`, `on`,
    /// or on with options. A canary that answers with more of them than stable is not promoted. On
    /// where the weight alone decides who gets which version; off by default with `sticky` or `rules`,
    /// where versions have clients of their own.
    #[serde(default, deserialize_with = "lenient::or_default")]
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "on"))]
    pub client_errors: Option<Switch<ClientErrorOptions>>,
    /// How long after a canary's first request its response times are ignored.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "5s", "x-min" = "0s", "x-max" = "1h"))]
    pub warm_up: Option<GoDuration>,
    /// What happens within this time counts for at most half of what a rollback needs, so that a
    /// hiccup convicts nobody.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "1s", "x-min" = "100ms", "x-max" = "1m"))]
    pub burst_window: Option<GoDuration>,
    /// After this time what stable did counts half.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "5m", "x-min" = "1s", "x-max" = "24h"))]
    pub stable_half_life: Option<GoDuration>,
    /// What counts as a failure of a version.
    #[serde(default, deserialize_with = "lenient::or_default")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failures: Option<Failures>,
    /// Whether the proxy takes the traffic from a canary that plainly never worked by itself, at once
    /// and without waiting for the guard's next look.
    #[serde(default, deserialize_with = "lenient::flag")]
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = true))]
    pub trip: Option<bool>,
}

/// What happens when stable itself fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum OnUnhealthyBaseline {
    /// The canary gets no more traffic until stable is well again, or somebody decides.
    #[default]
    Hold,
    /// A canary that is shown to fail less than the limit goes on without waiting for time or
    /// evidence, as it is the cure. A pause without a duration still waits for somebody.
    RollForward,
}

/// What happens when there are too few requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum OnLowRequestRate {
    /// The canary gets no more traffic until there are enough, or somebody decides.
    #[default]
    Hold,
    /// The canary is rolled back, as a version that loses traffic.
    RollBack,
}

/// When client errors count as more, and what follows.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClientErrorOptions {
    /// How many times stable's share of client errors the canary's may be and still count as equal.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10), extend("default" = 1.5))]
    pub relative_margin: Option<f64>,
    /// How much of its requests the canary may refuse beyond that.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 0.5), extend("default" = 0.01))]
    pub absolute_margin: Option<f64>,
    /// What happens to a canary that is shown to refuse more.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "hold"))]
    pub then: Option<OnClientErrors>,
}

/// What happens to a canary with more client errors than stable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum OnClientErrors {
    /// The canary gets no more traffic while that is shown, or until somebody decides.
    #[default]
    Hold,
    /// The canary is rolled back.
    RollBack,
}

/// When response times count as worse.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LatencyOptions {
    /// How much slower the canary may be, as a share of stable's time.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.01, max = 100), extend("default" = 0.4))]
    pub increase: Option<f64>,
    /// A difference below this is never held against the canary, however large its share.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "5ms", "x-min" = "0s", "x-max" = "1m"))]
    pub negligible: Option<GoDuration>,
    /// The quantiles that are compared.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 8), inner(range(min = 0.01, max = 0.9999)), extend("default" = [0.5, 0.9, 0.99]))]
    pub quantiles: Option<Vec<f64>>,
}
