//! Rollouts in little room. Most of them rest, and as values with their maps they take several times as much as text.

use super::super::WorkloadKind;
use crate::key::Key;
use controller::reconcile;
use crds::{Rollout, TrafficRouting};
use serde_json::Value;
use std::sync::Arc;

/// A Rollout as text, which its turns read, and what is asked of it at other times. Cheap to clone.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Packed(Arc<Inner>);

#[derive(Debug, PartialEq)]
struct Inner {
    text: Box<[u8]>,
    facts: Facts,
}

/// What is asked of a Rollout between its turns.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Facts {
    /// It is being deleted.
    pub(crate) is_going: bool,
    /// Proxies split its requests.
    pub(crate) is_split: bool,
    /// The names of the Services that its spec names.
    pub(crate) services: Box<[Box<str>]>,
    /// The kind and name of the workload that its template is taken from.
    source: Option<(WorkloadKind, Box<str>)>,
    /// `status.phase`.
    pub(crate) phase: Box<str>,
    /// `canary`, `blueGreen` or `none`.
    pub(crate) strategy: &'static str,
    /// Who splits its requests: the first of them where there are several.
    pub(crate) router: Box<str>,
    /// How many pods are wanted.
    pub(crate) desired: i64,
    /// How many are of the version that is wanted.
    pub(crate) updated: i64,
    /// How many are available.
    pub(crate) available: i64,
    /// How many are there and not available.
    pub(crate) unavailable: i64,
}

impl Packed {
    /// Packs a Rollout.
    ///
    /// # Errors
    /// When it cannot be written as JSON.
    pub(crate) fn new(rollout: &Rollout) -> Result<Self, serde_json::Error> {
        Ok(Self(Arc::new(Inner {
            text: serde_json::to_vec(rollout)?.into(),
            facts: Facts::of(rollout),
        })))
    }

    /// The Rollout; none where the text cannot be read, which it was written to be.
    pub(crate) fn unpack(&self) -> Option<Rollout> {
        serde_json::from_slice(&self.0.text).ok()
    }

    pub(crate) fn facts(&self) -> &Facts {
        &self.0.facts
    }
}

impl Facts {
    fn of(rollout: &Rollout) -> Self {
        let strategy = rollout.spec.strategy.as_ref();
        let canary = strategy.and_then(|strategy| strategy.canary.as_ref());
        let is_blue_green = strategy.is_some_and(|strategy| strategy.blue_green.is_some());
        let routing = canary.and_then(|canary| canary.traffic_routing.as_ref());
        let status = |field: &str| rollout.status.as_ref().map(|status| &status[field]);
        let number = |field: &str| status(field).and_then(Value::as_i64).unwrap_or(0);
        let services = reconcile::services(rollout).into_iter();
        Self {
            is_going: rollout.metadata.deletion_timestamp.is_some(),
            is_split: reconcile::is_split(rollout),
            services: services.map(Box::from).collect(),
            source: WorkloadKind::named_by(rollout).map(|(kind, name)| (kind, name.into())),
            phase: status("phase")
                .and_then(Value::as_str)
                .unwrap_or_default()
                .into(),
            strategy: match (canary, is_blue_green) {
                (Some(_), _) => "canary",
                (None, true) => "blueGreen",
                (None, false) => "none",
            },
            router: routing.map(router).unwrap_or_default().into(),
            desired: i64::from(rollout.spec.replicas.unwrap_or(1)),
            updated: number("updatedReplicas"),
            available: number("availableReplicas"),
            unavailable: (number("replicas") - number("availableReplicas")).max(0),
        }
    }

    /// The workload that the template is taken from, of a Rollout in the namespace of `key`.
    pub(crate) fn source(&self, key: &Key) -> Option<(WorkloadKind, Key)> {
        let (kind, name) = self.source.as_ref()?;
        Some((*kind, key.beside(name)))
    }
}

fn router(routing: &TrafficRouting) -> &str {
    let known = [
        (routing.alb.is_some(), "ALB"),
        (routing.istio.is_some(), "Istio"),
        (routing.nginx.is_some(), "Nginx"),
        (routing.smi.is_some(), "SMI"),
        (routing.ambassador.is_some(), "Ambassador"),
        (routing.app_mesh.is_some(), "AppMesh"),
        (routing.traefik.is_some(), "Traefik"),
        (routing.apisix.is_some(), "Apisix"),
    ];
    let known = known
        .into_iter()
        .find_map(|(is_set, name)| is_set.then_some(name));
    let plugin = routing.plugins.keys().next().map(String::as_str);
    known.or(plugin).unwrap_or_default()
}
