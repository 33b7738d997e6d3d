//! What happened between two snapshots.

use std::{net::SocketAddr, time::Duration};
use traffic::{Bucket, Counting, Counts, EndpointCounts, HalfOctave, SectorCounts, Snapshot};

/// Two snapshots further apart than this tell too little of what lay between them to be one block.
const LONGEST: Duration = Duration::from_secs(10);

/// Two successive snapshots of the same counters.
#[derive(Debug)]
pub(super) struct Interval<'a> {
    before: &'a Snapshot,
    after: &'a Snapshot,
    stable: Grown<'a>,
    canary: Grown<'a>,
}

/// One version's part of an [`Interval`].
#[derive(Debug)]
pub(super) struct Grown<'a> {
    before: &'a Counts,
    after: &'a Counts,
    /// The requests that ended, by bucket, empty ones left out.
    ended: Vec<(Bucket, u64)>,
    /// The requests that clients gave up, by bucket, empty ones left out.
    abandoned: Vec<(Bucket, u64)>,
}

impl<'a> Interval<'a> {
    /// Nothing when `after` does not continue `before`: the process restarted, or there is a gap.
    pub(super) fn between(before: &'a Snapshot, after: &'a Snapshot) -> Option<Self> {
        let apart = after.at.checked_sub(before.at)?;
        if apart > LONGEST {
            return None;
        }
        Some(Self {
            before,
            after,
            stable: Grown::between(&before.stable, &after.stable)?,
            canary: Grown::between(&before.canary, &after.canary)?,
        })
    }

    pub(super) fn seconds(&self) -> f64 {
        self.after.at.saturating_sub(self.before.at).as_secs_f64()
    }

    /// Whether all of it was dispatched under one route table.
    pub(super) fn is_of_one_generation(&self) -> bool {
        self.after.generation.is_some() && self.before.generation == self.after.generation
    }

    pub(super) fn stable(&self) -> &Grown<'a> {
        &self.stable
    }

    pub(super) fn canary(&self) -> &Grown<'a> {
        &self.canary
    }

    /// What stable's users met, sector by sector, and how they were counted. Nothing where they were not, or not in the
    /// same way all the time.
    pub(super) fn users(&self) -> Option<(Counting, impl Iterator<Item = SectorCounts> + '_)> {
        let (before, after) = (self.before.users.as_ref()?, self.after.users.as_ref()?);
        if before.counting != after.counting {
            return None;
        }
        let sectors = before.sectors.iter().zip(after.sectors.iter());
        let met = sectors.map(|(before, after)| SectorCounts {
            requests: after.requests.saturating_sub(before.requests),
            failed: after.failed.saturating_sub(before.failed),
        });
        Some((after.counting, met))
    }
}

impl<'a> Grown<'a> {
    fn between(before: &'a Counts, after: &'a Counts) -> Option<Self> {
        let grew = before.dispatched <= after.dispatched
            && before.failed <= after.failed
            && before.client_errors <= after.client_errors
            && before.cancelled <= after.cancelled;
        if !grew {
            return None;
        }
        Some(Self {
            before,
            after,
            ended: added(before.latency.buckets(), after.latency.buckets()),
            abandoned: added(before.abandoned.buckets(), after.abandoned.buckets()),
        })
    }

    /// Requests that were sent.
    pub(super) fn requests(&self) -> u64 {
        self.after.dispatched.saturating_sub(self.before.dispatched)
    }

    /// Requests that failed, whenever they were sent.
    pub(super) fn failures(&self) -> u64 {
        self.after.failed.saturating_sub(self.before.failed)
    }

    /// Requests that were answered with a client error, whenever they were sent.
    pub(super) fn client_errors(&self) -> u64 {
        self.after
            .client_errors
            .saturating_sub(self.before.client_errors)
    }

    /// The requests that ended, by bucket.
    pub(super) fn ended(&self) -> &[(Bucket, u64)] {
        &self.ended
    }

    /// The requests and failures of each endpoint, in the order of their addresses. One whose counts fell was forgotten
    /// meanwhile, and is left out.
    pub(super) fn endpoints(&self) -> impl Iterator<Item = (SocketAddr, u64, u64)> + '_ {
        self.known_endpoints().filter_map(|(before, after)| {
            let (dispatched, failed) = before.map_or((0, 0), |b| (b.dispatched, b.failed));
            Some((
                after.address,
                after.dispatched.checked_sub(dispatched)?,
                after.failed.checked_sub(failed)?,
            ))
        })
    }

    /// Of each endpoint, in the same order, how many of its requests ended and how many of them took longer than
    /// `bound`.
    pub(super) fn endpoints_slower_than(
        &self,
        bound: HalfOctave,
    ) -> impl Iterator<Item = (SocketAddr, u64, u64)> + '_ {
        self.known_endpoints().filter_map(move |(before, after)| {
            let (ended, slow) = before.map_or((0, 0), |b| (b.took.count(), b.took.above(bound)));
            Some((
                after.address,
                after.took.count().checked_sub(ended)?,
                after.took.above(bound).checked_sub(slow)?,
            ))
        })
    }

    /// The counts of each endpoint before, if it was known, and after.
    fn known_endpoints(
        &self,
    ) -> impl Iterator<Item = (Option<&'a EndpointCounts>, &'a EndpointCounts)> + use<'a> {
        let mut before = self.before.endpoints.iter().peekable();
        self.after.endpoints.iter().map(move |after| {
            while before.next_if(|b| b.address < after.address).is_some() {}
            (before.next_if(|b| b.address == after.address), after)
        })
    }

    /// The counts at the end.
    pub(super) fn after(&self) -> &'a Counts {
        self.after
    }

    /// Requests that became slower than `bound`. One that was slow already when its client gave it up stays counted.
    pub(super) fn slower_than(&self, bound: Bucket) -> u64 {
        let above = |requests: &[(Bucket, u64)]| -> u64 {
            let above = requests.iter().filter(|(bucket, _)| *bucket > bound);
            above.map(|(_, requests)| requests).sum()
        };
        (above(&self.ended) + above(&self.abandoned) + above(&self.after.waiting))
            .saturating_sub(above(&self.before.waiting))
    }
}

/// What `after` has more than `before`, by bucket, empty ones left out. Nearly all are as they were, which is seen
/// faster of several at once.
fn added(before: &[u64], after: &[u64]) -> Vec<(Bucket, u64)> {
    const AT_ONCE: usize = 16;
    let mut added = Vec::new();
    if before == after {
        return added;
    }
    let parts = before.chunks(AT_ONCE).zip(after.chunks(AT_ONCE));
    for (part, (before, after)) in parts.enumerate() {
        let changes = before
            .iter()
            .zip(after)
            .fold(0, |all, (b, a)| all | (b ^ a));
        if changes == 0 {
            continue;
        }
        let buckets = before.iter().zip(after).enumerate();
        let grown = buckets.filter(|(_, (before, after))| after > before);
        added.extend(grown.filter_map(|(index, (before, after))| {
            Some((Bucket::at(part * AT_ONCE + index)?, after - before))
        }));
    }
    added
}

#[cfg(test)]
mod tests {
    use super::*;
    use traffic::HalfOctaves;

    #[test]
    fn every_bucket_that_grew_is_found() {
        let before = vec![3; 482];
        for grown in [0, 15, 16, 17, 479, 480, 481] {
            let mut after = before.clone();
            after[grown] += 2;
            after[100] += 1;
            let mut wanted = vec![(100, 1), (grown, 2)];
            wanted.sort_unstable();
            let added = added(&before, &after);
            let got: Vec<_> = added.iter().map(|(b, n)| (b.index(), *n)).collect();
            assert_eq!(got, wanted);
        }
    }

    #[test]
    fn endpoints_come_and_go_and_never_count_back() {
        let counts = |endpoints: &[(u16, u64, u64)]| Counts {
            endpoints: endpoints
                .iter()
                .map(|(port, dispatched, failed)| EndpointCounts {
                    address: SocketAddr::from(([127, 0, 0, 1], *port)),
                    dispatched: *dispatched,
                    failed: *failed,
                    took: HalfOctaves::default(),
                })
                .collect(),
            ..Counts::default()
        };
        let check =
            |before: &[(u16, u64, u64)], after: &[(u16, u64, u64)], wanted: &[(u16, u64, u64)]| {
                let (before, after) = (counts(before), counts(after));
                let grown = Grown::between(&before, &after).unwrap();
                let grown = grown.endpoints().map(|(a, n, e)| (a.port(), n, e));
                assert_eq!(grown.collect::<Vec<_>>(), wanted);
            };
        check(&[], &[], &[]);
        check(&[(1, 5, 1)], &[(1, 9, 2)], &[(1, 4, 1)]);
        // One goes, one stays as it was, one comes.
        check(
            &[(1, 5, 0), (3, 7, 2)],
            &[(3, 7, 2), (4, 2, 2)],
            &[(3, 0, 0), (4, 2, 2)],
        );
        // Forgotten, and back again.
        check(&[(1, 5, 0), (2, 5, 3)], &[(1, 2, 0), (2, 6, 1)], &[]);
    }

    #[test]
    fn slow_requests_of_an_endpoint_are_those_above_the_bound() {
        let half = |millis| HalfOctave::of(Duration::from_millis(millis));
        let counts = |latencies: &[(u64, u64)]| {
            let mut counts = Counts::default();
            let mut took = HalfOctaves::default();
            for (millis, requests) in latencies {
                took.add(half(*millis), *requests);
            }
            counts.endpoints.push(EndpointCounts {
                address: SocketAddr::from(([127, 0, 0, 1], 1)),
                dispatched: 100,
                failed: 0,
                took,
            });
            counts
        };
        let before = counts(&[(10, 5), (100, 2)]);
        let after = counts(&[(10, 8), (100, 3), (1_000, 4)]);
        let grown = Grown::between(&before, &after).unwrap();
        let slow = |millis| {
            let slow = grown.endpoints_slower_than(half(millis));
            slow.map(|(_, ended, slow)| (ended, slow))
                .collect::<Vec<_>>()
        };
        assert_eq!(slow(10), [(8, 5)]);
        assert_eq!(slow(100), [(8, 4)]);
        assert_eq!(slow(1_000), [(8, 0)]);
    }

    fn snapshot(millis: u64, dispatched: u64) -> Snapshot {
        let mut snapshot = Snapshot {
            at: Duration::from_millis(millis),
            ..Snapshot::default()
        };
        snapshot.canary.dispatched = dispatched;
        snapshot
    }

    #[test]
    fn only_growing_counters_without_a_gap_make_an_interval() {
        let check = |before: (u64, u64), after: (u64, u64), wanted: bool| {
            let before = snapshot(before.0, before.1);
            let after = snapshot(after.0, after.1);
            let interval = Interval::between(&before, &after);
            assert_eq!(interval.is_some(), wanted, "{before:?} {after:?}");
        };
        check((1000, 5), (1100, 9), true);
        check((1000, 5), (1000, 5), true);
        check((1000, 5), (900, 9), false);
        check((1000, 5), (1100, 4), false);
        check((1000, 5), (11_000, 9), true);
        check((1000, 5), (11_001, 9), false);
    }
}
