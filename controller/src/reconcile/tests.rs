//! Rollouts in a cluster of the imagination, under virtual time.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that is surprised ends"
)]

mod ahead;
mod blue_green;
mod canary;
mod cluster;
mod pods;
mod properties;
mod proxies;
mod routed;
mod specs;
mod workload;

use cluster::Cluster;
