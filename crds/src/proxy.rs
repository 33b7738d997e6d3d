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
//!
//! Ranges and defaults stand in the `schemars` attributes of the fields: the reference page, the
//! schema for editors and the checks of documents are all made from them ([`crate::schema`]).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::lenient;
use crate::meta::ObjectMeta;

mod balancing;
mod filter;
mod forwarding;
mod health;
mod limits;
mod listener;
mod observe;
mod route;
mod service;

pub use balancing::{Balancing, BalancingWord, ConsistentHash, HashKey, HashKind, NotOneHashKey};
pub use filter::{
    Cors, Filter, FilterType, Header, HeaderModifier, PathModifier, PathModifierType,
    RequestMirror, RequestRedirect, Scheme, UrlRewrite,
};
pub use forwarding::{ForwardedHeaders, Forwarding};
pub use health::{Ejection, HealthCheck};
pub use limits::{Http2Limits, Limits, Pool, Timeouts};
pub use listener::{
    Certificate, ClientCertificates, Listener, ListenerTls, TlsVersion, TrustedPeers,
};
pub use observe::{AccessLog, LogFormat, LogTemplate, LogWord, Tracing};
pub use route::{
    PathMatch, PathMatchType, RateHeader, RateKey, RateLimit, RateWord, Route, RouteMatch,
    RouteTimeouts,
};
pub use service::{
    Protocol, ProxyProtocol, Retry, Service, ServiceCertificate, ServiceLimits, ServiceTls,
    StreamDrain,
};

/// Where a standalone process listens, and where the endpoints of Services are.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
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

/// What is wanted of a proxy. Services and routes change while the process runs; everything else
/// when it starts anew.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProxySpec {
    /// Where requests come in; at least one.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub listeners: Vec<Listener>,
    /// Where operators and scrapers come in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub admin: Option<Admin>,
    /// The file in which the state of rollouts is kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1), extend("default" = "sluice-state.json", "x-file" = true))]
    pub state_file: Option<String>,
    /// How many workers serve requests; absent means one for each core.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1024))]
    pub workers: Option<u32>,
    /// How long things may take.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeouts: Option<Timeouts>,
    /// How many connections to endpoints are kept for reuse.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pool: Option<Pool>,
    /// What clients may ask of the proxy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limits: Option<Limits>,
    /// Whom the proxy believes what it says of clients, and what endpoints are told of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forwarding: Option<Forwarding>,
    /// Where requests are written down; absent writes nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_log: Option<AccessLog>,
    /// Where traces go; absent makes none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tracing: Option<Tracing>,
    /// Named groups of endpoints.
    #[serde(default, deserialize_with = "lenient::or_default")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub services: Vec<Service>,
    /// What goes where. None means that everything goes to the only Rollout.
    #[serde(default, deserialize_with = "lenient::or_default")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<Route>,
}

/// Where operators and scrapers come in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Admin {
    /// Address and port.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = Self::DEFAULT_ADDRESS))]
    pub address: Option<String>,
    /// The file that holds the bearer token clients must show. Demanded beyond loopback.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-file" = true))]
    pub token_file: Option<String>,
}

impl Admin {
    /// Where the admin API listens when nothing else is said: on loopback, out of reach of others.
    pub const DEFAULT_ADDRESS: &str = "127.0.0.1:9901";
}
