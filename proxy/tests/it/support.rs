//! What the tests are made of.

pub(crate) mod frames;
pub(crate) mod http2;
pub(crate) mod origin;
pub(crate) mod wire;
pub(crate) mod world;

use std::time::{Duration, Instant};

/// How long anything may take that should happen. Generous, as machines are busy; nothing waits for it in vain.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Waits until `condition` holds.
pub(crate) fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "never happened: {what}");
        std::thread::yield_now();
    }
}
