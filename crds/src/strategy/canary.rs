//! The canary strategy: a growing share of the traffic goes to the new version.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::AntiAffinity;
use crate::IntOrString;
use crate::analysis::{BackgroundAnalysis, Metadata};
use crate::lenient;
use crate::step::CanaryStep;
use crate::traffic_routing::TrafficRouting;

/// A growing share of the traffic goes to the new version.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Canary {
    /// The Service that leads to the canary's pods.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub canary_service: Option<String>,
    /// The Service that leads to the stable pods.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stable_service: Option<String>,
    /// What is done one after the other on the way from stable to canary.
    #[serde(default, deserialize_with = "lenient::or_default")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<CanaryStep>,
    /// What splits the traffic.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub traffic_routing: Option<TrafficRouting>,
    /// How many pods may be missing while versions change; a number or a percentage; default 25%.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_unavailable: Option<IntOrString>,
    /// How many extra pods there may be meanwhile; a number or a percentage; default 25%.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_surge: Option<IntOrString>,
    /// An analysis that runs beside the steps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub analysis: Option<BackgroundAnalysis>,
    /// Keeps pods of the two versions off each other's nodes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub anti_affinity: Option<AntiAffinity>,
    /// Labels and annotations of pods as long as they are the canary.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub canary_metadata: Option<Metadata>,
    /// Labels and annotations of pods as long as they are stable.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stable_metadata: Option<Metadata>,
    /// Seconds before the old pods go after a promotion; default 30.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scale_down_delay_seconds: Option<i32>,
    /// How many old revisions may wait for that delay at once; absent means any number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scale_down_delay_revision_limit: Option<i32>,
    /// Seconds before the canary's pods go after an abort; default 30; 0 means never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub abort_scale_down_delay_seconds: Option<i32>,
    /// Scale stable down as the canary takes its traffic; default false.
    #[serde(default, deserialize_with = "lenient::flag")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dynamic_stable_scale: Option<bool>,
    /// Two Services that take turns as stable and canary, in place of canaryService and
    /// stableService.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ping_pong: Option<PingPong>,
    /// A version that has pods at all has at least this many.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_pods_per_replica_set: Option<i32>,
    /// How many of the wanted pods must be available for a step to be done; default all of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replica_progress_threshold: Option<ReplicaProgressThreshold>,
}

/// Two Services that take turns as stable and canary.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PingPong {
    /// One of them.
    pub ping_service: String,
    /// The other one.
    pub pong_service: String,
}

/// How many of the wanted pods must be available for a step to be done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReplicaProgressThreshold {
    /// What the value counts.
    #[serde(rename = "type")]
    pub kind: ProgressType,
    /// How many.
    pub value: i32,
}

/// What a progress threshold counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ProgressType {
    /// Percent of the wanted pods.
    Percent,
    /// Pods.
    Pods,
}
