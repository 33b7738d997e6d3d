//! Connections to endpoints that are kept, by each worker for itself.

use crate::{
    PoolLimits,
    balance::{Permit, Service},
    turn::Turn,
    upstream::{NoConnection, http1, http2},
    worker::Worker,
};
use foldhash::HashMap;
use std::{
    cell::{Cell, RefCell},
    hash::{Hash, Hasher},
    net::{IpAddr, SocketAddr},
    rc::Rc,
    sync::Arc,
    time::Duration,
};
use tokio::{
    sync::{Notify, futures::Notified},
    time::Instant,
};
use traffic::{
    BackendPolicy,
    policy::{BackendTls, Protocol, ProxyProtocol},
};

/// How long a connection that carries many requests is kept without any. Its end is announced (GOAWAY), so that no
/// request is lost when the endpoint is faster.
const HTTP2_IDLE: Duration = Duration::from_secs(60);

/// What makes connections different from each other: one may only be used in the place of an equal one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) address: SocketAddr,
    /// None for HTTP/1 in plain text.
    pub(crate) flavor: Option<Rc<Flavor>>,
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Hashed(self.address).hash(state);
        if let Some(flavor) = &self.flavor {
            flavor.hash(state);
        }
    }
}

/// An address as a key on a request's way: hashed as one number, where the standard library hashes each of its parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hashed(pub(crate) SocketAddr);

impl Hash for Hashed {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let port = u64::from(self.0.port());
        match self.0.ip() {
            IpAddr::V4(v4) => state.write_u64(u64::from(v4.to_bits()) << 16 | port),
            IpAddr::V6(v6) => {
                state.write_u128(v6.to_bits());
                state.write_u64(port);
            }
        }
    }
}

/// How a connection is made, beside its address.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Flavor {
    pub(crate) protocol: Protocol,
    pub(crate) tls: Option<BackendTls>,
    pub(crate) proxied: Option<Proxied>,
}

/// Whom a connection says, with the PROXY protocol, that it is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Proxied {
    pub(crate) version: ProxyProtocol,
    /// The client.
    pub(crate) source: SocketAddr,
    /// Where it connected to.
    pub(crate) destination: SocketAddr,
}

/// A connection's place among those that its Service may have. Given back, it lets one that waits go on.
#[derive(Debug)]
pub(crate) struct Slot {
    permit: Permit,
    worker: Rc<Worker>,
}

impl Slot {
    /// Whether it is a place at `service`.
    pub(crate) fn is_of(&self, service: &Rc<Service>) -> bool {
        self.permit.is_of(service)
    }

    /// The place that `permit` gives.
    pub(crate) fn new(permit: Permit, worker: &Rc<Worker>) -> Self {
        Self {
            permit,
            worker: Rc::clone(worker),
        }
    }

    /// Tells who waits that the connection carries one request less.
    pub(crate) fn has_room(&self) {
        self.worker.pool.free();
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        // Who waits runs later, when the permit has been given back.
        self.worker.pool.free();
    }
}

/// A worker's connections to endpoints.
#[derive(Debug)]
pub(crate) struct Pool {
    limits: PoolLimits,
    turn: Rc<Turn>,
    idle: RefCell<HashMap<Key, Vec<Idle>>>,
    shared: RefCell<HashMap<Key, Vec<Shared>>>,
    connecting: RefCell<HashMap<Key, Rc<Connecting>>>,
    flavors: RefCell<HashMap<*const BackendPolicy, OfPolicy>>,
    /// Told when a connection has become idle or was closed.
    freed: Notify,
    /// Whether anybody is to be told.
    is_awaited: Cell<bool>,
}

/// What a policy makes of connections. Holding the policy keeps its address from being used again.
type OfPolicy = (Arc<BackendPolicy>, Rc<Flavor>);

/// A connection that nobody uses. The one that was used last is taken first: its path is the warmest, and those that
/// are not needed grow old and are closed.
#[derive(Debug)]
struct Idle {
    connection: Box<http1::Connection>,
    since: Instant,
}

/// A connection that many may use at the same time.
#[derive(Debug)]
struct Shared {
    connection: Rc<http2::Connection>,
    /// When it was taken last.
    used: Cell<Instant>,
}

/// A connection that is being made, which others wait for.
#[derive(Debug, Default)]
pub(crate) struct Connecting {
    done: Notify,
    failure: Cell<Option<NoConnection>>,
}

impl Connecting {
    /// Waits until the connection is there, or cannot be made. When whoever made it has given up, there is none, and no
    /// failure either.
    pub(crate) async fn wait(&self) -> Result<(), NoConnection> {
        self.done.notified().await;
        self.failure.get().map_or(Ok(()), Err)
    }
}

impl Pool {
    pub(crate) fn new(limits: PoolLimits, turn: Rc<Turn>) -> Self {
        Self {
            limits,
            turn,
            idle: RefCell::default(),
            shared: RefCell::default(),
            connecting: RefCell::default(),
            flavors: RefCell::default(),
            freed: Notify::new(),
            is_awaited: Cell::new(false),
        }
    }

    /// How long a connection is kept.
    pub(crate) fn idle_time(&self) -> Duration {
        self.limits.idle_time
    }

    /// Waits until a connection has become idle or was closed, or carries one request less; also if that happens before
    /// this is polled. All who wait are told: it may be any one's connection.
    pub(crate) fn freed(&self) -> Notified<'_> {
        self.is_awaited.set(true);
        self.freed.notified()
    }

    /// A connection was closed, or carries one request less.
    pub(crate) fn free(&self) {
        if self.is_awaited.take() {
            self.freed.notify_waiters();
        }
    }

    /// What sets connections under `policy` apart, for the client that they are `proxied` for; none for HTTP/1 in plain
    /// text.
    pub(crate) fn flavor(
        &self,
        policy: &Arc<BackendPolicy>,
        proxied: Option<Proxied>,
    ) -> Option<Rc<Flavor>> {
        if proxied.is_some() {
            return Some(Rc::new(Flavor {
                protocol: policy.protocol,
                tls: policy.tls.clone(),
                proxied,
            }));
        }
        if policy.protocol == Protocol::Http1 && policy.tls.is_none() {
            return None;
        }
        let mut flavors = self.flavors.borrow_mut();
        let new = || {
            let flavor = Flavor {
                protocol: policy.protocol,
                tls: policy.tls.clone(),
                proxied: None,
            };
            (Arc::clone(policy), Rc::new(flavor))
        };
        let (_, flavor) = flavors.entry(Arc::as_ptr(policy)).or_insert_with(new);
        Some(Rc::clone(flavor))
    }

    /// An open connection that nobody uses, if there is one.
    pub(crate) fn take(&self, key: &Key) -> Option<Box<http1::Connection>> {
        loop {
            let mut idle = self.idle.borrow_mut().get_mut(key)?.pop()?;
            let age = self.turn.now().duration_since(idle.since);
            if age < self.limits.idle_time && idle.connection.is_quiet() {
                return Some(idle.connection);
            }
        }
    }

    /// Closes an idle connection of `service`, which keeps it from having another. Whether there was one.
    pub(crate) fn close_idle(&self, service: &Rc<Service>) -> bool {
        let mut idle = self.idle.borrow_mut();
        let closed = idle.values_mut().find_map(|endpoint| {
            // The one that lies idle for longest.
            let is_its = |idle: &Idle| idle.connection.slot().is_of(service);
            let place = endpoint.iter().position(is_its)?;
            Some(endpoint.remove(place))
        });
        // Its end looks at what is idle.
        drop(idle);
        closed.is_some() || self.close_idle_shared(service)
    }

    /// The same of those that many may use.
    fn close_idle_shared(&self, service: &Rc<Service>) -> bool {
        let mut shared = self.shared.borrow_mut();
        let closed = shared.values_mut().find_map(|endpoint| {
            let place = endpoint.iter().position(|shared| {
                // One that somebody holds is about to be used.
                Rc::strong_count(&shared.connection) == 1 && shared.connection.slot().is_of(service)
            })?;
            Some(endpoint.remove(place))
        });
        drop(shared);
        closed.is_some()
    }

    /// Closes the connections that nobody will ask for any more, when what is under way on them has ended.
    pub(crate) fn forget(&self, key: &Key) {
        // Their ends look at what is there.
        let idle = self.idle.borrow_mut().remove(key);
        let shared = self.shared.borrow_mut().remove(key);
        drop((idle, shared));
    }

    /// Keeps `connection` for the next request if it can carry one and there is room.
    pub(crate) fn put(&self, mut connection: Box<http1::Connection>) {
        if self.limits.idle_per_endpoint == 0 || !connection.rest() {
            return;
        }
        let mut idle = self.idle.borrow_mut();
        let since = self.turn.now();
        self.free();
        if let Some(endpoint) = idle.get_mut(connection.key()) {
            if endpoint.len() < self.limits.idle_per_endpoint {
                endpoint.push(Idle { connection, since });
            }
        } else {
            idle.insert(connection.key().clone(), vec![Idle { connection, since }]);
        }
    }

    /// The connection with the fewest requests that has room for one more.
    pub(crate) fn shared(&self, key: &Key) -> Option<Rc<http2::Connection>> {
        let shared = self.shared.borrow();
        let open = shared.get(key)?.iter();
        let least = open
            .filter(|shared| shared.connection.has_room())
            .min_by_key(|shared| shared.connection.streams())?;
        least.used.set(self.turn.now());
        Some(Rc::clone(&least.connection))
    }

    /// A connection that others wait for, since its endpoint has yet to say how many requests it takes.
    pub(crate) fn unsettled(&self, key: &Key) -> Option<Rc<http2::Connection>> {
        let shared = self.shared.borrow();
        let mut connections = shared.get(key)?.iter().map(|shared| &shared.connection);
        connections
            .find(|connection| connection.is_unsettled())
            .cloned()
    }

    /// Forgets the connections that carry no more requests: they would keep the places of others until they are swept.
    pub(crate) fn forget_closed(&self, key: &Key) {
        if let Some(shared) = self.shared.borrow_mut().get_mut(key) {
            shared.retain(|shared| !shared.connection.is_closed());
        }
    }

    /// Lets others use `connection`, too.
    pub(crate) fn share(&self, key: Key, connection: Rc<http2::Connection>) {
        let used = Cell::new(Instant::now());
        let mut shared = self.shared.borrow_mut();
        shared
            .entry(key)
            .or_default()
            .push(Shared { connection, used });
    }

    /// The connection that is being made, or word that the caller is to make one.
    pub(crate) fn connecting(&self, key: &Key) -> Result<Rc<Connecting>, Making<'_>> {
        let mut connecting = self.connecting.borrow_mut();
        if let Some(made) = connecting.get(key) {
            return Ok(Rc::clone(made));
        }
        connecting.insert(key.clone(), Rc::default());
        Err(Making {
            pool: self,
            key: key.clone(),
            failure: None,
        })
    }

    /// Closes what is too old or was closed by its endpoint, and forgets endpoints without connections.
    pub(crate) fn sweep(&self) {
        let now = Instant::now();
        self.idle.borrow_mut().retain(|_, endpoint| {
            endpoint.retain_mut(|idle| {
                now.duration_since(idle.since) < self.limits.idle_time && idle.connection.is_quiet()
            });
            !endpoint.is_empty()
        });
        self.shared.borrow_mut().retain(|_, endpoint| {
            endpoint.retain(|shared| {
                let is_used = shared.connection.streams() > 0
                    || now.duration_since(shared.used.get()) < HTTP2_IDLE;
                is_used && !shared.connection.is_closed()
            });
            !endpoint.is_empty()
        });
        self.flavors
            .borrow_mut()
            .retain(|_, (policy, _)| Arc::strong_count(policy) > 1);
    }

    /// Closes all.
    pub(crate) fn clear(&self) {
        self.idle.borrow_mut().clear();
        self.shared.borrow_mut().clear();
    }
}

/// The making of a connection that others wait for. Dropped, it tells them how that ended; given up, as the client that
/// it was made for has gone, it lets one of them make the connection.
#[derive(Debug)]
pub(crate) struct Making<'a> {
    pool: &'a Pool,
    key: Key,
    failure: Option<NoConnection>,
}

impl Making<'_> {
    /// It could not be made.
    pub(crate) fn fail(mut self, failure: NoConnection) {
        self.failure = Some(failure);
    }
}

impl Drop for Making<'_> {
    fn drop(&mut self) {
        if let Some(connecting) = self.pool.connecting.borrow_mut().remove(&self.key) {
            connecting.failure.set(self.failure);
            connecting.done.notify_waiters();
        }
    }
}
