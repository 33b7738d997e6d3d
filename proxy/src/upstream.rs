//! A connection to an endpoint.
//!
//! The connection is driven by whoever uses it, inside the task of the client's connection: while the request waits
//! for its answer, and then by the body of the response. No task has to be woken to hand a request or a chunk over, and
//! dropping the user drops the connection. Idle connections are driven by nobody; whether one is still open is looked
//! at when it is taken from the pool.

use crate::{body::RequestBody, client::Client, watch::Phase};
use bytes::Bytes;
use http::{Request, Response};
use hyper::{
    body::Incoming,
    client::conn::{
        TrySendError,
        http1::{Builder, Connection, SendRequest},
    },
};
use hyper_util::rt::TokioIo;
use std::{
    future::poll_fn,
    io,
    net::SocketAddr,
    pin::{Pin, pin},
    task::{Context, Poll, Waker},
    time::Duration,
};
use tokio::{net::TcpStream, task::AbortHandle, time::timeout};
use traffic::Failure;

/// A connection to an endpoint that carries one request at a time.
pub(crate) struct Upstream {
    address: SocketAddr,
    sender: SendRequest<RequestBody>,
    driver: Driver,
}

/// What makes the connection move.
enum Driver {
    /// Its user does.
    User(Connection<TokioIo<TcpStream>, RequestBody>),
    /// It has ended, and is kept for its socket.
    Ended(Connection<TokioIo<TcpStream>, RequestBody>),
    /// A task of its own, which ends with its user.
    Task(AbortHandle),
    /// It has ended.
    Gone,
}

/// Why there is no response.
pub(crate) enum SendError {
    /// Nothing of the request was sent; here it is back.
    Unsent(Box<Request<RequestBody>>),
    /// The version failed.
    Failed(Failure),
    /// The client's body broke off or broke the rules.
    Body,
    /// The client stopped sending its body.
    Stalled,
}

impl Upstream {
    /// Connects to `address` within `limit`.
    pub(crate) async fn connect(
        address: SocketAddr,
        limit: Duration,
        http: &Builder,
    ) -> Result<Box<Self>, Failure> {
        let stream = match timeout(limit, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) if error.kind() == io::ErrorKind::TimedOut => {
                return Err(Failure::ConnectTimeout);
            }
            Ok(Err(error)) => {
                tracing::debug!(%address, %error, "could not connect to an endpoint");
                return Err(Failure::Connect);
            }
            Err(_) => return Err(Failure::ConnectTimeout),
        };
        // Without it a small write waits for the acknowledgement of the one before. An error shows at the next use.
        let _ = stream.set_nodelay(true);
        let handshake = http.handshake(TokioIo::new(stream)).await;
        let (sender, connection) = handshake.map_err(|_| Failure::Connect)?;
        Ok(Box::new(Self {
            address,
            sender,
            driver: Driver::User(connection),
        }))
    }

    /// The endpoint.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether the connection is open and has nothing more to do for the last request.
    pub(crate) fn is_idle(&mut self) -> bool {
        self.drive(&mut Context::from_waker(Waker::noop()));
        matches!(self.driver, Driver::User(_)) && self.sender.is_ready()
    }

    /// Moves the connection on, unless a task of its own does.
    pub(crate) fn drive(&mut self, context: &mut Context<'_>) {
        let is_over = match &mut self.driver {
            Driver::User(connection) => Pin::new(connection).poll(context).is_ready(),
            Driver::Ended(_) => true,
            Driver::Task(_) | Driver::Gone => false,
        };
        if is_over {
            // Only dropping the connection tells a body or a request that waits in it.
            self.driver = Driver::Gone;
        }
    }

    /// Whether the connection moves only when it is driven.
    pub(crate) fn is_driven_by_user(&self) -> bool {
        !matches!(self.driver, Driver::Task(_))
    }

    /// Lets the connection move in a task of its own from now on, so that a request's body goes on being sent even
    /// while nobody takes the response's. It cannot be used again then.
    pub(crate) fn detach(&mut self) {
        match std::mem::replace(&mut self.driver, Driver::Gone) {
            Driver::User(connection) => {
                let task = tokio::task::spawn_local(async move { drop(connection.await) });
                self.driver = Driver::Task(task.abort_handle());
            }
            other => self.driver = other,
        }
    }

    /// Sends `request` of `client` and waits for the head of the response.
    pub(crate) async fn send(
        &mut self,
        request: Request<RequestBody>,
        client: &Client,
    ) -> Result<Response<Incoming>, SendError> {
        let mut answer = pin!(self.sender.try_send_request(request));
        let driver = &mut self.driver;
        poll_fn(|context| {
            advance(driver, context);
            if let Poll::Ready(answer) = answer.as_mut().poll(context) {
                return Poll::Ready(answer.map_err(failure));
            }
            if matches!(driver, Driver::Ended(_)) {
                *driver = Driver::Gone;
                return answer.as_mut().poll(context).map_err(failure);
            }
            if client.watch.is_over() {
                return Poll::Ready(Err(timed_out(client)));
            }
            Poll::Pending
        })
        .await
    }

    /// The socket, and the bytes that came after the response that ended HTTP on it.
    pub(crate) async fn into_io(mut self: Box<Self>) -> Option<(TcpStream, Bytes)> {
        let driver = &mut self.driver;
        poll_fn(|context| {
            advance(driver, context);
            match driver {
                Driver::User(_) => Poll::Pending,
                Driver::Ended(_) | Driver::Task(_) | Driver::Gone => Poll::Ready(()),
            }
        })
        .await;
        match std::mem::replace(&mut self.driver, Driver::Gone) {
            Driver::Ended(connection) => {
                let parts = connection.into_parts();
                Some((parts.io.into_inner(), parts.read_buf))
            }
            Driver::User(_) | Driver::Task(_) | Driver::Gone => None,
        }
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        if let Driver::Task(task) = &self.driver {
            task.abort();
        }
    }
}

/// Moves the connection on and keeps it when it ends, as its socket may have a life after HTTP.
fn advance(driver: &mut Driver, context: &mut Context<'_>) {
    if let Driver::User(connection) = driver
        && Pin::new(connection).poll(context).is_ready()
        && let Driver::User(connection) = std::mem::replace(driver, Driver::Gone)
    {
        *driver = Driver::Ended(connection);
    }
}

/// Who is to blame when the watch rings before there is a response.
fn timed_out(client: &Client) -> SendError {
    match client.watch.phase() {
        Phase::Upload if client.upload.waits_for_client() => SendError::Stalled,
        _ => SendError::Failed(Failure::ResponseTimeout),
    }
}

fn failure(mut error: TrySendError<Request<RequestBody>>) -> SendError {
    if let Some(request) = error.take_message() {
        return SendError::Unsent(Box::new(request));
    }
    let error = error.into_error();
    tracing::debug!(%error, "an endpoint did not answer");
    if error.is_user() {
        SendError::Body
    } else if error.is_parse() {
        SendError::Failed(Failure::Protocol)
    } else {
        SendError::Failed(Failure::Reset)
    }
}
