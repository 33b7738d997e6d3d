//! Routes that can never be taken, because another one takes all of their requests first.

use crate::matches::{FieldMatch, HostMatch, PathMatch, RequestMatch, ValueMatch};
use std::{cmp::Reverse, collections::HashMap, sync::Arc};

/// What is wrong with a route beside others. Nothing of it keeps a table from being made: as the Gateway API says, the
/// route that goes first takes the requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Conflict {
    /// No request of this host ever comes to this condition.
    Unreachable {
        /// The place of the route among those given.
        route: usize,
        /// The place of the condition in the route's `matches`.
        condition: usize,
        /// The host for which this is so.
        host: HostMatch,
        /// The place of the route that takes these requests.
        by_route: usize,
        /// The place of the condition in that route's `matches`.
        by_condition: usize,
    },
    /// A route has the same host twice.
    SameHost {
        /// The place of the route among those given.
        route: usize,
        /// The place of the host in the route's `hosts`.
        first: usize,
        /// The place where it is again.
        again: usize,
    },
}

/// What decides whether a route is taken.
#[derive(Clone, Copy, Debug)]
pub struct Conditions<'a> {
    /// As in [`Route::listeners`](super::Route::listeners).
    pub listeners: &'a [Arc<str>],
    /// As in [`Route::hosts`](super::Route::hosts).
    pub hosts: &'a [HostMatch],
    /// As in [`Route::matches`](super::Route::matches).
    pub matches: &'a [RequestMatch],
}

/// Everything that is wrong with `routes` beside each other, in the order of the routes. What is found is certain; what
/// only a comparison of regular expressions, or of several routes together, could tell is not found. A condition that
/// another one of the same route makes needless is not told: its requests go where they should.
pub fn conflicts(routes: &[Conditions<'_>]) -> Vec<Conflict> {
    let mut hosts: HashMap<&HostMatch, Vec<Place<'_>>> = HashMap::new();
    let mut found = Vec::new();
    for (at, route) in routes.iter().enumerate() {
        let mut seen = HashMap::new();
        for (place, host) in route.hosts.iter().enumerate() {
            if let Some(first) = seen.get(host) {
                found.push(Conflict::SameHost {
                    route: at,
                    first: *first,
                    again: place,
                });
                continue;
            }
            seen.insert(host, place);
            let places = route.matches.iter().enumerate();
            hosts.entry(host).or_default().extend(places.map(|(i, m)| {
                let mut matched = m.clone();
                matched.fields.keep_first_of_each_name();
                Place {
                    route: at,
                    listeners: route.listeners,
                    condition: i,
                    matched,
                }
            }));
        }
    }
    for (host, mut places) in hosts {
        places.sort_by_cached_key(|place| Reverse(place.matched.rank()));
        found.extend(unreachable(host, &places));
    }
    found.sort_by_key(Conflict::place);
    found
}

impl Conflict {
    /// The places of the route and of its part that is at fault.
    fn place(&self) -> (usize, usize) {
        match self {
            Self::Unreachable {
                route, condition, ..
            } => (*route, *condition),
            Self::SameHost { route, again, .. } => (*route, *again),
        }
    }
}

/// A condition of a route for one host.
struct Place<'a> {
    route: usize,
    listeners: &'a [Arc<str>],
    condition: usize,
    matched: RequestMatch,
}

impl Place<'_> {
    /// Whether every request for `other` is one for this, too.
    fn takes_all_of(&self, other: &Self) -> bool {
        let is_for_its_listeners = self.listeners.is_empty()
            || (!other.listeners.is_empty()
                && other.listeners.iter().all(|l| self.listeners.contains(l)));
        is_for_its_listeners && covers(&self.matched, &other.matched)
    }
}

/// The conditions among `places`, which are in the order in which they are tried, that are never come to.
fn unreachable(host: &HostMatch, places: &[Place<'_>]) -> Vec<Conflict> {
    let taken_by = |at: usize| {
        let place = &places[at];
        let by = places[..at]
            .iter()
            .find(|earlier| earlier.takes_all_of(place))?;
        (by.route != place.route).then(|| Conflict::Unreachable {
            route: place.route,
            condition: place.condition,
            host: host.clone(),
            by_route: by.route,
            by_condition: by.condition,
        })
    };
    (0..places.len()).filter_map(taken_by).collect()
}

/// Whether every request that meets `other` certainly meets `wide`.
fn covers(wide: &RequestMatch, other: &RequestMatch) -> bool {
    path_covers(&wide.path, &other.path)
        && (wide.method.is_none() || wide.method == other.method)
        && fields_cover(&wide.fields, &other.fields)
}

fn path_covers(wide: &PathMatch, other: &PathMatch) -> bool {
    match (wide, other) {
        // Whatever follows a prefix, what it begins with stays.
        (PathMatch::Prefix(_), PathMatch::Prefix(prefix)) if prefix.is_empty() => wide.admits("/"),
        (PathMatch::Prefix(_), PathMatch::Prefix(path)) | (_, PathMatch::Exact(path)) => {
            wide.admits(path)
        }
        (PathMatch::Regex(regex), PathMatch::Prefix(_)) => takes_all_paths(regex.as_str()),
        (PathMatch::Regex(wide), PathMatch::Regex(other)) => wide.as_str() == other.as_str(),
        _ => false,
    }
}

/// Whether a regular expression, as [`whole`](crate::matches::whole) makes it, surely matches every path below `/`.
fn takes_all_paths(pattern: &str) -> bool {
    ["^(?:.*)$", "^(?:/.*)$"].contains(&pattern)
}

/// Every condition of `wide` has one of `other` on the same name that is no wider.
fn fields_cover(wide: &FieldMatch, other: &FieldMatch) -> bool {
    fn all<N: Eq>(wide: &[(N, ValueMatch)], other: &[(N, ValueMatch)]) -> bool {
        wide.iter().all(|(name, wide)| {
            other
                .iter()
                .any(|(other, value)| other == name && value_covers(wide, value))
        })
    }
    all(&wide.headers, &other.headers)
        && all(&wide.cookies, &other.cookies)
        && all(&wide.query, &other.query)
}

fn value_covers(wide: &ValueMatch, other: &ValueMatch) -> bool {
    match (wide, other) {
        (ValueMatch::Present, _) => true,
        (_, ValueMatch::Exact(value)) => wide.admits(value),
        (ValueMatch::Prefix(wide), ValueMatch::Prefix(other)) => other.starts_with(&**wide),
        (ValueMatch::Regex(wide), ValueMatch::Regex(other)) => wide.as_str() == other.as_str(),
        _ => false,
    }
}

#[cfg(test)]
mod tests;
