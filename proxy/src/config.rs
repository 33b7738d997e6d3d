//! What the proxy is told at its start.

use std::{
    net::{IpAddr, SocketAddr},
    num::NonZeroUsize,
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

/// The proxy's settings. They hold for its whole life; what changes meanwhile is the route table, and what is in the
/// files of certificates and keys.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where requests come in.
    pub listeners: Vec<Listener>,
    /// How many workers serve, each on a thread of its own. One for each core is best.
    pub workers: NonZeroUsize,
    /// How long each part of an exchange may take.
    pub timeouts: Timeouts,
    /// How many connections to endpoints are kept for reuse.
    pub pool: PoolLimits,
    /// What clients may ask of the proxy.
    pub limits: Limits,
    /// Whom the proxy believes what it says of clients before it, and what endpoints are told.
    pub forwarding: Forwarding,
    /// Where requests are written down; none writes nothing.
    pub access_log: Option<AccessLog>,
    /// Where traces go; none makes none.
    pub tracing: Option<Tracing>,
}

impl Config {
    /// The default settings with these plain-text addresses and workers. Listeners are called `listener-0` and so on.
    pub fn new(addresses: Vec<SocketAddr>, workers: NonZeroUsize) -> Self {
        let listeners = addresses.into_iter().enumerate();
        let plain = |(i, address)| Listener::plain(&format!("listener-{i}"), address);
        Self {
            listeners: listeners.map(plain).collect(),
            workers,
            timeouts: Timeouts::default(),
            pool: PoolLimits::default(),
            limits: Limits::default(),
            forwarding: Forwarding::default(),
            access_log: None,
            tracing: None,
        }
    }
}

/// Where requests come in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// Its name, which routes know it by.
    pub name: Arc<str>,
    /// The address. Port 0 picks a free one, see [`Proxy::addresses`](crate::Proxy::addresses).
    pub address: SocketAddr,
    /// The certificates that it shows; none speaks plain text.
    pub tls: Option<ListenerTls>,
    /// Whether HTTP/2 is spoken: by ALPN over TLS, by prior knowledge in plain text.
    pub http2: bool,
    /// Peers that begin connections with a PROXY protocol header (version 1 or 2), which is believed and demanded of
    /// them. Others are served as they are.
    pub proxy_protocol: Vec<Network>,
}

impl Listener {
    /// A plain-text listener that speaks HTTP/1.1 and HTTP/2.
    pub fn plain(name: &str, address: SocketAddr) -> Self {
        Self {
            name: name.into(),
            address,
            tls: None,
            http2: true,
            proxy_protocol: Vec::new(),
        }
    }
}

/// How a listener speaks TLS (1.2 and 1.3). Files are read again when they change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenerTls {
    /// The certificates; at least one. The first is shown to clients that ask for no name or for one that none has.
    pub certificates: Vec<Certificate>,
    /// What is demanded of clients; none asks for no certificate.
    pub client: Option<ClientCertificates>,
    /// The oldest version of TLS that is spoken.
    pub min_version: TlsVersion,
}

/// A certificate and its key. The names that it is for are read from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// The PEM file of the chain, the server's own certificate first.
    pub chain_file: PathBuf,
    /// The PEM file of the private key.
    pub key_file: PathBuf,
    /// The DER file of an OCSP answer that is stapled to it.
    pub ocsp_file: Option<PathBuf>,
}

/// What is demanded of a client's certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCertificates {
    /// The PEM file of the authorities that sign them.
    pub ca_file: PathBuf,
    /// Whether a client without one is refused.
    pub is_required: bool,
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum TlsVersion {
    /// TLS 1.2 (RFC 5246).
    #[default]
    V1_2,
    /// TLS 1.3 (RFC 8446).
    V1_3,
}

/// A range of addresses, such as `10.0.0.0/8` or `::1/128`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    /// Its first address.
    pub address: IpAddr,
    /// How many leading bits are the network's: up to 32, or 128 for IPv6.
    pub prefix: u8,
}

impl Network {
    /// Whether `address` is in it. An IPv4 address that is written as IPv6 is taken for what it is.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address.to_canonical(), address.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                let bits = u32::from(self.prefix.min(32));
                (u32::from(own) ^ u32::from(other))
                    .checked_shr(32 - bits)
                    .unwrap_or_default()
                    == 0
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                let bits = u32::from(self.prefix.min(128));
                (u128::from(own) ^ u128::from(other))
                    .checked_shr(128 - bits)
                    .unwrap_or_default()
                    == 0
            }
            _ => false,
        }
    }
}

/// How long each part of an exchange may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// For a connection to an endpoint, TLS included. Default 2 s.
    pub connect: Duration,
    /// From the last byte of the request to the head of its response. Default 30 s.
    pub response_header: Duration,
    /// For which nothing may move on a body or on a tunnel. Default 5 min.
    pub idle: Duration,
    /// For which a client's connection may lie idle between two requests. Default 75 s.
    pub keep_alive: Duration,
    /// From a request's first byte to the end of its head; for the first request, from the connection's beginning, with
    /// the PROXY header and the TLS handshake. Default 30 s.
    pub request_header: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(2),
            response_header: Duration::from_secs(30),
            idle: Duration::from_secs(5 * 60),
            keep_alive: Duration::from_secs(75),
            request_header: Duration::from_secs(30),
        }
    }
}

/// How many connections to endpoints are kept for reuse. Every worker keeps its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolLimits {
    /// The most idle connections to one endpoint that one worker keeps. Default 128.
    pub idle_per_endpoint: usize,
    /// How long a connection is kept idle. Default 4 s: a server that closes a connection in the moment in which a
    /// request is sent on it makes that request fail, and 5 s is the shortest idle timeout that common servers have
    /// by default (Node.js, Apache, uvicorn).
    pub idle_time: Duration,
}

impl Default for PoolLimits {
    fn default() -> Self {
        Self {
            idle_per_endpoint: 128,
            idle_time: Duration::from_secs(4),
        }
    }
}

/// What clients may ask of the proxy. Numbers of connections are those of the whole process. Each worker keeps to
/// its share of them, and passes on what is more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Client connections; more are accepted and closed at once. Default 100,000.
    pub connections: u32,
    /// Client connections from one address (one /64 of IPv6). Default 0: no limit.
    pub connections_per_client: u32,
    /// The largest head of a request or a response, in bytes: start line and headers. A larger request gets a 431, a
    /// larger response counts as no valid HTTP. Default 64 KiB.
    pub head_bytes: usize,
    /// The most headers of one message. Default 100.
    pub headers: usize,
    /// The longest request target, in bytes; a longer one gets a 414. Default 16 KiB.
    pub uri_bytes: usize,
    /// The largest request body, in bytes; a larger one gets a 413. Default none.
    pub body_bytes: Option<u64>,
    /// The least that a request's body must come on, in bytes each second, once it has begun for five seconds, or
    /// for the idle timeout where that is less; a slower one gets a 408. Default 0: only the idle timeout counts.
    pub body_rate: u32,
    /// Requests that one connection may carry before it is closed in order. Default none.
    pub requests_per_connection: Option<u64>,
    /// Memory that the process may hold (resident), in bytes, before new requests are answered with 503 and
    /// `Retry-After`. Default none.
    pub memory_bytes: Option<u64>,
    /// What HTTP/2 clients may do.
    pub http2: Http2Limits,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 100_000,
            connections_per_client: 0,
            head_bytes: 64 * 1024,
            headers: 100,
            uri_bytes: 16 * 1024,
            body_bytes: None,
            body_rate: 0,
            requests_per_connection: None,
            memory_bytes: None,
            http2: Http2Limits::default(),
        }
    }
}

/// What HTTP/2 clients may do on one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Http2Limits {
    /// Streams at the same time. Default 128.
    pub concurrent_streams: u32,
    /// Streams that may wait as reset by the client before they were accepted. Default 20.
    pub pending_resets: usize,
    /// Streams that the client may make the proxy reset in a connection's life. Default 128.
    pub local_resets: usize,
    /// Control frames (PING, SETTINGS, RST_STREAM, PRIORITY, empty DATA, …) within ten seconds, beside one for every 32
    /// bytes that were sent to the client meanwhile. Default 1000.
    pub control_frames: u32,
    /// Bytes that a stream's body may come ahead of its reader. Default 256 KiB.
    pub stream_window: u32,
    /// Bytes that all bodies of a connection may come ahead of their readers. Where more stall, it grows by what they hold, as
    /// long as that is no more than 256 MiB, or a quarter of `memory_bytes`, for all connections. Default 4 MiB.
    pub connection_window: u32,
}

impl Default for Http2Limits {
    fn default() -> Self {
        Self {
            concurrent_streams: 128,
            pending_resets: 20,
            local_resets: 128,
            control_frames: 1000,
            stream_window: 256 * 1024,
            connection_window: 4 * 1024 * 1024,
        }
    }
}

/// Whom the proxy believes, and what it tells endpoints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forwarding {
    /// Peers that are believed what they say of the client in `X-Forwarded-*`; in `Forwarded` where `headers` is
    /// [`ForwardedHeaders::Forwarded`]. Default none: every peer is taken for the client itself, and what it says of
    /// host and protocol is replaced.
    pub trusted: Vec<Network>,
    /// Proxies before this one that are trusted whatever their address is, as their number is known: the client's
    /// address is the one that the outermost of them saw. Default 0.
    pub trusted_hops: usize,
    /// Which headers tell an endpoint of the client. The others of these are removed, as nobody would keep them true.
    /// Default `X-Forwarded-For`, `-Host` and `-Proto`.
    pub headers: ForwardedHeaders,
    /// The name under which this proxy adds itself to `Via` (RFC 9110 section 7.6.3) of requests and responses. Default
    /// none: `Via` is passed on as it is.
    pub via: Option<Box<str>>,
    /// The header that carries a request's id: passed on from trusted peers, made otherwise. Default
    /// none: nothing is made, and what comes is passed on.
    pub request_id: Option<http::HeaderName>,
}

impl Default for Forwarding {
    fn default() -> Self {
        Self {
            trusted: Vec::new(),
            trusted_hops: 0,
            headers: ForwardedHeaders::XForwarded,
            via: None,
            request_id: None,
        }
    }
}

/// Which headers tell an endpoint of the client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ForwardedHeaders {
    /// `X-Forwarded-For`, `-Host` and `-Proto`.
    #[default]
    XForwarded,
    /// `Forwarded` (RFC 7239).
    Forwarded,
    /// Both.
    Both,
    /// None, and those that come are removed.
    Remove,
}

/// Where requests are written down.
#[derive(Clone, Debug, PartialEq)]
pub struct AccessLog {
    /// The file that lines are appended to; none is standard output.
    pub file: Option<PathBuf>,
    /// How a line looks.
    pub format: LogFormat,
    /// The share of requests that is written down, 0 to 1. Failures of a version always are.
    pub sample: f64,
    /// Lines that may wait to be written, for each worker; more are dropped and counted.
    pub buffer: usize,
}

/// How a line of the access log looks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object with all fields.
    Json,
    /// Text with `%{field}` in the place of values.
    Template(Box<str>),
}

/// Where traces go.
#[derive(Clone, Debug, PartialEq)]
pub struct Tracing {
    /// The OTLP/HTTP endpoint, such as `http://127.0.0.1:4318/v1/traces`.
    pub endpoint: Box<str>,
    /// The share of traces that begin here and are recorded, 0 to 1. Those that begin elsewhere follow the caller's
    /// decision.
    pub sample: f64,
    /// The name of the service in the traces.
    pub service_name: Box<str>,
    /// Spans that may wait to be sent; more are dropped and counted.
    pub buffer: usize,
}
