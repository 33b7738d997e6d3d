//! What the tests are made of.

pub(crate) mod frames;
pub(crate) mod grpc;
pub(crate) mod http2;
pub(crate) mod origin;
pub(crate) mod recorder;
pub(crate) mod speak;
pub(crate) mod strict;
pub(crate) mod tls;
pub(crate) mod wire;
pub(crate) mod world;

use std::time::{Duration, Instant};

/// How long anything may take that should happen. Generous, as machines are busy; nothing waits for it in vain.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Runs `work` on this thread.
pub(crate) fn run<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, work)
}

/// What `work` gives, which must not take for ever.
pub(crate) async fn soon<T>(what: &str, work: impl Future<Output = T>) -> T {
    let Ok(done) = tokio::time::timeout(PATIENCE, work).await else {
        panic!("never happened: {what}");
    };
    done
}

/// Waits until `condition` holds. Looks often, and leaves the processor to those it waits for.
pub(crate) fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "never happened: {what}");
        std::thread::sleep(Duration::from_micros(200));
    }
}
