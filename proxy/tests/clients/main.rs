//! Clients that people have, against the proxy: curl, and a browser.
//!
//! Runs only when it is asked for, since it needs Debian's `curl` and `chromium`:
//! `SLUICE_CLIENT_TESTS=1 cargo test -p proxy --test clients`.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "what goes wrong in a test fails it; clippy knows only #[test] functions as tests"
)]

#[path = "../asked/mod.rs"]
mod asked;
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

/// Whether these tests were asked for.
fn asked_for() -> bool {
    asked::is_asked_for("SLUICE_CLIENT_TESTS", "clients")
}
