//! Getting, keeping and giving back the lease by which processes lead: one of them, or each its shards ([`Seat`]).

mod lock;
mod seat;

pub(crate) use lock::{Failed, free, hold, record};
pub(crate) use seat::Seat;

use crate::{
    fence::{self, Fence},
    lease::{Decision, Observed, Timing, decide},
    metrics::Counts,
    roll::Roll,
    shard::Shards,
};
use k8s_openapi::{
    api::coordination::v1::Lease, apimachinery::pkg::apis::meta::v1::MicroTime, jiff::Timestamp,
};
use kube::Client;
use lock::{Lock, Waiting};
use std::{sync::Arc, time::Duration};
use tokio::time::{sleep, timeout};

/// Where the lease is, who wants it, and how.
#[derive(Clone, Debug)]
pub struct Election {
    /// The Lease's namespace.
    pub namespace: String,
    /// The Lease's name.
    pub name: String,
    /// Who this process is: no other one has the same name.
    pub me: String,
    /// How long it is held, and how it is renewed.
    pub timing: Timing,
    /// Into how many shards Rollouts are divided. Where there is one, one process leads, and the others stand by.
    pub shards: Shards,
}

/// Somebody who wants to lead, or does.
pub(crate) struct Candidate {
    lock: Lock,
    observed: Option<Observed>,
    waiting: Waiting,
}

/// A lease that is held.
pub(crate) struct Term {
    /// The right that comes with it.
    pub(crate) fence: Fence,
    lease: Lease,
}

impl Candidate {
    pub(crate) fn new(client: Client, election: Election, counts: Arc<Counts>) -> Self {
        Self {
            lock: Lock::new(client, election, counts),
            observed: None,
            waiting: Waiting::default(),
        }
    }

    /// Waits until it leads.
    pub(crate) async fn win(&mut self) -> Term {
        let mut was_refused = false;
        loop {
            match self.attempt().await {
                Ok(Some(term)) => return term,
                Ok(None) => was_refused = false,
                // Once, not every two seconds.
                Err(why) if !was_refused => {
                    was_refused = true;
                    let lease = &self.lock.election.name;
                    tracing::warn!(lease, "cannot be had for now: {why}");
                }
                Err(_) => {}
            }
            sleep(self.pause()).await;
        }
    }

    /// The retry period, and up to a fifth of it more, so that candidates do not come all at once.
    fn pause(&self) -> Duration {
        let period = self.lock.election.timing.retry_period;
        period + lock::part_of(period / 5)
    }

    async fn attempt(&mut self) -> Result<Option<Term>, Failed> {
        let (lock, election) = (&self.lock, &self.lock.election);
        let found = lock.get().await?;
        let now = fence::now();
        self.observed = found
            .as_ref()
            .map(|lease| Observed::after(self.observed.take(), record(lease), now));
        let mut lease = match decide(self.observed.as_ref(), now, &election.me) {
            Decision::Wait(_) => {
                match found.as_ref().and_then(Roll::read) {
                    Some(roll) => self.waiting.tell(election, &roll.holder()),
                    None => self.waiting.end(),
                }
                return Ok(None);
            }
            Decision::Create => lock.unheld(),
            Decision::Acquire | Decision::Renew => found.unwrap_or_else(|| lock.unheld()),
        };
        hold(&mut lease, &election.me, election.timing.duration);
        // Of those who held it before.
        Roll::erase(&mut lease);
        let (lease, until) = lock.put(&lease, election.timing.renew_deadline).await?;
        let fence = Fence::until(until);
        Ok(Some(Term { fence, lease }))
    }

    /// Keeps the lease for as long as it can be kept; returns when the term is over.
    pub(crate) async fn keep(&self, term: &mut Term) {
        while let Some(left) = term.fence.left(fence::now()) {
            sleep(self.lock.election.timing.retry_period.min(left)).await;
            let Some(left) = term.fence.left(fence::now()) else {
                break;
            };
            let mut lease = term.lease.clone();
            lease.spec.get_or_insert_default().renew_time = Some(MicroTime(Timestamp::now()));
            match self.lock.put(&lease, left).await {
                Ok((lease, until)) => {
                    term.fence.extend(until);
                    term.lease = lease;
                }
                // Perhaps by a renewal of our own, whose answer was lost.
                Err(why) if why.is_conflict() => match self.found_held().await {
                    Ok(Some(lease)) => term.lease = lease,
                    Ok(None) => break,
                    Err(why) => self.complain(&why),
                },
                Err(why) => self.complain(&why),
            }
        }
        term.fence.close();
    }

    /// Gives the lease back, if it is still held, so that nobody has to wait until it runs out. To be called when
    /// nothing is written under it any more.
    pub(crate) async fn give_back(&self, term: Term) {
        let left = term.fence.left(fence::now());
        term.fence.close();
        let Some(left) = left else { return };
        let given = timeout(left, self.try_to_give_back(term.lease, left)).await;
        if let Some(why) = given.map_or(Some(Failed::Silent), Result::err) {
            let lease = &self.lock.election.name;
            tracing::warn!(lease, "is not given back, and runs out by itself: {why}");
        }
    }

    async fn try_to_give_back(&self, mut lease: Lease, patience: Duration) -> Result<(), Failed> {
        loop {
            free(&mut lease);
            match self.lock.put(&lease, patience).await {
                // By a renewal that was on its way when this process was asked to end, and whose answer nobody waited for.
                Err(why) if why.is_conflict() => match self.found_held().await? {
                    Some(held) => lease = held,
                    None => return Ok(()),
                },
                given => return given.map(|_| ()),
            }
        }
    }

    fn complain(&self, why: &Failed) {
        let lease = &self.lock.election.name;
        tracing::warn!(lease, "is not renewed: {why}");
    }

    /// The lease as it is now, if this process still holds it.
    async fn found_held(&self) -> Result<Option<Lease>, Failed> {
        let found = self.lock.get().await?;
        Ok(found.filter(|lease| record(lease).holder == self.lock.election.me))
    }
}
