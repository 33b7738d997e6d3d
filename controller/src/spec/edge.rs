//! Where requests and operators come in, and the endpoints behind.

use super::{Fault, RolloutSpec, RouteSpec, RouteTarget, conditions, path};
use crds::{
    FieldPath, GoDuration,
    proxy::{self, Admin, ProxySpec},
};
use std::{
    collections::BTreeMap, net::SocketAddr, num::NonZeroUsize, path::PathBuf, sync::Arc,
    time::Duration,
};
use traffic::{
    BackendId, RolloutId,
    matches::{HostMatch, RequestMatch},
};

/// Where requests and operators come in. A change of it takes effect when the process starts anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edge {
    /// Where requests come in; at least one.
    pub listeners: Vec<SocketAddr>,
    /// Where operators come in.
    pub admin: SocketAddr,
    /// The file that holds the token they must bring.
    pub token_file: Option<PathBuf>,
    /// Where state is kept; none where the document leaves it to the process.
    pub state_file: Option<PathBuf>,
    /// How many workers there are; none for one each core.
    pub workers: Option<NonZeroUsize>,
    /// How long things may take.
    pub timeouts: Timeouts,
}

/// How long things may take; none where the document leaves it to the process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timeouts {
    /// Until a connection to an endpoint stands.
    pub connect: Option<Duration>,
    /// From the request until the response's head.
    pub response_header: Option<Duration>,
    /// Without a byte while a request is under way.
    pub idle: Option<Duration>,
    /// Of a client's connection between two requests.
    pub keep_alive: Option<Duration>,
    /// Until a request's head is complete.
    pub request_header: Option<Duration>,
    /// For requests under way when the process ends.
    pub drain: Option<Duration>,
}

impl Edge {
    pub(super) fn read(spec: &ProxySpec, faults: &mut Vec<Fault>) -> Option<Self> {
        let listeners: Vec<_> = spec
            .listeners
            .iter()
            .enumerate()
            .filter_map(|(i, listener)| {
                address(
                    &listener.address,
                    path("spec.listeners").index(i).key("address"),
                    faults,
                )
            })
            .collect();
        let admin = spec.admin.clone().unwrap_or_default();
        let written = admin.address.as_deref().unwrap_or(Admin::DEFAULT_ADDRESS);
        let admin_address = address(written, path("spec.admin.address"), faults)?;
        Some(Self {
            listeners,
            admin: admin_address,
            token_file: admin.token_file.map(PathBuf::from),
            state_file: spec.state_file.as_ref().map(PathBuf::from),
            workers: spec.workers.and_then(|n| NonZeroUsize::new(n as usize)),
            timeouts: spec.timeouts.as_ref().map(timeouts).unwrap_or_default(),
        })
    }
}

fn timeouts(written: &proxy::Timeouts) -> Timeouts {
    let proxy::Timeouts {
        connect,
        response_header,
        idle,
        keep_alive,
        request_header,
        drain,
    } = written.clone();
    let duration = |written: Option<GoDuration>| written.map(Duration::from);
    Timeouts {
        connect: duration(connect),
        response_header: duration(response_header),
        idle: duration(idle),
        keep_alive: duration(keep_alive),
        request_header: duration(request_header),
        drain: duration(drain),
    }
}

fn address(written: &str, at: FieldPath, faults: &mut Vec<Fault>) -> Option<SocketAddr> {
    let address = written.parse().ok();
    if address.is_none() {
        let allowed = "an address and a port, such as 127.0.0.1:8080 or [::1]:8080";
        faults.push((at, format!("found {written:?}, allowed {allowed}")));
    }
    address
}

pub(super) fn services(
    spec: &ProxySpec,
    namespace: &str,
    faults: &mut Vec<Fault>,
) -> BTreeMap<BackendId, Arc<[SocketAddr]>> {
    let mut services = BTreeMap::new();
    for (i, service) in spec.services.iter().enumerate() {
        let at = path("spec.services").index(i).key("endpoints");
        let endpoints = service.endpoints.iter().enumerate();
        let endpoints = endpoints
            .filter_map(|(j, written)| address(written, at.index(j), faults))
            .collect();
        let id = BackendId::new(
            service.namespace.as_deref().unwrap_or(namespace),
            &service.name,
        );
        services.insert(id, endpoints);
    }
    services
}

/// The routes as written, or one that sends everything to the only rollout.
pub(super) fn routes(
    spec: &ProxySpec,
    namespace: &str,
    rollouts: &BTreeMap<RolloutId, RolloutSpec>,
    faults: &mut Vec<Fault>,
) -> Vec<RouteSpec> {
    if spec.routes.is_empty() {
        let everything = |rollout: &RolloutId| RouteSpec {
            hosts: vec![HostMatch::Any],
            matches: vec![RequestMatch::any()],
            target: RouteTarget::Rollout(rollout.clone()),
        };
        return rollouts.keys().take(1).map(everything).collect();
    }
    let read = |(i, route)| {
        read_route(
            route,
            &path("spec.routes").index(i),
            namespace,
            rollouts,
            faults,
        )
    };
    spec.routes.iter().enumerate().filter_map(read).collect()
}

fn read_route(
    route: &proxy::Route,
    at: &FieldPath,
    namespace: &str,
    rollouts: &BTreeMap<RolloutId, RolloutSpec>,
    faults: &mut Vec<Fault>,
) -> Option<RouteSpec> {
    let namespace = route.namespace.as_deref().unwrap_or(namespace);
    let target = match (&route.service, &route.rollout) {
        (Some(service), None) => {
            let service = BackendId::new(namespace, service);
            // A Service that belongs to a rollout is split as that rollout says.
            let owner = rollouts.values().find(|spec| spec.slots.holds(&service));
            owner.map_or(RouteTarget::Service(service), |spec| {
                RouteTarget::Rollout(spec.plan.rollout.clone())
            })
        }
        (None, Some(rollout)) => RouteTarget::Rollout(RolloutId::new(namespace, rollout)),
        _ => {
            faults.push((
                at.clone(),
                "needs exactly one of service, rollout".to_owned(),
            ));
            return None;
        }
    };
    let hosts = if route.hosts.is_empty() {
        vec![HostMatch::Any]
    } else {
        route
            .hosts
            .iter()
            .map(|host| HostMatch::parse(host))
            .collect()
    };
    let matches = if route.matches.is_empty() {
        vec![RequestMatch::any()]
    } else {
        let entries = route.matches.iter().enumerate();
        entries
            .filter_map(|(i, entry)| {
                conditions::of_route(entry, &at.key("matches").index(i), faults)
            })
            .collect()
    };
    Some(RouteSpec {
        hosts,
        matches,
        target,
    })
}
