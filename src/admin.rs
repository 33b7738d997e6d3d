//! The admin server: metrics, health, state, verdicts, verbs and events.
//!
//! It runs on a thread and runtime of its own, apart from the workers: a scrape or a slow client here never holds a
//! request up. Beyond loopback it demands a bearer token. On loopback, where a browser could be made to call it, it
//! answers only to hosts that are loopback names, and verbs only as JSON, which a foreign page cannot send unasked.

mod events;
mod guard;

use crate::api::{Refusal, VerbRequest};
use axum::{
    Json, Router,
    extract::{Path, State},
    http::{HeaderMap, StatusCode, header},
    middleware,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use controller::engine::{Engine, Refused};
use jiff::Timestamp;
use rollout::{Revision, Verb};
use std::{
    io,
    net::{SocketAddr, TcpListener},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};
use tokio::sync::watch;
use traffic::{RolloutId, Routes};

/// How long requests under way may take when the server stops.
const LAST_ANSWERS: Duration = Duration::from_secs(1);

/// What the admin server shows and does.
#[derive(Clone)]
pub(crate) struct Shared {
    /// The controller.
    pub(crate) engine: Arc<Mutex<Engine>>,
    /// What the workers serve.
    pub(crate) routes: Arc<Routes>,
    /// The metrics.
    pub(crate) exporter: Arc<proxy::metrics::Exporter>,
    /// The process's clock.
    pub(crate) clock: proxy::Clock,
    /// The token that requests must bring, if any.
    pub(crate) token: Option<Arc<str>>,
    /// Whether the process drains, or is about to: it is not ready then, though it serves.
    pub(crate) is_draining: Arc<AtomicBool>,
}

/// What the pages share, with whether the server stops.
#[derive(Clone)]
struct Pages {
    shared: Shared,
    stop: watch::Receiver<bool>,
}

impl std::ops::Deref for Pages {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.shared
    }
}

impl Shared {
    fn engine(&self) -> MutexGuard<'_, Engine> {
        // A tick that panicked leaves whole values behind; looking at them is what an operator needs then.
        self.engine.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A running admin server. Dropping it stops it: requests under way are answered, and who follows events is let go.
pub(crate) struct Admin {
    stop: watch::Sender<bool>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Drop for Admin {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        if let Some(thread) = self.thread.take() {
            // A server that panicked has printed why.
            let _ = thread.join();
        }
    }
}

/// Listens on `address`.
///
/// # Errors
/// Those of the system.
pub(crate) fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Starts the server on the connections of `socket`, which must not block, and stays open for others when the server
/// stops.
///
/// # Errors
/// The system gives no descriptor, no thread or no runtime.
pub(crate) fn start(socket: &TcpListener, shared: Shared) -> io::Result<Admin> {
    start_pages(socket, |stop| router(Pages { shared, stop }))
}

/// As [`start`], with other pages. They are told when the server stops.
pub(crate) fn start_pages(
    socket: &TcpListener,
    pages: impl FnOnce(watch::Receiver<bool>) -> Router,
) -> io::Result<Admin> {
    let listener = socket.try_clone()?;
    let (stop, stopped) = watch::channel(false);
    let pages = pages(stopped.clone());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let run = move || {
        if let Err(error) = runtime.block_on(serve(listener, pages, stopped)) {
            tracing::error!("admin server: {error}");
        }
    };
    let thread = thread::Builder::new().name("admin".into()).spawn(run)?;
    Ok(Admin {
        stop,
        thread: Some(thread),
    })
}

async fn serve(
    listener: TcpListener,
    pages: Router,
    stop: watch::Receiver<bool>,
) -> io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let server = axum::serve(listener, pages).with_graceful_shutdown(stopped(stop.clone()));
    let too_long = async {
        stopped(stop).await;
        tokio::time::sleep(LAST_ANSWERS).await;
    };
    tokio::select! {
        result = server.into_future() => result,
        () = too_long => Ok(()),
    }
}

/// Ready when the server is to stop.
async fn stopped(mut stop: watch::Receiver<bool>) {
    // That nobody is there to say it means the same.
    let _ = stop.wait_for(|stop| *stop).await;
}

fn router(pages: Pages) -> Router {
    let api = Router::new()
        .route("/version", get(version))
        .route("/documents", get(documents))
        .route("/rollouts", get(list))
        .route("/rollouts/{namespace}/{name}", get(show))
        .route("/rollouts/{namespace}/{name}/record", get(record))
        .route("/rollouts/{namespace}/{name}/{verb}", post(act))
        .route("/events", get(events::follow));
    Router::new()
        .nest("/api/v1", api)
        .route("/metrics", get(metrics))
        .layer(middleware::from_fn_with_state(pages.clone(), guard::admit))
        // Health is asked by machines that hold no token, and tells nothing that is secret.
        .route("/healthz", get(healthy))
        .route("/readyz", get(ready))
        .fallback(nothing_here)
        .with_state(pages)
}

async fn nothing_here() -> Response {
    refuse(
        StatusCode::NOT_FOUND,
        "no such page: there are /metrics, /healthz, /readyz and /api/v1".to_owned(),
    )
}

pub(crate) fn refuse(status: StatusCode, error: String) -> Response {
    (status, Json(Refusal { error })).into_response()
}

async fn version() -> Json<serde_json::Value> {
    Json(serde_json::json!({ "version": env!("CARGO_PKG_VERSION") }))
}

async fn documents(State(shared): State<Pages>) -> Json<serde_json::Value> {
    Json(serde_json::json!({ "problems": shared.engine().problems() }))
}

async fn list(State(shared): State<Pages>) -> Response {
    Json(
        shared
            .engine()
            .views(Timestamp::now(), shared.clock.elapsed()),
    )
    .into_response()
}

async fn show(
    State(shared): State<Pages>,
    Path((namespace, name)): Path<(String, String)>,
) -> Response {
    let rollout = RolloutId::new(&namespace, &name);
    let view = shared
        .engine()
        .view(&rollout, Timestamp::now(), shared.clock.elapsed());
    view.map_or_else(|| unknown(&rollout), |view| Json(view).into_response())
}

/// The rollout with what its verdicts were made of, which is long.
async fn record(
    State(shared): State<Pages>,
    Path((namespace, name)): Path<(String, String)>,
) -> Response {
    let rollout = RolloutId::new(&namespace, &name);
    let elapsed = shared.clock.elapsed();
    let view = shared
        .engine()
        .view_with_records(&rollout, Timestamp::now(), elapsed);
    view.map_or_else(|| unknown(&rollout), |view| Json(view).into_response())
}

fn unknown(rollout: &RolloutId) -> Response {
    refuse(StatusCode::NOT_FOUND, format!("no rollout {rollout} here"))
}

async fn act(
    State(shared): State<Pages>,
    Path((namespace, name, verb)): Path<(String, String, String)>,
    Json(request): Json<VerbRequest>,
) -> Response {
    let rollout = RolloutId::new(&namespace, &name);
    let verb = match verb.as_str() {
        "promote" if request.full => Verb::PromoteFull,
        "promote" => Verb::Promote,
        "pause" => Verb::Pause,
        "resume" => Verb::Resume,
        "abort" => Verb::Abort {
            by: "operator".to_owned(),
        },
        "retry" => Verb::Retry,
        "undo" => Verb::Undo {
            by: "operator".to_owned(),
            to: request.to.map(Revision::new),
        },
        other => {
            let allowed = "promote, pause, resume, abort, retry, undo";
            return refuse(
                StatusCode::NOT_FOUND,
                format!("no verb {other}: allowed are {allowed}"),
            );
        }
    };
    let done = shared
        .engine()
        .act(&rollout, &verb, Timestamp::now(), shared.clock.elapsed());
    let saved = match done {
        Ok(saved) => saved,
        Err(Refused::Unknown) => return unknown(&rollout),
        Err(Refused::NotNow(why)) => return refuse(StatusCode::CONFLICT, why),
        Err(Refused::Released) => {
            let why = "another process is taking over: ask again in a moment";
            return refuse(StatusCode::SERVICE_UNAVAILABLE, why.to_owned());
        }
    };
    // The answer is given when the decision would survive the process. The disk may be slow, so not on this thread.
    let durable = tokio::task::spawn_blocking(move || saved.wait()).await;
    if let Ok(Err(error)) = durable {
        tracing::error!("{error}: the verb acts, and would be lost with the process");
        let why = format!("{verb} is done, but a restart would undo it: {error}");
        return refuse(StatusCode::INSUFFICIENT_STORAGE, why);
    }
    show(State(shared), Path((namespace, name))).await
}

async fn metrics(State(shared): State<Pages>, headers: HeaderMap) -> Response {
    render(Arc::clone(&shared.exporter), &headers).await
}

/// The page of metrics, in the format that a request with these headers likes best.
pub(crate) async fn render(
    exporter: Arc<proxy::metrics::Exporter>,
    headers: &HeaderMap,
) -> Response {
    let accept = headers
        .get(header::ACCEPT)
        .and_then(|accept| accept.to_str().ok())
        .unwrap_or_default()
        .to_owned();
    // A scrape of many rollouts takes long, and health must be told meanwhile.
    match tokio::task::spawn_blocking(move || exporter.render(&accept)).await {
        Ok((content_type, body)) => ([(header::CONTENT_TYPE, content_type)], body).into_response(),
        Err(error) => refuse(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    }
}

/// Alive: the control loop turns.
async fn healthy(State(shared): State<Pages>) -> Response {
    let idle = shared.engine().idle(shared.clock.elapsed());
    if idle > controller::engine::TICK * 50 {
        return refuse(
            StatusCode::SERVICE_UNAVAILABLE,
            format!("the control loop stands still for {idle:.1?}"),
        );
    }
    "ok\n".into_response()
}

/// Ready: every worker serves a table that was compiled from the documents, and will go on doing so.
async fn ready(State(shared): State<Pages>) -> Response {
    if shared.is_draining.load(Ordering::Relaxed) {
        return refuse(
            StatusCode::SERVICE_UNAVAILABLE,
            "the process drains, and will end".to_owned(),
        );
    }
    let published = shared.routes.published();
    let served = shared.routes.served();
    if published.number() == 0 || served.is_empty() || served.iter().any(Option::is_none) {
        return refuse(
            StatusCode::SERVICE_UNAVAILABLE,
            "not every worker serves requests".to_owned(),
        );
    }
    "ok\n".into_response()
}
