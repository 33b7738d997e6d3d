//! A stream as whoever answers it holds it.

use super::{
    frame::{self, CONTINUATION, DATA, END_HEADERS, END_STREAM, HEAD, HEADERS, LARGEST},
    session::Session,
};
use crate::http1::{Lines, Piece, decimal};
use bytes::{Bytes, BytesMut};
use h2::Reason;
use http::{HeaderMap, StatusCode};
use std::{
    cell::RefCell,
    fmt,
    rc::Rc,
    task::{Context, Poll},
};

/// The stream has ended before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Gone;

/// A stream. Dropped before its answer was sent, it is reset.
pub(crate) struct Handle {
    session: Rc<RefCell<Session>>,
    id: u32,
}

/// The head of an answer.
#[derive(Clone, Copy)]
pub(crate) struct AnswerHead<'a> {
    pub(crate) status: StatusCode,
    pub(crate) headers: &'a HeaderMap,
    /// Headers, too.
    pub(crate) lines: Option<&'a Lines>,
    /// How long the body is, to be said whatever the headers say.
    pub(crate) length: Option<u64>,
}

impl Handle {
    pub(crate) fn new(session: &Rc<RefCell<Session>>, id: u32) -> Self {
        Self {
            session: Rc::clone(session),
            id,
        }
    }

    /// The next piece of the request's body; [`Piece::End`] is the last. What is given makes room for more at the client.
    pub(crate) fn poll_piece(&self, context: &Context<'_>) -> Poll<Result<Piece, Gone>> {
        let mut session = self.session.borrow_mut();
        let piece = session.take_piece(self.id);
        let Some(stream) = session.streams.get(self.id) else {
            return Poll::Ready(Err(Gone));
        };
        match piece {
            // What was cut off is not to be taken for whole, though a part of it is there.
            _ if stream.reset.is_some() => Poll::Ready(Err(Gone)),
            Some(piece) => Poll::Ready(Ok(piece)),
            None => {
                stream.wants_body = true;
                stream.watch(context);
                Poll::Pending
            }
        }
    }

    /// Ready when the stream has ended before its time.
    pub(crate) fn poll_reset(&self, context: &Context<'_>) -> Poll<()> {
        let mut session = self.session.borrow_mut();
        match session.streams.get(self.id) {
            Some(stream) if stream.reset.is_none() => {
                stream.watch(context);
                Poll::Pending
            }
            _ => Poll::Ready(()),
        }
    }

    /// Sends an interim answer.
    pub(crate) fn inform(&self, status: StatusCode, headers: &HeaderMap) {
        let head = AnswerHead {
            status,
            headers,
            lines: None,
            length: None,
        };
        // Of a stream that was reset meanwhile, it is heard at its next use.
        let _ = self.put_headers(0, |encoding| encoding.head(&head));
    }

    /// Sends the head of the answer, which is all of it where it `is_end`.
    pub(crate) fn send_head(&self, head: &AnswerHead<'_>, is_end: bool) -> Result<(), Gone> {
        let flags = if is_end { END_STREAM } else { 0 };
        self.put_headers(flags, |encoding| encoding.head(head))
    }

    /// Sends what ends the answer.
    pub(crate) fn send_trailers(&self, trailers: &HeaderMap) -> Result<(), Gone> {
        self.put_headers(END_STREAM, |encoding| encoding.fields(trailers, false))
    }

    fn put_headers(&self, flags: u8, write: impl FnOnce(&mut Encoding<'_>)) -> Result<(), Gone> {
        let mut session = self.session.borrow_mut();
        let stream = session.streams.get(self.id).ok_or(Gone)?;
        if stream.reset.is_some() || stream.is_answered {
            return Err(Gone);
        }
        stream.is_answered = flags & END_STREAM != 0;
        let Session {
            queue,
            encoder,
            spares,
            ..
        } = &mut *session;
        let out = queue.buffer(spares);
        let from = out.len();
        out.extend_from_slice(&[0; HEAD]);
        encoder.begin(out);
        write(&mut Encoding { encoder, out });
        put_in_frames(out, from, flags, self.id);
        session.wake();
        Ok(())
    }

    /// Sends `data`, and the end of the answer with it if it `is_last`, as the client takes it; what was sent is gone from it. The
    /// number of bytes that were sent now, none of no data; pending if the client takes none.
    pub(crate) fn poll_data(
        &self,
        data: &mut Bytes,
        is_last: bool,
        context: &Context<'_>,
    ) -> Poll<Result<usize, Gone>> {
        let mut session = self.session.borrow_mut();
        let Some(room) = session.room(self.id, context) else {
            return Poll::Ready(Err(Gone));
        };
        if room == 0 && !data.is_empty() {
            return Poll::Pending;
        }
        let part = data.split_to(data.len().min(room).min(LARGEST));
        let sent = part.len();
        let is_end = is_last && data.is_empty();
        session.send_window -= sent as i64;
        if let Some(stream) = session.streams.get(self.id) {
            stream.send_window -= sent as i64;
            stream.is_answered = is_end;
        }
        let flags = if is_end { END_STREAM } else { 0 };
        frame::put_head(session.out(), sent, DATA, flags, self.id);
        session.queue.add(part);
        session.pass_on();
        session.wake();
        Poll::Ready(Ok(sent))
    }

    /// Gives the stream up.
    pub(crate) fn reset(&self, reason: Reason) {
        self.session.borrow_mut().reset(self.id, reason);
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.session.borrow_mut().leave(self.id);
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Handle").field(&self.id).finish()
    }
}

/// Where a header block is written.
struct Encoding<'a> {
    encoder: &'a mut crate::hpack::Encoder,
    out: &'a mut BytesMut,
}

impl Encoding<'_> {
    fn head(&mut self, head: &AnswerHead<'_>) {
        self.encoder.status(head.status, self.out);
        if let Some(lines) = head.lines {
            lines.each(|name, value| self.encoder.field(name, value, self.out));
        }
        self.fields(head.headers, head.length.is_some());
        if let Some(length) = head.length {
            let mut digits = [0; 20];
            let digits = decimal(length, &mut digits);
            self.encoder.field(b"content-length", digits, self.out);
        }
    }

    /// Writes `headers`, without their `Content-Length` if another one is written.
    fn fields(&mut self, headers: &HeaderMap, is_length_said: bool) {
        for (name, value) in headers {
            let name = name.as_str();
            let is_left_out = match name {
                "content-length" => is_length_said,
                // RFC 9113 section 8.2.2.
                "connection" | "transfer-encoding" | "keep-alive" | "proxy-connection"
                | "upgrade" => true,
                _ => false,
            };
            if !is_left_out {
                self.encoder
                    .field(name.as_bytes(), value.as_bytes(), self.out);
            }
        }
    }
}

/// Puts the header block at the end of `out`, behind the room for a frame's head at `from`, into HEADERS with `flags`. What is
/// larger than a client has to take (RFC 9113 section 4.2) goes on in CONTINUATION.
fn put_in_frames(out: &mut BytesMut, from: usize, flags: u8, stream: u32) {
    let length = out.len() - from - HEAD;
    if length <= LARGEST {
        let head = frame::head(length, HEADERS, flags | END_HEADERS, stream);
        if let Some(room) = out.get_mut(from..from + HEAD) {
            room.copy_from_slice(&head);
        }
        return;
    }
    let block = out.split_off(from + HEAD);
    out.truncate(from);
    let last = (length - 1) / LARGEST;
    for (at, part) in block.chunks(LARGEST).enumerate() {
        let end = if at == last { END_HEADERS } else { 0 };
        let (kind, flags) = match at {
            0 => (HEADERS, flags),
            _ => (CONTINUATION, 0),
        };
        frame::put_head(out, part.len(), kind, flags | end, stream);
        out.extend_from_slice(part);
    }
}
