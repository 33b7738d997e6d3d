//! What ends the process.

use std::{fmt, io, process::ExitCode};
use tokio::signal::unix::{SignalKind, signal};

/// Why the process ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// It was asked to, by this signal.
    Signal(&'static str),
    /// A worker is gone, and with it a share of the connections.
    Worker(proxy::WorkerPanicked),
    /// Signals cannot be waited for.
    Deaf(String),
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Signal(name) => write!(f, "received {name}"),
            Self::Worker(panicked) => panicked.fmt(f),
            Self::Deaf(why) => write!(f, "cannot wait for signals: {why}"),
        }
    }
}

impl Ending {
    pub(super) fn exit_code(&self) -> ExitCode {
        match self {
            Self::Signal(_) => ExitCode::SUCCESS,
            Self::Worker(_) | Self::Deaf(_) => ExitCode::FAILURE,
        }
    }
}

/// Waits until the process is asked to end or must.
pub(super) fn wait(proxy: &proxy::Proxy) -> Ending {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let waited = runtime.and_then(|runtime| runtime.block_on(wait_in_runtime(proxy)));
    waited.unwrap_or_else(|error| Ending::Deaf(error.to_string()))
}

async fn wait_in_runtime(proxy: &proxy::Proxy) -> io::Result<Ending> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(tokio::select! {
        _ = terminate.recv() => Ending::Signal("SIGTERM"),
        _ = interrupt.recv() => Ending::Signal("SIGINT"),
        panicked = proxy.panicked() => Ending::Worker(panicked),
    })
}
