//! One version's counts as they go over the wire: since a process began, or between two of its readings.

use super::report::Unreadable;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, net::SocketAddr};
use traffic::{
    Bucket, Counting, Counts, EndpointCounts, FailureRule, HalfOctave, HalfOctaves, Histogram,
    SECTORS, SectorCounts, UserCounts,
};

/// One version's counts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Side {
    pub(super) dispatched: u64,
    pub(super) failed: u64,
    pub(super) client_errors: u64,
    pub(super) cancelled: u64,
    /// Buckets that are not empty, and how much is in them.
    pub(super) latency: Vec<(usize, u64)>,
    pub(super) abandoned: Vec<(usize, u64)>,
    /// The requests under way. These do not only grow.
    pub(super) waiting: Vec<(usize, u64)>,
    pub(super) endpoints: Vec<Endpoint>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Endpoint {
    pub(super) address: SocketAddr,
    pub(super) dispatched: u64,
    pub(super) failed: u64,
    pub(super) took: Vec<(usize, u64)>,
}

/// Sticky users, counted by the rule of the report.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Users {
    pub(super) salt: u64,
    /// Requests and failures, sector by sector.
    pub(super) sectors: Vec<(u64, u64)>,
}

impl Side {
    pub(super) fn of(counts: &Counts) -> Self {
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

    pub(super) fn counts(&self) -> Result<Counts, Unreadable> {
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

    /// What was counted since the same process told `before`. An endpoint that it had forgotten meanwhile begins at 0 there;
    /// those without requests are left out.
    pub(super) fn since(&self, before: &Self) -> Self {
        let known: BTreeMap<_, _> = before.endpoints.iter().map(|e| (e.address, e)).collect();
        let endpoints = self.endpoints.iter().map(|endpoint| {
            let before = known.get(&endpoint.address);
            let before = before.filter(|before| before.dispatched <= endpoint.dispatched);
            before.map_or_else(|| endpoint.clone(), |before| endpoint.since(before))
        });
        Self {
            dispatched: self.dispatched.saturating_sub(before.dispatched),
            failed: self.failed.saturating_sub(before.failed),
            client_errors: self.client_errors.saturating_sub(before.client_errors),
            cancelled: self.cancelled.saturating_sub(before.cancelled),
            latency: grown(&before.latency, &self.latency),
            abandoned: grown(&before.abandoned, &self.abandoned),
            waiting: self.waiting.clone(),
            endpoints: endpoints.filter(|endpoint| !endpoint.is_empty()).collect(),
        }
    }

    /// What was counted in this time and the `later` one after it.
    pub(super) fn then(&self, later: &Self) -> Self {
        let of = |side: &Self| -> BTreeMap<SocketAddr, Endpoint> {
            let endpoints = side.endpoints.iter();
            endpoints.map(|e| (e.address, e.clone())).collect()
        };
        let mut endpoints = of(self);
        for (address, more) in of(later) {
            let sum = match endpoints.get(&address) {
                Some(known) => known.then(&more),
                None => more,
            };
            endpoints.insert(address, sum);
        }
        Self {
            dispatched: self.dispatched.saturating_add(later.dispatched),
            failed: self.failed.saturating_add(later.failed),
            client_errors: self.client_errors.saturating_add(later.client_errors),
            cancelled: self.cancelled.saturating_add(later.cancelled),
            latency: together(&self.latency, &later.latency),
            abandoned: together(&self.abandoned, &later.abandoned),
            waiting: later.waiting.clone(),
            endpoints: endpoints.into_values().collect(),
        }
    }

    /// Adds what was counted to `total`, but for what is under way.
    pub(super) fn add_to(&self, total: &mut Counts) {
        for (total, grown) in [
            (&mut total.dispatched, self.dispatched),
            (&mut total.failed, self.failed),
            (&mut total.client_errors, self.client_errors),
            (&mut total.cancelled, self.cancelled),
        ] {
            *total = total.saturating_add(grown);
        }
        let histograms = [
            (&mut total.latency, &self.latency),
            (&mut total.abandoned, &self.abandoned),
        ];
        for (total, grown) in histograms {
            for (index, n) in grown {
                if let Some(bucket) = Bucket::at(*index) {
                    total.add(bucket, *n);
                }
            }
        }
        for endpoint in &self.endpoints {
            endpoint.add_to(&mut total.endpoints);
        }
    }
}

impl Endpoint {
    fn since(&self, before: &Self) -> Self {
        Self {
            address: self.address,
            dispatched: self.dispatched.saturating_sub(before.dispatched),
            failed: self.failed.saturating_sub(before.failed),
            took: grown(&before.took, &self.took),
        }
    }

    fn then(&self, later: &Self) -> Self {
        Self {
            address: self.address,
            dispatched: self.dispatched.saturating_add(later.dispatched),
            failed: self.failed.saturating_add(later.failed),
            took: together(&self.took, &later.took),
        }
    }

    fn is_empty(&self) -> bool {
        (self.dispatched, self.failed) == (0, 0) && self.took.is_empty()
    }

    fn add_to(&self, total: &mut Vec<EndpointCounts>) {
        let place = total.binary_search_by_key(&self.address, |endpoint| endpoint.address);
        let place = place.unwrap_or_else(|place| {
            let new = EndpointCounts {
                address: self.address,
                dispatched: 0,
                failed: 0,
                took: HalfOctaves::default(),
            };
            total.insert(place, new);
            place
        });
        let sum = &mut total[place];
        sum.dispatched = sum.dispatched.saturating_add(self.dispatched);
        sum.failed = sum.failed.saturating_add(self.failed);
        for (index, n) in &self.took {
            if let Some(half) = HalfOctave::at(*index) {
                sum.took.add(half, *n);
            }
        }
    }
}

impl Users {
    pub(super) fn of(counts: &UserCounts) -> Self {
        let sectors = counts.sectors.iter();
        Self {
            salt: counts.counting.salt,
            sectors: sectors.map(|s| (s.requests, s.failed)).collect(),
        }
    }

    pub(super) fn counts(&self, rule: FailureRule) -> Result<UserCounts, Unreadable> {
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

/// What each place has more than `before`, ascending; places that have no more are left out.
fn grown(before: &[(usize, u64)], after: &[(usize, u64)]) -> Vec<(usize, u64)> {
    let before: BTreeMap<usize, u64> = before.iter().copied().collect();
    let more = after.iter().map(|(index, n)| {
        let known = before.get(index).copied().unwrap_or_default();
        (*index, n.saturating_sub(known))
    });
    more.filter(|(_, n)| *n > 0).collect()
}

/// The sums of each place, ascending.
fn together(one: &[(usize, u64)], other: &[(usize, u64)]) -> Vec<(usize, u64)> {
    let mut sums = BTreeMap::<usize, u64>::new();
    for (index, n) in one.iter().chain(other) {
        let sum = sums.entry(*index).or_default();
        *sum = sum.saturating_add(*n);
    }
    sums.into_iter().collect()
}
