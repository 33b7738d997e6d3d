//! Clients that ask one after the other without rest: with a new connection each time, or with one for as long as they
//! are let.

use super::wire::{Connection, Message};
use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    thread,
    time::Duration,
};

/// Between two requests of one client: enough to leave the machine to others, and to let connections lie idle.
const REST: Duration = Duration::from_millis(2);

/// What became of all requests so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    /// Answers with status 200.
    pub(crate) answered: u64,
    /// Connections that were closed just when a request was sent on them, which no server can keep from happening
    /// without waiting for ever. Every client sends such a request again on a new connection (RFC 9112 section 9.3.1).
    pub(crate) torn: u64,
    /// Everything else.
    pub(crate) failures: Vec<String>,
}

/// Clients under way. Dropping them ends them.
#[derive(Debug)]
pub(crate) struct Crowd {
    stopped: Arc<AtomicBool>,
    tally: Arc<Mutex<Tally>>,
    clients: Vec<thread::JoinHandle<()>>,
}

fn lock(tally: &Mutex<Tally>) -> MutexGuard<'_, Tally> {
    tally.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Crowd {
    /// So many clients that open a connection for every request, and so many that keep theirs.
    pub(crate) fn start(target: SocketAddr, fresh: usize, keeping: usize) -> Self {
        let stopped = Arc::<AtomicBool>::default();
        let tally = Arc::<Mutex<Tally>>::default();
        let client = |keeps| {
            let (stopped, tally) = (Arc::clone(&stopped), Arc::clone(&tally));
            thread::spawn(move || {
                let mut connection = None;
                while !stopped.load(SeqCst) {
                    ask(target, &mut connection, keeps, &tally);
                    thread::sleep(REST);
                }
            })
        };
        let keeps = (0..fresh + keeping).map(|n| n >= fresh);
        let clients = keeps.map(client).collect();
        Self {
            stopped,
            tally,
            clients,
        }
    }

    pub(crate) fn tally(&self) -> Tally {
        lock(&self.tally).clone()
    }

    /// Waits for `n` more answers.
    pub(crate) fn more(&self, n: u64) {
        let before = self.tally().answered;
        super::eventually("more requests are answered", || {
            self.tally().answered >= before + n
        });
    }

    /// Ends all clients, and brings what became of their requests.
    pub(crate) fn end(mut self) -> Tally {
        self.stop();
        self.tally()
    }

    fn stop(&mut self) {
        self.stopped.store(true, SeqCst);
        for client in self.clients.drain(..) {
            // One that panicked has printed why.
            let _ = client.join();
        }
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        self.stop();
    }
}

fn ask(target: SocketAddr, kept: &mut Option<Connection>, keeps: bool, tally: &Mutex<Tally>) {
    let reused = kept.take().filter(|kept| !kept.has_ended().unwrap_or(true));
    let is_reused = reused.is_some();
    let answer = exchange(target, reused);
    let mut tally = lock(tally);
    match answer {
        Ok((answer, connection)) if answer.status() == 200 => {
            tally.answered += 1;
            let closes = answer.header("connection") == Some("close");
            *kept = (keeps && !closes).then_some(connection);
        }
        Ok((answer, _)) => tally.failures.push(answer.first),
        Err(error) if is_reused && is_closed(&error) => tally.torn += 1,
        Err(error) => tally.failures.push(format!("{:?}: {error}", error.kind())),
    }
}

fn exchange(target: SocketAddr, kept: Option<Connection>) -> io::Result<(Message, Connection)> {
    let mut connection = match kept {
        Some(connection) => connection,
        None => Connection::open(target)?,
    };
    let answer = connection.get("/", "")?;
    Ok((answer, connection))
}

fn is_closed(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    matches!(
        error.kind(),
        BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof
    )
}
