//! An origin that writes down what it sees, and tells who asked what it saw.

mod http2;

use super::{
    origin,
    strict::{Message, Next, Strict},
};
use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};

/// The header in which the answer to a request says what was asked for.
pub(crate) const ASKED: &str = "x-asked";

/// Something that came on a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Which of the connections.
    pub(crate) connection: usize,
    pub(crate) next: Next,
}

/// What is answered to a request for [`SCRIPTED`].
#[derive(Clone, Debug, Default)]
pub(crate) struct Script {
    pub(crate) bytes: Vec<u8>,
    /// Whether nothing more is sent on the connection.
    pub(crate) is_last: bool,
}

/// The path of requests that are answered as the script says.
pub(crate) const SCRIPTED: &str = "/scripted";

/// The origin.
pub(crate) struct Recorder {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    seen: Arc<Mutex<Vec<Seen>>>,
    script: Arc<Mutex<Script>>,
}

impl Recorder {
    /// Speaks HTTP/1.
    pub(crate) fn start() -> Self {
        let mut recorder = Self::idle();
        let kept = Arc::clone(&recorder.seen);
        let script = Arc::clone(&recorder.script);
        let connections = Arc::clone(&recorder.connections);
        let origin = origin::raw(move |stream| {
            let mut strict = Strict::from(stream);
            let connection = connections.fetch_add(1, SeqCst);
            loop {
                let next = strict.request();
                let asked = match &next {
                    Next::Message(message) => Some(message.start.clone()),
                    Next::End | Next::Silence => return,
                    Next::Cut(_) | Next::Invalid(_) => None,
                };
                kept.lock().unwrap().push(Seen { connection, next });
                let Some(asked) = asked else { return };
                let script = script.lock().unwrap().clone();
                answer(&mut strict, &asked, &script);
            }
        });
        recorder.address = origin.address;
        recorder
    }

    /// Speaks HTTP/2, and knows no script.
    pub(crate) fn start_http2() -> Self {
        let mut recorder = Self::idle();
        recorder.address = http2::start(&recorder);
        recorder
    }

    fn idle() -> Self {
        Self {
            address: (Ipv4Addr::LOCALHOST, 0).into(),
            connections: Arc::default(),
            seen: Arc::default(),
            script: Arc::default(),
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many connections it has accepted.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(SeqCst)
    }

    /// Sets what is answered to requests for [`SCRIPTED`].
    pub(crate) fn set(&self, script: Script) {
        *self.script.lock().unwrap() = script;
    }

    /// What came since this was asked last.
    pub(crate) fn take(&self) -> Vec<Seen> {
        std::mem::take(&mut self.seen.lock().unwrap())
    }
}

fn answer(strict: &mut Strict, asked: &str, script: &Script) {
    let (method, target) = asked.split_once(' ').unwrap();
    if target == SCRIPTED {
        strict.send(&script.bytes);
        if script.is_last {
            strict.finish();
        }
        return;
    }
    let body = if method == "HEAD" { "" } else { "seen" };
    let answer = format!("HTTP/1.1 200 OK\r\n{ASKED}: {asked}\r\ncontent-length: 4\r\n\r\n{body}");
    strict.send(answer.as_bytes());
}

/// The messages among what was seen.
pub(crate) fn messages(seen: &[Seen]) -> Vec<&Message> {
    let whole = seen.iter().filter_map(|seen| match &seen.next {
        Next::Message(message) => Some(message),
        _ => None,
    });
    whole.collect()
}
