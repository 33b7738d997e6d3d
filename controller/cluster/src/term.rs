//! Standing by, and leading, in turn.

use crate::{
    Election, TurnFn,
    announce::{self, Announcer},
    api::Server,
    elect::Candidate,
    fence::Fence,
    fleet::{self, Proxies},
    metrics::Metrics,
    objects::{Owned, Read, WorkloadKind},
    rounds::Rounds,
    shared::Shared,
    watch::{Scope, watch, watch_workloads},
    work::work,
};
use controller::reconcile::Service;
use kube::Client;
use std::{num::NonZeroUsize, pin::pin, sync::Arc};
use tokio::task::JoinSet;

/// What a controller looks after, and how.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Which Rollouts.
    pub scope: Scope,
    /// How it comes to lead; absent when there is no other process to lead instead.
    pub election: Option<Election>,
    /// Who this process is, in events.
    pub me: String,
    /// Where the proxies are that split requests.
    pub proxies: Proxies,
    /// How many Rollouts it works on at a time.
    pub concurrency: NonZeroUsize,
}

/// Leads whenever it can, until `stop` is ready. Then it gives its lease back.
///
/// `client` must not repeat requests by itself (`default_retry` of its configuration): a repeated write would be made
/// without another look at whether this process still leads.
pub async fn run(
    settings: &Settings,
    client: Client,
    turn: TurnFn,
    metrics: &Metrics,
    stop: impl Future<Output = ()>,
) {
    let mut stop = pin!(stop);
    let Some(election) = &settings.election else {
        let fence = Fence::open();
        tokio::select! {
            () = lead(settings, client, turn, metrics, fence) => {}
            () = &mut stop => {}
        }
        return;
    };
    let mut candidate = Candidate::new(client.clone(), election.clone(), metrics.counts());
    loop {
        let mut term = tokio::select! {
            term = candidate.win() => term,
            () = &mut stop => return,
        };
        tracing::info!(lease = election.name, me = election.me, "leads");
        let fence = term.fence.clone();
        let is_asked_to_stop = tokio::select! {
            () = lead(settings, client.clone(), turn, metrics, fence) => false,
            () = candidate.keep(&mut term) => false,
            () = &mut stop => true,
        };
        // All work of the term has been dropped with `lead`.
        if is_asked_to_stop {
            candidate.give_back(term).await;
            return;
        }
        tracing::warn!(
            lease = election.name,
            me = election.me,
            "does not lead any more"
        );
    }
}

/// Does all that a leader does, for ever. Dropping it ends all of it.
async fn lead(settings: &Settings, client: Client, turn: TurnFn, metrics: &Metrics, fence: Fence) {
    let counts = metrics.counts();
    let shared = Arc::new(Shared::new(Arc::clone(&counts)));
    let _leading = metrics.lead(&shared);
    let server = Server::new(client.clone(), fence, Arc::clone(&counts));
    let (announcer, announcements) = Announcer::new(Arc::clone(&counts));
    let rounds = Rounds {
        turn,
        server: server.clone(),
        shared: Arc::clone(&shared),
        announcer,
        instance: settings.scope.instance.clone(),
    };
    let scope = || settings.scope.clone();
    let mut parts = JoinSet::new();
    parts.spawn(watch::<Read>(client.clone(), scope(), Arc::clone(&shared)));
    parts.spawn(watch::<Owned>(client.clone(), scope(), Arc::clone(&shared)));
    parts.spawn(watch::<Arc<Service>>(
        client.clone(),
        scope(),
        Arc::clone(&shared),
    ));
    for kind in WorkloadKind::ALL {
        let shared = Arc::clone(&shared);
        parts.spawn(watch_workloads(kind, client.clone(), scope(), shared));
    }
    parts.spawn(fleet::watch_over(
        settings.proxies.clone(),
        client,
        Arc::clone(&shared),
    ));
    for lane in announcements {
        let (server, counts) = (server.clone(), Arc::clone(&counts));
        parts.spawn(announce::send(lane, server, counts, settings.me.clone()));
    }
    parts.spawn(work(rounds, settings.concurrency));
    // None of them ends by itself; one that panicked takes the others with it, and a new term begins.
    parts.join_next().await;
    tracing::error!("a part of the controller ended, which none should");
}
