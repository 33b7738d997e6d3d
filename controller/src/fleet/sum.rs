//! The counters of all proxies of a Rollout, added up as if one proxy had counted.

#[cfg(test)]
mod tests;

use super::{RolloutReport, Split, Unreadable};
use rollout::analysis::Tripped;
use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    time::Duration,
};
use traffic::{
    Bucket, Counts, EndpointCounts, Generation, HalfOctave, Histogram, SectorCounts, Snapshot,
    UserCounts,
};

/// What a proxy told of one Rollout.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    /// The process: see [`Report::process`](super::Report::process).
    pub process: String,
    /// When the counters were read, since that process began.
    pub at: Duration,
    /// What it told.
    pub report: RolloutReport,
}

/// What the proxies told that are live, by their address; nothing for one that did not answer, or does not know the
/// Rollout.
pub type Answers = BTreeMap<SocketAddr, Option<Told>>;

/// The counters of all proxies of one Rollout. What a process counted before it was first asked is left out, as nobody
/// knows under which split that was.
#[derive(Clone, Debug, Default)]
pub struct Sum {
    /// What each proxy told last.
    told: BTreeMap<SocketAddr, Told>,
    total: Snapshot,
    /// What all of them serve.
    agreed: Option<Agreed>,
    changes: u64,
}

/// The split that all proxies serve, and how often each of them has changed to come to it.
#[derive(Clone, Debug, PartialEq)]
struct Agreed {
    split: Split,
    changes: Vec<(String, u64)>,
}

impl Sum {
    /// Adds what was told when the reader's clock showed `at`. A proxy that is not among `answers` is forgotten.
    ///
    /// The result has a generation where all proxies told that they serve the same split. It is another one whenever one
    /// of them has changed its split meanwhile.
    ///
    /// Returns it with what was told and could not be read, which is as good as no answer.
    pub fn add(&mut self, at: Duration, answers: Answers) -> (&Snapshot, Vec<Unread>) {
        self.told.retain(|address, _| answers.contains_key(address));
        let live = answers.len();
        let (mut heard, mut unread) = (0, Vec::new());
        for (address, told) in answers {
            let Some(told) = told else {
                continue;
            };
            match self.take(address, told) {
                Ok(()) => heard += 1,
                Err(why) => unread.push(Unread { address, why }),
            }
        }
        self.agree(live > 0 && heard == live);
        self.total.at = at;
        self.total.generation = self.agreed.as_ref().map(|_| Generation::of(self.changes));
        self.sum_what_passes();
        (&self.total, unread)
    }

    /// What tripped `canary`, where a proxy has done that, by what they told at the last time.
    pub fn tripped(&self, canary: &str) -> Option<Tripped> {
        self.told.iter().find_map(|(address, told)| {
            let tripped = told.report.tripped.as_ref();
            let of_it = tripped.filter(|tripped| tripped.canary == canary)?;
            let mut trip = of_it.trip.clone();
            trip.proxy = Some(address.to_string());
            Some(trip)
        })
    }

    /// The split that all proxies serve, by what they told at the last time.
    pub fn serving(&self) -> Option<&Split> {
        self.agreed.as_ref().map(|agreed| &agreed.split)
    }

    fn take(&mut self, address: SocketAddr, told: Told) -> Result<(), Unreadable> {
        let now = told.report.snapshot(told.at)?;
        let before = self.told.get(&address);
        // What another process counted, or by another rule, cannot be subtracted.
        let before = before.filter(|before| {
            before.process == told.process && before.report.failures == told.report.failures
        });
        if let Some(before) = before {
            let before = before.report.snapshot(before.at)?;
            grow(&mut self.total.stable, &before.stable, &now.stable);
            grow(&mut self.total.canary, &before.canary, &now.canary);
            grow_users(
                &mut self.total.users,
                before.users.as_ref(),
                now.users.as_ref(),
            );
        }
        self.told.insert(address, told);
        Ok(())
    }

    /// Notes whether all serve the same, if `all` told something.
    fn agree(&mut self, all: bool) {
        let mut splits = self.told.values().map(|told| told.report.serving.as_ref());
        let first = splits.next().flatten().filter(|_| all);
        let same = first.filter(|first| splits.all(|split| split == Some(first)));
        let changes = self.told.values();
        let agreed = same.map(|split| Agreed {
            split: split.clone(),
            changes: changes
                .map(|told| (told.process.clone(), told.report.changes))
                .collect(),
        });
        if self.agreed != agreed {
            self.changes += 1;
            self.agreed = agreed;
        }
    }

    /// What is not counted for ever: the requests under way, and the endpoints that some proxy knows.
    fn sum_what_passes(&mut self) {
        for (total, of) in [
            (
                &mut self.total.stable,
                RolloutReport::stable as fn(&_) -> &_,
            ),
            (&mut self.total.canary, RolloutReport::canary),
        ] {
            let told = || self.told.values().map(|told| of(&told.report));
            let mut waiting = BTreeMap::new();
            for (index, n) in told().flat_map(|side| &side.waiting) {
                if let Some(bucket) = Bucket::at(*index) {
                    *waiting.entry(bucket).or_default() += n;
                }
            }
            total.waiting = waiting.into_iter().collect();
            let known: BTreeSet<SocketAddr> = told()
                .flat_map(|side| &side.endpoints)
                .map(|endpoint| endpoint.address)
                .collect();
            total
                .endpoints
                .retain(|endpoint| known.contains(&endpoint.address));
        }
    }
}

/// What a proxy told and could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the report of the proxy at {address}: {why}")]
pub struct Unread {
    address: SocketAddr,
    why: Unreadable,
}

/// Adds to `total` what was counted between `before` and `after`.
fn grow(total: &mut Counts, before: &Counts, after: &Counts) {
    total.dispatched += after.dispatched.saturating_sub(before.dispatched);
    total.failed += after.failed.saturating_sub(before.failed);
    total.client_errors += after.client_errors.saturating_sub(before.client_errors);
    total.cancelled += after.cancelled.saturating_sub(before.cancelled);
    grow_histogram(&mut total.latency, &before.latency, &after.latency);
    grow_histogram(&mut total.abandoned, &before.abandoned, &after.abandoned);
    let known: BTreeMap<SocketAddr, &EndpointCounts> = before
        .endpoints
        .iter()
        .map(|endpoint| (endpoint.address, endpoint))
        .collect();
    for endpoint in &after.endpoints {
        grow_endpoint(
            &mut total.endpoints,
            known.get(&endpoint.address).copied(),
            endpoint,
        );
    }
}

fn grow_histogram(total: &mut Histogram, before: &Histogram, after: &Histogram) {
    let buckets = before.buckets().iter().zip(after.buckets()).enumerate();
    for (index, (before, after)) in buckets.filter(|(_, (before, after))| before < after) {
        if let Some(bucket) = Bucket::at(index) {
            total.add(bucket, after - before);
        }
    }
}

/// An endpoint that a proxy had forgotten begins at 0 there.
fn grow_endpoint(
    total: &mut Vec<EndpointCounts>,
    before: Option<&EndpointCounts>,
    after: &EndpointCounts,
) {
    let before = before.filter(|before| before.dispatched <= after.dispatched);
    let place = total.binary_search_by_key(&after.address, |endpoint| endpoint.address);
    let place = place.unwrap_or_else(|place| {
        let new = EndpointCounts {
            address: after.address,
            dispatched: 0,
            failed: 0,
            took: Default::default(),
        };
        total.insert(place, new);
        place
    });
    let sum = &mut total[place];
    sum.dispatched += after.dispatched - before.map_or(0, |before| before.dispatched);
    sum.failed += after
        .failed
        .saturating_sub(before.map_or(0, |before| before.failed));
    for (index, took) in after.took.buckets().iter().enumerate() {
        let earlier = before.map_or(0, |before| before.took.buckets()[index]);
        if let Some(half) = HalfOctave::at(index) {
            sum.took.add(half, took.saturating_sub(earlier));
        }
    }
}

/// Users stand where they do by one salt: with another one, all begins anew.
fn grow_users(
    total: &mut Option<UserCounts>,
    before: Option<&UserCounts>,
    after: Option<&UserCounts>,
) {
    let Some(after) = after else {
        *total = None;
        return;
    };
    let known = total
        .take()
        .filter(|total| total.counting == after.counting);
    let mut sum = known.unwrap_or_else(|| UserCounts {
        counting: after.counting,
        sectors: Box::new([SectorCounts::default(); traffic::SECTORS]),
    });
    if let Some(before) = before.filter(|before| before.counting == after.counting) {
        let grown = before.sectors.iter().zip(after.sectors.iter());
        for (sum, (before, after)) in sum.sectors.iter_mut().zip(grown) {
            sum.requests += after.requests.saturating_sub(before.requests);
            sum.failed += after.failed.saturating_sub(before.failed);
        }
    }
    *total = Some(sum);
}
