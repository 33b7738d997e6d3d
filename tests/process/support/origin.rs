//! A small HTTP server whose behaviour can be switched while it runs.

use super::{PATIENCE, wire};
use std::{
    io::{self, BufReader, Write},
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

/// The header in which an origin tells its version.
pub(crate) const VERSION: &str = "x-version";

/// What an origin does with a request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Behaviour {
    /// Answers 200.
    Good,
    /// Answers with this status.
    Answering(u16),
    /// Answers 500 to this share of requests, spread evenly.
    Failing(f64),
    /// Answers 200 after this time.
    Slow(Duration),
    /// Reads the request and does not answer it before the behaviour is another one.
    Hanging,
    /// Reads the request and closes the connection.
    Closing,
}

/// A server under test. Dropping it ends it.
#[derive(Debug)]
pub(crate) struct Origin {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
    accepting: Option<thread::JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    version: String,
    behaviour: Behaviour,
    requests: u64,
    failed: u64,
    stopped: bool,
    streams: Vec<TcpStream>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Origin {
    pub(crate) fn start(version: &str) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let state = State {
            version: version.to_owned(),
            behaviour: Behaviour::Good,
            requests: 0,
            failed: 0,
            stopped: false,
            streams: Vec::new(),
        };
        let shared = Arc::new(Shared {
            state: Mutex::new(state),
            changed: Condvar::new(),
        });
        let theirs = Arc::clone(&shared);
        let accepting = thread::spawn(move || accept(&listener, &theirs));
        Self {
            address,
            shared,
            accepting: Some(accepting),
        }
    }

    /// Puts `version` here, which does `behaviour`.
    pub(crate) fn deploy(&self, version: &str, behaviour: Behaviour) {
        let mut state = self.shared.lock();
        version.clone_into(&mut state.version);
        state.behaviour = behaviour;
        (state.requests, state.failed) = (0, 0);
        self.shared.changed.notify_all();
    }

    /// Changes what the version here does.
    pub(crate) fn behave(&self, behaviour: Behaviour) {
        self.shared.lock().behaviour = behaviour;
        self.shared.changed.notify_all();
    }

    /// How many requests the version here has got.
    pub(crate) fn requests(&self) -> u64 {
        self.shared.lock().requests
    }

    /// Vanishes: closes all connections and refuses new ones.
    pub(crate) fn stop(&mut self) {
        let mut state = self.shared.lock();
        state.stopped = true;
        for stream in state.streams.drain(..) {
            // It may be closed already.
            let _ = stream.shutdown(Shutdown::Both);
        }
        drop(state);
        self.shared.changed.notify_all();
        if let Some(accepting) = self.accepting.take() {
            // Wakes the thread, which sees then that it is to end.
            let _ = TcpStream::connect(self.address);
            let _ = accepting.join();
        }
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.stop();
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for stream in listener.incoming() {
        let mut state = shared.lock();
        if state.stopped {
            return;
        }
        let Ok(stream) = stream else { continue };
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(4 * PATIENCE)).unwrap();
        state.streams.push(stream.try_clone().unwrap());
        let shared = Arc::clone(shared);
        thread::spawn(move || {
            // A proxy that is killed leaves its connections in any state.
            let _ = serve(stream, &shared);
        });
    }
}

fn serve(mut stream: TcpStream, shared: &Shared) -> io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    while wire::read(&mut reader)?.is_some() {
        let Some((version, status)) = shared.answer() else {
            return stream.shutdown(Shutdown::Both);
        };
        let head =
            format!("HTTP/1.1 {status} X\r\n{VERSION}: {version}\r\ncontent-length: 3\r\n\r\nok\n");
        stream.write_all(head.as_bytes())?;
    }
    Ok(())
}

impl Shared {
    /// The version and status to answer with; nothing to close the connection.
    fn answer(&self) -> Option<(String, u16)> {
        let mut state = self.lock();
        state.requests += 1;
        while state.behaviour == Behaviour::Hanging && !state.stopped {
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        let version = state.version.clone();
        let status = match state.behaviour {
            Behaviour::Closing | Behaviour::Hanging => return None,
            Behaviour::Failing(share) if (state.failed as f64) < share * state.requests as f64 => {
                state.failed += 1;
                500
            }
            Behaviour::Answering(status) => status,
            Behaviour::Good | Behaviour::Failing(_) => 200,
            Behaviour::Slow(time) => {
                drop(state);
                thread::sleep(time);
                200
            }
        };
        Some((version, status))
    }
}
