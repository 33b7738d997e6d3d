//! All that a leader does, for one term.

use crate::{
    Settings, TurnFn,
    announce::{Announcer, Tellers},
    api::Server,
    fence::Fence,
    fleet,
    metrics::{Leading, Metrics},
    objects::{Owned, Read, WorkloadKind},
    rounds::Rounds,
    shard::Shard,
    shared::Shared,
    watch::{Scope, watch, watch_workloads},
    work,
};
use controller::reconcile::Service;
use kube::Client;
use std::sync::Arc;
use tokio::task::JoinSet;

/// What leaders do, and with what.
pub(crate) struct Work<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) client: Client,
    pub(crate) turn: TurnFn,
    pub(crate) metrics: &'a Metrics,
}

/// The leader of a shard. Dropping it ends all that it does.
pub(crate) struct Leader<'a> {
    shard: Shard,
    fence: Fence,
    parts: JoinSet<()>,
    tellers: Tellers,
    _leading: Leading<'a>,
}

impl<'a> Leader<'a> {
    /// Begins to lead, for as long as `fence` lets.
    pub(crate) fn begin(with: &Work<'a>, shard: Shard, fence: Fence) -> Self {
        let counts = with.metrics.counts();
        let scope = Scope {
            shard,
            ..with.settings.scope.clone()
        };
        let shared = Arc::new(Shared::new(Arc::clone(&counts), shard));
        let leading = with.metrics.lead(shard, &shared);
        let mut parts = JoinSet::new();
        watch_all(&mut parts, &with.client, &scope, &shared);
        parts.spawn(fleet::watch_over(
            with.settings.proxies.clone(),
            with.client.clone(),
            Arc::clone(&shared),
        ));
        let server = |fence| Server::new(with.client.clone(), fence, Arc::clone(&counts));
        let (announcer, tellers) =
            Announcer::begin(&server(Fence::open()), &shared, &with.settings.me);
        let rounds = Rounds {
            turn: with.turn,
            server: server(fence.clone()),
            shared,
            announcer,
            scope,
        };
        parts.spawn(work::work(rounds, with.settings.concurrency));
        Self {
            shard,
            fence,
            parts,
            tellers,
            _leading: leading,
        }
    }

    /// Ends all that it does but to send the events that wait.
    pub(crate) async fn stop(mut self) -> Tellers {
        self.parts.shutdown().await;
        self.tellers
    }

    /// Of which shard.
    pub(crate) fn shard(&self) -> Shard {
        self.shard
    }

    /// Until when it may write.
    pub(crate) fn fence(&self) -> &Fence {
        &self.fence
    }

    /// Returns when a part has ended. None does so by itself; one that panicked takes the others with it, and a new term
    /// begins.
    pub(crate) async fn ended(&mut self) {
        tokio::select! {
            _ = self.parts.join_next() => {}
            () = self.tellers.ended() => {}
        }
        tracing::error!("a part of the controller ended, which none should");
    }

    /// Whether a part has ended.
    pub(crate) fn has_ended(&mut self) -> bool {
        let has_ended = self.parts.try_join_next().is_some() || self.tellers.has_ended();
        if has_ended {
            tracing::error!("a part of the controller ended, which none should");
        }
        has_ended
    }
}

/// Watches all that decisions look at.
fn watch_all(parts: &mut JoinSet<()>, client: &Client, scope: &Scope, shared: &Arc<Shared>) {
    let of = || (client.clone(), scope.clone(), Arc::clone(shared));
    let (client, scope, shared) = of();
    parts.spawn(watch::<Read>(client, scope, shared));
    let (client, scope, shared) = of();
    parts.spawn(watch::<Owned>(client, scope, shared));
    let (client, scope, shared) = of();
    parts.spawn(watch::<Arc<Service>>(client, scope, shared));
    for kind in WorkloadKind::ALL {
        let (client, scope, shared) = of();
        parts.spawn(watch_workloads(kind, client, scope, shared));
    }
}
