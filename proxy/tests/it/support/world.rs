//! A proxy with its routes and counters.

use super::{eventually, wire};
use proxy::{Clock, Config, Proxy};
use std::{
    net::{Ipv4Addr, SocketAddr},
    num::NonZeroUsize,
    sync::Arc,
    time::Duration,
};
use traffic::{
    Actions, Backend, BackendId, BackendPolicy, Counts, Failure, FailureRule, Role, RolloutId,
    Route, RouteTable, Routes, Split, SplitRule, Stats, Sticky, Target, Weight,
    matches::{HostMatch, PathMatch, RequestMatch},
    stats::Totals,
};

/// A running proxy, and the controller's end of it.
pub(crate) struct World {
    pub(crate) stats: Arc<Stats>,
    pub(crate) routes: Arc<Routes>,
    pub(crate) proxy: Proxy,
}

/// A proxy with one worker, which makes its order of things predictable.
pub(crate) fn start() -> World {
    start_with(1, |_| {})
}

/// A proxy with `workers` workers and what `set` changes.
pub(crate) fn start_with(workers: usize, set: impl FnOnce(&mut Config)) -> World {
    let stats = Arc::new(Stats::new(workers));
    let routes = Arc::new(Routes::default());
    let workers = NonZeroUsize::new(workers).unwrap();
    let mut config = Config::new(vec![(Ipv4Addr::LOCALHOST, 0).into()], workers);
    set(&mut config);
    let proxy = proxy::start(&config, &routes, Clock::start()).unwrap();
    World {
        stats,
        routes,
        proxy,
    }
}

/// Makes the timeout `short` that `reason` comes from, and no other, so that on a busy machine no endpoint is too slow
/// for what it is to do.
pub(crate) fn awaiting(reason: Failure, short: Duration) -> impl FnOnce(&mut Config) {
    move |config| match reason {
        Failure::ConnectTimeout => config.timeouts.connect = short,
        Failure::ResponseTimeout => config.timeouts.response_header = short,
        Failure::IdleTimeout => config.timeouts.idle = short,
        _ => {}
    }
}

fn rollout() -> RolloutId {
    RolloutId::new("default", "shop")
}

impl World {
    pub(crate) fn address(&self) -> SocketAddr {
        self.proxy.addresses()[0]
    }

    pub(crate) fn connect(&self) -> wire::Client {
        wire::Client::connect(self.address())
    }

    pub(crate) fn backend(&self, role: Role, endpoints: &[SocketAddr]) -> Backend {
        let id = BackendId::new("default", &format!("shop-{role}"));
        Backend {
            state: self.stats.backend(&id),
            ..Backend::plain(id, endpoints.into(), self.stats.series(&rollout(), role))
        }
    }

    /// Publishes a table that sends every path below `path` to what follows, and nothing else.
    pub(crate) fn publish(&self, routes: &[(&str, Target)], splits: Vec<Split>) {
        let route = |(path, target): &(&str, Target)| {
            Route::plain(
                vec![HostMatch::Any],
                vec![RequestMatch {
                    path: PathMatch::Prefix((*path).into()),
                    ..RequestMatch::any()
                }],
                target.clone(),
            )
        };
        let table = RouteTable::new(routes.iter().map(route).collect(), splits).unwrap();
        self.routes.publish(table);
    }

    /// Publishes a table that sends everything to `endpoints`, as the stable version without a split.
    pub(crate) fn serve(&self, endpoints: &[SocketAddr]) {
        let target = Target::Backend(self.backend(Role::Stable, endpoints));
        self.publish(&[("/", target)], Vec::new());
    }

    /// The same, spoken to as `policy` says.
    pub(crate) fn serve_with(&self, endpoints: &[SocketAddr], policy: BackendPolicy) {
        let target = Target::Backend(Backend {
            policy: Arc::new(policy),
            ..self.backend(Role::Stable, endpoints)
        });
        self.publish(&[("/", target)], Vec::new());
    }

    /// Publishes a table whose only route leads everything to `target` and does `actions` to it.
    pub(crate) fn route(&self, target: Target, actions: Actions) {
        let route = Route {
            actions: Arc::new(actions),
            ..Route::plain(vec![HostMatch::Any], vec![RequestMatch::any()], target)
        };
        self.routes
            .publish(RouteTable::new(vec![route], Vec::new()).unwrap());
    }

    /// Begins a split of everything.
    pub(crate) fn split(&self, stable: SocketAddr, canary: SocketAddr) -> SplitBuilder<'_> {
        let stable = self.backend(Role::Stable, &[stable]);
        let canary = self.backend(Role::Canary, &[canary]);
        SplitBuilder {
            world: self,
            split: self.split_of(stable, canary),
        }
    }

    /// A split of these that gives the canary nothing.
    pub(crate) fn split_of(&self, stable: Backend, canary: Backend) -> Split {
        Split {
            rollout: rollout(),
            stable,
            canary: Some(canary),
            weight: Weight::ZERO,
            rules: Vec::new(),
            copies: Vec::new(),
            sticky: None,
            tickets: self.stats.tickets(&rollout()),
            rescue: false,
            armed: None,
            counted: None,
        }
    }

    /// What was counted for `role`, once no request is under way any more.
    pub(crate) fn totals(&self, role: Role) -> Totals {
        let series = self.stats.series(&rollout(), role);
        // A worker that is held up in between has taken a request's age out and not yet counted its end.
        eventually("all requests end, and are counted", || {
            let totals = series.totals();
            let ended: u64 = totals.statuses.iter().map(|(_, n)| n).sum();
            totals.in_flight == 0 && ended == totals.dispatched
        });
        series.totals()
    }

    /// What a verdict on `role` is made of, as it is counted now.
    pub(crate) fn counts(&self, role: Role) -> Counts {
        self.stats
            .series(&rollout(), role)
            .counts(Duration::ZERO, &FailureRule::DEFAULT)
    }

    /// What was counted for the stable version, once no request is under way any more.
    pub(crate) fn stable(&self) -> Totals {
        self.totals(Role::Stable)
    }

    /// What was counted for the stable version so far.
    pub(crate) fn stable_now(&self) -> Totals {
        self.stats.series(&rollout(), Role::Stable).totals()
    }

    /// Requests under way at the stable version.
    pub(crate) fn in_flight(&self) -> u64 {
        self.stable_now().in_flight
    }

    pub(crate) fn shutdown(self, deadline: Duration) -> proxy::Drained {
        self.proxy.shutdown(deadline)
    }
}

pub(crate) struct SplitBuilder<'a> {
    world: &'a World,
    split: Split,
}

impl SplitBuilder<'_> {
    pub(crate) fn sticky(mut self, sticky: Sticky) -> Self {
        self.split.sticky = Some(sticky);
        self
    }

    pub(crate) fn rule(mut self, rule: SplitRule) -> Self {
        self.split.rules.push(rule);
        self
    }

    /// Publishes the split with the canary at `basis_points`.
    pub(crate) fn weight(mut self, basis_points: u16) {
        self.split.weight = Weight::from_basis_points(basis_points).unwrap();
        self.world
            .publish(&[("/", Target::Split(0))], vec![self.split]);
    }
}
