//! A client's connection.

mod desk;
pub(crate) mod http1;
pub(crate) mod http2;

pub(crate) use desk::Desks;

use crate::{
    http1::{Preface, is_http2_preface},
    http2::Handle,
    input::{HEAD_ROOM, poll_read},
    pool::Key,
    proxy_protocol::{self, Header},
    request::{Peer, Scheme},
    shared::Place,
    stream::Stream,
    tls,
    watch::Watch,
    worker::{Gate, Open, Worker},
};
use bytes::BytesMut;
use http::{HeaderMap, StatusCode, response};
use std::{
    cell::RefCell,
    future::poll_fn,
    io,
    net::SocketAddr,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::yield_now,
    time::{Instant, Sleep, sleep_until, timeout},
};

/// How long a client may go on sending a body that nobody reads, after the answer to it was sent.
const LINGER: Duration = Duration::from_secs(2);

/// What the requests of one client's connection share.
#[derive(Debug)]
pub(crate) struct Client {
    /// The worker that serves it.
    pub(crate) worker: Rc<Worker>,
    /// The listener that it came in at.
    pub(crate) gate: Rc<Gate>,
    /// Where it connected from, or the PROXY header says that it did.
    pub(crate) source: SocketAddr,
    /// Where it connected to.
    pub(crate) destination: SocketAddr,
    /// What endpoints are told of it.
    pub(crate) peer: Peer,
    /// The connections to endpoints that say, with the PROXY protocol, that they are for it.
    pub(crate) own: RefCell<Vec<Key>>,
}

impl Drop for Client {
    /// Nobody else can use what is for it only.
    fn drop(&mut self) {
        for key in self.own.take() {
            self.worker.pool.forget(&key);
        }
    }
}

/// One request of a client, for as long as it lasts.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    /// Whose it is.
    pub(crate) client: Rc<Client>,
    /// What it waits for, and how long it may.
    pub(crate) watch: Rc<Watch>,
    /// Where interim answers go.
    pub(crate) early: Early,
}

/// Where interim answers (1xx) to a request go.
#[derive(Clone)]
pub(crate) enum Early {
    /// To a client that does not know them.
    Nowhere,
    /// To a client that speaks HTTP/1.1.
    Http1(Rc<http1::Io>),
    /// To a client that speaks HTTP/2.
    Http2(Rc<Handle>),
}

impl Early {
    /// Has a client that speaks HTTP/2 send the body that it holds back (RFC 9110 section 10.1.1).
    pub(crate) fn go_on(&self) {
        if let Self::Http2(handle) = self {
            handle.inform(StatusCode::CONTINUE, &HeaderMap::new());
        }
    }

    /// Sends an interim answer (RFC 9110 section 15.2).
    pub(crate) fn inform(&self, interim: &response::Parts) {
        // To continue, the client was told before its body was read. To change the protocol ends HTTP/1 and is unknown
        // to HTTP/2 (RFC 9113 section 8.6): an endpoint that says it nevertheless would have the client read what follows
        // as something else.
        if [StatusCode::CONTINUE, StatusCode::SWITCHING_PROTOCOLS].contains(&interim.status) {
            return;
        }
        let mut headers = interim.headers.clone();
        crate::headers::remove_hop_by_hop(&mut headers);
        match self {
            Self::Nowhere => {}
            Self::Http1(io) => io.inform(interim.status, &headers),
            Self::Http2(handle) => handle.inform(interim.status, &headers),
        }
    }
}

impl std::fmt::Debug for Early {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Nowhere => "Nowhere",
            Self::Http1(_) => "Http1",
            Self::Http2(_) => "Http2",
        })
    }
}

/// Serves a client's connection to its end.
pub(crate) async fn serve(open: Open, gate: Rc<Gate>, stream: TcpStream, peer: SocketAddr) {
    // Elsewhere connections have it of the socket that they came in at.
    #[cfg(not(any(target_os = "android", target_os = "linux")))]
    let _ = stream.set_nodelay(true);
    let worker = Rc::clone(&open.worker);
    if worker.is_draining() {
        // It waited to be accepted: the runtime has yet to see whether a request waits on it.
        yield_now().await;
    }
    let begun = timeout(
        worker.timeouts.request_header,
        begin(&worker, &gate, stream, peer),
    );
    let begun = match begun.await {
        Ok(Ok(Some(begun))) => begun,
        Ok(Ok(None)) => return worker.counters().refused.count(),
        Ok(Err(_)) | Err(_) => return worker.counters().handshakes_failed.count(),
    };
    let Begun {
        mut stream,
        source,
        destination,
        place: _place,
    } = begun;
    let scheme = if stream.is_tls() {
        Scheme::Https
    } else {
        Scheme::Http
    };
    let agreed = stream.alpn().map(|name| name == b"h2");
    let forwarding = Rc::clone(&worker.forwarding);
    let client = Rc::new(Client {
        source,
        destination,
        peer: Peer::new(source.ip(), destination.port(), scheme, forwarding),
        own: RefCell::default(),
        worker,
        gate,
    });
    let mut input = BytesMut::new();
    let is_http2 = match agreed {
        Some(is_http2) => is_http2,
        None => client.gate.http2 && speaks_http2(&client, &mut stream, &mut input).await,
    };
    if is_http2 {
        // In a box, as what HTTP/2 takes would be a part of every connection's task otherwise.
        Box::pin(http2::serve(client, stream, input)).await;
    } else {
        http1::serve(client, stream, input).await;
    }
}

/// A connection that HTTP can begin on.
struct Begun {
    stream: Stream,
    /// Who connected.
    source: SocketAddr,
    /// Where to.
    destination: SocketAddr,
    /// Its place among those that its client may have.
    place: Place,
}

/// What comes before HTTP: the PROXY header, and the TLS handshake. Nothing for a client that has as many connections as
/// it may; whose they are, the PROXY header says.
async fn begin(
    worker: &Worker,
    gate: &Gate,
    mut tcp: TcpStream,
    peer: SocketAddr,
) -> io::Result<Option<Begun>> {
    let (mut source, mut destination) = (peer, tcp.local_addr()?);
    if proxy_protocol::is_expected(&gate.proxy_protocol, peer.ip())
        && let Header::Proxied {
            source: from,
            destination: to,
        } = proxy_protocol::read_header(&mut tcp).await?
    {
        (source, destination) = (from, to);
    }
    let Some(place) = worker.shared.admit(source.ip()) else {
        return Ok(None);
    };
    let stream = match worker.tls.server(gate.index) {
        Some(server) => {
            let spares = Rc::clone(&worker.spares);
            Box::pin(tls::accept(server.config(), tcp, spares)).await?
        }
        None => Stream::Plain(tcp),
    };
    Ok(Some(Begun {
        stream,
        source,
        destination,
        place,
    }))
}

/// Whether the client begins with the preface of HTTP/2 (RFC 9113 section 3.4). What was read to find out is in
/// `input`.
async fn speaks_http2(client: &Client, stream: &mut Stream, input: &mut BytesMut) -> bool {
    let worker = &client.worker;
    let look = poll_fn(|context| {
        loop {
            match is_http2_preface(input) {
                Preface::Yes => return Poll::Ready(true),
                Preface::No => return Poll::Ready(false),
                Preface::NeedMore => {}
            }
            match ready!(poll_read(stream, input, HEAD_ROOM, &worker.spares, context)) {
                Ok(read) if read > 0 => {}
                _ => return Poll::Ready(false),
            }
        }
    });
    let drained = async {
        if !worker.is_draining() {
            worker.drain.notified().await;
        }
        sleep_until(worker.idle_until().unwrap_or_else(Instant::now)).await;
    };
    let looked = timeout(worker.timeouts.request_header, async {
        tokio::select! {
            biased;
            is_http2 = look => is_http2,
            () = drained => false,
        }
    });
    looked.await.unwrap_or(false)
}

/// Ends a connection in order, whose client `may_send` more.
pub(crate) async fn end(mut stream: Stream, may_send: bool) {
    // A socket by itself says as much when it is closed.
    if may_send || stream.is_tls() {
        // With TLS that takes room at a client, which may never make any.
        let _ = timeout(LINGER, stream.shutdown()).await;
    }
    if may_send {
        linger(stream).await;
    }
}

/// Reads on until the client ends, for a while. To close a socket with bytes unread would reset the connection, and
/// the client might never see the answer that it was sent.
async fn linger(mut stream: Stream) {
    // Not in the task itself, which would be larger by that for as long as it lasts.
    let mut bytes = vec![0; 4096];
    let discard = async { while stream.read(&mut bytes).await.is_ok_and(|n| n > 0) {} };
    let _ = timeout(LINGER, discard).await;
}

/// Polls `work` with `alarm` set to the deadline of `watch`. Nothing when the deadline passes and the work has no answer
/// to that.
pub(crate) fn poll_watched<T>(
    watch: &Watch,
    alarm: Pin<&mut Sleep>,
    context: &mut Context<'_>,
    work: impl FnOnce(&mut Context<'_>) -> Poll<T>,
) -> Poll<Option<T>> {
    watch.begin_turn();
    watch.ring(&alarm);
    if let Poll::Ready(done) = work(context) {
        return Poll::Ready(Some(done));
    }
    if watch.is_over() {
        return Poll::Ready(None);
    }
    watch.arm(alarm, context);
    Poll::Pending
}
