//! The whole binary from outside: real files, real sockets, real signals.

#![allow(
    missing_docs,
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that is surprised ends"
)]

mod admin;
mod disk;
mod edits;
mod failures;
mod kills;
mod metrics;
mod outages;
mod promotion;
mod replay;
mod shutdown;
mod silence;
mod splitting;
mod start;
mod support;
mod takeover;
mod trips;
mod users;
mod verbs;
mod verdicts;
