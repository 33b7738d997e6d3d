//! Conditions on the named parts of a request: headers, cookies, query parameters.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A condition on one header, cookie or query parameter.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// Its name; a header's in any case.
    pub name: String,
    /// How the value is compared.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "Exact"))]
    pub kind: Option<MatchType>,
    /// What the value is compared with. Needed by every type but `Present`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
}

impl Condition {
    /// How the value is compared.
    pub fn match_type(&self) -> MatchType {
        self.kind.unwrap_or_default()
    }
}

/// How a value is compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum MatchType {
    /// The values are the same.
    #[default]
    Exact,
    /// The value begins so.
    Prefix,
    /// The value matches this regular expression.
    RegularExpression,
    /// The part is there, with any value.
    Present,
}
