//! Rules that only show when all documents lie side by side.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crds::proxy::Route;
use crds::{Proxy, Rollout, Strategy};

use super::check::{BLUE_GREEN, CANARY};
use super::{Document, Finding, Kind, Location, Severity};

/// Checks the documents of a process against each other: exactly one Proxy, no name twice, and
/// whatever one names in another is there.
pub fn check_together(documents: &[Document]) -> Vec<Finding> {
    let mut findings = Findings::default();
    let rollouts: Vec<(&Document, &Rollout)> = documents
        .iter()
        .filter_map(|document| match &document.kind {
            Kind::Rollout(rollout) => Some((document, &**rollout)),
            Kind::Proxy(_) | Kind::Other { .. } => None,
        })
        .collect();
    let known = rollouts_by_name(&rollouts, &mut findings);
    let Some((document, proxy)) = only_proxy(documents, &mut findings) else {
        return findings.0;
    };
    let services = services(proxy);
    let mut owners = HashMap::new();
    for (document, rollout) in &rollouts {
        rollout_services(document, rollout, &services, &mut owners, &mut findings);
    }
    if proxy.spec.routes.is_empty() {
        implied_route(document, rollouts.len(), &mut findings);
    }
    let own = proxy.metadata.namespace();
    for (index, route) in proxy.spec.routes.iter().enumerate() {
        let namespace = route.namespace.as_deref().unwrap_or(own);
        let known = Known {
            namespace,
            services: &services,
            rollouts: &known,
        };
        route_target(document, index, route, &known, &mut findings);
        mirrors(document, index, route, &known, &mut findings);
    }
    findings.0
}

/// A namespace and a name.
type Name<'d> = (&'d str, &'d str);

#[derive(Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn error(&mut self, document: &Document, path: &str, message: String) {
        self.0.push(Finding {
            severity: Severity::Error,
            location: document.source.locate(path),
            path: path.to_owned(),
            message,
        });
    }
}

fn rollouts_by_name<'d>(
    rollouts: &[(&'d Document, &'d Rollout)],
    findings: &mut Findings,
) -> BTreeSet<Name<'d>> {
    let mut first: BTreeMap<Name<'_>, Location> = BTreeMap::new();
    for (document, rollout) in rollouts {
        let Some(name) = rollout.metadata.name.as_deref() else {
            continue;
        };
        let namespace = rollout.metadata.namespace();
        let here = document.source.locate("metadata.name");
        if let Some(there) = first.get(&(namespace, name)) {
            let message =
                format!("found a second Rollout {namespace}/{name}; the first is at {there}");
            findings.error(document, "metadata.name", message);
        } else {
            first.insert((namespace, name), here);
        }
    }
    first.into_keys().collect()
}

fn only_proxy<'d>(
    documents: &'d [Document],
    findings: &mut Findings,
) -> Option<(&'d Document, &'d Proxy)> {
    let mut proxies = documents
        .iter()
        .filter_map(|document| match &document.kind {
            Kind::Proxy(proxy) => Some((document, &**proxy)),
            Kind::Rollout(_) | Kind::Other { .. } => None,
        });
    let first = proxies.next();
    match (first, documents.first()) {
        (Some((first, _)), _) => {
            let there = first.source.locate("kind");
            for (other, _) in proxies {
                let message = format!("found a second Proxy, allowed one; the first is at {there}");
                findings.error(other, "kind", message);
            }
        }
        (None, Some(document)) => {
            let message = "found no Proxy in any document, allowed exactly one".to_owned();
            findings.error(document, "", message);
        }
        (None, None) => {}
    }
    first
}

fn services(proxy: &Proxy) -> BTreeSet<Name<'_>> {
    let own = proxy.metadata.namespace();
    let services = proxy.spec.services.iter();
    services
        .map(|service| {
            (
                service.namespace.as_deref().unwrap_or(own),
                service.name.as_str(),
            )
        })
        .collect()
}

/// The Services that a rollout shifts traffic between, with their paths; none without exactly one strategy, which has
/// been told.
fn versions(strategy: &Strategy) -> Option<[(String, Option<&str>); 2]> {
    let (parent, services) = match (&strategy.canary, &strategy.blue_green) {
        (Some(canary), None) => (
            CANARY,
            match &canary.ping_pong {
                Some(pair) => [
                    ("pingPong.pingService", Some(pair.ping_service.as_str())),
                    ("pingPong.pongService", Some(pair.pong_service.as_str())),
                ],
                None => [
                    ("stableService", canary.stable_service.as_deref()),
                    ("canaryService", canary.canary_service.as_deref()),
                ],
            },
        ),
        (None, Some(blue_green)) => (
            BLUE_GREEN,
            [
                ("activeService", Some(blue_green.active_service.as_str())),
                ("previewService", blue_green.preview_service.as_deref()),
            ],
        ),
        _ => return None,
    };
    Some(services.map(|(field, service)| (format!("{parent}.{field}"), service)))
}

fn rollout_services<'d>(
    document: &Document,
    rollout: &'d Rollout,
    services: &BTreeSet<Name<'_>>,
    owners: &mut HashMap<Name<'d>, &'d str>,
    findings: &mut Findings,
) {
    let strategy = rollout.spec.strategy.as_ref();
    let Some(versions) = strategy.and_then(versions) else {
        return;
    };
    let namespace = rollout.metadata.namespace();
    let own_name = rollout.metadata.name.as_deref().unwrap_or_default();
    for (path, service) in versions {
        let Some(service) = service else {
            let message = "is missing: this process shifts traffic between two Services".to_owned();
            findings.error(document, &path, message);
            continue;
        };
        if !services.contains(&(namespace, service)) {
            let message = format!(
                "found {service:?}, allowed {}",
                listed(namespace, services, "Service")
            );
            findings.error(document, &path, message);
        }
        let owner = *owners.entry((namespace, service)).or_insert(own_name);
        if owner != own_name {
            let message =
                format!("found {service:?}, which belongs to the Rollout {owner} already");
            findings.error(document, &path, message);
        }
    }
}

fn implied_route(document: &Document, rollouts: usize, findings: &mut Findings) {
    if rollouts != 1 {
        let message = format!(
            "is missing: found {rollouts} Rollouts, and only with exactly one it is clear where \
             requests go"
        );
        findings.error(document, "spec.routes", message);
    }
}

/// What a route may name.
struct Known<'k> {
    namespace: &'k str,
    services: &'k BTreeSet<Name<'k>>,
    rollouts: &'k BTreeSet<Name<'k>>,
}

/// Tells Services that get copies and are not there.
fn mirrors(
    document: &Document,
    index: usize,
    route: &Route,
    known: &Known<'_>,
    findings: &mut Findings,
) {
    for (place, filter) in route.filters.iter().enumerate() {
        let Some(mirror) = &filter.request_mirror else {
            continue;
        };
        if !known
            .services
            .contains(&(known.namespace, mirror.service.as_str()))
        {
            let path = format!("spec.routes[{index}].filters[{place}].requestMirror.service");
            let allowed = listed(known.namespace, known.services, "Service");
            let message = format!("found {:?}, allowed {allowed}", mirror.service);
            findings.error(document, &path, message);
        }
    }
}

fn route_target(
    document: &Document,
    index: usize,
    route: &Route,
    known: &Known<'_>,
    findings: &mut Findings,
) {
    for (field, kind, target, names) in [
        ("service", "Service", &route.service, known.services),
        ("rollout", "Rollout", &route.rollout, known.rollouts),
    ] {
        let Some(target) = target else { continue };
        if !names.contains(&(known.namespace, target.as_str())) {
            let allowed = listed(known.namespace, names, kind);
            let path = format!("spec.routes[{index}].{field}");
            findings.error(
                document,
                &path,
                format!("found {target:?}, allowed {allowed}"),
            );
        }
    }
}

/// `a Service of namespace web: blue, green`.
fn listed(namespace: &str, names: &BTreeSet<Name<'_>>, kind: &str) -> String {
    let of_namespace = names.iter().filter(|(of, _)| *of == namespace);
    let names: Vec<&str> = of_namespace.map(|(_, name)| *name).collect();
    match names.as_slice() {
        [] => format!("a {kind} of namespace {namespace}, which has none"),
        _ => format!("a {kind} of namespace {namespace}: {}", names.join(", ")),
    }
}
