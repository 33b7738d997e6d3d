//! Getting, keeping and giving back the lease by which one of several processes leads.

use crate::{
    api::MANAGER,
    fence::{self, Fence},
    lease::{Decision, Observed, Record, Timing, decide},
    metrics::Counts,
    random,
};
use k8s_openapi::{
    api::coordination::v1::Lease, apimachinery::pkg::apis::meta::v1::MicroTime, jiff::Timestamp,
};
use kube::{
    Api, Client,
    api::{ObjectMeta, PostParams},
};
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
}

/// Somebody who wants to lead, or does.
pub(crate) struct Candidate {
    api: Api<Lease>,
    election: Election,
    counts: Arc<Counts>,
    observed: Option<Observed>,
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
            api: Api::namespaced(client, &election.namespace),
            election,
            counts,
            observed: None,
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
                    let lease = &self.election.name;
                    tracing::warn!(lease, "cannot be had for now: {why}");
                }
                Err(_) => {}
            }
            sleep(self.pause()).await;
        }
    }

    /// The retry period, and up to a fifth of it more, so that candidates do not come all at once.
    fn pause(&self) -> Duration {
        let period = self.election.timing.retry_period;
        period + period.mul_f64(0.2 * f64::from(random()) / f64::from(u32::MAX))
    }

    async fn attempt(&mut self) -> Result<Option<Term>, Failed> {
        let found = self
            .request("get", self.api.get_opt(&self.election.name))
            .await?;
        let now = fence::now();
        self.observed = found
            .as_ref()
            .map(|lease| Observed::after(self.observed.take(), record(lease), now));
        let mut lease = match decide(self.observed.as_ref(), now, &self.election.me) {
            Decision::Wait(_) => return Ok(None),
            Decision::Create => self.unheld(),
            Decision::Acquire | Decision::Renew => found.unwrap_or_else(|| self.unheld()),
        };
        self.take(&mut lease);
        let (lease, until) = self
            .put(&lease, self.election.timing.renew_deadline)
            .await?;
        let fence = Fence::until(until);
        Ok(Some(Term { fence, lease }))
    }

    /// Keeps the lease for as long as it can be kept; returns when the term is over.
    pub(crate) async fn keep(&self, term: &mut Term) {
        while let Some(left) = term.fence.left(fence::now()) {
            sleep(self.election.timing.retry_period.min(left)).await;
            let Some(left) = term.fence.left(fence::now()) else {
                break;
            };
            let mut lease = term.lease.clone();
            lease.spec.get_or_insert_default().renew_time = Some(MicroTime(Timestamp::now()));
            match self.put(&lease, left).await {
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
        let mut lease = term.lease;
        let spec = lease.spec.get_or_insert_default();
        spec.holder_identity = Some(String::new());
        spec.lease_duration_seconds = Some(1);
        spec.renew_time = Some(MicroTime(Timestamp::now()));
        if let Err(why) = self.put(&lease, left).await {
            let lease = &self.election.name;
            tracing::warn!(lease, "is not given back, and runs out by itself: {why}");
        }
    }

    fn complain(&self, why: &Failed) {
        tracing::warn!(lease = self.election.name, "is not renewed: {why}");
    }

    /// The lease as it is now, if this process still holds it.
    async fn found_held(&self) -> Result<Option<Lease>, Failed> {
        let found = self
            .request("get", self.api.get_opt(&self.election.name))
            .await?;
        Ok(found.filter(|lease| record(lease).holder == self.election.me))
    }

    /// A lease that is not there yet.
    fn unheld(&self) -> Lease {
        Lease {
            metadata: ObjectMeta {
                name: Some(self.election.name.clone()),
                ..ObjectMeta::default()
            },
            spec: None,
        }
    }

    /// Makes it a lease that this process holds.
    fn take(&self, lease: &mut Lease) {
        let now = MicroTime(Timestamp::now());
        let spec = lease.spec.get_or_insert_default();
        if spec.holder_identity.as_deref() != Some(&self.election.me) {
            spec.acquire_time = Some(now.clone());
            spec.lease_transitions =
                Some(spec.lease_transitions.map_or(0, |n| n.saturating_add(1)));
        }
        spec.holder_identity = Some(self.election.me.clone());
        spec.lease_duration_seconds = i32::try_from(self.election.timing.duration.as_secs()).ok();
        spec.renew_time = Some(now);
    }

    /// Writes a lease, if it is still as it was seen. Returns it, and until when its holder may write.
    async fn put(&self, lease: &Lease, patience: Duration) -> Result<(Lease, Duration), Failed> {
        let as_us = PostParams {
            field_manager: Some(MANAGER.to_owned()),
            ..PostParams::default()
        };
        let until = fence::now().saturating_add(self.election.timing.renew_deadline);
        let write = async {
            match lease.metadata.resource_version {
                None => self.request("create", self.api.create(&as_us, lease)).await,
                Some(_) => {
                    let write = self.api.replace(&self.election.name, &as_us, lease);
                    self.request("update", write).await
                }
            }
        };
        let lease = timeout(patience, write)
            .await
            .map_err(|_| Failed::Silent)??;
        Ok((lease, until))
    }

    async fn request<T>(
        &self,
        verb: &'static str,
        request: impl Future<Output = kube::Result<T>>,
    ) -> Result<T, Failed> {
        let answer = timeout(self.election.timing.renew_deadline, request).await;
        let result = answer.map_or(Err(Failed::Silent), |answer| answer.map_err(Failed::from));
        let code = result
            .as_ref()
            .map_or_else(Failed::code, |_| "ok".to_owned());
        self.counts.requested("Lease", verb, code);
        result
    }
}

/// Why a lease was not got or renewed.
#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error("no answer in time")]
    Silent,
    #[error("{0}")]
    Refused(#[from] kube::Error),
}

impl Failed {
    fn is_conflict(&self) -> bool {
        matches!(self, Self::Refused(kube::Error::Api(status)) if status.is_conflict())
    }

    fn code(&self) -> String {
        match self {
            Self::Silent => "timeout".to_owned(),
            Self::Refused(kube::Error::Api(status)) => status.code.to_string(),
            Self::Refused(_) => "error".to_owned(),
        }
    }
}

fn record(lease: &Lease) -> Record {
    let spec = lease.spec.as_ref();
    let seconds = spec.and_then(|spec| spec.lease_duration_seconds);
    Record {
        holder: spec
            .and_then(|spec| spec.holder_identity.clone())
            .unwrap_or_default(),
        duration: Duration::from_secs(seconds.and_then(|s| s.try_into().ok()).unwrap_or(0)),
        version: lease.metadata.resource_version.clone().unwrap_or_default(),
    }
}
