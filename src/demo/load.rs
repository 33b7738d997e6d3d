//! The demo's users: an open-loop load over real sockets.
//!
//! Requests leave by a schedule that does not know how the answers fare: a slow proxy meets the same requests as a
//! fast one, as it would with real users. A request that leaves late, because this thread had no processor, still
//! leaves, and its latency counts from the instant at which it was due.
//!
//! What is under way at one time is bounded by [`Config::in_flight`]: a request that comes due beyond the bound is
//! counted as failed and as [`Totals::unsent`], because a user would be waiting for a connection by then. Connections
//! are kept alive and used in turn, the longest idle one first.

mod connection;
mod schedule;

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until, timeout};
use traffic::{Bucket, Histogram};

use self::connection::{Answer, Connections};
use self::schedule::Schedule;

/// What to send, and where.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    /// The proxy's listener.
    pub(crate) target: SocketAddr,
    /// Requests per second, above 0.
    pub(crate) rps: f64,
    /// How many requests may be under way at one time.
    pub(crate) in_flight: usize,
    /// When a user gives up.
    pub(crate) patience: Duration,
}

/// What became of all requests so far.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Totals {
    /// Requests that came due.
    pub(crate) due: u64,
    /// Requests answered below 500.
    pub(crate) ok: u64,
    /// Requests that failed: answered with 500 or above, or not answered properly, or not sent.
    pub(crate) failed: u64,
    /// Of those, the requests that were not sent because too many were under way.
    pub(crate) unsent: u64,
    /// How long answered requests took.
    pub(crate) latency: Histogram,
    /// What each version answered; what nobody answered is not in here.
    pub(crate) versions: BTreeMap<String, Outcomes>,
}

/// Answers of one version.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Outcomes {
    /// Answers below 500.
    pub(crate) ok: u64,
    /// Answers of 500 and above.
    pub(crate) failed: u64,
}

/// A load under way. Dropping it ends it.
#[derive(Debug)]
pub(crate) struct Load {
    totals: Arc<Mutex<Totals>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Load {
    /// Starts sending.
    ///
    /// # Errors
    /// When there is no thread to be had.
    pub(crate) fn start(config: Config) -> io::Result<Self> {
        let totals = Arc::new(Mutex::new(Totals::default()));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let (stop, stopped) = oneshot::channel();
        let shared = Arc::clone(&totals);
        let thread = thread::Builder::new()
            .name("demo-load".into())
            .spawn(move || {
                runtime.block_on(async {
                    tokio::select! {
                        () = send(&config, &shared) => {}
                        _ = stopped => {}
                    }
                });
            })?;
        Ok(Self {
            totals,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// What became of all requests so far.
    pub(crate) fn totals(&self) -> Totals {
        lock(&self.totals).clone()
    }

    /// Ends the load; what is under way is given up and not counted as failed.
    pub(crate) fn stop(mut self) -> Totals {
        self.end();
        self.totals()
    }

    fn end(&mut self) {
        if let Some(stop) = self.stop.take() {
            // The other end is gone only when the thread has ended by itself.
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.end();
    }
}

impl Totals {
    fn count(&mut self, answer: Option<Answer>, latency: Duration) {
        let ok = answer.as_ref().is_some_and(|answer| answer.status < 500);
        match ok {
            true => self.ok += 1,
            false => self.failed += 1,
        }
        let Some(answer) = answer else { return };
        self.latency.add(Bucket::of(latency), 1);
        if let Some(version) = answer.version {
            let outcomes = self.versions.entry(version).or_default();
            match ok {
                true => outcomes.ok += 1,
                false => outcomes.failed += 1,
            }
        }
    }
}

/// Sends by schedule; never returns.
async fn send(config: &Config, totals: &Arc<Mutex<Totals>>) {
    let schedule = Schedule::new(config.rps);
    let connections = Arc::new(Connections::new(config.target));
    let slots = Arc::new(tokio::sync::Semaphore::new(config.in_flight));
    let start = Instant::now();
    for index in 0.. {
        let due = start + schedule.due(index);
        if due > Instant::now() {
            sleep_until(due).await;
        } else if index % 64 == 63 {
            // Catching up must not keep the answers from being read.
            tokio::task::yield_now().await;
        }
        lock(totals).due += 1;
        let Ok(slot) = Arc::clone(&slots).try_acquire_owned() else {
            let mut totals = lock(totals);
            totals.failed += 1;
            totals.unsent += 1;
            continue;
        };
        let connections = Arc::clone(&connections);
        let totals = Arc::clone(totals);
        let patience = config.patience;
        tokio::spawn(async move {
            let answer = timeout(patience, connections.request())
                .await
                .ok()
                .flatten();
            lock(&totals).count(answer, due.elapsed());
            drop(slot);
        });
    }
}

/// Counts stay right whatever thread left them behind.
fn lock(totals: &Mutex<Totals>) -> MutexGuard<'_, Totals> {
    totals.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
