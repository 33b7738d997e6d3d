//! How long a rollout takes.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Time;

/// When the rollout under way began, and how it ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DurationStatus {
    /// When the wanted version became another than stable.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rollout_started_at: Option<Time>,
    /// When the pause by a person that is under way began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub manual_pause_started_at: Option<Time>,
    /// Seconds in pauses by persons, all together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total_manual_pause_duration_seconds: Option<i64>,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Time>,
    /// How it ended, or will.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completion_status: Option<CompletionStatus>,
}

/// How a rollout ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum CompletionStatus {
    /// All steps were gone through.
    Promoted,
    /// A person promoted it at once.
    FastPromoted,
    /// It was aborted.
    Aborted,
    /// Another version was wanted meanwhile.
    Superseded,
    /// An older version was wanted again.
    RolledBack,
    /// An older version was wanted again, and came without steps.
    FastRolledBack,
    /// One that this version does not know.
    #[serde(untagged)]
    Other(String),
}
