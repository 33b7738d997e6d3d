//! The route table: which requests go to which Service or split.

use crate::{
    BackendId, Head, RolloutId, Series, Split,
    action::{Actions, Redirect},
    matches::{HostMatch, PathMatch, RequestMatch},
    policy::BackendPolicy,
    state::{BackendState, RouteState},
};
use std::{cmp::Reverse, collections::HashMap, net::SocketAddr, sync::Arc};

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
            listeners: Vec::new(),
            hosts,
            matches,
            target,
            actions: Arc::default(),
            state: Arc::default(),
        }
    }
}

/// The route that a request takes.
#[derive(Clone, Copy, Debug)]
pub struct Found<'a> {
    /// Where it goes.
    pub target: &'a Target,
    /// What is done to it on the way.
    pub actions: &'a Actions,
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
    /// The entries of hosts that are named in full, by the name in lower case.
    exact: HashMap<Box<str>, Vec<Entry>>,
    /// The entries of all other hosts, the more specific host first.
    patterns: Vec<(HostMatch, Vec<Entry>)>,
}

/// Where a route leads, and for whom.
#[derive(Clone, Debug)]
struct Leads {
    listeners: Vec<Arc<str>>,
    target: Target,
    actions: Arc<Actions>,
    state: Arc<RouteState>,
}

/// Conditions and the target of a request that meets them. The entries of a host are in the order in which they are
/// tried.
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
    pub fn new(routes: Vec<Route>, splits: Vec<Split>) -> Result<Self, NoSuchSplit> {
        let mut hosts: HashMap<HostMatch, Vec<Entry>> = HashMap::new();
        let mut targets = Vec::with_capacity(routes.len());
        for (at, route) in routes.into_iter().enumerate() {
            if matches!(route.target, Target::Split(split) if split >= splits.len()) {
                return Err(NoSuchSplit { route: at });
            }
            for host in route.hosts {
                let entry = |condition: &RequestMatch| Entry {
                    condition: condition.clone(),
                    target: at,
                };
                hosts
                    .entry(host)
                    .or_default()
                    .extend(route.matches.iter().map(entry));
            }
            targets.push(Leads {
                listeners: route.listeners,
                target: route.target,
                actions: route.actions,
                state: route.state,
            });
        }
        let mut table = Self {
            targets,
            splits,
            ..Self::default()
        };
        for (host, mut entries) in hosts {
            // A stable sort keeps the order of the routes among equals.
            entries.sort_by_cached_key(|entry| Reverse(entry.condition.rank()));
            match host {
                HostMatch::Exact(name) => drop(table.exact.insert(name, entries)),
                pattern => table.patterns.push((pattern, entries)),
            }
        }
        table
            .patterns
            .sort_by_cached_key(|(host, _)| Reverse(host.rank()));
        Ok(table)
    }

    /// Where `head` goes, or nothing when no route is for it.
    pub fn find(&self, head: &Head<'_>) -> Option<Found<'_>> {
        let host = head.host();
        let patterns = self
            .patterns
            .iter()
            .filter(|(pattern, _)| pattern.admits(host));
        let entries = self
            .of_host(host)
            .into_iter()
            .chain(patterns.map(|(_, entries)| entries))
            .flatten();
        entries.into_iter().find_map(|entry| {
            let leads = self.targets.get(entry.target)?;
            let is_for = leads.listeners.is_empty()
                || leads.listeners.iter().any(|name| **name == *head.listener);
            (is_for && entry.condition.admits(head)).then(|| Found {
                target: &leads.target,
                actions: &leads.actions,
                state: &leads.state,
                matched_prefix: match &entry.condition.path {
                    PathMatch::Prefix(prefix) => Some(prefix),
                    PathMatch::Exact(_) | PathMatch::Regex(_) => None,
                },
            })
        })
    }

    /// The entries of a host that is named in full.
    fn of_host(&self, host: &str) -> Option<&Vec<Entry>> {
        if host.bytes().any(|b| b.is_ascii_uppercase()) {
            return self.exact.get(host.to_ascii_lowercase().as_str());
        }
        self.exact.get(host)
    }

    /// The splits, by the place that [`Target::Split`] names.
    pub fn splits(&self) -> &[Split] {
        &self.splits
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
mod tests {
    use super::*;
    use crate::{
        Role, Stats,
        matches::{FieldMatch, ValueMatch, whole},
    };
    use http::{HeaderMap, Method, Request};

    fn route(stats: &Stats, name: &str, hosts: &[&str], condition: RequestMatch) -> Route {
        Route::plain(
            hosts.iter().map(|host| HostMatch::parse(host)).collect(),
            vec![condition],
            Target::Backend(Backend::plain(
                BackendId::new("default", name),
                Arc::new([]),
                stats.series(&RolloutId::new("default", name), Role::Active),
            )),
        )
    }

    fn path(path: PathMatch) -> RequestMatch {
        RequestMatch {
            path,
            ..RequestMatch::any()
        }
    }

    fn found(table: &RouteTable, method: Method, uri: &str, headers: &HeaderMap) -> Option<String> {
        let request = Request::builder().method(method).uri(uri).body(()).unwrap();
        let head = Head {
            method: request.method(),
            uri: request.uri(),
            headers,
            client: std::net::IpAddr::from([127, 0, 0, 1]),
            listener: "",
        };
        table.find(&head).map(|found| match found.target {
            Target::Backend(backend) => backend.id.name.to_string(),
            Target::Split(split) => format!("split {split}"),
            Target::Redirect(redirect) => redirect.status.to_string(),
        })
    }

    #[test]
    fn the_more_specific_goes_first() {
        let stats = Stats::new(1);
        let header = FieldMatch {
            headers: vec![("x-beta".parse().unwrap(), ValueMatch::Present)],
            ..FieldMatch::default()
        };
        let routes = vec![
            route(&stats, "any", &["*"], RequestMatch::any()),
            route(&stats, "wild", &["*.example"], RequestMatch::any()),
            route(&stats, "host", &["a.example"], RequestMatch::any()),
            route(
                &stats,
                "prefix",
                &["a.example"],
                path(PathMatch::Prefix("/shop".into())),
            ),
            route(
                &stats,
                "longer",
                &["a.example"],
                path(PathMatch::Prefix("/shop/cart".into())),
            ),
            route(
                &stats,
                "regex",
                &["a.example"],
                path(PathMatch::Regex(whole("/shop/v[0-9]").unwrap())),
            ),
            route(
                &stats,
                "exact",
                &["a.example"],
                path(PathMatch::Exact("/shop/v1".into())),
            ),
            route(
                &stats,
                "post",
                &["a.example"],
                RequestMatch {
                    method: Some(Method::POST),
                    ..RequestMatch::any()
                },
            ),
            route(
                &stats,
                "beta",
                &["a.example"],
                RequestMatch {
                    fields: header,
                    ..RequestMatch::any()
                },
            ),
            route(&stats, "second", &["a.example"], RequestMatch::any()),
        ];
        let table = RouteTable::new(routes, Vec::new()).unwrap();
        let none = HeaderMap::new();
        let beta = HeaderMap::from_iter([("x-beta".parse().unwrap(), "1".parse().unwrap())]);
        for (method, uri, headers, expected) in [
            (Method::GET, "http://b.other/", &none, "any"),
            (Method::GET, "http://b.example/", &none, "wild"),
            (Method::GET, "http://A.example/", &none, "host"),
            (Method::GET, "http://a.example/shop", &none, "prefix"),
            (Method::GET, "http://a.example/shop/cart/1", &none, "longer"),
            (Method::GET, "http://a.example/shop/v2", &none, "regex"),
            (Method::GET, "http://a.example/shop/v1", &none, "exact"),
            (Method::POST, "http://a.example/", &none, "post"),
            (Method::GET, "http://a.example/", &beta, "beta"),
        ] {
            assert_eq!(
                found(&table, method, uri, headers).as_deref(),
                Some(expected),
                "{uri}"
            );
        }
    }

    #[test]
    fn a_host_without_a_fitting_route_leaves_the_request_to_less_specific_hosts() {
        let stats = Stats::new(1);
        let only = |prefix: &str| path(PathMatch::Prefix(prefix.into()));
        let routes = vec![
            route(&stats, "any", &["*"], RequestMatch::any()),
            route(&stats, "short", &["*.example"], only("/a")),
            route(&stats, "long", &["*.shop.example"], only("/a/b")),
            route(&stats, "exact", &["x.shop.example"], only("/a/b/c")),
        ];
        let table = RouteTable::new(routes, Vec::new()).unwrap();
        for (uri, expected) in [
            ("http://x.shop.example/a/b/c", "exact"),
            ("http://x.shop.example/a/b", "long"),
            ("http://x.shop.example/a", "short"),
            ("http://x.shop.example/", "any"),
        ] {
            assert_eq!(
                found(&table, Method::GET, uri, &HeaderMap::new()).as_deref(),
                Some(expected),
                "{uri}"
            );
        }
    }

    #[test]
    fn a_request_without_a_route_finds_nothing() {
        let stats = Stats::new(1);
        let routes = vec![route(&stats, "host", &["a.example"], RequestMatch::any())];
        let table = RouteTable::new(routes, Vec::new()).unwrap();
        assert_eq!(
            found(&table, Method::GET, "http://b.example/", &HeaderMap::new()),
            None
        );
    }

    #[test]
    fn a_route_to_no_split_is_refused() {
        let route = Route::plain(
            vec![HostMatch::Any],
            vec![RequestMatch::any()],
            Target::Split(0),
        );
        assert_eq!(
            RouteTable::new(vec![route], Vec::new()).unwrap_err(),
            NoSuchSplit { route: 0 }
        );
    }
}
