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

mod bodies;
mod changes;
mod child;
mod descriptors;
mod idle;
mod leaks;
#[path = "../it/support/mod.rs"]
mod support;

use std::{io::Write, sync::Once};

/// That of the `sluice` binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Whether these tests were asked for. Says so once when they were not; past the test harness, which would keep the
/// line to itself.
fn asked_for() -> bool {
    static SAID: Once = Once::new();
    let asked = std::env::var_os("SLUICE_ENDURANCE_TESTS").is_some_and(|value| value == "1");
    if !asked {
        SAID.call_once(|| {
            let line = "SKIPPED: not asked to test endurance; do so with SLUICE_ENDURANCE_TESTS=1 \
                        cargo test -p proxy --test endurance -- --nocapture --test-threads 1\n";
            std::io::stderr().write_all(line.as_bytes()).unwrap();
        });
    }
    asked
}
