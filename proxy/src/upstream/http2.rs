//! Requests over connections to endpoints that speak HTTP/2. Many share one connection.

use super::{Answer, INTERIMS, SendError};
use crate::{
    body::{BodyError, RequestBody, poll_http2},
    client::Early,
    http1::{Framing, Piece},
    pool::Slot,
    watch::Watch,
};
use bytes::Bytes;
use h2::{
    Reason, RecvStream, SendStream,
    client::{ResponseFuture, SendRequest},
};
use http::{Request, Uri, Version, header::CONTENT_LENGTH, request, uri};
use std::{
    cell::Cell,
    future::Future,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
};
use traffic::Failure;

/// A connection that carries many requests. A task of its own drives it.
#[derive(Debug)]
pub(crate) struct Connection {
    sender: SendRequest<Bytes>,
    scheme: uri::Scheme,
    /// Requests under way on it.
    streams: Cell<usize>,
    /// Set when it carries no more requests.
    is_closed: Rc<Cell<bool>>,
    _slot: Slot,
}

impl Connection {
    /// A connection whose driver sets `is_closed` when it ends.
    pub(crate) fn new(
        sender: SendRequest<Bytes>,
        scheme: uri::Scheme,
        is_closed: Rc<Cell<bool>>,
        slot: Slot,
    ) -> Self {
        Self {
            sender,
            scheme,
            streams: Cell::new(0),
            is_closed,
            _slot: slot,
        }
    }

    /// Whether it can carry one more request.
    pub(crate) fn has_room(&self) -> bool {
        !self.is_closed() && self.streams.get() < self.sender.current_max_send_streams()
    }

    /// Requests under way on it.
    pub(crate) fn streams(&self) -> usize {
        self.streams.get()
    }

    /// Whether it carries no more requests.
    pub(crate) fn is_closed(&self) -> bool {
        self.is_closed.get()
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
    outgoing: Option<Outgoing>,
    incoming: Option<(RecvStream, bool)>,
    refused: Option<SendError>,
    interims: u32,
}

impl Call {
    /// A call over `connection`, not yet begun.
    pub(crate) fn new(connection: Rc<Connection>) -> Self {
        connection.streams.set(connection.streams.get() + 1);
        Self {
            sender: Some(connection.sender.clone()),
            connection,
            response: None,
            request: None,
            is_bodiless: true,
            outgoing: None,
            incoming: None,
            refused: None,
            interims: 0,
        }
    }

    pub(super) fn begin(&mut self, head: &request::Parts, body: &RequestBody) {
        let mut request = Request::new(());
        *request.method_mut() = head.method.clone();
        *request.uri_mut() = absolute(head, &self.connection.scheme);
        *request.version_mut() = Version::HTTP_2;
        let headers = request.headers_mut();
        *headers = head.headers.clone();
        headers.remove(http::header::HOST);
        headers.remove(http::header::CONNECTION);
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
                self.connection.is_closed.set(true);
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
    ) -> Poll<Result<Answer, SendError>> {
        if let Some(error) = self.refused {
            return Poll::Ready(Err(error));
        }
        let Some(response) = &mut self.response else {
            return Poll::Pending;
        };
        while let Poll::Ready(Some(Ok(interim))) = response.poll_informational(context) {
            self.interims += 1;
            if self.interims > INTERIMS {
                return Poll::Ready(Err(SendError::Failed(Failure::Protocol)));
            }
            early.inform(&interim.into_parts().0);
        }
        let answer = ready!(Pin::new(response).poll(context)).map_err(|error| failure(&error))?;
        let (parts, stream) = answer.into_parts();
        let length = parts.headers.get(CONTENT_LENGTH);
        let length = length.and_then(|length| length.to_str().ok()?.parse().ok());
        let framing = match length {
            _ if stream.is_end_stream() => Framing::None,
            Some(length) => Framing::Length(length),
            None => Framing::Chunked,
        };
        self.response = None;
        self.incoming = Some((stream, false));
        Poll::Ready(Ok(Answer { parts, framing }))
    }

    pub(super) fn poll_piece(&mut self, context: &mut Context<'_>) -> Poll<Result<Piece, Failure>> {
        let Some((stream, data_ended)) = &mut self.incoming else {
            return Poll::Ready(Ok(Piece::End));
        };
        poll_http2(stream, data_ended, context).map_err(|error| {
            tracing::debug!(%error, "a response broke off");
            Failure::BodyCut
        })
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        let streams = &self.connection.streams;
        streams.set(streams.get() - 1);
        if let Some(outgoing) = &mut self.outgoing {
            // The answer has come whole without the rest of the request, or nobody waits for it any more.
            outgoing.reset(Reason::CANCEL);
        }
    }
}

/// RFC 9113 section 8.3.1: scheme and authority are part of the request.
fn absolute(head: &request::Parts, scheme: &uri::Scheme) -> Uri {
    let host = head.headers.get(http::header::HOST);
    let authority = host.and_then(|host| uri::Authority::try_from(host.as_bytes()).ok());
    let mut parts = head.uri.clone().into_parts();
    if let Some(authority) = authority {
        parts.scheme = Some(scheme.clone());
        parts.authority = Some(authority);
    }
    Uri::from_parts(parts).unwrap_or_else(|_| head.uri.clone())
}

fn failure(error: &h2::Error) -> SendError {
    tracing::debug!(%error, "an endpoint did not answer");
    // RFC 9113 sections 6.8 and 8.7: what was refused, or came after the last stream that GOAWAY names, was not
    // acted on.
    if error.reason() == Some(Reason::REFUSED_STREAM) || error.is_go_away() && error.is_remote() {
        SendError::Unsent
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
    has_ended: bool,
}

impl Outgoing {
    pub(crate) fn new(stream: SendStream<Bytes>) -> Self {
        Self {
            stream,
            data: Bytes::new(),
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
            self.stream.send_data(part, false)?;
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
                let _ = self.stream.send_trailers(trailers);
            }
            Piece::End => self.end(),
        }
    }

    /// Sends the end, unless trailers did.
    pub(crate) fn end(&mut self) {
        if !std::mem::replace(&mut self.has_ended, true) {
            let _ = self.stream.send_data(Bytes::new(), true);
        }
    }

    /// Gives the stream up.
    pub(crate) fn reset(&mut self, reason: Reason) {
        self.stream.send_reset(reason);
    }

    /// Whether the other side has given the stream up.
    pub(crate) fn poll_reset(&mut self, context: &mut Context<'_>) -> Poll<()> {
        self.stream.poll_reset(context).map(drop)
    }
}
