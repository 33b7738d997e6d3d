//! Which proxies are live: those of the endpoints of a Service that are ready.

use crate::shared::Shared;
use futures_util::StreamExt as _;
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointSlice};
use kube::{
    Api, Client, ResourceExt as _,
    runtime::{
        WatchStreamExt as _,
        watcher::{self, Event, watcher},
    },
};
use std::{
    collections::{BTreeSet, HashMap},
    net::{IpAddr, SocketAddr},
    str::FromStr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::Notify;

/// The label by which a Service's EndpointSlices are found.
const SERVICE_LABEL: &str = "kubernetes.io/service-name";
/// The name of the port at which proxies tell what they count.
const PORT: &str = "admin";

/// The Service whose endpoints are the proxies: `NAMESPACE/NAME`, with a port that is named `admin`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proxies {
    /// The Service's namespace.
    pub namespace: String,
    /// Its name.
    pub service: String,
}

/// What is no Service's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("found {0:?}, allowed NAMESPACE/SERVICE")]
pub struct NoProxies(String);

impl FromStr for Proxies {
    type Err = NoProxies;

    fn from_str(written: &str) -> Result<Self, NoProxies> {
        match written.split_once('/') {
            Some((namespace, service))
                if !namespace.is_empty() && !service.is_empty() && !service.contains('/') =>
            {
                Ok(Self {
                    namespace: namespace.to_owned(),
                    service: service.to_owned(),
                })
            }
            _ => Err(NoProxies(written.to_owned())),
        }
    }
}

/// The proxies that are live.
#[derive(Debug, Default)]
pub(super) struct Live {
    /// By the EndpointSlice that says so.
    slices: Mutex<HashMap<String, BTreeSet<SocketAddr>>>,
    /// Rung when all have been listed.
    listed: Notify,
}

impl Live {
    /// Where they are to be asked.
    pub(super) fn addresses(&self) -> BTreeSet<SocketAddr> {
        self.slices().values().flatten().copied().collect()
    }

    /// Returns when all have been listed once. For one who waits.
    pub(super) async fn listed(&self) {
        self.listed.notified().await;
    }

    fn slices(&self) -> MutexGuard<'_, HashMap<String, BTreeSet<SocketAddr>>> {
        self.slices.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps `live` true, for ever. While the API server is away, what was known last stays.
pub(super) async fn watch(proxies: Proxies, client: Client, live: Arc<Live>, shared: Arc<Shared>) {
    let api: Api<EndpointSlice> = Api::namespaced(client, &proxies.namespace);
    let config = watcher::Config::default().labels(&format!("{SERVICE_LABEL}={}", proxies.service));
    let mut events = Box::pin(watcher(api, config).default_backoff());
    let mut listed = HashMap::new();
    while let Some(event) = events.next().await {
        match event {
            Ok(Event::Init) => listed.clear(),
            Ok(Event::InitApply(slice)) => {
                listed.insert(slice.name_any(), ready(&slice));
            }
            Ok(Event::InitDone) => {
                *live.slices() = std::mem::take(&mut listed);
                live.listed.notify_one();
            }
            Ok(Event::Apply(slice)) => {
                live.slices().insert(slice.name_any(), ready(&slice));
            }
            Ok(Event::Delete(slice)) => {
                live.slices().remove(&slice.name_any());
            }
            Err(error) => {
                shared.counts.watch_failed("EndpointSlice");
                tracing::warn!(kind = "EndpointSlice", "cannot be watched for now: {error}");
            }
        }
    }
}

/// Where the endpoints of a slice are to be asked that are ready, also those that are about to end: they still serve. In the
/// EndpointSlices of a Service that publishes addresses that are not ready, all are called ready, and `serving` tells. What
/// is not said is true (EndpointConditions).
pub(super) fn ready(slice: &EndpointSlice) -> BTreeSet<SocketAddr> {
    let mut ports = slice.ports.iter().flatten();
    let port = ports.find(|port| port.name.as_deref() == Some(PORT));
    let port = port.and_then(|port| u16::try_from(port.port?).ok());
    let Some(port) = port else {
        return BTreeSet::new();
    };
    let is_ready = |endpoint: &&Endpoint| {
        let conditions = endpoint.conditions.as_ref();
        let told = conditions.and_then(|conditions| conditions.serving.or(conditions.ready));
        told.unwrap_or(true)
    };
    let endpoints = slice.endpoints.iter().flatten().filter(is_ready);
    endpoints
        .filter_map(|endpoint| endpoint.addresses.first()?.parse::<IpAddr>().ok())
        .map(|address| SocketAddr::new(address, port))
        .collect()
}
