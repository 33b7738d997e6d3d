//! A body as it comes on an HTTP/2 stream.
//!
//! The library keeps each DATA frame that nobody asked for by itself, at some 256 bytes beyond what is in it, and ends the
//! connection, with all that goes on on it, when that becomes too much. So frames are taken from it also while whoever reads
//! the body is held up, small ones into one buffer. Their sender learns of no room before they are read.

use crate::http1::Piece;
use bytes::BytesMut;
use h2::RecvStream;
use std::{
    collections::VecDeque,
    task::{Context, Poll, ready},
};

/// A frame below this size is copied to others.
const COPIED: usize = 4 * 1024;

/// Copies are gathered into pieces of about this size.
const GATHERED: usize = 16 * 1024;

/// A body that comes.
#[derive(Debug)]
pub(crate) struct Incoming {
    stream: RecvStream,
    data_ended: bool,
    /// What was taken from the stream and not asked for yet.
    ahead: VecDeque<Piece>,
    /// Small frames that follow.
    small: BytesMut,
    /// What comes after all that, when nothing more is to be taken.
    last: Option<Result<(), h2::Error>>,
}

impl Incoming {
    /// What comes on `stream`.
    pub(crate) fn new(stream: RecvStream) -> Self {
        Self {
            stream,
            data_ended: false,
            ahead: VecDeque::new(),
            small: BytesMut::new(),
            last: None,
        }
    }

    /// The next piece; [`Piece::End`] is the last. What is given makes room for more at the sender.
    pub(crate) fn poll_piece(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Result<Piece, h2::Error>> {
        let piece = match self.next_ahead() {
            Some(piece) => piece?,
            None => ready!(self.poll_stream(context))?,
        };
        if let Piece::Data(data) = &piece {
            // It was taken from this stream.
            let _ = self.stream.flow_control().release_capacity(data.len());
        }
        Poll::Ready(Ok(piece))
    }

    /// Takes what has come, for later. To be called when the task that asks for pieces has to wait for something else.
    pub(crate) fn gather(&mut self, context: &mut Context<'_>) {
        while self.last.is_none()
            && let Poll::Ready(piece) = self.poll_stream(context)
        {
            match piece {
                Ok(Piece::Data(data)) if data.len() < COPIED => {
                    self.small.extend_from_slice(&data);
                    if self.small.len() >= GATHERED {
                        self.seal();
                    }
                }
                Ok(Piece::End) => self.last = Some(Ok(())),
                Ok(piece) => {
                    self.seal();
                    self.ahead.push_back(piece);
                }
                Err(error) => self.last = Some(Err(error)),
            }
        }
    }

    /// Whether only [`Piece::End`] is still to be given.
    pub(crate) fn is_at_end(&self) -> bool {
        self.ahead.is_empty() && self.small.is_empty() && self.stream.is_end_stream()
    }

    /// Makes a piece of the small frames.
    fn seal(&mut self) {
        if !self.small.is_empty() {
            let small = self.small.split().freeze();
            self.ahead.push_back(Piece::Data(small));
        }
    }

    fn next_ahead(&mut self) -> Option<Result<Piece, h2::Error>> {
        if self.ahead.is_empty() {
            self.seal();
        }
        if let Some(piece) = self.ahead.pop_front() {
            return Some(Ok(piece));
        }
        let last = self.last.take()?;
        Some(last.map(|()| Piece::End))
    }

    fn poll_stream(&mut self, context: &mut Context<'_>) -> Poll<Result<Piece, h2::Error>> {
        while !self.data_ended {
            match ready!(self.stream.poll_data(context)) {
                Some(data) => {
                    let data = data?;
                    if !data.is_empty() {
                        return Poll::Ready(Ok(Piece::Data(data)));
                    }
                }
                None => self.data_ended = true,
            }
        }
        if self.stream.is_end_stream() {
            return Poll::Ready(Ok(Piece::End));
        }
        Poll::Ready(Ok(match ready!(self.stream.poll_trailers(context))? {
            Some(trailers) => Piece::Trailers(Box::new(trailers)),
            None => Piece::End,
        }))
    }
}
