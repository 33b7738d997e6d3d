//! What a set of documents asks for, checked: the only form of it that the rest of the controller knows.

mod conditions;
mod conflicts;
mod edge;
mod failures;
mod filter;
mod guard;
mod pace;
mod rollout;
mod route;
mod routed;
mod service;
mod steps;
mod terms;

pub use self::{
    conflicts::conflicts,
    edge::{Certificate, Edge, Forwarding, Listener, ListenerTls, Log, Network, Timeouts, Traces},
    rollout::{RolloutSpec, Slots, SplitSpec},
    route::{MirrorSpec, RouteSpec, RouteTarget},
    service::ServiceSpec,
};

pub(crate) use self::{
    guard::trips,
    rollout::{guard_of, options_path},
    routed::Routed,
    steps::{header_route, mirror_route},
};

use crate::document::{Document, Finding, Kind, Severity};
use ::rollout::plan::{HeaderRoute, MirrorRoute};
use crds::FieldPath;
use http::HeaderName;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};
use traffic::{
    BackendId, RolloutId,
    matches::{CopyMatch, FieldMatch},
};

/// Everything that a set of documents asks for.
#[derive(Clone, Debug)]
pub struct Spec {
    /// Where requests and operators come in.
    pub edge: Edge,
    /// The Services, by name.
    pub services: BTreeMap<BackendId, ServiceSpec>,
    /// What goes where, in the order of the document.
    pub routes: Vec<RouteSpec>,
    /// The rollouts, by name.
    pub rollouts: BTreeMap<RolloutId, RolloutSpec>,
}

/// Something in a document that cannot be acted on: where, and what was found and is allowed.
pub(crate) type Fault = (FieldPath, String);

/// The folder of a document, in which the relative paths in it begin.
struct Folder<'f>(&'f Path);

impl Folder<'_> {
    fn join(&self, file: &str) -> PathBuf {
        self.0.join(file)
    }
}

impl Spec {
    /// Takes over from `older` the values that say the same, so that they stay the same values.
    pub fn share(&mut self, older: &Self) {
        for (id, service) in &mut self.services {
            if let Some(older) = older.services.get(id) {
                service.share(older);
            }
        }
    }
}

/// Reads `documents`, which have passed the checks of [`crate::document`]. Relative paths of files in the Proxy begin in
/// `folder`.
///
/// # Errors
/// Everything in them that cannot be acted on.
pub fn read(documents: &[Document], folder: &Path) -> Result<Spec, Vec<Finding>> {
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
    let folder = Folder(folder);
    let edge = Edge::read(&proxy.spec, &folder, &mut faults);
    let services = service::services(&proxy.spec, namespace, &folder, &mut faults);
    let routes = route::routes(&proxy.spec, namespace, &rollouts, &mut faults);
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

/// The conditions of a mirror route of a checked plan, of which one must hold.
pub(crate) fn mirror_route_matches(route: &MirrorRoute) -> Vec<CopyMatch> {
    // As above.
    conditions::of_mirror_route(route, &FieldPath::root(), &mut Vec::new()).unwrap_or_default()
}

fn header_name(name: &str, at: FieldPath, faults: &mut Vec<Fault>) -> Option<HeaderName> {
    let parsed = HeaderName::try_from(name).ok();
    if parsed.is_none() {
        faults.push((at, format!("found {name:?}, allowed the name of a header")));
    }
    parsed
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
