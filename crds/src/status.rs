//! What a controller last saw of a Rollout, and did.
//!
//! The fields are those of Argo Rollouts 1.8 to 1.10. Others read them too: `kubectl argo rollouts`, the health check of
//! Argo CD, autoscalers, and people who wait for conditions.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Time;
use crate::lenient;

mod alb;
mod blue_green;
mod canary;
mod condition;
mod duration;

pub use alb::{AlbStatus, AwsResource};
pub use blue_green::BlueGreenStatus;
pub use canary::{
    CanaryStatus, PingPongRole, StepPluginOperation, StepPluginPhase, StepPluginStatus,
    TrafficWeights, WeightDestination,
};
pub use condition::{Condition, ConditionStatus};
pub use duration::{CompletionStatus, DurationStatus};

use crate::analysis_run::AnalysisPhase;

/// What a controller last saw of a Rollout, and did.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RolloutStatus {
    /// Set by a person or a controller to abort, cleared to retry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub abort: Option<bool>,
    /// Why the controller pauses. Clearing them promotes.
    #[serde(default, deserialize_with = "lenient::or_default")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub pause_conditions: Vec<PauseCondition>,
    /// The controller has paused. Without pause conditions it means that a person promoted since.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub controller_pause: Option<bool>,
    /// When the controller acted on the abort.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aborted_at: Option<Time>,
    /// The hash of the pod template that is wanted; see [`crate::hash::pod_template`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current_pod_hash: Option<String>,
    /// The hash of the steps; see [`crate::hash::steps`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current_step_hash: Option<String>,
    /// Pods that run, of all versions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replicas: Option<i32>,
    /// Pods of the wanted version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub updated_replicas: Option<i32>,
    /// Pods that are ready.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ready_replicas: Option<i32>,
    /// Pods that have been ready for `minReadySeconds`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub available_replicas: Option<i32>,
    /// The step under way, counted from 0; as many as there are steps when all are done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current_step_index: Option<i32>,
    /// How often a hash was already that of another template.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub collision_count: Option<i32>,
    /// The `metadata.generation` that the rest of the status is about, as a text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<String>,
    /// What holds of the rollout.
    #[serde(default, deserialize_with = "lenient::or_default")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// Of a canary.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub canary: Option<CanaryStatus>,
    /// Of a blue-green rollout.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blue_green: Option<BlueGreenStatus>,
    /// Pods that an autoscaler is to count.
    #[serde(rename = "HPAReplicas", skip_serializing_if = "Option::is_none")]
    pub hpa_replicas: Option<i32>,
    /// Selects the pods that an autoscaler is to measure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub selector: Option<String>,
    /// The hash of the version that was last promoted.
    #[serde(rename = "stableRS", skip_serializing_if = "Option::is_none")]
    pub stable_rs: Option<String>,
    /// The last `spec.restartAt` that was acted on to the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restarted_at: Option<Time>,
    /// Set by a person to promote at once, without steps, pauses and analyses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub promote_full: Option<bool>,
    /// All of it in one word. It counts only when `observedGeneration` is the generation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<RolloutPhase>,
    /// Why it is in that phase.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The generation of the referenced workload that was acted on, as a text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workload_observed_generation: Option<String>,
    /// Of the AWS load balancer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alb: Option<AlbStatus>,
    /// Of several AWS load balancers.
    #[serde(default, deserialize_with = "lenient::or_default")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub albs: Vec<AlbStatus>,
    /// When the rollout under way began, and how it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration: Option<DurationStatus>,
}

/// A reason for which the controller pauses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PauseCondition {
    /// The reason.
    pub reason: PauseReason,
    /// Since when.
    pub start_time: Time,
}

/// Why the controller pauses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum PauseReason {
    /// An analysis could not tell.
    InconclusiveAnalysisRun,
    /// An experiment could not tell.
    InconclusiveExperiment,
    /// The step under way is a pause.
    CanaryPauseStep,
    /// The new version waits for the switch.
    BlueGreenPause,
    /// One that this version does not know.
    #[serde(untagged)]
    Other(String),
}

/// A rollout in one word.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum RolloutPhase {
    /// What is wanted runs.
    Healthy,
    /// It was aborted, is invalid, or does not go on.
    Degraded,
    /// It goes on.
    Progressing,
    /// It waits for a person or a time.
    Paused,
    /// One that this version does not know.
    #[serde(untagged)]
    Other(String),
}

/// An analysis run of a rollout.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AnalysisRunRef {
    /// Its name.
    pub name: String,
    /// Its phase.
    pub status: AnalysisPhase,
    /// Its message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}
