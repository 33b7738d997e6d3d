//! The body of a request on its way to an endpoint.

use crate::{
    client::{Early, http1},
    headers,
    http1::{BodyFault, Framing, Piece},
    http2::Handle,
    mirror::Tee,
    pieces::Pieces,
    watch::Watch,
};
use std::{
    rc::Rc,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::time::Instant;

/// Why the rest of a body does not come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyError {
    /// The client went away, or gave the request up.
    Gone,
    /// It is not framed as HTTP demands.
    Invalid,
    /// It is larger than is allowed.
    TooLarge,
}

impl From<BodyFault> for BodyError {
    fn from(_: BodyFault) -> Self {
        Self::Invalid
    }
}

/// A request's body. What has been taken from it can be kept, to be sent again.
#[derive(Debug)]
pub(crate) struct RequestBody {
    source: Source,
    framing: Framing,
    watch: Rc<Watch>,
    /// The most bytes that may come.
    limit: Option<u64>,
    received: u64,
    has_ended: bool,
    waits_for_client: bool,
    kept: Option<Kept>,
    pace: Pace,
    /// Seldom there, and large.
    tee: Option<Box<Tee>>,
}

/// Where the pieces come from.
#[derive(Debug)]
enum Source {
    None,
    Http1(Rc<http1::Io>),
    Http2 {
        handle: Rc<Handle>,
        /// Where a client waits to be told that it may send the body.
        waiting: Option<Early>,
    },
}

/// What was taken, to be sent again.
#[derive(Debug)]
struct Kept {
    pieces: Pieces,
    limit: usize,
    /// The next piece to be given again; none when all were.
    next: Option<usize>,
}

/// How fast a body must come.
#[derive(Debug, Default)]
struct Pace {
    /// Bytes each second; 0 for any.
    rate: u32,
    /// For how long the client was waited for.
    waited: Duration,
    /// Since when it is waited for.
    since: Option<Instant>,
}

impl RequestBody {
    fn new(source: Source, framing: Framing, watch: &Rc<Watch>) -> Self {
        Self {
            has_ended: matches!(framing, Framing::None),
            source,
            framing,
            watch: Rc::clone(watch),
            limit: None,
            received: 0,
            waits_for_client: false,
            kept: None,
            pace: Pace::default(),
            tee: None,
        }
    }

    /// No body.
    pub(crate) fn none(watch: &Rc<Watch>) -> Self {
        Self::new(Source::None, Framing::None, watch)
    }

    /// What comes on an HTTP/1 connection, framed as `framing`.
    pub(crate) fn http1(io: &Rc<http1::Io>, framing: Framing, watch: &Rc<Watch>) -> Self {
        match framing {
            Framing::None => Self::none(watch),
            framing => Self::new(Source::Http1(Rc::clone(io)), framing, watch),
        }
    }

    /// What comes on the HTTP/2 stream of `handle`; `length` when it was announced. A client that is `waiting` is told to go on
    /// when the first piece is asked for.
    pub(crate) fn http2(
        handle: &Rc<Handle>,
        length: Option<u64>,
        waiting: Option<Early>,
        watch: &Rc<Watch>,
    ) -> Self {
        let framing = length.map_or(Framing::Chunked, Framing::Length);
        let source = Source::Http2 {
            handle: Rc::clone(handle),
            waiting,
        };
        Self::new(source, framing, watch)
    }

    /// Moves it out, to whoever drives the rest of the exchange, and leaves none.
    pub(crate) fn take(&mut self) -> Self {
        let none = Self::none(&self.watch);
        std::mem::replace(self, none)
    }

    /// How an endpoint that speaks HTTP/1 gets it.
    pub(crate) fn framing(&self) -> Framing {
        self.framing
    }

    /// Refuses more than `limit` bytes; whether what was announced is within it.
    pub(crate) fn set_limit(&mut self, limit: Option<u64>) -> Result<(), BodyError> {
        self.limit = limit;
        match (self.framing, limit) {
            (Framing::Length(length), Some(limit)) if length > limit => Err(BodyError::TooLarge),
            _ => Ok(()),
        }
    }

    /// What came whole earlier and is given again.
    pub(crate) fn of(pieces: &[Piece], framing: Framing, watch: &Rc<Watch>) -> Self {
        let mut body = Self::new(Source::None, framing, watch);
        body.keep(usize::MAX);
        for piece in pieces {
            body.remember(piece);
        }
        body.has_ended = true;
        body.rewind();
        body
    }

    /// Demands that it comes on at `rate` bytes each second at least, once it has begun for a while; 0 for any.
    pub(crate) fn set_pace(&mut self, rate: u32) {
        self.pace.rate = rate;
    }

    /// Has `tee` get all pieces, too. At once, when there is no body.
    pub(crate) fn set_tee(&mut self, tee: Tee) {
        if self.has_ended {
            tee.end();
        } else {
            self.tee = Some(Box::new(tee));
        }
    }

    /// Keeps what is taken from now on, up to `limit` bytes, so that it can be taken again. What is kept already stays.
    pub(crate) fn keep(&mut self, limit: usize) {
        // What was taken before is gone, or is kept already.
        if !self.has_ended && self.received == 0 && self.kept.is_none() {
            self.kept = Some(Kept {
                pieces: Pieces::default(),
                limit,
                next: None,
            });
        }
    }

    /// Keeps nothing more: it will not be taken again.
    pub(crate) fn keep_no_more(&mut self) {
        match &mut self.kept {
            // What is still to be given again stays.
            Some(kept) if kept.next.is_some() => kept.limit = 0,
            kept => *kept = None,
        }
    }

    /// Begins from its first byte again, if all that was taken was kept.
    pub(crate) fn rewind(&mut self) -> bool {
        match &mut self.kept {
            Some(kept) => {
                kept.next = Some(0);
                true
            }
            None => matches!(self.framing, Framing::None) || self.received == 0 && !self.has_ended,
        }
    }

    /// Whether it has come whole.
    pub(crate) fn has_ended(&self) -> bool {
        self.has_ended
    }

    /// Whether it was the client's turn when a piece was asked for last.
    pub(crate) fn waits_for_client(&self) -> bool {
        self.waits_for_client
    }

    /// Bytes that have come.
    pub(crate) fn received(&self) -> u64 {
        self.received
    }

    /// The next piece. [`Piece::End`] is the last.
    pub(crate) fn poll_piece(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Result<Piece, BodyError>> {
        if let Some(piece) = self.kept.as_mut().and_then(Kept::again) {
            return Poll::Ready(Ok(piece));
        }
        if self.has_ended {
            return Poll::Ready(Ok(Piece::End));
        }
        let piece = self.source.poll_piece(context);
        self.waits_for_client = piece.is_pending();
        if piece.is_pending() {
            self.keep_pace();
        }
        let mut piece = ready!(piece)?;
        self.watch.moved();
        self.lift_pace();
        match &mut piece {
            Piece::Data(data) => {
                self.received += data.len() as u64;
                if self.limit.is_some_and(|limit| self.received > limit) {
                    return Poll::Ready(Err(BodyError::TooLarge));
                }
            }
            Piece::Trailers(trailers) => headers::remove_from_trailers(trailers),
            Piece::End => self.has_ended = true,
        }
        self.remember(&piece);
        Poll::Ready(Ok(piece))
    }

    /// Sets the deadline by which more must have come: what has come is worth so much time, after a beginning that is
    /// given to all and is no longer than a body may stand still. Only the time counts in which the client was waited
    /// for, as it can be no faster than the endpoint.
    fn keep_pace(&mut self) {
        const BEGINNING: Duration = Duration::from_secs(5);
        let pace = &mut self.pace;
        if pace.rate == 0 {
            return;
        }
        let since = *pace.since.get_or_insert_with(Instant::now);
        let earned = self.received.saturating_mul(1000) / u64::from(pace.rate);
        let beginning = BEGINNING.min(self.watch.limits().idle);
        let allowed = beginning + Duration::from_millis(earned);
        let left = allowed.saturating_sub(pace.waited);
        self.watch.set_pace(since.checked_add(left));
    }

    /// The client is not waited for any more.
    fn lift_pace(&mut self) {
        if let Some(since) = self.pace.since.take() {
            self.pace.waited += since.elapsed();
            self.watch.set_pace(None);
        }
    }

    fn remember(&mut self, piece: &Piece) {
        if let Some(tee) = &mut self.tee {
            tee.take(piece);
            if matches!(piece, Piece::End)
                && let Some(tee) = self.tee.take()
            {
                tee.end();
            }
        }
        let Some(kept) = &mut self.kept else { return };
        kept.pieces.push(piece);
        if kept.pieces.bytes() > kept.limit {
            self.kept = None;
        }
    }
}

impl Kept {
    /// The next piece that is to be given again.
    fn again(&mut self) -> Option<Piece> {
        let next = self.next?;
        let piece = self.pieces.sealed().get(next).cloned();
        self.next = piece.is_some().then_some(next + 1);
        piece
    }
}

impl Source {
    fn poll_piece(&mut self, context: &mut Context<'_>) -> Poll<Result<Piece, BodyError>> {
        match self {
            Self::None => Poll::Ready(Ok(Piece::End)),
            Self::Http1(io) => io.poll_piece(context),
            Self::Http2 { handle, waiting } => {
                if let Some(early) = waiting.take() {
                    early.go_on();
                }
                handle.poll_piece(context).map_err(|_| BodyError::Gone)
            }
        }
    }
}
