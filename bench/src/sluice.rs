//! The proxy as it is measured: a rollout under way, its canary at 10 %, everything counted as always.

use anyhow::Context as _;
use proxy::{Clock, Config, Listener, ListenerTls, Proxy};
use std::{
    net::{Ipv4Addr, SocketAddr},
    num::NonZeroUsize,
    sync::Arc,
};
use traffic::{
    Backend, BackendId, Role, RolloutId, Route, RouteTable, Routes, Split, Stats, Sticky, Target,
    Weight,
    matches::{HostMatch, PathMatch, RequestMatch},
};

/// The host that requests ask for.
pub const HOST: &str = "shop.example";

/// The canary's share in basis points.
pub const CANARY: u16 = 1_000;

/// A proxy that runs.
#[derive(Debug)]
pub struct Sluice {
    /// The proxy.
    pub proxy: Proxy,
    /// What it counts.
    pub stats: Stats,
    /// The controller's end of it. The proxy goes on without, but a controller would be there.
    pub routes: Arc<Routes>,
}

impl Sluice {
    /// The address that it listens on.
    pub fn address(&self) -> Option<SocketAddr> {
        self.proxy.addresses().first().copied()
    }
}

/// A proxy to start, on loopback, that splits all requests for [`HOST`] between two endpoints.
#[derive(Clone, Debug)]
pub struct Shop {
    /// The endpoint of the stable version.
    pub stable: SocketAddr,
    /// The endpoint of the canary.
    pub canary: SocketAddr,
    /// What decides which version a user gets, other than chance.
    pub sticky: Option<Sticky>,
    /// How many rules there are, all of which lead to the same split. At least one.
    pub rules: usize,
    /// Whether TLS is spoken.
    pub tls: Option<ListenerTls>,
    /// How many workers there are.
    pub workers: NonZeroUsize,
}

impl Shop {
    /// One worker, one rule, plain text, nothing sticky.
    pub fn new(stable: SocketAddr, canary: SocketAddr) -> Self {
        Self {
            stable,
            canary,
            sticky: None,
            rules: 1,
            tls: None,
            workers: NonZeroUsize::MIN,
        }
    }

    /// Starts it.
    ///
    /// # Errors
    /// When it cannot listen, read its certificate or start its threads.
    pub fn start(self) -> anyhow::Result<Sluice> {
        let stats = Stats::new(self.workers.get());
        let table = Arc::new(Routes::default());
        let mut split = split(&stats, self.stable, self.canary);
        split.sticky = self.sticky;
        table.publish(RouteTable::new(routes(self.rules), vec![split])?);
        let address = (Ipv4Addr::LOCALHOST, 0).into();
        let mut config = Config::new(vec![address], self.workers);
        config.listeners = vec![Listener {
            tls: self.tls,
            ..Listener::plain("shop", address)
        }];
        let proxy =
            proxy::start(&config, &table, Clock::start()).context("the proxy cannot start")?;
        Ok(Sluice {
            proxy,
            stats,
            routes: table,
        })
    }
}

/// `rules` rules for one host, of which a request for any other path than theirs meets the last to be tried.
pub(crate) fn routes(rules: usize) -> Vec<Route> {
    let prefix = |rule: usize| match rule {
        0 => "/".into(),
        _ => format!("/area-{rule}").into(),
    };
    let route = |rule| {
        Route::plain(
            vec![HostMatch::parse(HOST)],
            vec![RequestMatch {
                path: PathMatch::Prefix(prefix(rule)),
                ..RequestMatch::any()
            }],
            Target::Split(0),
        )
    };
    (0..rules).map(route).collect()
}

/// The rollout whose traffic is split.
pub(crate) fn rollout() -> RolloutId {
    RolloutId::new("default", "shop")
}

/// The split, with nothing sticky.
pub(crate) fn split(stats: &Stats, stable: SocketAddr, canary: SocketAddr) -> Split {
    let backend = |role: Role, endpoint: SocketAddr| {
        Backend::plain(
            BackendId::new("default", &format!("shop-{role}")),
            [endpoint].into(),
            stats.series(&rollout(), role),
        )
    };
    Split {
        rollout: rollout(),
        stable: backend(Role::Stable, stable),
        canary: Some(backend(Role::Canary, canary)),
        weight: Weight::from_basis_points(CANARY).unwrap_or_default(),
        rules: Vec::new(),
        copies: Vec::new(),
        sticky: None,
        tickets: stats.tickets(&rollout()),
        rescue: false,
        armed: None,
        counted: None,
    }
}
