//! How the proxy ends when requests are under way.

use super::ending::{Ending, Signals};
use std::{thread, time::Duration};
use tokio::{runtime::Runtime, sync::oneshot};

/// Accepts nothing more, and finishes what is under way within `deadline`. The signals that `ending` leaves cut it.
pub(crate) fn drain(
    proxy: proxy::Proxy,
    deadline: Duration,
    ending: &Ending,
    runtime: &Runtime,
    signals: &mut Signals,
) {
    let (ended, drained) = oneshot::channel();
    let is_succeeded = *ending == Ending::Succeeded;
    let shutdown = move || {
        let drained = if is_succeeded {
            proxy.hand_over(deadline)
        } else {
            proxy.shutdown(deadline)
        };
        // When a signal came first, nobody waits for it any more.
        let _ = ended.send(drained);
    };
    if let Err(error) = thread::Builder::new().name("drain".into()).spawn(shutdown) {
        tracing::error!("no thread to drain from: {error}; all connections are cut");
    }
    let again = async {
        let mut name = "";
        for _ in 0..ending.signals_to_cut() {
            name = signals.end().await;
        }
        name
    };
    runtime.block_on(async {
        tokio::select! {
            // Without a thread to drain from, it has ended by being dropped.
            drained = drained => report(drained.unwrap_or_default(), deadline),
            name = again => tracing::warn!("received {name} again; cutting what is still under way"),
        }
    });
}

/// Tells what was cut.
pub(super) fn report(drained: proxy::Drained, deadline: Duration) {
    if drained.cut > 0 {
        tracing::warn!(
            "{} connections were cut at the drain deadline of {deadline:.0?}",
            drained.cut
        );
    }
}
