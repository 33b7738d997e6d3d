//! What a rollout is asked to do: the checked form of its spec.

use std::fmt;

use serde::{Deserialize, Serialize};
use traffic::{RolloutId, Weight};

pub use evidence::{EvidenceStep, OnInconclusive};
pub use header::{HeaderMatch, HeaderRoute, TextMatch};
pub use mirror::{MirrorMatch, MirrorRoute};
pub use steps::{Fault, Step, Steps};
pub use terms::{Deadline, Strategy, Terms};

mod evidence;
mod header;
mod mirror;
mod steps;
mod terms;

/// What one rollout is asked to do. Steps are checked when they are built, so a plan cannot be wrong.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The rollout that the plan is for.
    pub rollout: RolloutId,
    /// The revision that is to become stable.
    pub revision: Revision,
    /// The way there.
    pub steps: Steps,
    /// `spec.paused`: while it is set, nothing advances. Aborts and roll backs go on.
    pub paused: bool,
    /// Whether the guard's judgement acts. Without it a canary is rolled back by people and by evidence steps only.
    pub guard: bool,
    /// What holds beside the steps.
    pub terms: Terms,
}

/// A revision of the rollout's template, by the template's hash. Equal hashes mean the same version.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Revision(String);

impl Revision {
    /// The revision whose template hashes to `hash`.
    pub fn new(hash: impl Into<String>) -> Self {
        Self(hash.into())
    }

    /// The template's hash.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where a canary is on its way through the steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Place {
    /// Before the first step. The canary has no traffic until every proxy serves it none, so that no request of an
    /// earlier canary is taken for one of this.
    Start,
    /// At the step with this index, counted from 0.
    Step(usize),
    /// Past the last step: the canary is to have all traffic.
    End,
    /// The canary has all traffic, and the old version is warm. It is promoted when the plan's watch is over.
    Watch,
}

impl Place {
    /// How many of `steps` are passed.
    pub fn passed(self, steps: &Steps) -> usize {
        match self {
            Self::Start => 0,
            Self::Step(index) => index.min(steps.len()),
            Self::End | Self::Watch => steps.len(),
        }
    }
}

/// What the canary is to have at a place: its weight, and the requests that go to it before the weight is asked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Share {
    /// The canary's share of the requests that no header route takes.
    #[serde(with = "crate::basis_points")]
    pub weight: Weight,
    /// The routes by header, in the order in which they were first set.
    pub header_routes: Vec<HeaderRoute>,
    /// The routes by which it gets copies of stable's requests, in the order in which they were first set.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mirror_routes: Vec<MirrorRoute>,
}

impl Share {
    /// All requests, by weight alone.
    pub const ALL: Self = Self {
        weight: Weight::FULL,
        header_routes: Vec::new(),
        mirror_routes: Vec::new(),
    };

    /// Whether no request can reach the canary. Copies are no requests: nobody gets their answers.
    pub fn is_none(&self) -> bool {
        self.weight == Weight::ZERO && self.header_routes.is_empty()
    }
}
