//! The bodies that pass through, with what has to be seen of them: whether they move, and how they end.

use crate::{client::Client, lane::Dispatched, upstream::Upstream, watch::Phase};
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use std::{
    fmt,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, Waker},
};
use traffic::{Failure, Outcome};

/// A request's body on its way to the endpoint.
pub(crate) struct RequestBody {
    incoming: Incoming,
    client: Rc<Client>,
    /// Which of the client's requests it belongs to.
    exchange: u32,
}

impl RequestBody {
    /// The body `incoming` of the request that `client` has just sent.
    pub(crate) fn new(incoming: Incoming, client: &Rc<Client>) -> Self {
        Self {
            exchange: client.upload.begin(!incoming.is_end_stream()),
            incoming,
            client: Rc::clone(client),
        }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = Pin::new(&mut self.incoming).poll_frame(context);
        let upload = &self.client.upload;
        upload.set_waits_for_client(frame.is_pending());
        match &frame {
            Poll::Ready(Some(Ok(frame))) => {
                self.client.watch.moved();
                if frame.is_trailers() || self.incoming.is_end_stream() {
                    upload.set_complete();
                }
            }
            Poll::Ready(None) => upload.set_complete(),
            Poll::Ready(Some(Err(_))) | Poll::Pending => {}
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        let is_current = self.client.upload.end(self.exchange);
        if is_current && self.client.watch.phase() == Phase::Upload {
            self.client.watch.enter(Phase::Answer);
        }
    }
}

/// A response's body on its way to the client.
pub(crate) struct ResponseBody(Kind);

enum Kind {
    /// The proxy's own words.
    Text(Option<Bytes>),
    /// What the endpoint sends.
    Passing(Passing),
}

impl ResponseBody {
    /// The proxy's own words.
    pub(crate) fn text(text: String) -> Self {
        Self(Kind::Text(
            Some(Bytes::from(text)).filter(|t| !t.is_empty()),
        ))
    }

    /// No body.
    pub(crate) fn empty() -> Self {
        Self(Kind::Text(None))
    }

    /// What the endpoint sends.
    pub(crate) fn passing(passing: Passing) -> Self {
        Self(Kind::Passing(passing))
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        match &mut self.0 {
            Kind::Text(text) => Poll::Ready(text.take().map(|text| Ok(Frame::data(text)))),
            Kind::Passing(passing) => passing.poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Text(text) => text.is_none(),
            Kind::Passing(passing) => passing.incoming.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Text(text) => {
                SizeHint::with_exact(text.as_ref().map_or(0, |text| text.len() as u64))
            }
            Kind::Passing(passing) => passing.incoming.size_hint(),
        }
    }
}

/// A response under way, with all that has to be done at its end. Dropped before its end, it closes the connection to
/// the endpoint and counts the request as cancelled, as only the client's end drops it.
pub(crate) struct Passing {
    incoming: Incoming,
    /// The connection that it comes from, until it has come whole.
    upstream: Option<Box<Upstream>>,
    client: Rc<Client>,
    sent: Dispatched,
    status: u16,
    /// Why it broke off, until the client's connection is told.
    broken: Option<Failure>,
}

impl Passing {
    /// The body `incoming` of the response `status` that comes from `upstream`.
    pub(crate) fn new(
        incoming: Incoming,
        mut upstream: Box<Upstream>,
        client: &Rc<Client>,
        sent: Dispatched,
        status: u16,
    ) -> Self {
        if client.upload.is_open() {
            upstream.detach();
        }
        client.watch.enter(Phase::Transfer);
        let mut passing = Self {
            incoming,
            upstream: Some(upstream),
            client: Rc::clone(client),
            sent,
            status,
            broken: None,
        };
        if passing.incoming.is_end_stream() {
            // Nobody asks such a body for its end.
            passing.complete();
        }
        passing
    }

    fn poll_frame(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        if let Some(reason) = self.broken {
            return Poll::Ready(Some(Err(Cut(reason))));
        }
        match self.poll_incoming(context) {
            Poll::Ready(Some(Ok(frame))) => {
                self.client.watch.moved();
                // Nobody asks for what comes after the last byte or the trailers.
                if frame.is_trailers() || self.incoming.is_end_stream() {
                    self.complete();
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(None) => {
                self.complete();
                Poll::Ready(None)
            }
            Poll::Ready(Some(Err(error))) => {
                tracing::debug!(%error, "a response broke off");
                self.fail(Failure::BodyCut, context)
            }
            Poll::Pending if self.client.watch.is_over() => {
                self.fail(Failure::IdleTimeout, context)
            }
            Poll::Pending => Poll::Pending,
        }
    }

    /// Drives the connection only when there is nothing to pass on, so that no more is read than the client takes.
    fn poll_incoming(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let mut incoming = Pin::new(&mut self.incoming);
        let Some(upstream) = self.upstream.as_mut().filter(|u| u.is_driven_by_user()) else {
            return incoming.poll_frame(context);
        };
        // A frame can only come from driving the connection, which happens here: the body itself wakes nobody.
        let mut unwoken = Context::from_waker(Waker::noop());
        let frame = incoming.as_mut().poll_frame(&mut unwoken);
        if frame.is_ready() {
            return frame;
        }
        upstream.drive(context);
        incoming.poll_frame(&mut unwoken)
    }

    fn complete(&mut self) {
        if let Some(upstream) = self.upstream.take() {
            self.sent.end(Outcome::Answered(self.status));
            self.client.watch.enter(Phase::Idle);
            self.client.worker.pool.put(upstream);
        }
    }

    /// Counts the failure, and ends the client's connection at the next poll: an error at once would throw away what
    /// has come before it and is not written yet.
    fn fail<T>(&mut self, reason: Failure, context: &mut Context<'_>) -> Poll<T> {
        self.upstream = None;
        self.broken = Some(reason);
        let status = self.status;
        self.sent.end(Outcome::Failed { status, reason });
        self.client.watch.enter(Phase::Transfer);
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

/// The response broke off, and the client's connection with it: there is no other way to tell once the head is sent.
#[derive(Debug)]
pub(crate) struct Cut(Failure);

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the response broke off: {}", self.0.as_str())
    }
}

impl std::error::Error for Cut {}
