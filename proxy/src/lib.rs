//! The data plane: listeners, forwarding, pools, metrics. Knows hyper, knows no Kubernetes.
//!
//! [`start()`] begins to serve what [`traffic::Routes`] publishes. One worker runs on each core, and workers share
//! nothing that a request would have to wait for: each has its own sockets, route table reference, connections to
//! endpoints and counters. The way of a request is the module `forward`, to be read from top to bottom.
//!
//! - Every request that leaves for a version is counted as it leaves, and its outcome exactly once when it ends. What is
//!   the client's doing (it went away, it stopped sending, it broke the rules) is never counted against the version.
//! - A client that closes its sending side while it waits for an answer counts as gone, as with most proxies: the
//!   alternative is to work for clients that have left.
//! - Answers of the proxy itself are one line of plain text with a `sluice-error` header that names the reason.
//! - Unless the configuration trusts a peer, what it says of host and protocol in `X-Forwarded-*` or `Forwarded` is
//!   replaced; to `X-Forwarded-For` its address is appended.

mod answer;
mod body;
mod client;
mod clock;
mod config;
mod counters;
#[allow(
    dead_code,
    reason = "the way of a request does not lead through it yet"
)]
mod filter;
mod forward;
mod headers;
mod lane;
mod listener;
pub mod metrics;
mod pool;
#[allow(
    dead_code,
    unused_imports,
    reason = "the way of a request does not lead through all of it yet"
)]
mod request;
mod send;
mod start;
mod tunnel;
mod upload;
mod upstream;
mod watch;
mod worker;

pub use clock::Clock;
pub use config::{
    AccessLog, Certificate, ClientCertificates, Config, ForwardedHeaders, Forwarding, Http2Limits,
    Limits, Listener, ListenerTls, LogFormat, Network, PoolLimits, Timeouts, TlsVersion, Tracing,
};
pub use counters::{Counters, CountersRead};
#[doc(hidden)]
pub use request::fuzz_head;
pub use start::{Drained, Proxy, StartError, WorkerPanicked, start};
