//! A way to the API server on which what is sent can be held up, and comes late.

use anyhow::Result;
use serde_json::json;
use std::{
    net::SocketAddr,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};
use tempfile::NamedTempFile;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
    task::{AbortHandle, JoinSet},
};

/// Passes connections on, byte by byte.
pub(crate) struct Way {
    address: SocketAddr,
    is_held: watch::Sender<bool>,
    /// How many connections wait for the answer to something that was held up.
    late: Arc<watch::Sender<usize>>,
    passing: Option<AbortHandle>,
}

impl Way {
    /// One to `server`.
    pub(crate) async fn to(server: &'static str) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let mut way = Self {
            address: listener.local_addr()?,
            is_held: watch::Sender::new(false),
            late: Arc::new(watch::Sender::new(0)),
            passing: None,
        };
        let (held, late) = (way.is_held.subscribe(), Arc::clone(&way.late));
        let passing = tokio::spawn(async move {
            // Dropped with this task.
            let mut connections = JoinSet::new();
            while let Ok((from, _)) = listener.accept().await {
                let Ok(to) = TcpStream::connect(server).await else {
                    break;
                };
                let (from_client, to_client) = from.into_split();
                let (from_server, to_server) = to.into_split();
                let late = Arc::new(Late {
                    is_awaited: AtomicBool::new(false),
                    all: Arc::clone(&late),
                });
                connections.spawn(there(
                    from_client,
                    to_server,
                    held.clone(),
                    Arc::clone(&late),
                ));
                connections.spawn(back(from_server, to_client, late));
            }
        });
        way.passing = Some(passing.abort_handle());
        Ok(way)
    }

    /// Cuts all connections, for good: nobody is there any more.
    pub(crate) fn cut(&self) {
        self.passing.iter().for_each(AbortHandle::abort);
    }

    /// A copy of a kubeconfig that leads along this way.
    pub(crate) fn kubeconfig(&self, kubeconfig: &Path) -> Result<NamedTempFile> {
        super::process::changed(kubeconfig, |config| {
            config["clusters"][0]["cluster"]["server"] = json!(format!("https://{}", self.address));
        })
    }

    /// Holds up what is sent from now on.
    pub(crate) fn hold(&self) {
        self.is_held.send_replace(true);
    }

    /// Lets go on what was held up.
    pub(crate) fn release(&self) {
        self.is_held.send_replace(false);
    }

    /// Waits until something is held up on so many connections.
    pub(crate) async fn held(&self, connections: usize) {
        // It is not dropped before this.
        let _ = self
            .late
            .subscribe()
            .wait_for(|late| *late >= connections)
            .await;
    }

    /// Waits until all that was held up has been answered.
    pub(crate) async fn is_quiet(&self) {
        let _ = self.late.subscribe().wait_for(|late| *late == 0).await;
    }
}

/// From client to server.
async fn there(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut is_held: watch::Receiver<bool>,
    late: Arc<Late>,
) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        if *is_held.borrow() {
            late.begins();
            if is_held.wait_for(|is_held| !is_held).await.is_err() {
                return;
            }
        }
        if to.write_all(&buffer[..length]).await.is_err() {
            return;
        }
    }
    // A server that hears that its client has gone might not do what it was asked for.
    while late.is_awaited() {
        if is_held.changed().await.is_err() {
            return;
        }
    }
}

/// From server to client, also when the client does not listen any more.
async fn back(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, late: Arc<Late>) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        late.ends();
        let _ = to.write_all(&buffer[..length]).await;
    }
    late.ends();
}

/// Whether a connection waits for the answer to something that was held up.
struct Late {
    is_awaited: AtomicBool,
    all: Arc<watch::Sender<usize>>,
}

impl Late {
    fn is_awaited(&self) -> bool {
        self.is_awaited.load(Ordering::Relaxed)
    }

    fn begins(&self) {
        if !self.is_awaited.swap(true, Ordering::Relaxed) {
            self.all.send_modify(|late| *late += 1);
        }
    }

    fn ends(&self) {
        if self.is_awaited.swap(false, Ordering::Relaxed) {
            self.all.send_modify(|late| *late -= 1);
        }
    }
}
