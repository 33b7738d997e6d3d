//! The evidence step: go on as soon as the counts show that going on is safe enough.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::GoDuration;

/// When an evidence step is done. Everything absent has its default.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Evidence {
    /// The share of all traffic that may fail because of the canary. Absent means the guard's.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 0.5), extend("exclusiveMinimum" = 0))]
    pub harm_budget: Option<f64>,
    /// The chance of going on although the canary does more harm than the budget allows. Absent means
    /// the guard's `beta`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 0.5), extend("exclusiveMinimum" = 0))]
    pub confidence: Option<f64>,
    /// The step lasts at least this long; at most `maxDuration`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "0s", "x-min" = "0s", "x-max" = "168h"))]
    pub min_duration: Option<GoDuration>,
    /// When this time has passed without enough evidence, the step is inconclusive.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = Self::DEFAULT_MAX_DURATION, "x-min" = "1s", "x-max" = "168h"))]
    pub max_duration: Option<GoDuration>,
    /// What happens then.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "hold"))]
    pub on_inconclusive: Option<OnInconclusive>,
}

impl Evidence {
    /// How long the step lasts at most when nothing else is said.
    pub const DEFAULT_MAX_DURATION: GoDuration = GoDuration::from_secs(15 * 60);
}

/// What happens when the evidence was not enough.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum OnInconclusive {
    /// The rollout pauses until somebody decides.
    #[default]
    Hold,
    /// The step counts as done.
    Promote,
    /// The rollout is aborted.
    Abort,
}
