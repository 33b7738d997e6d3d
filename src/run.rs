//! `sluice run`: proxy, controller and admin server, wired into one process.

mod config;
mod control;
pub(crate) mod documents;
mod ending;

use crate::admin::{self, Admin};
use controller::{
    engine::{Engine, Saved},
    files::Files,
    spec::Edge,
    store::{self, Store},
};
use std::{
    io,
    net::SocketAddr,
    num::NonZeroUsize,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};
use traffic::{Routes, Stats};

/// For requests under way when the process is asked to end, unless the document says otherwise.
const DRAIN: Duration = Duration::from_secs(30);

/// A process under way. [`Running::shutdown`] ends it in good order.
pub(crate) struct Running {
    /// Where the admin server listens.
    pub(crate) admin: SocketAddr,
    /// Where requests come in.
    pub(crate) listeners: Vec<SocketAddr>,
    proxy: proxy::Proxy,
    control: control::Control,
    admin_server: Admin,
    drain: Duration,
}

/// Why the process did not start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    /// The documents cannot be acted on.
    #[error("{0}")]
    Documents(documents::Problems),
    /// The state file cannot be used.
    #[error("state file {path}: {why}")]
    State {
        /// The file.
        path: String,
        /// What is wrong, and what to do.
        why: String,
    },
    /// The token file cannot be used.
    #[error("token file {path}: {why}")]
    Token {
        /// The file.
        path: String,
        /// What is wrong.
        why: String,
    },
    /// The proxy cannot start.
    #[error(transparent)]
    Proxy(#[from] proxy::StartError),
    /// The admin server cannot start.
    #[error("admin server at {address}: {why}")]
    Admin {
        /// Its address.
        address: SocketAddr,
        /// What is wrong.
        why: io::Error,
    },
    /// The system gives no thread.
    #[error("no thread for the control loop: {0}")]
    Thread(io::Error),
}

/// Starts everything that `files` ask for.
///
/// # Errors
/// The documents, an address or the state file cannot be used; nothing runs then.
pub(crate) fn start(files: &[PathBuf]) -> Result<Running, StartError> {
    let mut files = Files::new(files.to_vec());
    let (spec, folder) = documents::load(&mut files).map_err(StartError::Documents)?;
    let edge = spec.edge.clone();
    let state_file = state_file(&edge, &folder);
    let refused = |why: String| StartError::State {
        path: state_file.display().to_string(),
        why,
    };
    let token = edge
        .token_file
        .as_ref()
        .map(|file| token(&folder.join(file)))
        .transpose()?;
    let store = Store::open(state_file.clone()).map_err(|error| refused(error.to_string()))?;
    let saved = saved(&state_file).map_err(refused)?;

    let workers = edge
        .workers
        .or_else(|| thread::available_parallelism().ok())
        .unwrap_or(NonZeroUsize::MIN);
    let (stats, routes) = (
        Arc::new(Stats::new(workers.get())),
        Arc::new(Routes::default()),
    );
    let clock = proxy::Clock::start();
    let mut engine = Engine::new(spec, saved, Arc::clone(&stats), Arc::clone(&routes), store);
    // The first table is there before the first request.
    engine.tick(jiff::Timestamp::now(), clock.elapsed());
    let proxy = proxy::start(&config::config(&edge, workers), &routes, clock)?;

    let mut exporter = proxy::metrics::Exporter::new(stats, Arc::clone(&routes));
    exporter.add_connections(proxy.counters());
    let engine = Arc::new(Mutex::new(engine));
    crate::metrics::register(exporter.registry_mut(), &engine);
    let exporter = Arc::new(exporter);
    let shared = admin::Shared {
        engine: Arc::clone(&engine),
        routes: Arc::clone(&routes),
        exporter: Arc::clone(&exporter),
        clock,
        token,
    };
    let admin_server = admin::start(edge.admin, shared).map_err(|why| StartError::Admin {
        address: edge.admin,
        why,
    })?;
    let control = control::start(control::Loop {
        engine,
        files,
        clock,
        exporter,
        routes,
    })
    .map_err(StartError::Thread)?;
    Ok(Running {
        admin: admin_server.address,
        listeners: proxy.addresses().to_vec(),
        proxy,
        control,
        admin_server,
        drain: edge.timeouts.drain.unwrap_or(DRAIN),
    })
}

impl Running {
    /// Accepts nothing more, finishes the requests under way within the drain deadline, keeps the state, and ends.
    pub(crate) fn shutdown(self) {
        let drained = self.proxy.shutdown(self.drain);
        if drained.cut > 0 {
            tracing::warn!(
                "{} connections were cut at the drain deadline of {:.0?}",
                drained.cut,
                self.drain
            );
        }
        // Verdicts and scrapes go on until the last request has ended.
        self.control.stop();
        drop(self.admin_server);
    }
}

/// Runs `files` until the process is asked to end.
pub(crate) fn run(files: &[PathBuf]) -> ExitCode {
    let running = match start(files) {
        Ok(running) => running,
        Err(error) => {
            eprintln!("sluice: {error}");
            return ExitCode::from(2);
        }
    };
    for address in &running.listeners {
        tracing::info!("requests come in at http://{address}");
    }
    tracing::info!("admin server at http://{}", running.admin);
    let ended = ending::wait(&running.proxy);
    tracing::info!("{ended}; draining");
    running.shutdown();
    ended.exit_code()
}

fn state_file(edge: &Edge, folder: &Path) -> PathBuf {
    folder.join(
        edge.state_file
            .as_deref()
            .unwrap_or_else(|| Path::new("sluice-state.json")),
    )
}

fn saved(file: &Path) -> Result<Saved, String> {
    let Some(bytes) = store::read(file).map_err(|error| error.to_string())? else {
        return Ok(Saved::default());
    };
    Saved::from_bytes(&bytes).map_err(|error| {
        format!("{error}. Move it away to begin with all rollouts at the template of their file")
    })
}

fn token(file: &Path) -> Result<Arc<str>, StartError> {
    let refused = |why: String| StartError::Token {
        path: file.display().to_string(),
        why,
    };
    let token = std::fs::read_to_string(file).map_err(|error| refused(error.to_string()))?;
    match token.trim() {
        "" => Err(refused(
            "is empty; it must hold the token on one line".to_owned(),
        )),
        token => Ok(token.into()),
    }
}
