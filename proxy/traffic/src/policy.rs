//! How a Service is spoken to, beyond its addresses: protocol, balancing, limits, health, retries.
//!
//! Plain values: whoever forwards requests gives them their effect.

use crate::Weight;
use http::HeaderName;
use std::{num::NonZeroU32, path::PathBuf, time::Duration};

/// How the endpoints of one Service are spoken to.
#[derive(Clone, Debug, PartialEq)]
pub struct BackendPolicy {
    /// The HTTP version that they speak.
    pub protocol: Protocol,
    /// How connections to them are secured; none speaks plain text.
    pub tls: Option<BackendTls>,
    /// The PROXY protocol header that begins each connection to them. Such a connection carries requests of one client
    /// only.
    pub proxy_protocol: Option<ProxyProtocol>,
    /// How an endpoint is chosen.
    pub balancing: Balancing,
    /// For how long an endpoint that is new, or back from ejection, gets less than its share: its share rises from a
    /// tenth to the whole. None gives it its share at once.
    pub slow_start: Option<Duration>,
    /// When an endpoint that fails is left out for a while; none never.
    pub ejection: Option<Ejection>,
    /// Requests that the proxy itself sends to find out whether an endpoint works; none sends none.
    pub health_check: Option<HealthCheck>,
    /// What the Service is not burdened with at the same time.
    pub limits: BackendLimits,
    /// When a request is sent again to another endpoint of the same Service.
    pub retry: Retry,
    /// What becomes of long-lived streams when the Service loses its weight.
    pub stream_drain: StreamDrain,
}

impl Default for BackendPolicy {
    /// HTTP/1.1 in plain text, power of two choices, ejection after five failures in a row, retries within 20 %.
    fn default() -> Self {
        Self {
            protocol: Protocol::Http1,
            tls: None,
            proxy_protocol: None,
            balancing: Balancing::default(),
            slow_start: None,
            ejection: Some(Ejection::default()),
            health_check: None,
            limits: BackendLimits::default(),
            retry: Retry::default(),
            stream_drain: StreamDrain::default(),
        }
    }
}

/// The HTTP version of a backend.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// HTTP/1.1.
    #[default]
    Http1,
    /// HTTP/2: by ALPN over TLS, with prior knowledge in plain text. What gRPC needs.
    Http2,
}

/// How a connection to a backend is secured. Files are read by the proxy, and again when they change.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct BackendTls {
    /// The PEM file of the certificate authorities that are trusted; none trusts those of the operating system.
    pub ca_file: Option<PathBuf>,
    /// The name that the certificate must bear and that SNI asks for; none takes the endpoint's address.
    pub server_name: Option<Box<str>>,
    /// The PEM files of the certificate chain and the key that the proxy shows (mutual TLS).
    pub certificate: Option<(PathBuf, PathBuf)>,
}

/// A version of the PROXY protocol (HAProxy's `doc/proxy-protocol.txt`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ProxyProtocol {
    /// One line of text.
    V1,
    /// Binary.
    V2,
}

/// How an endpoint is chosen among those of a Service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Balancing {
    /// Of two endpoints drawn at random, the one with the smaller product of requests under way and mean latency.
    #[default]
    PowerOfTwo,
    /// One after the other.
    RoundRobin,
    /// The same key goes to the same endpoint; when an endpoint comes or goes, few keys move.
    ConsistentHash(HashKey),
}

/// What [`Balancing::ConsistentHash`] tells requests apart by. A request without it is balanced by power of two.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HashKey {
    /// The value of this header.
    Header(HeaderName),
    /// The value of this cookie.
    Cookie(Box<str>),
    /// The client's address.
    ClientAddress,
}

/// When an endpoint is left out because of what was seen of its requests (passive health check).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ejection {
    /// Failures in a row that eject an endpoint; none looks at no row. 1 to 1000.
    pub consecutive_failures: Option<NonZeroU32>,
    /// Ejects an endpoint whose share of failures, within ten seconds, is above that of all others of the Service
    /// together by this much (0.01 to 1); none does not compare.
    pub excess_failure_ratio: Option<f64>,
    /// Requests within ten seconds below which nothing is compared.
    pub min_requests: u32,
    /// How long the first ejection lasts; each further one within ten minutes lasts as much longer. Then a single
    /// request at a time is let through until one succeeds (probation).
    pub base_time: Duration,
    /// The longest that an ejection lasts.
    pub max_time: Duration,
    /// The share of endpoints that may be ejected at the same time; the last endpoint never is.
    pub max_ejected: Weight,
}

/// Half of all endpoints.
const HALF: Weight = match Weight::from_percent(50) {
    Some(half) => half,
    None => Weight::FULL,
};

impl Default for Ejection {
    fn default() -> Self {
        Self {
            consecutive_failures: NonZeroU32::new(5),
            excess_failure_ratio: None,
            min_requests: 20,
            base_time: Duration::from_secs(10),
            max_time: Duration::from_secs(300),
            max_ejected: HALF,
        }
    }
}

/// Requests that the proxy itself sends to endpoints (active health check).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthCheck {
    /// The path that is asked for with GET; an answer from 200 to 399 is a success. None only connects.
    pub path: Option<Box<str>>,
    /// The `Host` of these requests; none sends the endpoint's address.
    pub host: Option<Box<str>>,
    /// From one request to the next, give or take a tenth.
    pub interval: Duration,
    /// How long the answer may take.
    pub timeout: Duration,
    /// Failures in a row that make an endpoint unhealthy.
    pub unhealthy_after: NonZeroU32,
    /// Successes in a row that make it healthy again.
    pub healthy_after: NonZeroU32,
}

/// What a Service is not burdened with at the same time, by the whole process. A request beyond a limit is answered
/// with 503 and counts as a failure of its version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackendLimits {
    /// Connections to all endpoints together.
    pub connections: u32,
    /// Requests that wait for a connection.
    pub pending: u32,
    /// Requests under way.
    pub requests: u32,
}

impl Default for BackendLimits {
    fn default() -> Self {
        Self {
            connections: 10_000,
            pending: 1024,
            requests: 100_000,
        }
    }
}

/// When a request is sent again, always to its own version. What a version failed is counted when its first attempt
/// ends, whatever a second one gives.
#[derive(Clone, Debug, PartialEq)]
pub struct Retry {
    /// Attempts after the first. 0 never retries, apart from requests of which nothing was written to a connection
    /// that had just been closed.
    pub attempts: u32,
    /// Retries allowed for each request, over the last ten seconds: 0.2 lets at most a fifth of the load be added.
    pub budget: f64,
    /// Retries each second that are allowed whatever the budget says.
    pub min_per_second: u32,
    /// Statuses, beside failures to connect and connections that end before an answer, after which an idempotent
    /// request is sent again.
    pub statuses: Vec<u16>,
    /// How long one attempt may take until its answer's head; none leaves it to the other timeouts.
    pub attempt_timeout: Option<Duration>,
    /// The largest request body that is kept to be sent again, in bytes. Requests with a larger one are not repeated
    /// once a part of it was sent.
    pub max_body_bytes: usize,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            attempts: 1,
            budget: 0.2,
            min_per_second: 3,
            statuses: Vec::new(),
            attempt_timeout: None,
            max_body_bytes: 64 * 1024,
        }
    }
}

/// What becomes of long-lived exchanges (tunnels, and responses that go on) when their version loses all its weight.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StreamDrain {
    /// They go on to their end.
    #[default]
    Keep,
    /// They are closed when this time has passed.
    CloseAfter(Duration),
}
