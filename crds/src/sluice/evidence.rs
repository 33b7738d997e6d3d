//! The evidence step: go on as soon as the counts show that going on is safe enough.

use serde::{Deserialize, Serialize};

use crate::GoDuration;

/// When an evidence step is done. Everything absent has its default.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Evidence {
    /// The share of all traffic that may fail because of the canary. Above 0, at most 0.5; absent
    /// means the guard's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub harm_budget: Option<f64>,
    /// The chance of going on although the canary does more harm than the budget allows. Above 0,
    /// at most 0.5; absent means the guard's `beta`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confidence: Option<f64>,
    /// The step lasts at least this long; default 0s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_duration: Option<GoDuration>,
    /// When this time has passed without enough evidence, the step is inconclusive; default 15m.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_duration: Option<GoDuration>,
    /// What happens then; default `hold`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_inconclusive: Option<OnInconclusive>,
}

/// What happens when the evidence was not enough.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
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
