//! Users: an open-loop load over keep-alive connections.
//!
//! Requests leave by a schedule that does not know how the answers fare. At most [`USERS`] are under way at one time;
//! when all of them wait for an answer, the schedule waits too.

use super::wire::Connection;
use std::{
    collections::BTreeMap,
    net::{Shutdown, SocketAddr, TcpStream},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
    thread,
    time::{Duration, Instant},
};

const USERS: usize = 48;

/// What became of all requests so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Totals {
    /// Answers by version and status. What the proxy answered itself is under `nobody`.
    pub(crate) answers: BTreeMap<(String, u16), u64>,
    /// Requests that were not answered at all.
    pub(crate) unanswered: u64,
}

impl Totals {
    /// Answers of `version`.
    pub(crate) fn of(&self, version: &str) -> u64 {
        self.sum(|found, _| found == version)
    }

    /// All answers.
    pub(crate) fn answered(&self) -> u64 {
        self.sum(|_, _| true)
    }

    /// Requests that users saw fail.
    pub(crate) fn failed(&self) -> u64 {
        self.unanswered + self.sum(|_, status| status >= 500)
    }

    fn sum(&self, which: impl Fn(&str, u16) -> bool) -> u64 {
        self.answers
            .iter()
            .filter(|((version, status), _)| which(version, *status))
            .map(|(_, n)| n)
            .sum()
    }
}

/// A load under way. Dropping it ends it.
#[derive(Debug)]
pub(crate) struct Load {
    shared: Arc<Shared>,
    users: Vec<thread::JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    target: SocketAddr,
    interval: Duration,
    start: Instant,
    next: AtomicU64,
    stopped: AtomicBool,
    totals: Mutex<Totals>,
    sockets: Mutex<Vec<TcpStream>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Load {
    /// Sends `rps` requests a second to `target`.
    pub(crate) fn start(target: SocketAddr, rps: u32) -> Self {
        let shared = Arc::new(Shared {
            target,
            interval: Duration::from_secs(1) / rps,
            start: Instant::now(),
            next: AtomicU64::new(0),
            stopped: AtomicBool::new(false),
            totals: Mutex::default(),
            sockets: Mutex::default(),
        });
        let user = |_| {
            let shared = Arc::clone(&shared);
            thread::spawn(move || shared.use_it())
        };
        let users = (0..USERS).map(user).collect();
        Self { shared, users }
    }

    /// What became of all requests so far.
    pub(crate) fn totals(&self) -> Totals {
        lock(&self.shared.totals).clone()
    }

    /// Waits for `n` more answers, and tells what became of the requests since.
    pub(crate) fn more(&self, n: u64) -> Totals {
        let before = self.totals();
        super::eventually("more requests are answered", || {
            self.totals().answered() >= before.answered() + n
        });
        let mut since = self.totals();
        since.unanswered -= before.unanswered;
        for (key, n) in &mut since.answers {
            *n -= before.answers.get(key).copied().unwrap_or_default();
        }
        since
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.shared.stopped.store(true, SeqCst);
        for socket in lock(&self.shared.sockets).drain(..) {
            // It may be closed already.
            let _ = socket.shutdown(Shutdown::Both);
        }
        for user in self.users.drain(..) {
            // A user that panicked has printed why.
            let _ = user.join();
        }
    }
}

impl Shared {
    fn use_it(&self) {
        let mut connection = None;
        while !self.stopped.load(SeqCst) {
            let due = self.start + self.interval * self.next.fetch_add(1, SeqCst) as u32;
            thread::sleep(due.saturating_duration_since(Instant::now()));
            let answer = connection
                .take()
                .or_else(|| self.connect())
                .and_then(|mut open| {
                    let answer = open.get("/", "").ok()?;
                    connection = Some(open);
                    Some(answer)
                });
            if self.stopped.load(SeqCst) {
                return;
            }
            let mut totals = lock(&self.totals);
            match answer {
                Some(answer) => {
                    *totals
                        .answers
                        .entry((answer.version().to_owned(), answer.status()))
                        .or_default() += 1
                }
                None => totals.unanswered += 1,
            }
        }
    }

    fn connect(&self) -> Option<Connection> {
        let connection = Connection::open(self.target).ok()?;
        let mut sockets = lock(&self.sockets);
        sockets.push(connection.socket().ok()?);
        // One that is opened while the load ends was not seen by who ends it.
        (!self.stopped.load(SeqCst)).then_some(connection)
    }
}
