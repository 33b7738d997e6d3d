//! The proxy between real sockets: clients on one side, origins on the other.

#![allow(
    missing_docs,
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that is surprised ends"
)]

mod bodies;
mod exchanges;
mod failures;
mod headers;
mod routing;
mod shutdown;
mod support;
