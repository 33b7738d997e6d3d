//! Leading some of the shards, beside other processes that lead the others.

use crate::{
    Election,
    announce::Tellers,
    elect::{Failed, Seat},
    fence::{self, Fence},
    leader::{Leader, Work},
};
use futures_util::future::join_all;
use std::{
    collections::{BTreeMap, BTreeSet},
    mem,
    time::Duration,
};
use tokio::time::sleep;

/// Leads its part of the shards until `stop` is ready. Then it gives them back.
pub(crate) async fn keep(work: &Work<'_>, election: &Election, stop: impl Future<Output = ()>) {
    let counts = work.metrics.counts();
    let mut part = Part {
        work,
        election,
        seat: Seat::new(work.client.clone(), election.clone(), counts),
        led: BTreeMap::new(),
    };
    tokio::select! {
        () = part.keep() => {}
        () = stop => {}
    }
    let left = part.left();
    let mut tellers = Vec::new();
    for leader in mem::take(&mut part.led).into_values() {
        leader.fence().close();
        tellers.push(leader.stop().await);
    }
    if let Some(left) = left {
        part.seat.leave(left).await;
    }
    join_all(tellers.into_iter().map(Tellers::finish)).await;
}

/// The shards that a process leads.
struct Part<'a> {
    work: &'a Work<'a>,
    election: &'a Election,
    seat: Seat,
    led: BTreeMap<u16, Leader<'a>>,
}

impl Part<'_> {
    /// Keeps it for ever.
    async fn keep(&mut self) {
        let mut has_failed = false;
        loop {
            let pause = match self.turn().await {
                Ok(()) => {
                    has_failed = false;
                    self.seat.pause()
                }
                Err(why) if why.is_conflict() => self.seat.moment(),
                Err(why) => {
                    // Once, not every two seconds.
                    if !mem::replace(&mut has_failed, true) {
                        let lease = &self.election.name;
                        tracing::warn!(lease, "cannot be had or renewed for now: {why}");
                    }
                    self.seat.pause()
                }
            };
            sleep(pause.min(self.left().unwrap_or_default())).await;
            if self.left().is_none() {
                self.retain(&BTreeSet::new());
            }
        }
    }

    /// Renews its entry in the roll, and leads what follows from that.
    async fn turn(&mut self) -> Result<(), Failed> {
        // One of which a part panicked begins anew.
        self.end(|leader| leader.has_ended());
        let patience = self.left().unwrap_or_default();
        let Some(step) = self.seat.look(patience).await? else {
            self.retain(&BTreeSet::new());
            return Ok(());
        };
        self.retain(&step.keeps);
        let patience = self.left().unwrap_or_default();
        let held = self.seat.take(step, patience).await?;
        self.retain(&held.shards);
        for shard in self.election.shards.all() {
            if !held.shards.contains(&shard.index()) {
                continue;
            }
            match self.led.get(&shard.index()) {
                Some(leader) => leader.fence().extend(held.until),
                None => {
                    tracing::info!(
                        lease = self.election.name,
                        me = self.election.me,
                        "leads shard {shard}"
                    );
                    let leader = Leader::begin(self.work, shard, Fence::until(held.until));
                    self.led.insert(shard.index(), leader);
                }
            }
        }
        Ok(())
    }

    /// Ends all work but that for some shards.
    fn retain(&mut self, shards: &BTreeSet<u16>) {
        self.end(|leader| !shards.contains(&leader.shard().index()));
    }

    /// Ends all work of those. Nothing is written under their fences from now on.
    fn end(&mut self, those: impl Fn(&mut Leader<'_>) -> bool) {
        let Election { name, me, .. } = self.election;
        let ended = self.led.extract_if(.., |_, leader| those(leader));
        for (_, leader) in ended {
            leader.fence().close();
            tracing::info!(
                lease = name,
                me,
                "does not lead shard {} any more",
                leader.shard()
            );
        }
    }

    /// For how long it may write; where it leads nothing, for how long an answer is waited for.
    fn left(&self) -> Option<Duration> {
        let now = fence::now();
        let lasting = self.led.values().map(|leader| leader.fence().left(now));
        let patience = Some(self.election.timing.renew_deadline);
        lasting.min().unwrap_or(patience)
    }
}
