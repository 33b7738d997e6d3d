//! Clients that people have, against the proxy: curl, and a browser.
//!
//! Runs only when it is asked for, since it needs Debian's `curl` and `chromium`:
//! `SLUICE_CLIENT_TESTS=1 cargo test -p proxy --test clients`.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "what goes wrong in a test fails it; clippy knows only #[test] functions as tests"
)]

mod browser;
mod curl;
mod site;
#[path = "../it/support/mod.rs"]
#[allow(
    dead_code,
    clippy::expect_used,
    reason = "other tests use the rest of it"
)]
mod support;

use std::{io::Write, sync::Once};

/// Whether these tests were asked for. Says so once when they were not; past the test harness, which would keep the
/// line to itself.
fn asked_for() -> bool {
    static SAID: Once = Once::new();
    let asked = std::env::var_os("SLUICE_CLIENT_TESTS").is_some_and(|value| value == "1");
    if !asked {
        SAID.call_once(|| {
            let line = "SKIPPED: not asked to test with curl and chromium; do so with \
                        SLUICE_CLIENT_TESTS=1 cargo test -p proxy --test clients\n";
            std::io::stderr().write_all(line.as_bytes()).unwrap();
        });
    }
    asked
}
