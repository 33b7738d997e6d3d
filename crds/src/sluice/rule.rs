//! Rules that send certain requests to one version whatever the weight is.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Condition;
use crate::lenient;

/// Requests that go to one version whatever the weight is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Rule {
    /// The rule's name, unique in the rollout.
    pub name: String,
    /// Which requests, with at least one entry. A request needs to match only one.
    #[serde(rename = "match", default, deserialize_with = "lenient::or_default")]
    pub matches: Vec<RuleMatch>,
    /// Where they go.
    pub to: Side,
}

/// One of the two versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Side {
    /// The new one.
    Canary,
    /// The old one.
    Stable,
}

/// Which requests. All conditions must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RuleMatch {
    /// Conditions on headers.
    #[serde(default, deserialize_with = "lenient::or_default")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<Condition>,
    /// Conditions on cookies.
    #[serde(default, deserialize_with = "lenient::or_default")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cookies: Vec<Condition>,
    /// Conditions on query parameters.
    #[serde(default, deserialize_with = "lenient::or_default")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub query_params: Vec<Condition>,
}

impl RuleMatch {
    /// Whether there is no condition at all, so that every request would match.
    pub fn is_empty(&self) -> bool {
        self.headers.is_empty() && self.cookies.is_empty() && self.query_params.is_empty()
    }
}
