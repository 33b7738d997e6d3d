//! Servers that the proxy forwards to.

use super::{PATIENCE, wire};
use socket2::{Domain, Socket, Type};
use std::{
    io::Write,
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
        mpsc,
    },
    thread,
};

/// A server under test. Its threads end with their connections.
pub(crate) struct Origin {
    pub(crate) address: SocketAddr,
    connections: Arc<AtomicUsize>,
    seen: Arc<Mutex<Vec<wire::Message>>>,
}

impl Origin {
    /// A server at `address` that counts its `connections`.
    pub(crate) fn at(address: SocketAddr, connections: Arc<AtomicUsize>) -> Self {
        Self {
            address,
            connections,
            seen: Arc::default(),
        }
    }

    /// How many connections it has accepted.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(SeqCst)
    }

    /// The requests that it has got.
    pub(crate) fn seen(&self) -> Vec<wire::Message> {
        self.seen.lock().unwrap().clone()
    }
}

/// A server that does what `serve` does with each connection.
pub(crate) fn raw(serve: impl Fn(TcpStream) + Send + Sync + 'static) -> Origin {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let origin = Origin {
        address: listener.local_addr().unwrap(),
        connections: Arc::default(),
        seen: Arc::default(),
    };
    let connections = Arc::clone(&origin.connections);
    let serve = Arc::new(serve);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(stream) = stream else { return };
            connections.fetch_add(1, SeqCst);
            stream.set_nodelay(true).unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            let serve = Arc::clone(&serve);
            thread::spawn(move || serve(stream));
        }
    });
    origin
}

/// A server that reads the head of each request and then does what `answer` does.
pub(crate) fn after_head(answer: impl Fn(&mut wire::Client) + Send + Sync + 'static) -> Origin {
    raw(move |stream| {
        let mut wire = wire::Client::from(stream);
        if wire.try_head().is_some() {
            answer(&mut wire);
        }
    })
}

/// A server that answers each request with these bytes and keeps the connection.
pub(crate) fn answering(response: &'static [u8]) -> Origin {
    raw(move |stream| {
        let mut wire = wire::Client::from(stream);
        while wire.try_message(false).is_some() {
            wire.send(response);
        }
    })
}

/// A server that answers a request whenever the channel gives the word for one, and keeps the connection.
pub(crate) fn held() -> (Origin, mpsc::Sender<()>) {
    let (go, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let origin = raw(move |stream| {
        let mut wire = wire::Client::from(stream);
        while wire.try_message(false).is_some() {
            let _ = wait.lock().unwrap().recv();
            wire.send("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
        }
    });
    (origin, go)
}

/// A well-behaved HTTP server.
pub(crate) fn http() -> Builder {
    Builder {
        status: 200,
        body: "ok".to_owned(),
    }
}

pub(crate) struct Builder {
    status: u16,
    body: String,
}

impl Builder {
    /// Answers with `status`.
    pub(crate) fn status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    /// Answers with `body`.
    pub(crate) fn body(mut self, body: &str) -> Self {
        body.clone_into(&mut self.body);
        self
    }

    /// Starts the server.
    pub(crate) fn run(self) -> Origin {
        let response = format!(
            "HTTP/1.1 {} X\r\ncontent-length: {}\r\n\r\n{}",
            self.status,
            self.body.len(),
            self.body
        );
        let seen: Arc<Mutex<Vec<wire::Message>>> = Arc::default();
        let kept = Arc::clone(&seen);
        let mut origin = raw(move |stream| {
            let mut wire = wire::Client::from(stream);
            while let Some(request) = wire.try_message(false) {
                kept.lock().unwrap().push(request);
                let _ = wire.stream.write_all(response.as_bytes());
            }
        });
        origin.seen = seen;
        origin
    }
}

/// An address that refuses connections.
pub(crate) fn refusing() -> SocketAddr {
    let any: SocketAddr = (Ipv4Addr::LOCALHOST, 0).into();
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&any.into()).unwrap();
    let address = socket.local_addr().unwrap();
    // It never listens, and nobody else gets the port before the test process ends.
    std::mem::forget(socket);
    address.as_socket().unwrap()
}

/// Runs `serve` with a socket that listens, on a thread of its own that goes on until the process ends. Gives the socket's
/// address.
pub(crate) fn on_its_own_runtime<W>(
    serve: impl FnOnce(tokio::net::TcpListener) -> W + Send + 'static,
) -> SocketAddr
where
    W: Future<Output = ()> + 'static,
{
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    listener.set_nonblocking(true).unwrap();
    thread::spawn(move || {
        super::run(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            serve(listener).await;
        });
    });
    address
}
