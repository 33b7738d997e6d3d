//! A connection to an endpoint that speaks HTTP/1.1.

use super::{Answer, MOST_INTERIM, SendError};
use crate::{
    body::{BodyError, RequestBody},
    client::Early,
    http1::{Decoder, Encoder, Framing, HeadLimits, HeadReader, Piece, ResponseHead},
    input::{BODY_ROOM, HEAD_ROOM, poll_read},
    outbox::{Outbox, UNCOPIED},
    pool::{Key, Slot},
    request::Asked,
    spares::Spares,
    stream::Stream,
    watch::Watch,
    worker::Worker,
};
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method, StatusCode};
use std::{
    io,
    rc::Rc,
    task::{Context, Poll, Waker, ready},
};
use traffic::Failure;

/// A connection that carries one request at a time.
#[derive(Debug)]
pub(crate) struct Connection {
    key: Key,
    stream: Stream,
    limits: HeadLimits,
    spares: Rc<Spares>,
    input: BytesMut,
    outbox: Outbox,
    reader: HeadReader,
    decoder: Decoder,
    encoder: Encoder,
    method: Method,
    /// Whether the headers of the present answer are looked at on their way.
    is_looked_at: bool,
    upload: Upload,
    /// Whether the present request is not the first.
    is_reused: bool,
    /// Whether a byte of the present answer has come.
    has_answered: bool,
    /// Interim answers to the present request that have come.
    interim: u32,
    /// Whether the connection may carry another request.
    may_stay: bool,
    /// The head of the present answer, until it is taken.
    answer: Option<ResponseHead>,
    /// Trailers to be sent at the end of the request's body.
    trailers: Option<Box<HeaderMap>>,
    slot: Slot,
}

/// How far a request has been sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Upload {
    Open,
    /// Everything waits in the outbox, or was written.
    Done,
    /// The endpoint takes no more. It may have answered all the same.
    Refused,
}

impl Connection {
    /// A fresh connection.
    pub(crate) fn new(key: Key, stream: Stream, slot: Slot, worker: &Worker) -> Self {
        let limits = worker.head_limits;
        Self {
            key,
            stream,
            limits,
            spares: Rc::clone(&worker.spares),
            input: BytesMut::new(),
            outbox: Outbox::default(),
            reader: HeadReader::default(),
            decoder: Decoder::new(Framing::None, &limits),
            encoder: Encoder::new(Framing::None),
            method: Method::GET,
            is_looked_at: true,
            upload: Upload::Done,
            is_reused: false,
            has_answered: false,
            interim: 0,
            may_stay: true,
            answer: None,
            trailers: None,
            slot,
        }
    }

    /// What it leads to.
    pub(crate) fn key(&self) -> &Key {
        &self.key
    }

    /// Its place among those of its Service.
    pub(crate) fn slot(&self) -> &Slot {
        &self.slot
    }

    /// Gives up what memory it holds, if it has nothing more to do for the last request; whether that is so.
    pub(crate) fn rest(&mut self) -> bool {
        let is_done = self.may_stay
            && self.upload == Upload::Done
            && self.decoder.is_ended()
            && self.input.is_empty()
            && self.outbox.is_empty();
        if is_done {
            self.spares.reclaim(&mut self.input);
            self.outbox.release(&self.spares);
        }
        is_done
    }

    /// Whether it, which rests, is still open, and nothing has come that nobody asked for.
    pub(crate) fn is_quiet(&mut self) -> bool {
        if self.stream.is_untouched() {
            return true;
        }
        let mut unwoken = Context::from_waker(Waker::noop());
        let is_quiet = poll_read(
            &mut self.stream,
            &mut self.input,
            64,
            &self.spares,
            &mut unwoken,
        )
        .is_pending();
        self.spares.reclaim(&mut self.input);
        is_quiet
    }

    pub(super) fn begin(&mut self, asked: &Asked<'_>, framing: Framing, is_looked_at: bool) {
        self.is_looked_at = is_looked_at;
        self.is_reused = self.outbox.has_written();
        self.outbox.begin_counting();
        self.outbox.lend(&self.spares);
        self.encoder = asked.write(self.outbox.buffer(), framing);
        self.method = asked.parts.method.clone();
        self.upload = match framing {
            Framing::None => Upload::Done,
            _ => Upload::Open,
        };
        self.has_answered = false;
        self.answer = None;
        self.interim = 0;
        self.may_stay = false;
        self.trailers = None;
    }

    pub(super) fn poll_upload(
        &mut self,
        body: &mut RequestBody,
        watch: &Watch,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), BodyError>> {
        loop {
            if self.upload == Upload::Open && self.outbox.has_room() {
                match body.poll_piece(context) {
                    Poll::Ready(piece) => {
                        self.take(piece?)?;
                        continue;
                    }
                    Poll::Pending => {}
                }
            }
            if self.outbox.is_empty() {
                return match self.upload {
                    Upload::Open => Poll::Pending,
                    Upload::Done | Upload::Refused => Poll::Ready(Ok(())),
                };
            }
            let written = self.outbox.poll_write(&mut self.stream, watch, context);
            if let Err(error) = ready!(written) {
                tracing::debug!(%error, "an endpoint takes no more of a request");
                self.outbox.clear();
                self.upload = Upload::Refused;
            }
        }
    }

    /// Makes a piece of the body ready to be written.
    fn take(&mut self, piece: Piece) -> Result<(), BodyError> {
        match piece {
            Piece::Data(data) => put(&mut self.encoder, data, &mut self.outbox),
            Piece::Trailers(trailers) => {
                self.trailers = Some(trailers);
                Ok(())
            }
            Piece::End => {
                let trailers = self.trailers.take();
                let ended = self.encoder.end(trailers.as_deref(), self.outbox.buffer());
                ended.map_err(|_| BodyError::Invalid)?;
                self.upload = Upload::Done;
                Ok(())
            }
        }
    }

    pub(super) fn poll_head(
        &mut self,
        early: &Early,
        context: &mut Context<'_>,
    ) -> Poll<Result<StatusCode, SendError>> {
        loop {
            let read = match self.input.is_empty() {
                true => Ok(()),
                false => self.reader.response(
                    &mut self.input,
                    &self.limits,
                    &self.method,
                    self.is_looked_at,
                    || self.spares.take_map(),
                    &mut self.answer,
                ),
            };
            if let Err(fault) = read {
                tracing::debug!(fault = fault.as_str(), "an endpoint's answer is no HTTP");
                return Poll::Ready(Err(SendError::Failed(Failure::Protocol)));
            }
            match &self.answer {
                Some(head) if is_interim(head.parts.status) => {
                    self.interim += 1;
                    if self.interim > MOST_INTERIM {
                        tracing::debug!("an endpoint floods with interim answers");
                        return Poll::Ready(Err(SendError::Failed(Failure::Protocol)));
                    }
                    // The client was told to continue before its body was read.
                    if head.parts.status != StatusCode::CONTINUE {
                        early.inform(&head.parts);
                    }
                    self.answer = None;
                    continue;
                }
                Some(head) => {
                    self.may_stay = head.keep_alive && head.framing != Framing::UntilClose;
                    self.decoder = Decoder::new(head.framing, &self.limits);
                    return Poll::Ready(Ok(head.parts.status));
                }
                None => {}
            }
            let read = poll_read(
                &mut self.stream,
                &mut self.input,
                HEAD_ROOM,
                &self.spares,
                context,
            );
            match ready!(read) {
                Ok(read) if read > 0 => self.has_answered = true,
                ended => return Poll::Ready(Err(self.ended(&ended))),
            }
        }
    }

    pub(super) fn take_answer(&mut self) -> Answer {
        self.answer
            .take()
            .map_or_else(Answer::default, |head| Answer {
                parts: head.parts,
                lines: head.lines,
                framing: head.framing,
            })
    }

    /// What it means that the connection ended before the answer's head.
    fn ended(&self, how: &io::Result<usize>) -> SendError {
        tracing::debug!(?how, "an endpoint did not answer");
        if !self.outbox.has_written() {
            SendError::Unsent
        } else if self.is_reused && !self.has_answered {
            SendError::Stale
        } else {
            SendError::Failed(Failure::Reset)
        }
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.decoder.is_ended()
    }

    pub(super) fn poll_piece(&mut self, context: &mut Context<'_>) -> Poll<Result<Piece, Failure>> {
        loop {
            match self.decoder.decode(&mut self.input) {
                Ok(Some(piece)) => return Poll::Ready(Ok(piece)),
                Ok(None) => {}
                Err(fault) => {
                    tracing::debug!(
                        fault = fault.as_str(),
                        "a response is not framed as HTTP demands"
                    );
                    return Poll::Ready(Err(Failure::BodyCut));
                }
            }
            let room = match self.decoder.remaining() {
                Some(few) if few < HEAD_ROOM as u64 => HEAD_ROOM,
                _ => BODY_ROOM,
            };
            match ready!(poll_read(
                &mut self.stream,
                &mut self.input,
                room,
                &self.spares,
                context
            )) {
                Ok(0) if self.decoder.end_of_input().is_ok() => {
                    return Poll::Ready(Ok(Piece::End));
                }
                Ok(read) if read > 0 => {}
                how => {
                    tracing::debug!(?how, "a response broke off");
                    return Poll::Ready(Err(Failure::BodyCut));
                }
            }
        }
    }

    /// Gives the next piece to `copy` if it is here, and is little data. Whether it was.
    pub(super) fn copy_piece<E>(
        &mut self,
        copy: impl FnOnce(&[u8]) -> Result<(), E>,
    ) -> Result<bool, E> {
        self.decoder.copy(&mut self.input, UNCOPIED, copy)
    }

    /// The socket, and the bytes that came after the answer that ended HTTP on it.
    pub(crate) fn into_io(self) -> (Stream, Bytes, Slot) {
        (self.stream, self.input.freeze(), self.slot)
    }
}

/// Makes `data` ready to be written, copied or not.
pub(crate) fn put(
    encoder: &mut Encoder,
    data: Bytes,
    outbox: &mut Outbox,
) -> Result<(), BodyError> {
    if data.len() < UNCOPIED {
        let encoded = encoder.data(&data, outbox.buffer());
        return encoded.map_err(|_| BodyError::Invalid);
    }
    let tail = encoder.before(data.len(), outbox.buffer());
    outbox.leave(data, tail.map_err(|_| BodyError::Invalid)?);
    Ok(())
}

/// Whether another answer follows.
pub(crate) fn is_interim(status: StatusCode) -> bool {
    status.is_informational() && status != StatusCode::SWITCHING_PROTOCOLS
}
