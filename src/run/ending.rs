//! What ends the process, and what else it is asked for from outside.

use std::{fmt, io, os::unix::net::UnixStream, process::ExitCode};
use tokio::{
    net::UnixListener,
    signal::unix::{Signal, SignalKind, signal},
};

/// Why the process ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// It was asked to, by this signal.
    Signal(&'static str),
    /// Another process has taken over.
    Succeeded,
    /// A worker is gone, and with it a share of the connections.
    Worker(proxy::WorkerPanicked),
    /// Signals cannot be waited for.
    Deaf(String),
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Signal(name) => write!(f, "received {name}"),
            Self::Succeeded => f.write_str("another process has taken over"),
            Self::Worker(panicked) => panicked.fmt(f),
            Self::Deaf(why) => write!(f, "cannot wait for signals: {why}"),
        }
    }
}

impl Ending {
    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Self::Signal(_) | Self::Succeeded => ExitCode::SUCCESS,
            Self::Worker(_) | Self::Deaf(_) => ExitCode::FAILURE,
        }
    }

    /// How many signals more cut what is still under way. Who was not asked to end yet may be asked by the first.
    pub(crate) fn signals_to_cut(&self) -> usize {
        match self {
            Self::Signal(_) => 1,
            Self::Succeeded | Self::Worker(_) | Self::Deaf(_) => 2,
        }
    }
}

/// What may happen to a process that runs.
#[derive(Debug)]
pub(crate) enum Event {
    /// It has to end.
    Ending(Ending),
    /// It is to begin a process that takes over.
    Renew,
    /// A process wants to take over.
    Successor(UnixStream),
}

/// The signals that the process listens to, from when it serves.
#[derive(Debug)]
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    renew: Signal,
}

impl Signals {
    /// Begins to listen. Must be called within a runtime.
    ///
    /// # Errors
    /// Those of the system.
    pub(crate) fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            renew: signal(SignalKind::user_defined2())?,
        })
    }

    /// The next signal that asks the process to end.
    pub(crate) async fn end(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }

    /// What happens next.
    pub(crate) async fn next(
        &mut self,
        proxy: &proxy::Proxy,
        successors: Option<&UnixListener>,
    ) -> Event {
        tokio::select! {
            _ = self.terminate.recv() => Event::Ending(Ending::Signal("SIGTERM")),
            _ = self.interrupt.recv() => Event::Ending(Ending::Signal("SIGINT")),
            panicked = proxy.panicked() => Event::Ending(Ending::Worker(panicked)),
            _ = self.renew.recv() => Event::Renew,
            successor = accept(successors) => Event::Successor(successor),
        }
    }
}

async fn accept(successors: Option<&UnixListener>) -> UnixStream {
    if let Some(listener) = successors {
        loop {
            match listener
                .accept()
                .await
                .and_then(|(stream, _)| stream.into_std())
            {
                Ok(stream) => return stream,
                Err(error) => {
                    tracing::warn!("a process that wants to take over cannot be heard: {error}");
                    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
                }
            }
        }
    }
    std::future::pending().await
}
