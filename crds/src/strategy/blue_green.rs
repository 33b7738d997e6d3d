//! The blue-green strategy: all traffic is switched at once.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::AntiAffinity;
use crate::IntOrString;
use crate::analysis::{Analysis, Metadata};
use crate::lenient;

/// All traffic is switched at once, after the new version was tried out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BlueGreen {
    /// The Service that users reach.
    pub active_service: String,
    /// The Service on which the new version can be tried out before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preview_service: Option<String>,
    /// How many pods the new version has before the switch; absent means all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preview_replica_count: Option<i32>,
    /// Switch without being told to; default true.
    #[serde(default, deserialize_with = "lenient::flag")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auto_promotion_enabled: Option<bool>,
    /// Seconds to wait before switching without being told to; default 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auto_promotion_seconds: Option<i32>,
    /// How many pods may be missing during a restart; a number or a percentage; default 25%.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_unavailable: Option<IntOrString>,
    /// Seconds before the old pods go after the switch; default 30.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scale_down_delay_seconds: Option<i32>,
    /// How many old revisions may wait for that delay at once; absent means any number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scale_down_delay_revision_limit: Option<i32>,
    /// An analysis before the switch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pre_promotion_analysis: Option<Analysis>,
    /// An analysis after the switch; its failure switches back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub post_promotion_analysis: Option<Analysis>,
    /// Keeps pods of the two versions off each other's nodes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub anti_affinity: Option<AntiAffinity>,
    /// Labels and annotations of pods as long as they are the preview.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preview_metadata: Option<Metadata>,
    /// Labels and annotations of pods as long as they are active.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub active_metadata: Option<Metadata>,
    /// Seconds before the preview's pods go after an abort; default 30; 0 means never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub abort_scale_down_delay_seconds: Option<i32>,
}
