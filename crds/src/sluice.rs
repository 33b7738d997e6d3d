//! Sluice's own options, in the places the API keeps free for such things.
//!
//! ```yaml
//! strategy:
//!   canary:
//!     trafficRouting:
//!       plugins:
//!         sluice/proxy:                # ProxyOptions
//!           sticky: [{header: x-user}]
//!           guard: {alpha: 0.01}
//!     steps:
//!     - plugin:
//!         name: sluice/evidence        # Evidence
//!         config: {maxDuration: 15m}
//! ```

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::lenient;

mod condition;
mod evidence;
mod failures;
mod guard;
mod pace;
mod rule;
mod sticky;
mod switch;

pub use condition::{Condition, MatchType};
pub use evidence::{Evidence, OnInconclusive};
pub use failures::{Failures, GrpcCode, StatusRange};
pub use guard::{
    ClientErrorOptions, Guard, GuardOptions, LatencyOptions, OnClientErrors, OnLowRequestRate,
    OnUnhealthyBaseline,
};
pub use pace::{Pace, PaceOptions};
pub use rule::{Rule, RuleMatch, Side};
pub use sticky::{ClientAddress, NotOneKey, StickyCookie, StickyKey, StickyKind};
pub use switch::Switch;

/// The name of the traffic routing plugin whose options are [`ProxyOptions`].
pub const PROXY: &str = "sluice/proxy";

/// The name of the step plugin whose config is [`Evidence`].
pub const EVIDENCE: &str = "sluice/evidence";

/// How Sluice splits a rollout's traffic and watches over it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProxyOptions {
    /// Names by which users ask for the rollout, such as `shop.example` or `*.shop.example`, beside those of its stable
    /// Service. Only on Kubernetes.
    #[serde(default, deserialize_with = "lenient::or_default")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<String>,
    /// What keeps a user with a version, in order of preference: the first key that a request
    /// carries counts. None means that each request is split for itself.
    #[serde(default, deserialize_with = "lenient::or_default")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sticky: Vec<StickyKey>,
    /// Requests that go to one version whatever the weight is. The first rule that matches counts.
    #[serde(default, deserialize_with = "lenient::or_default")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<Rule>,
    /// The test that takes the traffic away from a bad canary. Absent means on, with defaults.
    #[serde(default, deserialize_with = "lenient::or_default")]
    #[schemars(extend("default" = "on"))]
    pub guard: Guard,
    /// `evidence` lets each timed pause end as soon as the requests show that the next weight does little harm; none
    /// lasts longer than it is written. Absent lets pauses last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pace: Option<Pace>,
    /// What is done for the user when the canary failed an idempotent request: `stable` repeats it
    /// there, and the canary's failure counts all the same. Absent does nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rescue: Option<Rescue>,
}

/// Where a request is repeated that the canary failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Rescue {
    /// On stable.
    Stable,
}

#[cfg(test)]
mod tests;
