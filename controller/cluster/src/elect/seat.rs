//! A place in the roll: this process's entry in it, which is kept, and given up.

use super::{
    Election,
    lock::{self, Failed, Lock, Waiting},
};
use crate::{
    fence,
    metrics::Counts,
    roll::{self, Me, Next, Roll, Sight},
};
use k8s_openapi::api::coordination::v1::Lease;
use kube::Client;
use std::{collections::BTreeSet, sync::Arc, time::Duration};
use tokio::time::{sleep, timeout};

/// The place of a process among those that divide the Rollouts between them.
pub(crate) struct Seat {
    lock: Lock,
    me: Me,
    sight: Sight,
    waiting: Waiting,
    /// Whether this process may be in the roll.
    is_in: bool,
}

/// What is to be written, once all work has ended but that for some shards.
pub(crate) struct Step {
    /// These.
    pub(crate) keeps: BTreeSet<u16>,
    lease: Lease,
}

/// What this process leads, and until when.
pub(crate) struct Held {
    /// These shards.
    pub(crate) shards: BTreeSet<u16>,
    /// Until then, unless it writes again.
    pub(crate) until: Duration,
}

impl Seat {
    pub(crate) fn new(client: Client, election: Election, counts: Arc<Counts>) -> Self {
        let seconds = election.timing.duration.as_secs();
        let me = Me {
            name: election.me.clone(),
            seconds: u32::try_from(seconds).unwrap_or(u32::MAX),
            shards: election.shards,
        };
        Self {
            lock: Lock::new(client, election, counts),
            me,
            sight: Sight::default(),
            waiting: Waiting::default(),
            is_in: false,
        }
    }

    /// Looks at the Lease, and decides what to write; nothing while others hold it with whom this process has no part.
    pub(crate) async fn look(&mut self, patience: Duration) -> Result<Option<Step>, Failed> {
        let found = self.get(patience).await?;
        match roll::decide(&self.sight, fence::now(), &self.me) {
            Next::Wait => {
                let holder = found.map(|lease| lock::record(&lease).holder);
                let holder = holder.unwrap_or_default();
                self.waiting.tell(&self.lock.election, &holder);
                Ok(None)
            }
            Next::Write { keeps, roll } => {
                self.waiting.end();
                let lease = self.written(found, &roll)?;
                Ok(Some(Step { keeps, lease }))
            }
        }
    }

    /// Makes a step. To be called when all work has ended that is to end.
    pub(crate) async fn take(&mut self, step: Step, patience: Duration) -> Result<Held, Failed> {
        self.is_in = true;
        let (lease, until) = self.lock.put(&step.lease, patience).await?;
        let roll = Roll::read(&lease);
        let shards = roll.map_or_else(BTreeSet::new, |roll| roll.led_by(&self.me.name));
        Ok(Held { shards, until })
    }

    /// Gives the place up, so that nobody has to wait until it runs out. To be called when nothing is written any more.
    pub(crate) async fn leave(&mut self, patience: Duration) {
        if !self.is_in {
            return;
        }
        let left = timeout(patience, self.try_to_leave(patience)).await;
        let failed = left.map_or(Some(Failed::Silent), Result::err);
        if let Some(why) = failed {
            let lease = &self.lock.election.name;
            tracing::warn!(lease, "is not given back, and runs out by itself: {why}");
        }
    }

    async fn try_to_leave(&mut self, patience: Duration) -> Result<(), Failed> {
        loop {
            let found = self.get(patience).await?;
            let left = self.sight.roll().cloned();
            let left = left.and_then(|roll| roll.without(&self.me.name));
            let (Some(roll), Some(mut lease)) = (left, found) else {
                return Ok(());
            };
            if roll.is_empty() {
                lock::free(&mut lease);
                Roll::erase(&mut lease);
            } else {
                lease = self.written(Some(lease), &roll)?;
            }
            match self.lock.put(&lease, patience).await {
                Err(why) if why.is_conflict() => sleep(self.moment()).await,
                left => return left.map(|_| ()),
            }
        }
    }

    async fn get(&mut self, patience: Duration) -> Result<Option<Lease>, Failed> {
        let found = timeout(patience, self.lock.get());
        let found = found.await.map_err(|_| Failed::Silent)??;
        let seen = found
            .as_ref()
            .map(|lease| (lock::record(lease), Roll::read(lease)));
        self.sight.see(seen, fence::now());
        Ok(found)
    }

    fn written(&self, found: Option<Lease>, roll: &Roll) -> Result<Lease, Failed> {
        let mut lease = found.unwrap_or_else(|| self.lock.unheld());
        lock::hold(&mut lease, &roll.holder(), roll.duration());
        roll.write(&mut lease)?;
        Ok(lease)
    }

    /// The retry period, and up to a fifth of it less, so that processes do not come all at once.
    pub(crate) fn pause(&self) -> Duration {
        let period = self.lock.election.timing.retry_period;
        period.saturating_sub(lock::part_of(period / 5))
    }

    /// Until another attempt when another process was faster: a moment, not the same for all.
    pub(crate) fn moment(&self) -> Duration {
        lock::part_of(self.lock.election.timing.retry_period / 10)
    }
}
