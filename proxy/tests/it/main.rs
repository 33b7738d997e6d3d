//! The proxy between real sockets: clients on one side, origins on the other.

#![allow(
    missing_docs,
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that is surprised ends"
)]

mod balancing;
mod bodies;
mod clients;
mod corpus;
mod downgrade;
mod endpoints;
mod exchanges;
mod failure_rules;
mod failures;
mod filters;
mod floods;
mod grpc;
mod headers;
mod http2_origins;
mod limits;
mod logs;
mod origins;
mod origins_http2;
mod panics;
mod places;
mod policies;
mod routing;
mod shutdown;
mod spread;
mod support;
mod tiny_frames;
mod traces;
mod trips;
mod trust;
mod tunnels;
#[cfg(target_os = "linux")]
mod vanishing;
mod versions;
mod windows;
