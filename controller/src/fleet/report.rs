//! What one proxy tells of its requests, as it goes over the wire.

#[cfg(test)]
mod tests;

use super::Split;
use rollout::analysis::Tripped;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, net::SocketAddr, time::Duration};
use traffic::{
    Bucket, Counting, Counts, EndpointCounts, FailureRule, HalfOctave, HalfOctaves, Histogram,
    RolloutId, SECTORS, SectorCounts, Snapshot, UserCounts,
};

/// What one proxy tells of itself. All numbers only grow while its process lives.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// The process, by a name that no other has: another one's counters begin at 0.
    pub process: String,
    /// When the counters were read, in seconds since the process began.
    pub at: f64,
    /// What it knows of Rollouts, by `NAMESPACE/NAME`.
    pub rollouts: BTreeMap<String, RolloutReport>,
}

/// What one proxy tells of one Rollout.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RolloutReport {
    /// The split that each of its workers serves; nothing while one still serves an earlier one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub serving: Option<Split>,
    /// Grows whenever the way in which requests are shared changes: what was counted between two reports with the same
    /// number that both say what is served was sent by one split. One that is made anew goes on with larger numbers,
    /// while its counts begin at 0.
    pub changes: u64,
    /// What counts as a failure in the counts.
    #[serde(with = "rollout::failure_rule")]
    pub failures: FailureRule,
    /// That it took the traffic of the present canary away by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tripped: Option<TripReport>,
    stable: Side,
    canary: Side,
    #[serde(skip_serializing_if = "Option::is_none")]
    users: Option<Users>,
}

/// What a proxy tells of a canary that it tripped.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TripReport {
    /// The canary, by its pod template hash.
    pub canary: String,
    /// The counts that convicted it.
    pub trip: Tripped,
}

/// One version's counts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Side {
    dispatched: u64,
    failed: u64,
    client_errors: u64,
    cancelled: u64,
    /// Buckets that are not empty, and how much is in them.
    latency: Vec<(usize, u64)>,
    abandoned: Vec<(usize, u64)>,
    pub(super) waiting: Vec<(usize, u64)>,
    pub(super) endpoints: Vec<Endpoint>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Endpoint {
    pub(super) address: SocketAddr,
    dispatched: u64,
    failed: u64,
    took: Vec<(usize, u64)>,
}

/// Sticky users, counted by the rule of the report.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Users {
    salt: u64,
    /// Requests and failures, sector by sector.
    sectors: Vec<(u64, u64)>,
}

/// A report that no proxy of this version gives.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: found {found}, allowed {allowed}")]
pub struct Unreadable {
    field: &'static str,
    found: String,
    allowed: String,
}

impl Report {
    /// The name of `rollout` among [`Report::rollouts`].
    pub fn name(rollout: &RolloutId) -> String {
        format!("{}/{}", rollout.namespace, rollout.name)
    }
}

impl RolloutReport {
    /// What a proxy tells that serves `serving` and has counted `snapshot` by `failures`.
    pub fn new(
        serving: Option<Split>,
        changes: u64,
        failures: FailureRule,
        snapshot: &Snapshot,
    ) -> Self {
        let users = snapshot.users.as_ref();
        let users = users.filter(|users| users.counting.rule == failures);
        Self {
            serving,
            changes,
            failures,
            tripped: None,
            stable: Side::of(&snapshot.stable),
            canary: Side::of(&snapshot.canary),
            users: users.map(|users| Users {
                salt: users.counting.salt,
                sectors: users
                    .sectors
                    .iter()
                    .map(|s| (s.requests, s.failed))
                    .collect(),
            }),
        }
    }

    pub(super) fn stable(&self) -> &Side {
        &self.stable
    }

    pub(super) fn canary(&self) -> &Side {
        &self.canary
    }

    /// The counts, as they were `at` the time since the process began. Without a generation, which is the reader's to say.
    ///
    /// # Errors
    /// A bucket or a sector that there is none of.
    pub fn snapshot(&self, at: Duration) -> Result<Snapshot, Unreadable> {
        let users = self.users.as_ref();
        Ok(Snapshot {
            at,
            generation: None,
            stable: self.stable.counts()?,
            canary: self.canary.counts()?,
            users: users.map(|users| users.counts(self.failures)).transpose()?,
            trip: None,
        })
    }
}

impl Side {
    fn of(counts: &Counts) -> Self {
        let endpoint = |endpoint: &EndpointCounts| Endpoint {
            address: endpoint.address,
            dispatched: endpoint.dispatched,
            failed: endpoint.failed,
            took: filled(endpoint.took.buckets()),
        };
        let waiting = counts.waiting.iter();
        Self {
            dispatched: counts.dispatched,
            failed: counts.failed,
            client_errors: counts.client_errors,
            cancelled: counts.cancelled,
            latency: filled(counts.latency.buckets()),
            abandoned: filled(counts.abandoned.buckets()),
            waiting: waiting.map(|(bucket, n)| (bucket.index(), *n)).collect(),
            endpoints: counts.endpoints.iter().map(endpoint).collect(),
        }
    }

    fn counts(&self) -> Result<Counts, Unreadable> {
        let waiting = self.waiting.iter();
        let endpoint = |endpoint: &Endpoint| {
            Ok(EndpointCounts {
                address: endpoint.address,
                dispatched: endpoint.dispatched,
                failed: endpoint.failed,
                took: halves(&endpoint.took)?,
            })
        };
        let endpoints = self.endpoints.iter().map(endpoint);
        let mut endpoints: Vec<_> = endpoints.collect::<Result<_, Unreadable>>()?;
        endpoints.sort_by_key(|endpoint| endpoint.address);
        let mut waiting: Vec<_> = waiting
            .map(|(index, n)| Ok((bucket("waiting", *index)?, *n)))
            .collect::<Result<_, Unreadable>>()?;
        waiting.sort();
        Ok(Counts {
            dispatched: self.dispatched,
            failed: self.failed,
            client_errors: self.client_errors,
            cancelled: self.cancelled,
            latency: histogram("latency", &self.latency)?,
            abandoned: histogram("abandoned", &self.abandoned)?,
            waiting,
            endpoints,
        })
    }
}

impl Users {
    fn counts(&self, rule: FailureRule) -> Result<UserCounts, Unreadable> {
        let sectors = self.sectors.iter().map(|(requests, failed)| SectorCounts {
            requests: *requests,
            failed: *failed,
        });
        let sectors: Box<[SectorCounts]> = sectors.collect();
        let found = sectors.len();
        Ok(UserCounts {
            counting: Counting {
                salt: self.salt,
                rule,
            },
            sectors: sectors.try_into().map_err(|_| Unreadable {
                field: "users.sectors",
                found: format!("{found} of them"),
                allowed: SECTORS.to_string(),
            })?,
        })
    }
}

fn filled(buckets: &[u64]) -> Vec<(usize, u64)> {
    let buckets = buckets.iter().copied().enumerate();
    buckets.filter(|(_, n)| *n > 0).collect()
}

fn histogram(field: &'static str, filled: &[(usize, u64)]) -> Result<Histogram, Unreadable> {
    let mut histogram = Histogram::default();
    for (index, n) in filled {
        histogram.add(bucket(field, *index)?, *n);
    }
    Ok(histogram)
}

fn bucket(field: &'static str, index: usize) -> Result<Bucket, Unreadable> {
    Bucket::at(index).ok_or_else(|| none_of(field, index))
}

fn halves(filled: &[(usize, u64)]) -> Result<HalfOctaves, Unreadable> {
    let mut halves = HalfOctaves::default();
    for (index, n) in filled {
        let half = HalfOctave::at(*index).ok_or_else(|| none_of("endpoints.took", *index))?;
        halves.add(half, *n);
    }
    Ok(halves)
}

fn none_of(field: &'static str, index: usize) -> Unreadable {
    Unreadable {
        field,
        found: format!("bucket {index}"),
        allowed: "those of this version's histograms".to_owned(),
    }
}
