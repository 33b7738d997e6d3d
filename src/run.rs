//! `sluice run`: proxy, controller and admin server, wired into one process.

mod config;
mod control;
pub(crate) mod descriptors;
pub(crate) mod documents;
mod drain;
mod ending;
mod notify;
mod prepared;
mod renew;
mod running;
mod takeover;

pub(crate) use drain::drain;
pub(crate) use ending::{Ending, Event, Signals};
pub(crate) use prepared::{exporter, workers};
pub(crate) use running::Running;

use crate::cli::RunArgs;
use controller::{engine::Saved, spec::Edge, store};
use notify::News;
use prepared::Prepared;
use std::{
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};
use takeover::Taking;
use tokio::{net::UnixListener, runtime::Runtime};

/// For requests under way when the process is asked to end, unless the document says otherwise.
const DRAIN: Duration = Duration::from_secs(30);
/// Between two attempts to get a state file that another process holds.
const RETRY: Duration = Duration::from_millis(20);

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
    /// The process that runs goes on.
    #[error("cannot take over: {0}")]
    Takeover(#[from] takeover::Failed),
}

/// Starts everything that `files` ask for.
///
/// # Errors
/// The documents, an address or the state file cannot be used; nothing runs then.
pub(crate) fn start(files: &[PathBuf]) -> Result<Running, StartError> {
    let prepared = Prepared::read(files)?;
    let (listeners, admin) = prepared.listen(None)?;
    prepared.start(listeners, admin, None)
}

/// As [`start`], with the sockets and the rollouts of the process that has the state file in use.
///
/// # Errors
/// As with [`start`]; and the other process refuses, or there is none. It goes on then, as if nothing had happened.
pub(crate) fn take_over(files: &[PathBuf]) -> Result<Running, StartError> {
    let prepared = Prepared::read(files)?;
    let (mut taking, sockets) = Taking::begin(&takeover::path(&prepared.state_file))?;
    let (listeners, admin) = prepared.listen(Some(sockets))?;
    taking.release()?;
    prepared.start(listeners, admin, Some(taking))
}

/// Runs the files until the process is asked to end, or another one takes over.
pub(crate) fn run(args: &RunArgs) -> ExitCode {
    descriptors::allow_all();
    let started = match args.takeover {
        true => take_over(&args.files),
        false => start(&args.files),
    };
    let mut running = match started {
        Ok(running) => running,
        Err(error) => {
            eprintln!("sluice: {error}");
            return ExitCode::from(2);
        }
    };
    let (runtime, mut signals) = match listen_to_signals() {
        Ok(listening) => listening,
        Err(error) => {
            let ending = Ending::Deaf(error.to_string());
            tracing::error!("{ending}; draining");
            running.shutdown();
            return ending.exit_code();
        }
    };
    let ending = serve(&mut running, &runtime, &mut signals, args);
    tracing::info!("{ending}; draining");
    if ending != Ending::Succeeded {
        notify::tell(News::Stopping);
    }
    running.drain(&runtime, &mut signals, &ending);
    ending.exit_code()
}

/// A runtime for what comes from outside, and the signals.
pub(crate) fn listen_to_signals() -> io::Result<(Runtime, Signals)> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let signals = runtime.block_on(async { Signals::listen() })?;
    Ok((runtime, signals))
}

/// Serves until the process has to end.
fn serve(
    running: &mut Running,
    runtime: &Runtime,
    signals: &mut Signals,
    args: &RunArgs,
) -> Ending {
    let successors = runtime.block_on(async { wait_for_successors(&running.state_file) });
    for (address, scheme) in running.listeners.iter().zip(&running.schemes) {
        tracing::info!("requests come in at {scheme}://{address}");
    }
    tracing::info!("admin server at http://{}", running.admin);
    notify::tell(News::Ready);
    loop {
        match runtime.block_on(signals.next(&running.proxy, successors.as_ref())) {
            Event::Ending(ending) => return ending,
            Event::Renew => renew::renew(&args.files, &running.shared.is_draining),
            // Nothing else is heard meanwhile, which is short, and signals are not lost.
            Event::Successor(stream) => match running.hand_on(stream) {
                Ok(()) => return Ending::Succeeded,
                Err(failed) => tracing::warn!("not taken over: {failed}; this process goes on"),
            },
        }
    }
}

/// Begins to wait for processes that take over. Without that, this one serves all the same.
fn wait_for_successors(state_file: &Path) -> Option<UnixListener> {
    let path = takeover::path(state_file);
    match takeover::listen(&path).and_then(UnixListener::from_std) {
        Ok(successors) => Some(successors),
        Err(error) => {
            let path = path.display();
            tracing::warn!("{path}: {error}: no other process can take over from this one");
            None
        }
    }
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
