//! What a set of documents asks for, checked: the only form of it that the rest of the controller knows.

mod conditions;
mod edge;
mod guard;
mod rollout;
mod steps;

pub use self::{
    edge::{Edge, Timeouts},
    rollout::{RolloutSpec, Slots},
};

use crate::document::{Document, Finding, Kind, Severity};
use ::rollout::plan::HeaderRoute;
use crds::FieldPath;
use std::{collections::BTreeMap, net::SocketAddr, sync::Arc};
use traffic::{
    BackendId, RolloutId,
    matches::{FieldMatch, HostMatch, RequestMatch},
};

/// Everything that a set of documents asks for.
#[derive(Clone, Debug)]
pub struct Spec {
    /// Where requests and operators come in.
    pub edge: Edge,
    /// The endpoints of each Service.
    pub services: BTreeMap<BackendId, Arc<[SocketAddr]>>,
    /// What goes where, in the order of the document.
    pub routes: Vec<RouteSpec>,
    /// The rollouts, by name.
    pub rollouts: BTreeMap<RolloutId, RolloutSpec>,
}

/// What goes where.
#[derive(Clone, Debug)]
pub struct RouteSpec {
    /// The hosts, of which one must be asked for.
    pub hosts: Vec<HostMatch>,
    /// The conditions, of which one must hold.
    pub matches: Vec<RequestMatch>,
    /// Where it leads.
    pub target: RouteTarget,
}

/// Where a route leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RouteTarget {
    /// To a Service that no rollout splits.
    Service(BackendId),
    /// To a rollout, split as it says.
    Rollout(RolloutId),
}

/// Something in a document that cannot be acted on: where, and what was found and is allowed.
type Fault = (FieldPath, String);

/// Reads `documents`, which have passed the checks of [`crate::document`].
///
/// # Errors
/// Everything in them that cannot be acted on.
pub fn read(documents: &[Document]) -> Result<Spec, Vec<Finding>> {
    let mut findings = Vec::new();
    let mut rollouts = BTreeMap::new();
    let mut edge = None;
    for document in documents {
        let mut faults = Vec::new();
        match &document.kind {
            Kind::Rollout(rollout) => {
                if let Some(spec) = RolloutSpec::read(rollout, &mut faults) {
                    rollouts.insert(spec.plan.rollout.clone(), spec);
                }
            }
            Kind::Proxy(proxy) => edge = Some((document, proxy)),
            Kind::Other { .. } => {}
        }
        findings.extend(
            faults
                .into_iter()
                .map(|(path, message)| error(document, &path, message)),
        );
    }
    let Some((document, proxy)) = edge else {
        let allowed = "exactly one document of kind Proxy is needed, for listeners and endpoints";
        findings.extend(
            documents
                .first()
                .map(|d| error(d, &FieldPath::root(), allowed.to_owned())),
        );
        return Err(findings);
    };
    let mut faults = Vec::new();
    let namespace = proxy.metadata.namespace();
    let edge = Edge::read(&proxy.spec, &mut faults);
    let services = edge::services(&proxy.spec, namespace, &mut faults);
    let routes = edge::routes(&proxy.spec, namespace, &rollouts, &mut faults);
    findings.extend(
        faults
            .into_iter()
            .map(|(path, message)| error(document, &path, message)),
    );
    match edge {
        Some(edge) if findings.is_empty() => Ok(Spec {
            edge,
            services,
            routes,
            rollouts,
        }),
        _ => Err(findings),
    }
}

/// The conditions of a header route of a checked plan, of which one must hold.
pub(crate) fn header_route_matches(route: &HeaderRoute) -> Vec<FieldMatch> {
    // What cannot be compiled was refused with the document; of a route kept from an older one it admits nothing.
    conditions::of_header_route(route, &FieldPath::root(), &mut Vec::new()).unwrap_or_default()
}

fn error(document: &Document, path: &FieldPath, message: String) -> Finding {
    let path = path.to_string();
    Finding {
        severity: Severity::Error,
        location: document.source.locate(&path),
        path,
        message,
    }
}

fn path(written: &str) -> FieldPath {
    FieldPath::parse(written)
}
