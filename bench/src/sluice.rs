//! The proxy as it is measured: a rollout under way, its canary at 5 %, everything counted as always.

use anyhow::Context as _;
use proxy::{Clock, Config, Proxy};
use std::{
    net::{Ipv4Addr, SocketAddr},
    num::NonZeroUsize,
    sync::Arc,
};
use traffic::{
    Backend, BackendId, Role, RolloutId, Route, RouteTable, Routes, Split, Stats, Sticky, Target,
    Weight,
    matches::{HostMatch, RequestMatch},
};

/// The host that requests ask for.
pub const HOST: &str = "shop.example";

/// The canary's share in basis points.
pub const CANARY: u16 = 500;

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

/// Starts a proxy with one worker on loopback that splits all requests for [`HOST`] between two endpoints.
///
/// # Errors
/// When it cannot listen or start its thread.
pub fn start(
    stable: SocketAddr,
    canary: SocketAddr,
    sticky: Option<Sticky>,
) -> anyhow::Result<Sluice> {
    let stats = Stats::new(1);
    let routes = Arc::new(Routes::default());
    let mut split = split(&stats, stable, canary);
    split.sticky = sticky;
    let route = Route::plain(
        vec![HostMatch::parse(HOST)],
        vec![RequestMatch::any()],
        Target::Split(0),
    );
    routes.publish(RouteTable::new(vec![route], vec![split])?);
    let config = Config::new(vec![(Ipv4Addr::LOCALHOST, 0).into()], NonZeroUsize::MIN);
    let proxy = proxy::start(&config, &routes, Clock::start()).context("the proxy cannot start")?;
    Ok(Sluice {
        proxy,
        stats,
        routes,
    })
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
        sticky: None,
        tickets: stats.tickets(&rollout()),
        rescue: false,
        armed: None,
    }
}
