//! Routes that send requests with certain headers to the canary, before the weight is asked.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Fault;

/// A named route by header. Requests that meet one of its conditions go to the canary.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct HeaderRoute {
    /// The route's name. Setting a route replaces the one of the same name.
    pub name: String,
    /// The conditions, of which one must hold. None at all removes the route.
    pub matches: Vec<HeaderMatch>,
}

impl HeaderRoute {
    /// What is wrong with it as the step with the index `step`.
    pub(super) fn faults(&self, step: usize) -> Vec<Fault> {
        let fields = ["setHeaderRoute.name", "setHeaderRoute.match"];
        nameless(step, fields, &self.name, self.matches.iter())
    }
}

/// What lacks a name of a route that the step with the index `step` sets: itself, or one of its headers. `fields` are where
/// these are written.
pub(super) fn nameless<'h>(
    step: usize,
    fields: [&'static str; 2],
    name: &str,
    mut headers: impl Iterator<Item = &'h HeaderMatch>,
) -> Vec<Fault> {
    let fault = |field, allowed: &str| Fault {
        step,
        field,
        found: "no name".to_owned(),
        allowed: allowed.to_owned(),
    };
    let [of_route, of_headers] = fields;
    let mut faults = Vec::new();
    if name.is_empty() {
        faults.push(fault(of_route, "the name of a managed route"));
    }
    if headers.any(|header| header.name.is_empty()) {
        faults.push(fault(of_headers, "the name of a header"));
    }
    faults
}

/// A condition on one header.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct HeaderMatch {
    /// The header's name.
    pub name: String,
    /// What its value must be.
    pub value: TextMatch,
}

/// A condition on a text, as the spec spells it. Whoever routes by it compiles it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum TextMatch {
    /// Equal, case-sensitive.
    Exact(String),
    /// Begins with this.
    Prefix(String),
    /// The regular expression matches the whole value.
    Regex(String),
}

impl fmt::Display for HeaderRoute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.name)?;
        for (n, condition) in self.matches.iter().enumerate() {
            write!(f, "{}{condition}", if n == 0 { ": " } else { " or " })?;
        }
        Ok(())
    }
}

impl fmt::Display for HeaderMatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.value)
    }
}

impl fmt::Display for TextMatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(value) => write!(f, "= {value:?}"),
            Self::Prefix(value) => write!(f, "begins with {value:?}"),
            Self::Regex(value) => write!(f, "matches /{value}/"),
        }
    }
}
