//! The two directions of a client's HTTP/1 connection.

use super::{super::Client, hangup::Hangup};
use crate::{
    body::BodyError,
    http1::{Decoder, Framing, Piece, StatusLine, write_response},
    input::{BODY_ROOM, HEAD_ROOM, poll_read},
    outbox::Outbox,
    spares::Spares,
    stream::Stream,
    tunnel::Tunnel,
    watch::Watch,
};
use bytes::BytesMut;
use http::{HeaderMap, StatusCode, Version};
use std::{
    cell::{Cell, RefCell},
    fmt,
    rc::Rc,
    task::{Context, Poll, ready},
};

/// How much of a client's bytes may wait that nobody has asked for, before nothing more is read.
const AHEAD: usize = 16 * 1024;

/// A connection and its two directions, shared by the requests' bodies and by whoever answers.
pub(crate) struct Io {
    pub(super) client: Rc<Client>,
    pub(super) stream: RefCell<Stream>,
    pub(super) input: RefCell<BytesMut>,
    pub(super) outbox: RefCell<Outbox>,
    /// Of the present request's body.
    pub(super) decoder: RefCell<Decoder>,
    /// Whether the client waits to be told that it may send the body.
    pub(super) waits_to_continue: Cell<bool>,
    /// Whether an answer is under way that only the connection's end tells the end of.
    pub(super) ends_answer: Cell<bool>,
    /// Whether the connection ends with the present request.
    pub(super) is_last: Cell<bool>,
    /// What the connection becomes when HTTP ends on it.
    pub(super) tunnel: Cell<Option<Box<Tunnel>>>,
    /// Tells that the client has gone while nothing is read; there once it was asked for.
    hangup: Cell<Option<Box<Hangup>>>,
    pub(super) watch: Rc<Watch>,
    pub(super) spares: Rc<Spares>,
}

impl Io {
    pub(super) fn new(
        client: &Rc<Client>,
        stream: Stream,
        input: BytesMut,
        watch: &Rc<Watch>,
    ) -> Rc<Self> {
        let worker = &client.worker;
        Rc::new(Self {
            client: Rc::clone(client),
            stream: RefCell::new(stream),
            input: RefCell::new(input),
            outbox: RefCell::default(),
            decoder: RefCell::new(Decoder::new(Framing::None, &worker.head_limits)),
            waits_to_continue: Cell::new(false),
            ends_answer: Cell::new(false),
            is_last: Cell::new(false),
            tunnel: Cell::default(),
            hangup: Cell::default(),
            watch: Rc::clone(watch),
            spares: Rc::clone(&worker.spares),
        })
    }

    /// The next piece of the present request's body.
    pub(crate) fn poll_piece(&self, context: &mut Context<'_>) -> Poll<Result<Piece, BodyError>> {
        if self.waits_to_continue.take() {
            let mut outbox = self.outbox.borrow_mut();
            outbox
                .buffer()
                .extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
        }
        let mut input = self.input.borrow_mut();
        let mut decoder = self.decoder.borrow_mut();
        loop {
            if let Some(piece) = decoder.decode(&mut input)? {
                return Poll::Ready(Ok(piece));
            }
            // What waits, an interim answer perhaps, is what the client may be waiting for.
            if self.poll_flush(context).is_err() {
                return Poll::Ready(Err(BodyError::Gone));
            }
            let read = poll_read(
                &mut self.stream.borrow_mut(),
                &mut input,
                BODY_ROOM,
                &self.spares,
                context,
            );
            match ready!(read) {
                Ok(read) if read > 0 => {}
                _ => return Poll::Ready(Err(BodyError::Gone)),
            }
        }
    }

    /// Sends an interim answer.
    pub(crate) fn inform(&self, status: StatusCode, headers: &HeaderMap) {
        let mut outbox = self.outbox.borrow_mut();
        if outbox.has_room() {
            let version = Version::HTTP_11;
            let framing = Framing::None;
            let line = StatusLine {
                version_of_client: version,
                status,
                reason: None,
            };
            write_response(outbox.buffer(), &line, headers, None, &framing, true);
        }
    }

    /// Writes as much of what waits as the client takes.
    pub(super) fn poll_flush(&self, context: &mut Context<'_>) -> Result<(), std::io::Error> {
        let mut outbox = self.outbox.borrow_mut();
        let mut stream = self.stream.borrow_mut();
        match outbox.poll_write(&mut *stream, &self.watch, context) {
            Poll::Ready(Err(error)) => Err(error),
            Poll::Ready(Ok(())) | Poll::Pending => Ok(()),
        }
    }

    /// Ready when the client has gone. What it sends ahead is kept, up to a limit: the next of a body that an endpoint does not
    /// take or that is not asked for yet, or the requests that follow. What is beyond stays in the socket, where it fills the
    /// window: a client whose end waits behind what it could not send is gone when that was read, or its request's time is over.
    pub(super) fn poll_gone(&self, context: &mut Context<'_>) -> Poll<()> {
        let mut input = self.input.borrow_mut();
        while input.len() < AHEAD {
            let read = poll_read(
                &mut self.stream.borrow_mut(),
                &mut input,
                HEAD_ROOM,
                &self.spares,
                context,
            );
            match ready!(read) {
                Ok(read) if read > 0 => {}
                _ => return Poll::Ready(()),
            }
        }
        self.poll_hangup(context)
    }

    /// Ready when the client has gone, whatever waits to be read.
    fn poll_hangup(&self, context: &mut Context<'_>) -> Poll<()> {
        let mut hangup = self.hangup.take().or_else(|| {
            let hangup = Hangup::of(self.stream.borrow().tcp());
            // Without a descriptor for it, the client's end is heard of later.
            hangup.ok().map(Box::new)
        });
        let is_gone = match &mut hangup {
            Some(hangup) => hangup.poll(context),
            None => Poll::Pending,
        };
        self.hangup.set(hangup);
        is_gone
    }

    /// Holds the connection by one descriptor again.
    pub(super) fn forget_hangup(&self) {
        self.hangup.take();
    }

    /// Gives up what memory it holds for nothing.
    pub(super) fn release(&self) {
        self.spares.reclaim(&mut self.input.borrow_mut());
        self.outbox.borrow_mut().release(&self.spares);
    }

    /// Whether what is left of the present request's body has come already; throws it away.
    pub(super) fn skip_body(&self) -> bool {
        let (mut input, mut decoder) = (self.input.borrow_mut(), self.decoder.borrow_mut());
        while !decoder.is_ended() {
            match decoder.decode(&mut input) {
                Ok(Some(_)) => {}
                Ok(None) | Err(_) => return false,
            }
        }
        true
    }
}

impl fmt::Debug for Io {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Io").finish_non_exhaustive()
    }
}
