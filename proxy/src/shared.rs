//! What all workers of a process share, beside routes and counters. Nothing in it is written on the way of a request that
//! need not wait.

use crate::{Config, ListenerTlsError, tls::Tls};
use std::{
    collections::HashMap,
    convert::Infallible,
    future::pending,
    hash::{BuildHasher, RandomState},
    net::{IpAddr, Ipv6Addr},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::{sync::Notify, time::sleep};

/// How often the memory that the process holds is looked at.
const LOOK: Duration = Duration::from_millis(100);

/// How often workers are asked to make room for requests that wait.
pub(crate) const ASKED_EVERY: Duration = Duration::from_millis(10);

/// What all workers share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) tls: Arc<Tls>,
    clients: Clients,
    most_memory: Option<u64>,
    is_short_of_memory: AtomicBool,
    /// Told when a request waits for a place that another worker may have.
    asked: Notify,
    /// When that was told last, in milliseconds from the process's epoch.
    asked_at: AtomicU64,
}

impl Shared {
    /// What `config` asks for.
    ///
    /// # Errors
    /// When certificates cannot be had as it says.
    pub(crate) fn new(config: &Config) -> Result<Self, ListenerTlsError> {
        Ok(Self {
            tls: Arc::new(Tls::load(&config.listeners)?),
            clients: Clients::new(config.limits.connections_per_client),
            most_memory: config.limits.memory_bytes,
            is_short_of_memory: AtomicBool::new(false),
            asked: Notify::new(),
            asked_at: AtomicU64::new(0),
        })
    }

    /// Whether the process holds more memory than it may.
    pub(crate) fn is_short_of_memory(&self) -> bool {
        self.is_short_of_memory.load(Relaxed)
    }

    /// Asks all workers at `now` to make room where requests wait for connections. However many ask, they are told once in
    /// [`ASKED_EVERY`].
    pub(crate) fn ask_for_room(&self, now: Duration) {
        let now = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
        let last = self.asked_at.load(Relaxed);
        if now.saturating_sub(last) >= ASKED_EVERY.as_millis() as u64 {
            self.asked_at.store(now, Relaxed);
            self.asked.notify_waiters();
        }
    }

    /// Waits until somebody asks for room.
    pub(crate) async fn asked_for_room(&self) {
        self.asked.notified().await;
    }

    /// A connection's place among those that its client may have; nothing when it has as many.
    pub(crate) fn admit(self: &Arc<Self>, client: IpAddr) -> Option<Place> {
        let client = key(client);
        self.clients.enter(client).then(|| Place {
            shared: Arc::clone(self),
            client,
        })
    }

    /// Looks at the memory that the process holds, on worker 0.
    pub(crate) async fn watch_memory(&self, worker: usize) -> Infallible {
        let Some(most) = self.most_memory.filter(|_| worker == 0) else {
            return pending().await;
        };
        loop {
            let is_short = resident().is_some_and(|bytes| bytes > most);
            if self.is_short_of_memory.swap(is_short, Relaxed) != is_short {
                if is_short {
                    tracing::warn!("more memory is held than may be; new requests are turned away");
                } else {
                    tracing::info!("memory suffices again");
                }
            }
            sleep(LOOK).await;
        }
    }
}

/// The memory that the process holds, in bytes; nothing where the system does not tell.
fn resident() -> Option<u64> {
    #[cfg(target_os = "linux")]
    {
        let statm = procfs::process::Process::myself().ok()?.statm().ok()?;
        Some(statm.resident * procfs::page_size())
    }
    #[cfg(not(target_os = "linux"))]
    None
}

/// A connection's place among those of its client. Dropping it gives it back.
#[derive(Debug)]
pub(crate) struct Place {
    shared: Arc<Shared>,
    client: IpAddr,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.shared.clients.leave(self.client);
    }
}

/// Whoever has a /64 of IPv6 has all of its addresses.
fn key(client: IpAddr) -> IpAddr {
    match client.to_canonical() {
        IpAddr::V6(v6) => {
            let prefix = u128::from(v6) & !u128::from(u64::MAX);
            IpAddr::V6(Ipv6Addr::from(prefix))
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

/// How many connections each client has. Written when connections begin and end, and only where there is a limit.
#[derive(Debug)]
struct Clients {
    most: u32,
    hasher: RandomState,
    shards: Box<[Mutex<HashMap<IpAddr, u32>>]>,
}

impl Clients {
    /// Enough that workers seldom meet.
    const SHARDS: usize = 64;

    fn new(most: u32) -> Self {
        Self {
            most,
            hasher: RandomState::new(),
            shards: (0..Self::SHARDS).map(|_| Mutex::default()).collect(),
        }
    }

    fn shard(&self, client: IpAddr) -> &Mutex<HashMap<IpAddr, u32>> {
        let hash = self.hasher.hash_one(client) as usize;
        &self.shards[hash % Self::SHARDS]
    }

    fn enter(&self, client: IpAddr) -> bool {
        if self.most == 0 {
            return true;
        }
        let mut shard = self
            .shard(client)
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let count = shard.entry(client).or_default();
        let is_admitted = *count < self.most;
        *count += u32::from(is_admitted);
        is_admitted
    }

    fn leave(&self, client: IpAddr) {
        if self.most == 0 {
            return;
        }
        let mut shard = self
            .shard(client)
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = shard.get_mut(&client) {
            *count -= 1;
            if *count == 0 {
                shard.remove(&client);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_has_no_more_connections_than_it_may() {
        let clients = Clients::new(2);
        let (one, other) = (IpAddr::from([192, 0, 2, 1]), IpAddr::from([192, 0, 2, 2]));
        assert!(clients.enter(one) && clients.enter(one));
        assert!(!clients.enter(one));
        assert!(clients.enter(other), "another client has places of its own");
        clients.leave(one);
        assert!(clients.enter(one));
        for client in [one, one, other] {
            clients.leave(client);
        }
        assert!(
            clients
                .shards
                .iter()
                .all(|shard| shard.lock().unwrap().is_empty())
        );
    }

    #[test]
    fn a_network_of_ipv6_is_one_client() {
        let of = |text: &str| key(text.parse().unwrap());
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:2"));
        assert_ne!(of("2001:db8:0:1::1"), of("2001:db8::1"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
    }
}
