//! Standing by, and leading, in turn: all Rollouts, or some of their shards.

use crate::{
    Election, TurnFn,
    elect::Candidate,
    fence::Fence,
    fleet::Proxies,
    leader::{Leader, Work},
    metrics::Metrics,
    part,
    shard::{Shard, Shards},
    watch::Scope,
};
use kube::Client;
use std::{num::NonZeroUsize, pin::pin};

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

/// Leads whenever it can, until `stop` is ready. Then it gives back what it holds.
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
    let work = Work {
        settings,
        client,
        turn,
        metrics,
    };
    match &settings.election {
        None => {
            let mut leader = Leader::begin(&work, Shard::default(), Fence::open());
            tokio::select! {
                () = leader.ended() => {}
                () = stop => leader.stop().await.finish().await,
            }
        }
        Some(election) if election.shards == Shards::ONE => alone(&work, election, stop).await,
        Some(election) => part::keep(&work, election, stop).await,
    }
}

/// Leads all Rollouts whenever no other process does.
async fn alone(work: &Work<'_>, election: &Election, stop: impl Future<Output = ()>) {
    let mut stop = pin!(stop);
    let counts = work.metrics.counts();
    let mut candidate = Candidate::new(work.client.clone(), election.clone(), counts);
    loop {
        let mut term = tokio::select! {
            term = candidate.win() => term,
            () = &mut stop => return,
        };
        tracing::info!(lease = election.name, me = election.me, "leads");
        let mut leader = Leader::begin(work, Shard::default(), term.fence.clone());
        let is_asked_to_stop = tokio::select! {
            () = leader.ended() => false,
            () = candidate.keep(&mut term) => false,
            () = &mut stop => true,
        };
        if is_asked_to_stop {
            let tellers = leader.stop().await;
            candidate.give_back(term).await;
            return tellers.finish().await;
        }
        // With it all work of the term.
        drop(leader);
        tracing::warn!(
            lease = election.name,
            me = election.me,
            "does not lead any more"
        );
    }
}
