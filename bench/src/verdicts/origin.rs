//! The servers behind: each does what its script says, and remembers what came.

use super::rivals::Record;
use super::script::{Answer, Arrival, Behaviour, Script};
use crate::requests::RequestEnds;
use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

/// A server and what came to it. Runs on the runtime that started it.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    pub(crate) address: SocketAddr,
    shared: Arc<Mutex<Shared>>,
}

/// What came since the last [`Origin::renew`].
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) requests: u64,
    pub(crate) failed: u64,
}

#[derive(Debug)]
struct Shared {
    began: Instant,
    script: Script,
    seen: Seen,
    /// Every request since the last [`Origin::renew`]. Nothing before the first one: a stable's are not kept.
    arrivals: Option<Vec<Arrival>>,
}

impl Origin {
    /// Starts a server on loopback.
    pub(crate) async fn start(behaviour: Behaviour, seed: u64) -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Mutex::new(Shared {
            began: Instant::now(),
            script: Script::new(behaviour, Duration::ZERO, seed),
            seen: Seen::default(),
            arrivals: None,
        }));
        tokio::spawn(accept(listener, Arc::clone(&shared)));
        Ok(Self { address, shared })
    }

    /// Another version is here now: nothing has come to it yet.
    pub(crate) fn renew(&self, behaviour: Behaviour, seed: u64) {
        let mut shared = lock(&self.shared);
        shared.script = Script::new(behaviour, shared.began.elapsed(), seed);
        shared.seen = Seen::default();
        shared.arrivals = Some(Vec::new());
    }

    pub(crate) fn seen(&self) -> Seen {
        lock(&self.shared).seen
    }

    /// The requests since the last [`Origin::renew`], taken out, and the script as it stands.
    pub(crate) fn record(&self) -> Record {
        let mut shared = lock(&self.shared);
        Record {
            arrivals: shared.arrivals.take().unwrap_or_default(),
            script: shared.script.clone(),
        }
    }
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn accept(listener: TcpListener, shared: Arc<Mutex<Shared>>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => drop(tokio::spawn(serve(stream, Arc::clone(&shared)))),
            // Only the connection is lost; the proxy sees it and a user's request fails.
            Err(_) => tokio::task::yield_now().await,
        }
    }
}

/// Answers until the other side is gone. Requests have no body and come one after the other.
async fn serve(mut stream: TcpStream, shared: Arc<Mutex<Shared>>) {
    let _ = stream.set_nodelay(true);
    let mut buffer = vec![0; 4 * 1024];
    let mut ends = RequestEnds::default();
    while let Ok(read @ 1..) = stream.read(&mut buffer).await {
        for _ in 0..ends.count(&buffer[..read]) {
            let answer = lock(&shared).take();
            tokio::time::sleep(answer.after).await;
            let response: &[u8] = if answer.fails {
                b"HTTP/1.1 500 Failed\r\ncontent-length: 0\r\n\r\n"
            } else {
                b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"
            };
            if stream.write_all(response).await.is_err() {
                return;
            }
        }
    }
}

impl Shared {
    fn take(&mut self) -> Answer {
        let at = self.began.elapsed();
        let answer = self.script.answer(at);
        let fails = answer.fails;
        self.seen.requests += 1;
        self.seen.failed += u64::from(fails);
        if let Some(arrivals) = &mut self.arrivals {
            arrivals.push(Arrival { at, fails });
        }
        answer
    }
}
