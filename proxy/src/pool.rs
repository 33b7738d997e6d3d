//! Idle connections to endpoints, kept by each worker for itself.

use crate::{PoolLimits, upstream::Upstream};
use std::{cell::RefCell, collections::HashMap, net::SocketAddr};
use tokio::time::Instant;

/// A worker's idle connections, by endpoint. The one that was used last is taken first: its path is the warmest, and
/// those that are not needed grow old and are closed.
pub(crate) struct Pool {
    limits: PoolLimits,
    idle: RefCell<HashMap<SocketAddr, Vec<Idle>>>,
}

struct Idle {
    upstream: Box<Upstream>,
    since: Instant,
}

impl Pool {
    pub(crate) fn new(limits: PoolLimits) -> Self {
        Self {
            limits,
            idle: RefCell::default(),
        }
    }

    /// How long a connection is kept.
    pub(crate) fn idle_time(&self) -> std::time::Duration {
        self.limits.idle_time
    }

    /// An open connection to `address`, if there is one.
    pub(crate) fn take(&self, address: SocketAddr) -> Option<Box<Upstream>> {
        loop {
            let mut idle = self.idle.borrow_mut().get_mut(&address)?.pop()?;
            if idle.since.elapsed() < self.limits.idle_time && idle.upstream.is_idle() {
                return Some(idle.upstream);
            }
        }
    }

    /// Keeps `upstream` for the next request if it can carry one and there is room.
    pub(crate) fn put(&self, mut upstream: Box<Upstream>) {
        if self.limits.idle_per_endpoint == 0 || !upstream.is_idle() {
            return;
        }
        let mut idle = self.idle.borrow_mut();
        let endpoint = idle.entry(upstream.address()).or_default();
        if endpoint.len() < self.limits.idle_per_endpoint {
            let since = Instant::now();
            endpoint.push(Idle { upstream, since });
        }
    }

    /// Closes what is too old or was closed by its endpoint, and forgets endpoints without connections.
    pub(crate) fn sweep(&self) {
        let now = Instant::now();
        self.idle.borrow_mut().retain(|_, endpoint| {
            endpoint.retain_mut(|idle| {
                now.duration_since(idle.since) < self.limits.idle_time && idle.upstream.is_idle()
            });
            !endpoint.is_empty()
        });
    }

    /// Closes all.
    pub(crate) fn clear(&self) {
        self.idle.borrow_mut().clear();
    }
}
