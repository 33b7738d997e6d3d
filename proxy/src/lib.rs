//! The data plane: listeners, forwarding, pools, metrics. Knows HTTP, knows no Kubernetes.
//!
//! [`start()`] begins to serve what [`traffic::Routes`] publishes. One worker runs on each core, and workers share
//! nothing that a request would have to wait for: each has its own sockets, route table reference, connections to
//! endpoints and counters. The way of a request is the module `forward`, to be read from top to bottom.
//!
//! [`start_on()`] does the same on sockets that another process handed on, as [`Proxy::sockets`] gives them.
//!
//! - Every request that leaves for a version is counted as it leaves, and its outcome exactly once when it ends. What is
//!   the client's doing (it went away, it stopped sending, it broke the rules) is never counted against the version.
//! - A client that closes its sending side while it waits for an answer counts as gone, as with most proxies: the
//!   alternative is to work for clients that have left.
//! - Answers of the proxy itself are one line of plain text with a `sluice-error` header that names the reason.
//! - Unless the configuration trusts a peer, what it says of host and protocol in `X-Forwarded-*` or `Forwarded` is
//!   replaced; to `X-Forwarded-For` its address is appended.

mod accept;
mod account;
mod admission;
mod answer;
mod balance;
mod body;
mod client;
mod clock;
mod config;
mod contain;
mod counters;
mod drains;
mod entry;
mod filter;
mod forward;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
mod grpc;
mod headers;
mod hpack;
mod http1;
mod http2;
mod incoming;
mod input;
mod lane;
mod listener;
mod log;
pub mod metrics;
mod mirror;
mod outbox;
mod pages;
mod pieces;
mod pool;
mod proxy_protocol;
mod request;
mod response;
mod send;
mod shared;
mod socket;
mod spares;
mod spool;
mod spread;
mod start;
mod stream;
mod tls;
mod trace;
mod tunnel;
mod turn;
mod upstream;
mod watch;
mod way;
mod worker;

pub use clock::Clock;
pub use config::{
    AccessLog, Certificate, ClientCertificates, Config, ForwardedHeaders, Forwarding, Http2Limits,
    Limits, Listener, ListenerTls, LogFormat, Network, PoolLimits, Timeouts, TlsVersion, Tracing,
};
pub use counters::{Counters, CountersRead};
pub use listener::{Listeners, NoGroup, SocketGroup};
pub use log::{LogCounters, LogError, LogRead};
pub use pages::use_small_pages;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub use request::fuzz_head;
pub use start::{Drained, Proxy, StartError, WorkerPanicked, start, start_on};
pub use tls::{Expiry, ListenerTlsError, Tls, TlsError};
pub use trace::{TraceCounters, TraceError, TraceRead, collector_agent};
