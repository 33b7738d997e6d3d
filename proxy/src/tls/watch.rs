//! The thread that looks after the files.

use super::Tls;
use std::{
    io,
    sync::{
        Arc,
        mpsc::{self, RecvTimeoutError, Sender},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

/// Looks for changed files as long as it lives. Reading them is no work for a thread that serves requests.
#[derive(Debug)]
pub(crate) struct Watch {
    /// Its end is what stops the thread.
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    /// Looks each time that `interval` has passed.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub(crate) fn start(tls: Arc<Tls>, interval: Duration) -> io::Result<Self> {
        let (stop, stopped) = mpsc::channel();
        let look = move || {
            while stopped.recv_timeout(interval) == Err(RecvTimeoutError::Timeout) {
                tls.reload();
            }
        };
        let thread = thread::Builder::new().name("certificates".to_owned());
        Ok(Self {
            stop: Some(stop),
            thread: Some(thread.spawn(look)?),
        })
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // It ended by a panic of its own at worst, which was told.
            let _ = thread.join();
        }
    }
}
