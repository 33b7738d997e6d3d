//! TLS towards clients and towards endpoints.
//!
//! What files hold is read by the thread that starts the proxy, and again by [`Watch`] when they change; workers only
//! ever take what was made of them, without a lock. A connection keeps what it began with. Files that are no good leave
//! in place what was there before, and whoever looks after them is told.

mod certificate;
mod client;
mod error;
mod files;
mod ocsp;
mod pem;
mod resolver;
mod server;
mod session;
mod store;
mod watch;

#[cfg(test)]
pub(crate) use certificate::subject;
pub(crate) use client::ClientTls;
#[cfg(test)]
use client::{ConnectError, Secured};
pub use error::TlsError;
pub(crate) use server::{ServerTls, accept};
pub(crate) use session::ServerStream;
pub use store::{Expiry, ListenerTlsError, Tls};
pub(crate) use watch::Watch;

use rustls::crypto::{CryptoProvider, aws_lc_rs};
use std::sync::{Arc, OnceLock};

/// The name of HTTP/2 in ALPN (RFC 9113 section 3.1).
const H2: &[u8] = b"h2";

/// The name of HTTP/1.1 in ALPN (RFC 7301 section 6).
const HTTP_1_1: &[u8] = b"http/1.1";

/// What computes. It is named wherever it is needed: a default of the whole process would be somebody else's too.
fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    Arc::clone(PROVIDER.get_or_init(|| Arc::new(aws_lc_rs::default_provider())))
}

#[cfg(test)]
pub(crate) mod tests;
