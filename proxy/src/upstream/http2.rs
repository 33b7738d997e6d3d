//! Requests over connections to endpoints that speak HTTP/2. Many share one connection.

mod driven;

pub(crate) use driven::{Driven, UNSAID};

use super::{Answer, MOST_INTERIM, SendError};
use crate::{
    body::{BodyError, RequestBody},
    client::Early,
    http1::{Framing, Piece},
    incoming::Incoming,
    pool::Slot,
    watch::Watch,
};
use bytes::Bytes;
use h2::{
    Reason, SendStream,
    client::{ResponseFuture, SendRequest},
};
use http::{
    HeaderValue, Request, StatusCode, Uri, Version,
    header::{CONNECTION, CONTENT_LENGTH, HOST},
    request, uri,
};
use std::{
    cell::Cell,
    future::Future,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
};
use traffic::Failure;

/// The most requests on one connection at the same time, however many the endpoint allows.
pub(crate) const MOST_STREAMS: usize = 128;

/// A connection that carries many requests. A task of its own drives it.
#[derive(Debug)]
pub(crate) struct Connection {
    sender: SendRequest<Bytes>,
    scheme: uri::Scheme,
    /// Requests under way on it.
    streams: Cell<usize>,
    /// Whether an answer has come on it.
    has_answered: Cell<bool>,
    driven: Rc<Driven>,
    slot: Slot,
}

impl Connection {
    /// A connection whose driver tells by `driven` how it is.
    pub(crate) fn new(
        sender: SendRequest<Bytes>,
        scheme: uri::Scheme,
        driven: Rc<Driven>,
        slot: Slot,
    ) -> Self {
        Self {
            sender,
            scheme,
            streams: Cell::new(0),
            has_answered: Cell::new(false),
            driven,
            slot,
        }
    }

    /// Whether it can carry one more request. Until the endpoint has said how many it takes, it carries one: what is
    /// beyond is refused, and a request that is refused again and again is one that fails.
    pub(crate) fn has_room(&self) -> bool {
        let most = if self.driven.is_settled() {
            self.sender.current_max_send_streams().min(MOST_STREAMS)
        } else {
            1
        };
        !self.is_closed() && self.streams.get() < most
    }

    /// Its place among those of its Service.
    pub(crate) fn slot(&self) -> &Slot {
        &self.slot
    }

    /// Requests under way on it.
    pub(crate) fn streams(&self) -> usize {
        self.streams.get()
    }

    /// Whether it carries no more requests.
    pub(crate) fn is_closed(&self) -> bool {
        self.driven.is_closed()
    }

    /// Whether how many requests it carries is yet to be heard.
    pub(crate) fn is_unsettled(&self) -> bool {
        !self.driven.is_settled()
    }

    /// Waits until that is known, or the connection is closed.
    pub(crate) async fn settled(&self) {
        self.driven.settled().await;
    }
}

/// A request and its answer.
#[derive(Debug)]
pub(crate) struct Call {
    connection: Rc<Connection>,
    sender: Option<SendRequest<Bytes>>,
    response: Option<ResponseFuture>,
    request: Option<Request<()>>,
    is_bodiless: bool,
    /// Whether the connection had carried a whole answer before.
    is_reused: bool,
    /// Interim answers that have come.
    interim: u32,
    outgoing: Option<Outgoing>,
    incoming: Option<Incoming>,
    /// The head of the answer, until it is taken.
    answer: Answer,
    /// Whether the endpoint gave the answer up by CANCEL.
    is_cancelled: bool,
    refused: Option<SendError>,
}

impl Call {
    /// A call over `connection`, not yet begun.
    pub(crate) fn new(connection: Rc<Connection>) -> Self {
        connection.streams.set(connection.streams.get() + 1);
        Self {
            sender: Some(connection.sender.clone()),
            is_reused: connection.has_answered.get(),
            interim: 0,
            connection,
            response: None,
            request: None,
            is_bodiless: true,
            outgoing: None,
            incoming: None,
            answer: Answer::default(),
            is_cancelled: false,
            refused: None,
        }
    }

    pub(super) fn begin(&mut self, head: &request::Parts, body: &RequestBody) {
        let mut request = Request::new(());
        *request.method_mut() = head.method.clone();
        *request.headers_mut() = head.headers.clone();
        address(&mut request, head, &self.connection.scheme);
        let headers = request.headers_mut();
        headers.remove(CONNECTION);
        if let Framing::Length(length) = body.framing() {
            headers.insert(CONTENT_LENGTH, length.into());
        }
        self.is_bodiless = body.framing() == Framing::None;
        self.request = Some(request);
    }

    /// Sends the head once the connection takes it.
    fn poll_begun(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let Some(sender) = &mut self.sender else {
            return Poll::Ready(());
        };
        let ready = ready!(sender.poll_ready(context));
        let sent = ready.and_then(|()| {
            let request = self.request.take().unwrap_or_default();
            sender.send_request(request, self.is_bodiless)
        });
        match sent {
            Ok((response, stream)) => {
                self.response = Some(response);
                self.outgoing = (!self.is_bodiless).then(|| Outgoing::new(stream));
            }
            Err(error) => {
                tracing::debug!(%error, "an endpoint's HTTP/2 connection takes no request");
                self.connection.driven.close();
                self.refused = Some(SendError::Unsent);
            }
        }
        self.sender = None;
        Poll::Ready(())
    }

    pub(super) fn poll_upload(
        &mut self,
        body: &mut RequestBody,
        watch: &Watch,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), BodyError>> {
        ready!(self.poll_begun(context));
        let Some(outgoing) = &mut self.outgoing else {
            return Poll::Ready(Ok(()));
        };
        loop {
            match ready!(outgoing.poll_room(watch, context)) {
                Ok(()) => {}
                Err(error) => {
                    tracing::debug!(%error, "an endpoint takes no more of a request");
                    break;
                }
            }
            match ready!(body.poll_piece(context)) {
                Ok(Piece::End) => {
                    outgoing.end();
                    break;
                }
                Ok(piece) => outgoing.put(piece),
                Err(error) => {
                    outgoing.reset(Reason::CANCEL);
                    return Poll::Ready(Err(error));
                }
            }
        }
        self.outgoing = None;
        Poll::Ready(Ok(()))
    }

    pub(super) fn poll_head(
        &mut self,
        early: &Early,
        context: &mut Context<'_>,
    ) -> Poll<Result<StatusCode, SendError>> {
        if let Some(error) = self.refused {
            return Poll::Ready(Err(error));
        }
        let Some(response) = &mut self.response else {
            return Poll::Pending;
        };
        while let Poll::Ready(Some(Ok(interim))) = response.poll_informational(context) {
            let (parts, ()) = interim.into_parts();
            self.interim += 1;
            if self.interim > MOST_INTERIM {
                tracing::debug!("an endpoint floods with interim answers");
                return Poll::Ready(Err(SendError::Failed(Failure::Protocol)));
            }
            if parts.status != StatusCode::CONTINUE {
                early.inform(&parts);
            }
        }
        let answer = ready!(Pin::new(response).poll(context));
        let answer =
            answer.map_err(|error| failure(&error, self.is_reused && self.interim == 0))?;
        self.connection.has_answered.set(true);
        let (parts, stream) = answer.into_parts();
        let length = parts.headers.get(CONTENT_LENGTH);
        let length = length.and_then(|length| length.to_str().ok()?.parse().ok());
        let framing = match length {
            _ if stream.is_end_stream() => Framing::None,
            Some(length) => Framing::Length(length),
            None => Framing::Chunked,
        };
        self.response = None;
        self.incoming = Some(Incoming::new(stream));
        let status = parts.status;
        self.answer = Answer {
            parts,
            lines: None,
            framing,
        };
        Poll::Ready(Ok(status))
    }

    pub(super) fn take_answer(&mut self) -> Answer {
        std::mem::take(&mut self.answer)
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.incoming.as_ref().is_some_and(Incoming::is_at_end)
    }

    pub(super) fn poll_piece(&mut self, context: &mut Context<'_>) -> Poll<Result<Piece, Failure>> {
        let Some(incoming) = &mut self.incoming else {
            return Poll::Ready(Ok(Piece::End));
        };
        incoming.poll_piece(context).map_err(|error| {
            tracing::debug!(%error, "a response broke off");
            self.is_cancelled = error.is_remote() && error.reason() == Some(Reason::CANCEL);
            Failure::BodyCut
        })
    }

    pub(super) fn gather(&mut self, context: &mut Context<'_>) {
        if let Some(incoming) = &mut self.incoming {
            incoming.gather(context);
        }
    }

    pub(super) fn is_cancelled(&self) -> bool {
        self.is_cancelled
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        let streams = &self.connection.streams;
        streams.set(streams.get() - 1);
        self.connection.slot.has_room();
        if let Some(outgoing) = &mut self.outgoing {
            // The answer has come whole without the rest of the request, or nobody waits for it any more.
            outgoing.reset(Reason::CANCEL);
        }
    }
}

/// Says what `request` is for. Its authority stands in the place of `Host` (RFC 9113 section 8.3.1). Where it has none, as
/// with HTTP/1.0, none is said; h2 takes that only from who passes on what came by another version. A host that is none
/// in a URI, such as one with a `%`, stays where it is.
fn address(request: &mut Request<()>, head: &request::Parts, scheme: &uri::Scheme) {
    let host = head.headers.get(HOST).map(HeaderValue::as_bytes);
    let authority = host.and_then(|host| uri::Authority::try_from(host).ok());
    let mut parts = head.uri.clone().into_parts();
    *request.version_mut() = Version::HTTP_11;
    if let Some(authority) = authority {
        parts.scheme = Some(scheme.clone());
        parts.authority = Some(authority);
        *request.version_mut() = Version::HTTP_2;
    }
    if request.version() == Version::HTTP_2 || host.is_some_and(<[u8]>::is_empty) {
        request.headers_mut().remove(HOST);
    }
    *request.uri_mut() = Uri::from_parts(parts).unwrap_or_else(|_| head.uri.clone());
}

fn failure(error: &h2::Error, may_be_stale: bool) -> SendError {
    tracing::debug!(%error, "an endpoint did not answer");
    // RFC 9113 sections 6.8 and 8.7: what was refused, or came after the last stream that GOAWAY names, was not
    // acted on.
    if error.reason() == Some(Reason::REFUSED_STREAM) || error.is_go_away() && error.is_remote() {
        SendError::Unsent
    } else if may_be_stale && error.is_io() {
        SendError::Stale
    } else if error.is_io() || error.is_reset() || error.is_go_away() {
        SendError::Failed(Failure::Reset)
    } else {
        SendError::Failed(Failure::Protocol)
    }
}

/// The sending side of an HTTP/2 stream: takes pieces, and gives them away as the other side makes room.
#[derive(Debug)]
pub(crate) struct Outgoing {
    stream: SendStream<Bytes>,
    data: Bytes,
    /// Whether nothing comes after `data`.
    is_last: bool,
    has_ended: bool,
}

impl Outgoing {
    pub(crate) fn new(stream: SendStream<Bytes>) -> Self {
        Self {
            stream,
            data: Bytes::new(),
            is_last: false,
            has_ended: false,
        }
    }

    /// Ready when everything that was put was sent.
    pub(crate) fn poll_room(
        &mut self,
        watch: &Watch,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), h2::Error>> {
        while !self.data.is_empty() {
            self.stream.reserve_capacity(self.data.len());
            let mut room = self.stream.capacity();
            if room == 0 {
                room = match ready!(self.stream.poll_capacity(context)) {
                    Some(room) => room?,
                    None => return Poll::Ready(Err(Reason::CANCEL.into())),
                };
                if room == 0 {
                    // Others were faster.
                    continue;
                }
            }
            let part = self.data.split_to(room.min(self.data.len()));
            // The end goes with the last of it: a frame of its own costs both sides as much as one with data.
            self.has_ended = self.is_last && self.data.is_empty();
            self.stream.send_data(part, self.has_ended)?;
            watch.moved();
        }
        Poll::Ready(Ok(()))
    }

    /// Takes a piece, once there is room.
    pub(crate) fn put(&mut self, piece: Piece) {
        match piece {
            Piece::Data(data) => self.data = data,
            Piece::Trailers(trailers) => {
                self.has_ended = true;
                // A stream that was reset meanwhile shows at the next use.
                let _ = self.stream.send_trailers(*trailers);
            }
            Piece::End => self.end(),
        }
    }

    /// Sends the end, unless trailers did: with the data that waits, or at once.
    pub(crate) fn end(&mut self) {
        self.is_last = true;
        if self.data.is_empty() && !std::mem::replace(&mut self.has_ended, true) {
            let _ = self.stream.send_data(Bytes::new(), true);
        }
    }

    /// Gives the stream up.
    pub(crate) fn reset(&mut self, reason: Reason) {
        self.stream.send_reset(reason);
    }
}
