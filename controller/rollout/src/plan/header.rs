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
        let fault = |field, allowed: &str| Fault {
            step,
            field,
            found: "no name".to_owned(),
            allowed: allowed.to_owned(),
        };
        let mut faults = Vec::new();
        if self.name.is_empty() {
            faults.push(fault("setHeaderRoute.name", "the name of a managed route"));
        }
        if self.matches.iter().any(|one| one.name.is_empty()) {
            faults.push(fault("setHeaderRoute.match", "the name of a header"));
        }
        faults
    }
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
