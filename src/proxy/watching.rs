//! The thread that watches the cluster, apart from the workers.

use super::StartError;
use cluster::ConnectError;
use controller::{
    engine::TICK,
    fleet::{Names, Outline, Publisher},
};
use proxy::{Clock, metrics::Exporter};
use std::{
    io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};
use tokio::time::{MissedTickBehavior, interval};
use traffic::Routes;

/// When, in milliseconds from the process's epoch, the thread last went on.
pub(super) type Pulse = Arc<AtomicU64>;

/// What is looked at at each turn.
pub(super) struct Observing {
    pub(super) exporter: Arc<Exporter>,
    pub(super) routes: Arc<Routes>,
    pub(super) clock: Clock,
}

/// Starts to watch the cluster that `kubeconfig` leads to, and to publish what follows.
///
/// # Errors
/// Nothing says where the API server is, or the system gives no thread.
pub(super) fn start(
    kubeconfig: Option<PathBuf>,
    names: Names,
    publisher: Arc<Publisher>,
    observing: Observing,
) -> Result<Pulse, StartError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let pulse = Pulse::default();
    let own = Arc::clone(&pulse);
    let (connected, is_connected) = mpsc::channel();
    let remembering = Arc::clone(&publisher);
    let published = Arc::new(move |outline: Outline| publisher.publish(outline));
    let work = move || {
        runtime.block_on(async {
            match connect(kubeconfig.as_deref(), &connected).await {
                None => {}
                Some(client) => {
                    let watch = cluster::watch_for_proxy(client, names, published);
                    tokio::join!(watch, observing.turn(&own, &remembering));
                }
            }
        });
    };
    thread::Builder::new().name("cluster".into()).spawn(work)?;
    let gone = |_| io::Error::other("the thread that watches the cluster has ended");
    is_connected.recv().map_err(gone)??;
    Ok(pulse)
}

/// The client, which belongs to this thread's runtime; whether there is one is told.
async fn connect(
    kubeconfig: Option<&Path>,
    connected: &mpsc::Sender<Result<(), ConnectError>>,
) -> Option<cluster::Client> {
    let (client, result) = match cluster::connect(kubeconfig).await {
        Ok((client, _)) => (Some(client), Ok(())),
        Err(error) => (None, Err(error)),
    };
    // It is waited for.
    let _ = connected.send(result);
    client
}

impl Observing {
    /// Measures shares for the metrics, remembers what is counted, and shows that this thread goes on.
    async fn turn(&self, pulse: &AtomicU64, publisher: &Publisher) {
        let mut turns = interval(TICK);
        turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            turns.tick().await;
            let now = self.clock.elapsed();
            pulse.store(millis(now), Ordering::Relaxed);
            self.routes.look(|table| self.exporter.observe(table, now));
            publisher.remember(now);
        }
    }
}

/// Whole milliseconds.
pub(super) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
