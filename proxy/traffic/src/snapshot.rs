//! Plain values read out of the counters.

use crate::{
    Bucket, Generation, HalfOctaves, Histogram,
    stats::{Counting, Trip},
};
use std::{net::SocketAddr, time::Duration};

/// What one version's requests came to, since the process began. Every number only grows, except `waiting`, as
/// long as it is read with the same rule of what a failure is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Requests sent to the version, counted when they left.
    pub dispatched: u64,
    /// Requests that failed by the [`FailureRule`](crate::FailureRule) that they were read with, counted when they
    /// ended.
    pub failed: u64,
    /// Requests that got a whole answer that says that the client is at fault, and is no failure by that rule: see
    /// [`FailureRule::client_errors`](crate::FailureRule::client_errors). Counted when they ended.
    pub client_errors: u64,
    /// Requests that the client gave up before they were answered in full. Neither success nor failure.
    pub cancelled: u64,
    /// Latency of the requests that ended, cancelled ones left out.
    pub latency: Histogram,
    /// How long clients waited who gave up.
    pub abandoned: Histogram,
    /// The requests under way, by the bucket that their age has passed into. Bucket ascending, each once.
    pub waiting: Vec<(Bucket, u64)>,
    /// The same by endpoint, for requests that reached one. Address ascending, each once. One that gets no requests for
    /// long is left out, and begins at 0 again should it come back.
    pub endpoints: Vec<EndpointCounts>,
}

/// What the requests that were first sent to one endpoint of a version came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndpointCounts {
    /// Where the endpoint is.
    pub address: SocketAddr,
    /// Requests whose first attempt went there.
    pub dispatched: u64,
    /// Those of them that are among [`Counts::failed`].
    pub failed: u64,
    /// How long those of them took that ended, cancelled ones included.
    pub took: HalfOctaves,
}

impl Counts {
    /// How many requests have taken longer than `bucket`'s upper bound, those still under way and those that the client
    /// gave up included.
    ///
    /// A request that hangs counts as soon as its age passes the bound, not when it ends at last, and it stays counted
    /// when the client loses its patience.
    pub fn slower_than(&self, bucket: Bucket) -> u64 {
        let waiting: u64 = self
            .waiting
            .iter()
            .filter(|(age, _)| *age > bucket)
            .map(|(_, n)| n)
            .sum();
        self.latency.above(bucket) + waiting
    }

    /// Requests under way.
    pub fn in_flight(&self) -> u64 {
        self.waiting.iter().map(|(_, n)| n).sum()
    }
}

/// Into how many equal sectors the circle is cut that sticky users stand on. A power of two.
pub const SECTORS: usize = 64;

/// What the requests of the users in one sector came to, of those that stable answered while it was alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SectorCounts {
    /// Requests that ended and that the client did not give up.
    pub requests: u64,
    /// Those of them that failed.
    pub failed: u64,
}

/// How stable's requests went by where their users stand on the circle, since these counters began. Every number only
/// grows, as long as `counting` is the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserCounts {
    /// By what they stand there, and what failed means.
    pub counting: Counting,
    /// Sector by sector, by rising points.
    pub sectors: Box<[SectorCounts; SECTORS]>,
}

/// The counts of both sides of a rollout at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// When it was taken, from the process's epoch.
    pub at: Duration,
    /// The generation of the route table that gave the rollout its present weights, or nothing while a worker still
    /// serves an older one. What was counted between two snapshots of the same generation was dispatched under that
    /// table's weights.
    pub generation: Option<Generation>,
    /// The stable version.
    pub stable: Counts,
    /// The canary.
    pub canary: Counts,
    /// Stable's users, where the split keeps users on one version.
    pub users: Option<UserCounts>,
    /// That a proxy tripped the canary that was armed last, which need not be the present one.
    pub trip: Option<Trip>,
}
