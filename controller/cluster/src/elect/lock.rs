//! Reading and writing the Lease: each write is made only if it is still as it was read, and ends a wait in time.

use super::Election;
use crate::{api::MANAGER, fence, lease::Record, metrics::Counts, random};
use k8s_openapi::{
    api::coordination::v1::Lease, apimachinery::pkg::apis::meta::v1::MicroTime, jiff::Timestamp,
};
use kube::{
    Api, Client,
    api::{ObjectMeta, PostParams},
};
use std::{sync::Arc, time::Duration};
use tokio::time::timeout;

/// The Lease that is wanted.
pub(super) struct Lock {
    api: Api<Lease>,
    pub(super) election: Election,
    counts: Arc<Counts>,
}

impl Lock {
    pub(super) fn new(client: Client, election: Election, counts: Arc<Counts>) -> Self {
        Self {
            api: Api::namespaced(client, &election.namespace),
            election,
            counts,
        }
    }

    /// The Lease as it is now; none when it is not there.
    pub(super) async fn get(&self) -> Result<Option<Lease>, Failed> {
        self.request("get", self.api.get_opt(&self.election.name))
            .await
    }

    /// Writes a lease, if it is still as it was seen. Returns it, and until when its holder may write.
    pub(super) async fn put(
        &self,
        lease: &Lease,
        patience: Duration,
    ) -> Result<(Lease, Duration), Failed> {
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

    /// A lease that is not there yet.
    pub(super) fn unheld(&self) -> Lease {
        Lease {
            metadata: ObjectMeta {
                name: Some(self.election.name.clone()),
                ..ObjectMeta::default()
            },
            spec: None,
        }
    }
}

/// Who is waited for, so that it is told once.
#[derive(Default)]
pub(super) struct Waiting(Option<String>);

impl Waiting {
    /// Others hold the Lease, who have another number of shards than `election`.
    pub(super) fn tell(&mut self, election: &Election, holder: &str) {
        if self.0.as_deref() != Some(holder) {
            let (lease, mine) = (&election.name, election.shards);
            tracing::warn!(
                lease,
                "is held by {holder}, who has not --shards {mine}: waits until it is given back or has run out"
            );
            self.0 = Some(holder.to_owned());
        }
    }

    /// Nobody is waited for.
    pub(super) fn end(&mut self) {
        self.0 = None;
    }
}

/// A part of `whole`, up to all of it, by chance.
pub(super) fn part_of(whole: Duration) -> Duration {
    whole.mul_f64(f64::from(random()) / f64::from(u32::MAX))
}

/// Makes it a lease that `holder` holds, for as long as `duration` without being renewed.
pub(crate) fn hold(lease: &mut Lease, holder: &str, duration: Duration) {
    let now = MicroTime(Timestamp::now());
    let spec = lease.spec.get_or_insert_default();
    if spec.holder_identity.as_deref() != Some(holder) {
        spec.acquire_time = Some(now.clone());
        spec.lease_transitions = Some(spec.lease_transitions.map_or(0, |n| n.saturating_add(1)));
    }
    spec.holder_identity = Some(holder.to_owned());
    spec.lease_duration_seconds = i32::try_from(duration.as_secs()).ok();
    spec.renew_time = Some(now);
}

/// Makes it a lease that nobody holds.
pub(crate) fn free(lease: &mut Lease) {
    let spec = lease.spec.get_or_insert_default();
    spec.holder_identity = Some(String::new());
    spec.lease_duration_seconds = Some(1);
    spec.renew_time = Some(MicroTime(Timestamp::now()));
}

/// What a lease says.
pub(crate) fn record(lease: &Lease) -> Record {
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

/// Why a lease was not got or renewed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failed {
    #[error("no answer in time")]
    Silent,
    #[error("{0}")]
    Refused(#[from] kube::Error),
    #[error("cannot be written: {0}")]
    Unfit(#[from] serde_json::Error),
}

impl Failed {
    /// Somebody else has written it meanwhile, or has made it.
    pub(crate) fn is_conflict(&self) -> bool {
        matches!(self, Self::Refused(kube::Error::Api(status))
            if status.is_conflict() || status.is_already_exists())
    }

    fn code(&self) -> String {
        match self {
            Self::Silent => "timeout".to_owned(),
            Self::Refused(kube::Error::Api(status)) => status.code.to_string(),
            Self::Refused(_) | Self::Unfit(_) => "error".to_owned(),
        }
    }
}
