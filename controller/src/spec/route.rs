//! What goes where, and what is done to it on the way.

use super::{Fault, RolloutSpec, conditions, filter, header_name, path};
use crds::{
    Choice, FieldPath,
    proxy::{self, ProxySpec, RateWord, RequestMirror},
};
use http::StatusCode;
use std::{collections::BTreeMap, num::NonZeroU32, sync::Arc, time::Duration};
use traffic::{
    Actions, BackendId, RolloutId, Weight,
    action::{RateKey, RateLimit, Redirect, RouteTimeouts},
    matches::{HostMatch, RequestMatch},
};

/// What goes where.
#[derive(Clone, Debug)]
pub struct RouteSpec {
    /// Its name, which what is counted for it outlives tables by.
    pub name: Box<str>,
    /// The names of the listeners that it is for; empty for all.
    pub listeners: Vec<Arc<str>>,
    /// The hosts, of which one must be asked for.
    pub hosts: Vec<HostMatch>,
    /// The conditions, of which one must hold.
    pub matches: Vec<RequestMatch>,
    /// Where it leads.
    pub target: RouteTarget,
    /// What is done on the way, apart from mirroring, for which a Service must be looked up.
    pub actions: Arc<Actions>,
    /// Who gets copies.
    pub mirrors: Vec<MirrorSpec>,
}

/// Where a route leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RouteTarget {
    /// To a Service that no rollout splits.
    Service(BackendId),
    /// To a rollout, split as it says.
    Rollout(RolloutId),
    /// To the version of a rollout that is not stable, or the place for it.
    Preview(RolloutId),
    /// Elsewhere.
    Redirect(Redirect),
}

/// A Service that gets copies of requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MirrorSpec {
    /// The Service.
    pub service: BackendId,
    /// The share of requests.
    pub share: Weight,
    /// Copies under way at the same time.
    pub max_concurrent: u32,
    /// The largest request body that is copied, in bytes.
    pub max_body_bytes: usize,
}

impl MirrorSpec {
    /// Copies of all requests for `service`, within the default limits.
    pub fn to(service: BackendId) -> Self {
        Self {
            service,
            share: Weight::FULL,
            max_concurrent: RequestMirror::DEFAULT_MAX_CONCURRENT,
            max_body_bytes: RequestMirror::DEFAULT_MAX_BODY_BYTES as usize,
        }
    }
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
            name: proxy::Route::default().name(0).into(),
            listeners: Vec::new(),
            hosts: vec![HostMatch::Any],
            matches: vec![RequestMatch::any()],
            target: RouteTarget::Rollout(rollout.clone()),
            actions: Arc::default(),
            mirrors: Vec::new(),
        };
        return rollouts.keys().take(1).map(everything).collect();
    }
    let read = |(i, route): (usize, &proxy::Route)| {
        let at = path("spec.routes").index(i);
        let namespace = route.namespace.as_deref().unwrap_or(namespace);
        Some(RouteSpec {
            name: route.name(i).into(),
            listeners: route
                .listeners
                .iter()
                .map(|name| name.as_str().into())
                .collect(),
            hosts: hosts(route),
            matches: matches(route, &at, faults),
            target: target(route, &at, namespace, rollouts, faults)?,
            actions: Arc::new(actions(route, &at, faults)),
            mirrors: filter::mirrors(&route.filters, namespace),
        })
    };
    spec.routes.iter().enumerate().filter_map(read).collect()
}

fn target(
    route: &proxy::Route,
    at: &FieldPath,
    namespace: &str,
    rollouts: &BTreeMap<RolloutId, RolloutSpec>,
    faults: &mut Vec<Fault>,
) -> Option<RouteTarget> {
    match (&route.service, &route.rollout, route.redirect()) {
        (Some(service), None, None) => {
            let service = BackendId::new(namespace, service);
            // A Service that belongs to a rollout is split as that rollout says.
            let owner = rollouts
                .values()
                .find(|spec| spec.split.slots.holds(&service));
            Some(match owner {
                None => RouteTarget::Service(service),
                Some(spec) if spec.split.preview.as_ref() == Some(&service) => {
                    RouteTarget::Preview(spec.plan.rollout.clone())
                }
                Some(spec) => RouteTarget::Rollout(spec.plan.rollout.clone()),
            })
        }
        (None, Some(rollout), None) => {
            Some(RouteTarget::Rollout(RolloutId::new(namespace, rollout)))
        }
        (None, None, Some(written)) => Some(RouteTarget::Redirect(redirect(written))),
        _ => {
            let needs = "needs exactly one of service, rollout, redirect";
            faults.push((at.clone(), needs.to_owned()));
            None
        }
    }
}

fn redirect(written: &proxy::RequestRedirect) -> Redirect {
    let status = written.status_code.map(StatusCode::from_u16);
    Redirect {
        scheme: written.scheme.map(|scheme| scheme.as_str().into()),
        hostname: written.hostname.as_deref().map(Box::from),
        port: written.port,
        path: written.path.as_ref().and_then(filter::path_rewrite),
        // Which statuses are allowed is checked with the document.
        status: status.and_then(Result::ok).unwrap_or(StatusCode::FOUND),
    }
}

fn hosts(route: &proxy::Route) -> Vec<HostMatch> {
    if route.hosts.is_empty() {
        return vec![HostMatch::Any];
    }
    route
        .hosts
        .iter()
        .map(|host| HostMatch::parse(host))
        .collect()
}

fn matches(route: &proxy::Route, at: &FieldPath, faults: &mut Vec<Fault>) -> Vec<RequestMatch> {
    if route.matches.is_empty() {
        return vec![RequestMatch::any()];
    }
    let entries = route.matches.iter().enumerate();
    entries
        .filter_map(|(i, entry)| conditions::of_route(entry, &at.key("matches").index(i), faults))
        .collect()
}

fn actions(route: &proxy::Route, at: &FieldPath, faults: &mut Vec<Fault>) -> Actions {
    let timeouts = route.timeouts.clone().unwrap_or_default();
    let limit = route.rate_limit.as_ref();
    let mut actions = Actions {
        timeouts: RouteTimeouts {
            request: timeouts.request.map(Duration::from),
            response_header: timeouts.response_header.map(Duration::from),
            idle: timeouts.idle.map(Duration::from),
        },
        rate_limit: limit.and_then(|limit| rate_limit(limit, &at.key("rateLimit"), faults)),
        max_concurrent: route.max_concurrent.and_then(NonZeroU32::new),
        max_body_bytes: route.max_body_bytes,
        ..Actions::default()
    };
    filter::apply(&route.filters, &at.key("filters"), &mut actions, faults);
    actions
}

fn rate_limit(
    written: &proxy::RateLimit,
    at: &FieldPath,
    faults: &mut Vec<Fault>,
) -> Option<RateLimit> {
    let key = match &written.key {
        None | Some(Choice::Word(RateWord::Route)) => RateKey::Route,
        Some(Choice::Word(RateWord::ClientAddress)) => RateKey::ClientAddress,
        Some(Choice::Mapping(by)) => {
            let at = at.key("key").key("header");
            RateKey::Header(header_name(&by.header, at, faults)?)
        }
    };
    // The rate is checked with the document to be more than 0 and not beyond what fits.
    let rounded = written.per_second.ceil() as u32;
    let burst = written.burst.unwrap_or(rounded);
    Some(RateLimit {
        per_second: written.per_second,
        burst: NonZeroU32::new(burst).unwrap_or(NonZeroU32::MIN),
        key,
    })
}
