//! The part of the status that is about a canary.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::AnalysisRunRef;
use crate::Time;
use crate::crd::FreeObject;
use crate::lenient;

/// Where a canary stands.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CanaryStatus {
    /// The analysis of the step under way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current_step_analysis_run_status: Option<AnalysisRunRef>,
    /// The analysis beside the steps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current_background_analysis_run_status: Option<AnalysisRunRef>,
    /// The name of the Experiment of the step under way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current_experiment: Option<String>,
    /// How the traffic was split last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weights: Option<TrafficWeights>,
    /// Which of the two Services of `pingPong` is stable.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stable_ping_pong: Option<PingPongRole>,
    /// What became of the steps that plugins did.
    #[serde(default, deserialize_with = "lenient::or_default")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub step_plugin_statuses: Vec<StepPluginStatus>,
}

/// Which of two Services.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum PingPongRole {
    /// `pingService`.
    Ping,
    /// `pongService`.
    Pong,
    /// One that this version does not know.
    #[serde(untagged)]
    Other(String),
}

impl CanaryStatus {
    /// Whether `pingService` is stable's, of a Rollout whose two Services take turns. It is `pongService` where nothing is
    /// said, as in Argo Rollouts (`trafficrouting.IsStablePing`).
    pub fn is_stable_ping(&self) -> bool {
        self.stable_ping_pong == Some(PingPongRole::Ping)
    }
}

/// How traffic is split.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TrafficWeights {
    /// To the canary.
    pub canary: WeightDestination,
    /// To stable.
    pub stable: WeightDestination,
    /// To versions of an experiment.
    #[serde(default, deserialize_with = "lenient::or_default")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub additional: Vec<WeightDestination>,
    /// Whether it was seen to be so; absent where nobody can tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verified: Option<bool>,
}

/// A version's share of the traffic.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WeightDestination {
    /// Its share, in parts of `maxTrafficWeight`.
    pub weight: i32,
    /// The Service that it is behind.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_name: Option<String>,
    /// The hash of its pod template.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod_template_hash: Option<String>,
}

/// What became of a step that a plugin does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StepPluginStatus {
    /// The step, counted from 0.
    pub index: i32,
    /// The plugin.
    pub name: String,
    /// What it was asked to do.
    pub operation: StepPluginOperation,
    /// How that went.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<StepPluginPhase>,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// When it was first asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Time>,
    /// When it was last asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<Time>,
    /// When it was done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Time>,
    /// How long to wait before it is asked again, such as `30s`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backoff: Option<String>,
    /// How often it was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub executions: Option<i32>,
    /// The plugin is switched off for all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disabled: Option<bool>,
    /// What the plugin keeps; its own business.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<FreeObject>")]
    pub status: Option<Value>,
}

/// What a step plugin is asked to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum StepPluginOperation {
    /// The step.
    Run,
    /// To stop, as the step is skipped.
    Terminate,
    /// To undo, as the rollout is aborted.
    Abort,
    /// One that this version does not know.
    #[serde(untagged)]
    Other(String),
}

/// How a step plugin's operation goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum StepPluginPhase {
    /// It is not done.
    Running,
    /// It is done.
    Successful,
    /// It was done in vain.
    Failed,
    /// It could not be done.
    Error,
    /// One that this version does not know.
    #[serde(untagged)]
    Other(String),
}
