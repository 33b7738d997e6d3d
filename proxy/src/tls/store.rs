//! All of the process that speaks TLS.

use super::{ClientTls, ServerTls, TlsError};
use crate::config::Listener;
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

/// The certificates of all listeners, and how endpoints are spoken to.
#[derive(Debug)]
pub struct Tls {
    servers: Vec<(Arc<str>, Option<ServerTls>)>,
    client: Arc<ClientTls>,
    reloads: AtomicU64,
    failures: AtomicU64,
}

/// A listener cannot speak TLS.
#[derive(Debug, thiserror::Error)]
#[error("listener {listener}: {error}")]
pub struct ListenerTlsError {
    /// Its name.
    pub listener: Arc<str>,
    /// Why not.
    pub error: TlsError,
}

/// When certificates of a listener expire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expiry {
    /// The listener.
    pub listener: Arc<str>,
    /// The first name that the certificate is for.
    pub name: Box<str>,
    /// The last moment at which it holds, since 1970. Of several certificates of that name, the first to expire.
    pub not_after: Duration,
}

impl Tls {
    /// Reads the files of all `listeners`. Blocks.
    pub(crate) fn load(listeners: &[Listener]) -> Result<Self, ListenerTlsError> {
        let load = |listener: &Listener| {
            let tls = listener.tls.as_ref();
            let loaded = tls
                .map(|tls| ServerTls::load(tls, listener.http2))
                .transpose();
            loaded
                .map(|server| (Arc::clone(&listener.name), server))
                .map_err(|error| ListenerTlsError {
                    listener: Arc::clone(&listener.name),
                    error,
                })
        };
        Ok(Self {
            servers: listeners.iter().map(load).collect::<Result<_, _>>()?,
            client: Arc::default(),
            reloads: AtomicU64::new(0),
            failures: AtomicU64::new(0),
        })
    }

    /// How listener `index` of those that were loaded speaks TLS; none when it speaks plain text.
    pub(crate) fn server(&self, index: usize) -> Option<&ServerTls> {
        self.servers.get(index)?.1.as_ref()
    }

    /// How endpoints are spoken to.
    pub(crate) fn client(&self) -> &Arc<ClientTls> {
        &self.client
    }

    /// Reads again what has changed. Blocks.
    pub(crate) fn reload(&self) {
        for (listener, server) in &self.servers {
            match server.as_ref().map(ServerTls::reload) {
                None | Some(Ok(false)) => {}
                Some(changed) => self.count(&format!("listener {listener}"), changed.map(|_| ())),
            }
        }
        for outcome in self.client.reload() {
            self.count("services", outcome);
        }
    }

    /// Counts what came of changed files, and tells of it.
    fn count(&self, used_by: &str, outcome: Result<(), TlsError>) {
        match outcome {
            Ok(()) => {
                self.reloads.fetch_add(1, Relaxed);
                tracing::info!(used_by, "certificates that changed are in use");
            }
            Err(error) => {
                self.failures.fetch_add(1, Relaxed);
                tracing::error!(used_by, %error, "changed certificates cannot be used; the old ones stay");
            }
        }
    }

    /// When the certificates expire that listeners show now.
    pub fn expiries(&self) -> Vec<Expiry> {
        let mut first = BTreeMap::new();
        for (listener, server) in &self.servers {
            for (name, not_after) in server.iter().flat_map(ServerTls::expiries) {
                let earliest = first
                    .entry((Arc::clone(listener), name))
                    .or_insert(not_after);
                *earliest = not_after.min(*earliest);
            }
        }
        let expiry = |((listener, name), not_after)| Expiry {
            listener,
            name,
            not_after,
        };
        first.into_iter().map(expiry).collect()
    }

    /// How often certificates that had changed were taken up since the process began.
    pub fn reloads(&self) -> u64 {
        self.reloads.load(Relaxed)
    }

    /// How often certificates had changed and could not be used.
    pub fn failures(&self) -> u64 {
        self.failures.load(Relaxed)
    }
}
