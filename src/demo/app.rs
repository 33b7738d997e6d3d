//! A small HTTP app whose behaviour can be changed while it runs: one slot of the demo's rollout.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use axum::Router;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::serve::ListenerExt;
use jiff::Timestamp;
use tokio::sync::oneshot;

use super::behaviour::{Behaviour, Fate};

/// The header in which the app tells its version.
pub(crate) const VERSION_HEADER: &str = "x-demo-version";

/// A running app. Dropping it ends it, whatever it is doing.
#[derive(Debug)]
pub(crate) struct App {
    address: SocketAddr,
    deployed: Arc<Mutex<Deployed>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// What runs in the slot now.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Deployed {
    /// The version's name.
    pub(crate) version: String,
    /// How it behaves.
    pub(crate) behaviour: Behaviour,
    /// When its first request came.
    pub(crate) first_request: Option<Timestamp>,
    /// How many requests it has got.
    pub(crate) requests: u64,
}

impl App {
    /// Starts the app on a free loopback port.
    ///
    /// # Errors
    /// When there is no port or thread to be had.
    pub(crate) fn start(version: &str, behaviour: Behaviour) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let deployed = Arc::new(Mutex::new(Deployed::new(version, behaviour)));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let (stop, stopped) = oneshot::channel();
        let state = Arc::clone(&deployed);
        let thread = thread::Builder::new()
            .name(format!("demo-app-{}", address.port()))
            .spawn(move || {
                // Whatever still hangs is dropped with the runtime.
                runtime.block_on(async {
                    tokio::select! {
                        _ = serve(listener, state) => {}
                        _ = stopped => {}
                    }
                });
            })?;
        Ok(Self {
            address,
            deployed,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Replaces the version in this slot by another; requests under way keep the fate they have.
    pub(crate) fn deploy(&self, version: &str, behaviour: Behaviour) {
        *lock(&self.deployed) = Deployed::new(version, behaviour);
    }

    /// What runs here now.
    pub(crate) fn deployed(&self) -> Deployed {
        lock(&self.deployed).clone()
    }
}

impl Drop for App {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            // The other end is gone only when the thread has ended by itself.
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Deployed {
    fn new(version: &str, behaviour: Behaviour) -> Self {
        Self {
            version: version.to_owned(),
            behaviour,
            first_request: None,
            requests: 0,
        }
    }

    /// Counts a request and decides how it fares.
    fn take(&mut self, now: Timestamp) -> (String, Fate) {
        self.first_request.get_or_insert(now);
        let index = self.requests;
        self.requests += 1;
        let seed = u64::from(
            self.version
                .bytes()
                .fold(0u32, |sum, byte| sum.wrapping_mul(31) + u32::from(byte)),
        );
        (self.version.clone(), self.behaviour.fate(seed, index))
    }
}

async fn serve(listener: TcpListener, state: Arc<Mutex<Deployed>>) -> io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?.tap_io(|stream| {
        // Without it a demo would only be a little slower.
        let _ = stream.set_nodelay(true);
    });
    let app = Router::new()
        .route("/behave", post(behave))
        .fallback(answer)
        .with_state(state);
    axum::serve(listener, app).await
}

async fn answer(State(deployed): State<Arc<Mutex<Deployed>>>) -> Response {
    let (version, fate) = lock(&deployed).take(Timestamp::now());
    let Fate::Answered { after, failed } = fate else {
        std::future::pending().await
    };
    tokio::time::sleep(after).await;
    let (status, word) = match failed {
        true => (StatusCode::INTERNAL_SERVER_ERROR, "failed"),
        false => (StatusCode::OK, "ok"),
    };
    let body = format!("{version} {word}\n");
    (status, [(VERSION_HEADER, version)], body).into_response()
}

/// `POST /behave?failures=0.3&latency=200ms`: all of the changes, or none when one is not allowed.
async fn behave(
    State(deployed): State<Arc<Mutex<Deployed>>>,
    Query(changes): Query<BTreeMap<String, String>>,
) -> Response {
    let mut deployed = lock(&deployed);
    let mut behaviour = deployed.behaviour;
    for (name, value) in &changes {
        if let Err(refusal) = behaviour.change(name, value) {
            return (StatusCode::BAD_REQUEST, refusal + "\n").into_response();
        }
    }
    deployed.behaviour = behaviour;
    format!("{} {behaviour}\n", deployed.version).into_response()
}

/// A demo's app goes on with what another thread left behind.
fn lock(deployed: &Mutex<Deployed>) -> MutexGuard<'_, Deployed> {
    deployed.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
