//! A client's connection.

use crate::{
    answer::Refusal,
    body::ResponseBody,
    forward::forward,
    request::{Peer, Scheme},
    tunnel::Tunnel,
    upload::Upload,
    watch::{Phase, Watch},
    worker::Worker,
};
use http::Response;
use hyper::{
    body::Incoming,
    server::conn::http1::Connection,
    service::{HttpService, service_fn},
};
use hyper_util::rt::TokioIo;
use std::{
    cell::Cell,
    error::Error,
    future::poll_fn,
    io,
    net::{IpAddr, SocketAddr},
    pin::{Pin, pin},
    rc::Rc,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf},
    net::TcpStream,
    task::yield_now,
    time::{sleep_until, timeout},
};

/// How long a client may go on sending a body that nobody reads, after the answer to it was sent.
const LINGER: Duration = Duration::from_secs(2);

/// What the requests of one client's connection share.
pub(crate) struct Client {
    /// The worker that serves it.
    pub(crate) worker: Rc<Worker>,
    /// Where it connected from.
    pub(crate) address: IpAddr,
    /// What endpoints are told of it.
    pub(crate) peer: Peer,
    /// What it waits for, and how long it may.
    pub(crate) watch: Watch,
    /// How far the current request's body has come.
    pub(crate) upload: Upload,
    /// What the connection becomes when it stops speaking HTTP.
    pub(crate) tunnel: Cell<Option<Tunnel>>,
}

impl Client {
    /// The proxy's own answer.
    pub(crate) fn refuse(&self, refusal: Refusal) -> Response<ResponseBody> {
        let counters = self.worker.counters();
        match &refusal {
            Refusal::NoRoute => counters.no_route.count(),
            Refusal::BadRequest(_) => counters.bad_requests.count(),
            Refusal::Stalled | Refusal::Failed(..) => {}
        }
        self.watch.enter(Phase::Idle);
        refusal.into_response()
    }
}

/// Serves a client's connection to its end.
pub(crate) async fn serve(worker: Rc<Worker>, stream: TcpStream, peer: SocketAddr) {
    // An error shows at the next use.
    let _ = stream.set_nodelay(true);
    let _open = worker.open();
    let client = Rc::new(Client {
        address: peer.ip(),
        peer: Peer::new(peer.ip(), 80, Scheme::Http, Rc::default()),
        watch: Watch::new(worker.timeouts),
        upload: Upload::default(),
        tunnel: Cell::new(None),
        worker,
    });
    let worker = &client.worker;
    if worker.is_draining() {
        // It waited to be accepted: the runtime has yet to see whether a request waits on it.
        yield_now().await;
    }
    let service = {
        let client = Rc::clone(&client);
        service_fn(move |request| forward(Rc::clone(&client), request))
    };
    let io = TokioIo::new(Watched {
        stream,
        client: Rc::clone(&client),
    });
    let mut connection = worker.http_server.serve_connection(io, service);
    match drive(&client, &mut connection).await {
        Ended::Done => {
            let parts = connection.into_parts();
            let stream = parts.io.into_inner().stream;
            if let Some(tunnel) = client.tunnel.take() {
                let _begun = worker.tunnel();
                let idle = worker.timeouts.idle;
                tunnel.run(stream, parts.read_buf, idle).await;
            } else if client.upload.is_unread() {
                linger(stream).await;
            }
        }
        Ended::Rejected => linger(connection.into_parts().io.into_inner().stream).await,
        Ended::Broken => {}
    }
}

/// How HTTP ended on a client's connection.
enum Ended {
    /// In order.
    Done,
    /// The client sent what is no HTTP, and was told so.
    Rejected,
    /// It failed, or took too long.
    Broken,
}

/// Serves requests until the connection ends, has to end for draining, or lasts too long in a phase that no exchange
/// answers for.
async fn drive<S>(client: &Client, connection: &mut Connection<TokioIo<Watched>, S>) -> Ended
where
    S: HttpService<Incoming, ResBody = ResponseBody>,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let worker = &client.worker;
    let mut alarm = pin!(sleep_until(client.watch.deadline()));
    let mut drain = pin!(worker.drain.notified());
    // Polled once: the task's waker does not change, and what it is woken for is looked up.
    let _ = poll_fn(|context| Poll::Ready(drain.as_mut().poll(context))).await;
    let mut is_told = false;
    poll_fn(|context| {
        client.watch.ring(alarm.as_mut(), context);
        let mut ended = Pin::new(&mut *connection).poll(context);
        if ended.is_pending() && worker.is_draining() && !is_told {
            is_told = true;
            Pin::new(&mut *connection).graceful_shutdown();
            ended = Pin::new(&mut *connection).poll(context);
        }
        match ended {
            Poll::Ready(Ok(())) => Poll::Ready(Ended::Done),
            Poll::Ready(Err(error)) if error.is_parse() => Poll::Ready(Ended::Rejected),
            Poll::Ready(Err(_)) => Poll::Ready(Ended::Broken),
            Poll::Pending if client.watch.is_over() => Poll::Ready(Ended::Broken),
            Poll::Pending => {
                client.watch.arm(alarm.as_mut(), context);
                Poll::Pending
            }
        }
    })
    .await
}

/// Reads on until the client ends, for a while. To close a socket with bytes unread would reset the connection, and
/// the client might never see the answer that it was sent.
async fn linger(mut stream: TcpStream) {
    let mut bytes = [0; 4096];
    let discard = async { while stream.read(&mut bytes).await.is_ok_and(|n| n > 0) {} };
    let _ = timeout(LINGER, discard).await;
}

/// A client's socket that tells the watch when bytes move.
struct Watched {
    stream: TcpStream,
    client: Rc<Client>,
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        if buffer.filled().len() > before {
            self.client.watch.received();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Watched {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write(context, bytes))?;
        self.client.watch.moved();
        Poll::Ready(Ok(written))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write_vectored(context, bytes))?;
        self.client.watch.moved();
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
