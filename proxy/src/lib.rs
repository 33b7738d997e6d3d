//! The data plane: listeners, forwarding, pools, metrics. Knows hyper, knows no Kubernetes.
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
//! - No peer is trusted with `X-Forwarded-Proto` and `X-Forwarded-Host`, which are set anew; to `X-Forwarded-For` the
//!   client's address is appended.

mod answer;
mod body;
mod client;
mod clock;
mod config;
mod counters;
mod forward;
mod headers;
mod lane;
mod listener;
pub mod metrics;
mod pool;
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
pub use listener::{Listeners, NoGroup, SocketGroup};
pub use start::{Drained, Proxy, StartError, WorkerPanicked, start, start_on};
