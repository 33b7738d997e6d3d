//! Exchanges with endpoints: a request goes out, an answer comes back.
//!
//! An exchange is driven by the task that serves the client: nothing has to be woken to hand a piece of a body over,
//! and dropping the exchange ends it. Sending and receiving go on at the same time, as an endpoint may answer before
//! it has the whole request.

pub(crate) mod connect;
pub(crate) mod http1;
pub(crate) mod http2;

use crate::{
    body::{BodyError, RequestBody},
    client::Early,
    http1::{Framing, Lines, Piece},
    pool::Pool,
    request::Asked,
    watch::{Phase, Watch},
};
use http::{Response, StatusCode, response};
use std::{
    rc::Rc,
    task::{Context, Poll},
};
use traffic::Failure;

/// The most interim answers (1xx) to one request. Each is work for the client, too; a server that has something to say
/// sends a few.
const MOST_INTERIM: u32 = 64;

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SendError {
    /// The endpoint has surely not acted on the request: nothing of it was written, or the endpoint said so.
    Unsent,
    /// The connection had carried other requests and ended without a byte of an answer: most likely the endpoint
    /// closed it before it saw the request.
    Stale,
    /// The version failed.
    Failed(Failure),
    /// The client's body did not come.
    Body(BodyError),
    /// The client stopped sending its body.
    Stalled,
}

/// Why there is no connection to an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoConnection {
    /// The version failed.
    Version(Failure),
    /// This process has no descriptor, port or memory left for one. That is no endpoint's doing.
    Exhausted,
}

impl From<Failure> for NoConnection {
    fn from(failure: Failure) -> Self {
        Self::Version(failure)
    }
}

/// The head of an answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) parts: response::Parts,
    /// The headers, if they are not in `parts`.
    pub(crate) lines: Option<Lines>,
    pub(crate) framing: Framing,
}

impl Default for Answer {
    /// What stands in an answer's place before it has come, and when it was taken.
    fn default() -> Self {
        let (parts, ()) = Response::new(()).into_parts();
        Self {
            parts,
            lines: None,
            framing: Framing::None,
        }
    }
}

/// A request that was sent, and its answer that comes.
#[derive(Debug)]
pub(crate) enum Exchange {
    Http1(Box<http1::Connection>),
    Http2(Box<http2::Call>),
}

impl Exchange {
    /// One more request on `connection`.
    pub(crate) fn http2(connection: Rc<http2::Connection>) -> Self {
        Self::Http2(Box::new(http2::Call::new(connection)))
    }

    /// Begins to send what was `asked`, whose headers are no lines for an endpoint that speaks HTTP/2. `body` says how what follows is framed. Headers of an answer that are not `looked_at` may come as
    /// lines.
    pub(crate) fn begin(&mut self, asked: &Asked<'_>, body: &RequestBody, looked_at: bool) {
        match self {
            Self::Http1(connection) => connection.begin(asked, body.framing(), looked_at),
            Self::Http2(call) => call.begin(asked.parts, body),
        }
    }

    /// Sends on, and waits for the head of the answer: gives its status, and keeps the head itself, which is large to be moved,
    /// for [`Self::take_answer`]. Interim answers go to `early`.
    pub(crate) fn poll_head(
        &mut self,
        body: &mut RequestBody,
        early: &Early,
        watch: &Watch,
        context: &mut Context<'_>,
    ) -> Poll<Result<StatusCode, SendError>> {
        match self.poll_upload(body, watch, context) {
            Poll::Ready(Err(error)) => return Poll::Ready(Err(SendError::Body(error))),
            Poll::Ready(Ok(())) if watch.phase() == Phase::Upload => watch.enter(Phase::Answer),
            _ => {}
        }
        let head = match self {
            Self::Http1(connection) => connection.poll_head(early, context),
            Self::Http2(call) => call.poll_head(early, context),
        };
        if head.is_pending() && watch.is_over() {
            let waits = watch.phase() == Phase::Upload && body.waits_for_client();
            return Poll::Ready(Err(if waits {
                SendError::Stalled
            } else {
                SendError::Failed(Failure::ResponseTimeout)
            }));
        }
        head
    }

    /// The head of the answer that has come.
    pub(crate) fn take_answer(&mut self) -> Answer {
        match self {
            Self::Http1(connection) => connection.take_answer(),
            Self::Http2(call) => call.take_answer(),
        }
    }

    /// Sends on. Ready when everything was sent, or the endpoint takes no more.
    pub(crate) fn poll_upload(
        &mut self,
        body: &mut RequestBody,
        watch: &Watch,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), BodyError>> {
        match self {
            Self::Http1(connection) => connection.poll_upload(body, watch, context),
            Self::Http2(call) => call.poll_upload(body, watch, context),
        }
    }

    /// Whether the endpoint itself has given the answer up (RST_STREAM with CANCEL), which a client that speaks HTTP/2 is
    /// told in the same words. To gRPC they are the status CANCELLED.
    pub(crate) fn is_cancelled(&self) -> bool {
        match self {
            Self::Http1(_) => false,
            Self::Http2(call) => call.is_cancelled(),
        }
    }

    /// Whether the answer's body has come, all but [`Piece::End`].
    pub(crate) fn is_at_end(&self) -> bool {
        match self {
            Self::Http1(connection) => connection.is_at_end(),
            Self::Http2(call) => call.is_at_end(),
        }
    }

    /// The next piece of the answer's body; [`Piece::End`] is the last.
    pub(crate) fn poll_piece(&mut self, context: &mut Context<'_>) -> Poll<Result<Piece, Failure>> {
        match self {
            Self::Http1(connection) => connection.poll_piece(context),
            Self::Http2(call) => call.poll_piece(context),
        }
    }

    /// Gives the next piece of the answer's body to `copy` if it is here, and is little data. Whether it was.
    ///
    /// # Errors
    /// What `copy` says.
    pub(crate) fn copy_piece<E>(
        &mut self,
        copy: impl FnOnce(&[u8]) -> Result<(), E>,
    ) -> Result<bool, E> {
        match self {
            Self::Http1(connection) => connection.copy_piece(copy),
            Self::Http2(_) => Ok(false),
        }
    }

    /// Takes what has come of the answer's body, for later, where leaving it costs memory.
    pub(crate) fn gather(&mut self, context: &mut Context<'_>) {
        if let Self::Http2(call) = self {
            call.gather(context);
        }
    }

    /// Ends the exchange, whose answer has come whole, and keeps the connection for the next one where that may be.
    pub(crate) fn finish(self, pool: &Pool) {
        match self {
            Self::Http1(connection) => pool.put(connection),
            Self::Http2(call) => drop(call),
        }
    }
}
