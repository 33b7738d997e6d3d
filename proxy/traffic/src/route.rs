//! The route table: which requests go to which Service or split.

mod conflicts;
mod hosts;
mod paths;

pub use conflicts::{Conditions, Conflict, conflicts};

use crate::{
    BackendId, Head, RolloutId, Series, Split,
    action::{Actions, Redirect},
    matches::{HostMatch, PathMatch, RequestMatch},
    policy::BackendPolicy,
    split::Side,
    state::{BackendState, RouteState},
    weight::Weight,
};
use hosts::Hosts;
use paths::Paths;
use std::{
    collections::{HashMap, HashSet},
    net::SocketAddr,
    sync::Arc,
};

/// One version's place to send requests to, with the counters for it.
#[derive(Clone, Debug)]
pub struct Backend {
    /// The Service.
    pub id: BackendId,
    /// Its endpoints; may be empty.
    pub endpoints: Arc<[SocketAddr]>,
    /// How they are spoken to.
    pub policy: Arc<BackendPolicy>,
    /// What the process knows of the Service at run time; outlives tables.
    pub state: Arc<BackendState>,
    /// What is counted for requests that go here.
    pub series: Arc<Series>,
}

impl Backend {
    /// A Service with the default policy, of which nothing is known yet.
    pub fn plain(id: BackendId, endpoints: Arc<[SocketAddr]>, series: Arc<Series>) -> Self {
        Self {
            id,
            endpoints,
            policy: Arc::default(),
            state: Arc::default(),
            series,
        }
    }
}

/// Where a route leads.
#[derive(Clone, Debug)]
pub enum Target {
    /// To a Service that no rollout splits.
    Backend(Backend),
    /// To a rollout's split, by its place in [`RouteTable::splits`].
    Split(usize),
    /// Nowhere: the client is sent elsewhere.
    Redirect(Redirect),
}

/// A set of conditions and where a request goes that meets them.
#[derive(Clone, Debug)]
pub struct Route {
    /// Its name, for people; empty when it has none.
    pub name: Arc<str>,
    /// The names of the listeners that it is for; empty for all.
    pub listeners: Vec<Arc<str>>,
    /// The hosts, of which one must be asked for.
    pub hosts: Vec<HostMatch>,
    /// The conditions, of which one must hold.
    pub matches: Vec<RequestMatch>,
    /// Where the request goes.
    pub target: Target,
    /// What is done to it on the way.
    pub actions: Arc<Actions>,
    /// What the process knows of the route at run time; outlives tables.
    pub state: Arc<RouteState>,
}

impl Route {
    /// A route for all listeners that only leads to `target`.
    pub fn plain(hosts: Vec<HostMatch>, matches: Vec<RequestMatch>, target: Target) -> Self {
        Self {
            name: Arc::from(""),
            listeners: Vec::new(),
            hosts,
            matches,
            target,
            actions: Arc::default(),
            state: Arc::default(),
        }
    }

    /// What decides whether it is taken.
    pub fn conditions(&self) -> Conditions<'_> {
        Conditions {
            listeners: &self.listeners,
            hosts: &self.hosts,
            matches: &self.matches,
        }
    }
}

/// The route that a request takes.
#[derive(Clone, Copy, Debug)]
pub struct Found<'a> {
    /// Its name; empty when it has none.
    pub name: &'a Arc<str>,
    /// Where it goes.
    pub target: &'a Target,
    /// What is done to it on the way.
    pub actions: &'a Actions,
    /// Whether `actions` say anything at all, or the split that it leads to may have the request copied.
    pub has_actions: bool,
    /// What the process knows of the route at run time.
    pub state: &'a Arc<RouteState>,
    /// The path prefix that was matched, when it was matched by one.
    pub matched_prefix: Option<&'a str>,
}

/// Everything that a request needs to find its way. Immutable: a change is a new table, swapped in whole.
#[derive(Clone, Debug, Default)]
pub struct RouteTable {
    targets: Vec<Leads>,
    splits: Vec<Split>,
    hosts: Hosts<Paths>,
}

/// Where a route leads, and for whom.
#[derive(Clone, Debug)]
struct Leads {
    name: Arc<str>,
    listeners: Vec<Arc<str>>,
    target: Target,
    actions: Arc<Actions>,
    has_actions: bool,
    state: Arc<RouteState>,
}

/// Conditions and the target of a request that meets them.
#[derive(Clone, Debug)]
struct Entry {
    condition: RequestMatch,
    target: usize,
}

impl RouteTable {
    /// Compiles `routes` over `splits`, in the Gateway API's order of precedence: the more specific host, then the
    /// more specific conditions ([`RequestMatch::rank`]), then the earlier route. Routes whose target is a split that
    /// does not exist are refused.
    ///
    /// # Errors
    /// The place in `routes` of the first route that leads to no split.
    pub fn new(routes: Vec<Route>, mut splits: Vec<Split>) -> Result<Self, NoSuchSplit> {
        let mut hosts: HashMap<HostMatch, Vec<Entry>> = HashMap::new();
        let mut targets = Vec::with_capacity(routes.len());
        for (at, mut route) in routes.into_iter().enumerate() {
            if matches!(route.target, Target::Split(split) if split >= splits.len()) {
                return Err(NoSuchSplit { route: at });
            }
            for condition in &mut route.matches {
                condition.fields.keep_first_of_each_name();
            }
            let mut seen = HashSet::new();
            for host in route.hosts {
                if !seen.insert(host.clone()) {
                    continue;
                }
                let entry = |condition: &RequestMatch| Entry {
                    condition: condition.clone(),
                    target: at,
                };
                hosts
                    .entry(host)
                    .or_default()
                    .extend(route.matches.iter().map(entry));
            }
            let has_actions = !route.actions.is_empty() || has_copies(&route.target, &splits);
            targets.push(Leads {
                name: route.name,
                listeners: route.listeners,
                target: route.target,
                has_actions,
                actions: route.actions,
                state: route.state,
            });
        }
        for fields in splits
            .iter_mut()
            .flat_map(|split| &mut split.rules)
            .flat_map(|rule| &mut rule.matches)
        {
            fields.keep_first_of_each_name();
        }
        Ok(Self {
            targets,
            splits,
            hosts: hosts
                .into_iter()
                .map(|(host, entries)| (host, Paths::new(entries)))
                .collect(),
        })
    }

    /// Where `head` goes, or nothing when no route is for it. A host none of whose routes fits leaves the request to
    /// the less specific hosts.
    pub fn find(&self, head: &Head<'_>) -> Option<Found<'_>> {
        self.hosts.find_map(head.authority(), |paths| {
            paths.find_map(head.path(), |entry| self.take(entry, head))
        })
    }

    /// Where `entry`, whose condition on the path is met, leads `head`, if it is for it.
    fn take<'a>(&'a self, entry: &'a Entry, head: &Head<'_>) -> Option<Found<'a>> {
        if !entry.condition.admits_beside_path(head) {
            return None;
        }
        let leads = self.targets.get(entry.target)?;
        let is_for = leads.listeners.is_empty()
            || leads.listeners.iter().any(|name| **name == *head.listener);
        is_for.then(|| Found {
            name: &leads.name,
            target: &leads.target,
            actions: &leads.actions,
            has_actions: leads.has_actions,
            state: &leads.state,
            matched_prefix: match &entry.condition.path {
                PathMatch::Prefix(prefix) => Some(prefix),
                PathMatch::Exact(_) | PathMatch::Regex(_) => None,
            },
        })
    }

    /// The splits, by the place that [`Target::Split`] names.
    pub fn splits(&self) -> &[Split] {
        &self.splits
    }

    /// Whether requests may still be sent to the Service `id`: a split gives it weight or copies, a rule leads there, it
    /// stands in for what a canary fails, or a route leads there by itself.
    pub fn gives_traffic_to(&self, id: &BackendId) -> bool {
        let of_split = |split: &Split| {
            let ruled = |side| split.rules.iter().any(|rule| rule.to == side);
            let stable = split.stable.id == *id
                && (split.canary.is_none()
                    || split.weight < Weight::FULL
                    || split.rescue
                    || ruled(Side::Stable));
            let canary = split.canary.as_ref().is_some_and(|canary| {
                canary.id == *id
                    && (split.weight > Weight::ZERO
                        || ruled(Side::Canary)
                        || !split.copies.is_empty())
            });
            stable || canary
        };
        self.splits.iter().any(of_split)
            || self
                .targets
                .iter()
                .any(|leads| matches!(&leads.target, Target::Backend(backend) if backend.id == *id))
    }

    /// Every Service that a request may be sent to, mirrors included; one that several routes lead to comes several
    /// times.
    pub fn backends(&self) -> impl Iterator<Item = &Backend> {
        let of_routes = self.targets.iter().flat_map(|leads| {
            let own = match &leads.target {
                Target::Backend(backend) => Some(backend),
                Target::Split(_) | Target::Redirect(_) => None,
            };
            let mirrors = leads.actions.mirrors.iter().map(|mirror| &mirror.backend);
            own.into_iter().chain(mirrors)
        });
        let of_splits = self
            .splits
            .iter()
            .flat_map(|split| std::iter::once(&split.stable).chain(&split.canary));
        of_routes.chain(of_splits)
    }

    /// The split of `rollout`.
    pub fn split_of(&self, rollout: &RolloutId) -> Option<&Split> {
        self.splits.iter().find(|split| split.rollout == *rollout)
    }
}

/// Whether `target` is a split by whose rules requests are copied.
fn has_copies(target: &Target, splits: &[Split]) -> bool {
    let Target::Split(split) = target else {
        return false;
    };
    splits
        .get(*split)
        .is_some_and(|split| !split.copies.is_empty())
}

/// A route leads to a split that the table does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoSuchSplit {
    /// The route's place among those given.
    pub route: usize,
}

impl std::fmt::Display for NoSuchSplit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "route {} leads to a split that is not in the table",
            self.route
        )
    }
}

impl std::error::Error for NoSuchSplit {}

#[cfg(test)]
mod tests;
