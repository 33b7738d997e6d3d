//! What takes time, connections or memory: thousands of idle connections, gigabytes, tables and certificates that change
//! under load, a process without descriptors.
//!
//! Runs only when it is asked for: `SLUICE_ENDURANCE_TESTS=1 cargo test -p proxy --test endurance -- --nocapture
//! --test-threads 1` also shows what was measured.

#![allow(
    missing_docs,
    dead_code,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test that is surprised ends; what it is made of is shared with others"
)]

#[path = "../asked/mod.rs"]
mod asked;
mod bodies;
mod changes;
mod child;
mod descriptors;
mod idle;
mod leaks;
mod restarts;
#[path = "../it/support/mod.rs"]
mod support;

/// That of the `sluice` binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Whether these tests were asked for.
fn asked_for() -> bool {
    asked::is_asked_for(
        "SLUICE_ENDURANCE_TESTS",
        "endurance -- --nocapture --test-threads 1",
    )
}
