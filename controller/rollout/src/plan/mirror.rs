//! Routes that send the canary copies of requests, before it has any of its own.

use std::fmt;

use serde::{Deserialize, Serialize};
use traffic::Weight;

use super::{Fault, HeaderMatch, TextMatch, header::nameless};

/// A named route by method, path and header. Of the requests that meet one of its conditions and go to stable, the canary
/// gets copies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MirrorRoute {
    /// The route's name. Setting a route replaces the one of the same name.
    pub name: String,
    /// The conditions, of which one must hold. None at all removes the route.
    pub matches: Vec<MirrorMatch>,
    /// The share of those requests.
    #[serde(with = "crate::basis_points")]
    pub share: Weight,
}

/// Conditions on a request; all must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MirrorMatch {
    /// On the method.
    pub method: Option<TextMatch>,
    /// On the path, without the query.
    pub path: Option<TextMatch>,
    /// On headers.
    pub headers: Vec<HeaderMatch>,
}

impl MirrorRoute {
    /// What is wrong with it as the step with the index `step`.
    pub(super) fn faults(&self, step: usize) -> Vec<Fault> {
        let fields = ["setMirrorRoute.name", "setMirrorRoute.match"];
        let headers = self.matches.iter().flat_map(|one| &one.headers);
        nameless(step, fields, &self.name, headers)
    }
}

impl fmt::Display for MirrorRoute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            name,
            matches,
            share,
        } = self;
        write!(f, "{name}")?;
        if !matches.is_empty() {
            write!(f, ": {share}")?;
        }
        for (n, condition) in matches.iter().enumerate() {
            write!(f, "{}{condition}", if n == 0 { " of " } else { " or " })?;
        }
        Ok(())
    }
}

impl fmt::Display for MirrorMatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = |name: &str, value: &Option<TextMatch>| {
            let value = value.as_ref()?;
            Some(format!("{name} {value}"))
        };
        let mut parts = Vec::new();
        parts.extend(named("method", &self.method));
        parts.extend(named("path", &self.path));
        parts.extend(self.headers.iter().map(ToString::to_string));
        match parts.is_empty() {
            true => f.write_str("all requests"),
            false => f.write_str(&parts.join(" and ")),
        }
    }
}
