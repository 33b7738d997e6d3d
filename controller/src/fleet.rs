//! The seam between the proxies of a cluster and its controller. No proxy waits for it.
//!
//! - Controller to proxies: the weights in a Rollout's status (`status.canary.weights`).
//! - Proxies to controller: a [`Report`] of counters that only grow, and of the split that the proxy serves. The leader
//!   asks each proxy for it, at [`PATH`].
//!
//! What a proxy serves is an [`Outline`] of what it has [`Seen`], which a [`Publisher`] makes a table of.

mod growth;
mod guard;
mod history;
mod publisher;
mod recall;
mod report;
mod seen;
mod side;
mod sum;
mod table;

pub use guard::Guard;
pub use publisher::Publisher;
pub use report::{Report, RolloutReport, TripReport, Unreadable};
pub use seen::{Endpoint, EndpointSlice, Family, Seen, Service, ServicePort};
pub use sum::{Answers, Sum, Told, Unread};
pub use table::{Finding, Names, Outline};

use jiff::Timestamp;
use rollout::analysis::{Config, Target};
use serde::{Deserialize, Serialize};
use traffic::Weight;

/// Where a proxy gives its [`Report`], on its admin port. The query `rollout=NAMESPACE/NAME`, as often as wanted, says of
/// which Rollouts; without it, of all. `history=NAMESPACE/NAME` says of which Rollouts it is to tell what it remembers, too.
pub const PATH: &str = "/fleet/v1/report";

/// How a Rollout's requests are shared. Versions are told by their pod template hash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Split {
    /// The stable version.
    pub stable: String,
    /// The version under judgement. The stable one itself while nothing else is wanted.
    pub canary: String,
    /// The canary's weight.
    #[serde(with = "rollout::basis_points")]
    pub weight: Weight,
}

/// What is to be judged of a Rollout that proxies split.
#[derive(Clone, Debug, PartialEq)]
pub struct Judging {
    /// The guard's parameters. They pace evidence steps also where the guard itself is off.
    pub config: Config,
    /// What the proxies are to serve, by the Rollout's status; nothing as long as it does not say that.
    pub split: Option<Split>,
    /// Whether the canary is on trial: it is neither the stable version nor aborted.
    pub on_trial: bool,
    /// What the present step asks of the evidence, if it asks for some.
    pub target: Option<Target>,
    /// Since when it does, by the Rollout's status.
    pub step_since: Option<Timestamp>,
    /// How many times a step begins to send more traffic: see [`Judge::begin`](rollout::analysis::Judge::begin).
    pub step_starts: usize,
}
