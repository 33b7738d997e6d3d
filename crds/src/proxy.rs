//! `Proxy` of `sluice.dev/v1alpha1`: where a standalone process listens, and where endpoints are.
//!
//! ```yaml
//! apiVersion: sluice.dev/v1alpha1
//! kind: Proxy
//! metadata: {name: edge}
//! spec:
//!   listeners: [{name: http, address: "127.0.0.1:8080"}]
//!   services:
//!   - {name: checkout-blue, endpoints: ["127.0.0.1:9001"]}
//!   - {name: checkout-green, endpoints: ["127.0.0.1:9002"]}
//! ```

use serde::{Deserialize, Serialize};

use crate::GoDuration;
use crate::lenient;
use crate::meta::ObjectMeta;

mod route;

pub use route::{PathMatch, PathMatchType, Route, RouteMatch};

/// Where a standalone process listens, and where the endpoints of Services are.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Proxy {
    /// Always `sluice.dev/v1alpha1`.
    pub api_version: String,
    /// Always `Proxy`.
    pub kind: String,
    /// Name and namespace.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub metadata: ObjectMeta,
    /// What is wanted.
    pub spec: ProxySpec,
}

impl Proxy {
    /// The group and version of the API.
    pub const API_VERSION: &str = "sluice.dev/v1alpha1";
    /// The kind's name.
    pub const KIND: &str = "Proxy";
}

/// What is wanted of a proxy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProxySpec {
    /// Where requests come in; at least one.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub listeners: Vec<Listener>,
    /// Where operators and scrapers come in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub admin: Option<Admin>,
    /// Where the state of rollouts is kept; relative to this file. Default `sluice-state.json`
    /// beside this file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state_file: Option<String>,
    /// How many workers serve requests, 1 to 1024; default one for each core.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workers: Option<u32>,
    /// How long things may take.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeouts: Option<Timeouts>,
    /// Named groups of endpoints.
    #[serde(default, deserialize_with = "lenient::or_default")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub services: Vec<Service>,
    /// What goes where. None means that everything goes to the only Rollout.
    #[serde(default, deserialize_with = "lenient::or_default")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<Route>,
}

/// Where requests come in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Listener {
    /// Its name, unique in the proxy.
    pub name: String,
    /// Address and port, such as `127.0.0.1:8080`, `0.0.0.0:80` or `[::]:80`.
    pub address: String,
}

/// Where operators and scrapers come in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Admin {
    /// Address and port; default [`Admin::DEFAULT_ADDRESS`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// The file that holds the bearer token clients must show. Demanded beyond loopback.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_file: Option<String>,
}

impl Admin {
    /// Where the admin API listens when nothing else is said: on loopback, out of reach of others.
    pub const DEFAULT_ADDRESS: &str = "127.0.0.1:9901";
}

/// How long things may take. All must be longer than zero, and at most 24h.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Timeouts {
    /// Until a connection to an endpoint stands; default 2s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connect: Option<GoDuration>,
    /// From the request's end until the response's header; default 30s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_header: Option<GoDuration>,
    /// Without a byte in either direction while a request is under way; default 5m.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle: Option<GoDuration>,
    /// Of a client's connection between two requests; default 75s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_alive: Option<GoDuration>,
    /// Until a request's header is complete; default 30s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_header: Option<GoDuration>,
    /// For requests under way when the process is asked to end; default 30s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drain: Option<GoDuration>,
}

/// A named group of endpoints.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Service {
    /// Its name, unique in its namespace.
    pub name: String,
    /// Its namespace; default the proxy's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Addresses and ports, such as `127.0.0.1:9001`.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub endpoints: Vec<String>,
}
