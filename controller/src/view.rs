//! Rollouts as an operator sees them: the JSON types that the admin API speaks and the command line reads.

use jiff::Timestamp;
use rollout::analysis::Reading;
use serde::{Deserialize, Serialize};

/// A rollout as an operator sees it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RolloutView {
    /// The namespace.
    pub namespace: String,
    /// The name.
    pub name: String,
    /// When this view was made.
    pub at: Timestamp,
    /// Healthy, Progressing, Paused or Degraded, as the rollout API uses these words.
    pub phase: String,
    /// Why it is in that phase, in one line.
    pub message: String,
    /// What the current step waits for and how long that takes, in one line; empty when it waits for nothing.
    pub waits_for: String,
    /// All steps, in order.
    pub steps: Vec<StepView>,
    /// The stable version.
    pub stable: VersionView,
    /// The version under judgement, when there is one.
    pub canary: Option<VersionView>,
    /// The canary's weight as set, in per cent.
    pub weight: f64,
    /// The canary's share of the requests of the last seconds whose side the weight decided, in per cent; none
    /// without such requests.
    pub measured_share: Option<f64>,
    /// Whether every worker serves the weight as set.
    pub acknowledged: bool,
    /// Whether the guard judges this rollout.
    pub guard: bool,
    /// What the guard has to say of the version under judgement (or had to say of the last).
    pub evidence: Option<Reading>,
    /// What was decided for this rollout, newest last.
    pub decisions: Vec<DecisionView>,
}

/// A step of a rollout.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StepView {
    /// The step in words: `weight 5%`, `pause 60 s`, `evidence`; an evidence step ahead with its forecast: `evidence,
    /// about 12 s`.
    pub title: String,
    /// How far it is.
    pub progress: StepProgress,
}

/// How far a step is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum StepProgress {
    /// Behind us.
    Done,
    /// Under way.
    Current,
    /// Still to come.
    Ahead,
}

/// One version of a rollout and how its requests went in the last seconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VersionView {
    /// The revision: the hash of the pod template.
    pub revision: String,
    /// The Service that holds it.
    pub service: String,
    /// How many endpoints that Service has.
    pub endpoints: usize,
    /// Requests per second.
    pub rps: f64,
    /// Failed requests, in per cent of those sent; none without requests.
    pub failure_percent: Option<f64>,
    /// Latency in seconds at p50, p90 and p99; none without requests.
    pub latency: Option<[f64; 3]>,
    /// Requests under way.
    pub in_flight: u64,
    /// Requests since the current rollout began (or since the process began, while there is none).
    pub requests: u64,
    /// Failures among them.
    pub failures: u64,
}

/// A decision, with everything that it was made on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DecisionView {
    /// When.
    pub at: Timestamp,
    /// What, as a word: `started`, `advanced`, `promoted`, `rolled-back`, `aborted`, `paused`, `resumed`, `retried`, `held`,
    /// `undone`, `returned`.
    pub decision: String,
    /// Who: `guard`, `proxy`, `plan` or `operator`.
    pub by: String,
    /// Why, in one line.
    pub why: String,
    /// The revision that was decided on.
    pub revision: String,
    /// The canary's weight before and after, in per cent.
    pub weight: (f64, f64),
    /// From the decision to the moment when every worker served the new weight, in milliseconds; none when it did not
    /// change or is not known yet.
    pub served_after_ms: Option<f64>,
    /// Requests that users saw fail on the canary since the rollout began.
    pub failed_requests: u64,
    /// The evidence at that moment; none where the guard had no part in it.
    pub evidence: Option<Reading>,
}

/// A verb's request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct VerbRequest {
    /// For `promote`: skip all that is left of the plan.
    #[serde(default)]
    pub full: bool,
    /// For `undo`: the revision to go back to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
}

/// Why a request to the API was not carried out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// What was found and what is allowed.
    pub error: String,
}
