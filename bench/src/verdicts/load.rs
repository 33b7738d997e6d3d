//! Users: requests that come at random moments and wait for nobody.

use crate::client::Client;
use crate::random::Random;
use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    task::JoinHandle,
    time::{Instant, sleep_until},
};

/// A connection is not used again after this, well before the proxy closes it (75 s by default).
const LONGEST_IDLE: Duration = Duration::from_secs(20);

/// An open-loop load under way, of one host. Ends when dropped.
#[derive(Debug)]
pub(crate) struct Load {
    shared: Arc<Shared>,
    sending: JoinHandle<()>,
    began: Instant,
}

/// What became of the requests.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Totals {
    pub(crate) sent: u64,
    /// Answered with less than a 500.
    pub(crate) good: u64,
    /// Answered with a 500 or above, or not at all.
    pub(crate) failed: u64,
}

#[derive(Debug)]
struct Shared {
    address: SocketAddr,
    request: String,
    /// Connections without a request, and since when.
    idle: Mutex<Vec<(Instant, Client)>>,
    totals: Mutex<Totals>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Load {
    /// Sends `rps` requests a second for `host` to `address`, as a Poisson process.
    pub(crate) fn start(address: SocketAddr, host: &str, rps: f64, seed: u64) -> Self {
        let shared = Arc::new(Shared {
            address,
            request: format!("GET / HTTP/1.1\r\nhost: {host}\r\n\r\n"),
            idle: Mutex::default(),
            totals: Mutex::default(),
        });
        let sending = tokio::spawn(send(Arc::clone(&shared), rps, Random::new(seed)));
        Self {
            shared,
            sending,
            began: Instant::now(),
        }
    }

    pub(crate) fn totals(&self) -> Totals {
        *lock(&self.shared.totals)
    }

    /// Requests a second, in fact.
    pub(crate) fn rate(&self) -> f64 {
        self.totals().sent as f64 / self.began.elapsed().as_secs_f64()
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.sending.abort();
    }
}

/// The schedule is fixed beforehand: a moment that was missed is made up for at once.
async fn send(shared: Arc<Shared>, rps: f64, mut random: Random) {
    let mut due = Instant::now();
    loop {
        due += Duration::from_secs_f64(random.exponential() / rps);
        sleep_until(due).await;
        tokio::spawn(ask(Arc::clone(&shared)));
    }
}

/// The connection that was used last, unless it was idle for so long that the proxy may be about to close it: whoever
/// sends a request on such a one fails it himself. Those below it are older still.
fn pooled(shared: &Shared) -> Option<Client> {
    let mut idle = lock(&shared.idle);
    let (since, client) = idle.pop()?;
    if since.elapsed() < LONGEST_IDLE {
        return Some(client);
    }
    idle.clear();
    None
}

async fn ask(shared: Arc<Shared>) {
    lock(&shared.totals).sent += 1;
    let idle = pooled(&shared);
    let answered = async {
        let mut client = match idle {
            Some(client) => client,
            None => Client::connect(shared.address, &shared.request).await?,
        };
        let status = client.ask().await?;
        anyhow::Ok((client, status))
    };
    match answered.await {
        Ok((client, status)) => {
            lock(&shared.idle).push((Instant::now(), client));
            let mut totals = lock(&shared.totals);
            if status < 500 {
                totals.good += 1;
            } else {
                totals.failed += 1;
            }
        }
        Err(_) => lock(&shared.totals).failed += 1,
    }
}
