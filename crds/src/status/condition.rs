//! Conditions: what holds of an object, and since when.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Time;

/// Something that holds of a Rollout or an Experiment, or does not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// What it is about, such as `Available`, `Progressing` or `InvalidSpec`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Whether it holds.
    pub status: ConditionStatus,
    /// When it was last written.
    pub last_update_time: Time,
    /// When it last began or ceased to hold.
    pub last_transition_time: Time,
    /// Why, in one word.
    pub reason: String,
    /// Why, for people.
    pub message: String,
}

/// Whether a condition holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ConditionStatus {
    /// It holds.
    True,
    /// It does not.
    False,
    /// It cannot be told.
    Unknown,
    /// One that this version does not know.
    #[serde(untagged)]
    Other(String),
}
