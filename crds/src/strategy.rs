//! How one version replaces the other.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

mod blue_green;
mod canary;

pub use blue_green::BlueGreen;
pub use canary::{Canary, PingPong, ProgressType, ReplicaProgressThreshold};

/// How one version replaces the other. Exactly one of the two is to be set.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Strategy {
    /// All traffic is switched at once, after the new version was tried out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blue_green: Option<BlueGreen>,
    /// A growing share of the traffic goes to the new version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub canary: Option<Canary>,
}

/// Keeps pods of the two versions off each other's nodes. Exactly one of the two is to be set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AntiAffinity {
    /// Where possible.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preferred_during_scheduling_ignored_during_execution: Option<PreferredAntiAffinity>,
    /// Always.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub required_during_scheduling_ignored_during_execution: Option<RequiredAntiAffinity>,
}

/// Keeps pods of the two versions apart where possible.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PreferredAntiAffinity {
    /// How much this counts among other preferences, 1 to 100.
    pub weight: i32,
}

/// Keeps pods of the two versions apart always. There is nothing to set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RequiredAntiAffinity {}
