//! What waits to be written to a connection.

use crate::{outbox::UNCOPIED, spares::Spares, stream::Stream};
use bytes::{Buf, Bytes, BytesMut};
use std::{
    collections::VecDeque,
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
};
use tokio::io::AsyncWrite;

/// As soon as this much waits, no more of bodies is taken.
const FULL: usize = 64 * 1024;

/// As soon as this much waits, nothing more is read that might want an answer.
const OVERFULL: usize = 2 * FULL;

/// The most parts that the socket is given at once.
const PARTS: usize = 16;

/// Frames that wait. Heads and small pieces of bodies are copied into one buffer, large pieces lie between its parts.
#[derive(Debug, Default)]
pub(super) struct Queue {
    copied: BytesMut,
    /// Pieces, each with the bytes of `copied` that come before it and after the one before.
    pieces: VecDeque<(usize, Bytes)>,
    /// Bytes of `copied` that come before the last piece.
    placed: usize,
    /// Bytes of the pieces.
    bytes: usize,
    /// Whether the socket may hold back what it took.
    is_unflushed: bool,
}

impl Queue {
    /// Where frames are written to.
    pub(super) fn buffer(&mut self, spares: &Spares) -> &mut BytesMut {
        spares.lend(&mut self.copied);
        &mut self.copied
    }

    /// Adds a piece of a body.
    pub(super) fn add(&mut self, piece: Bytes) {
        if piece.len() < UNCOPIED {
            self.copied.extend_from_slice(&piece);
            return;
        }
        let before = self.copied.len() - self.placed;
        self.placed = self.copied.len();
        self.bytes += piece.len();
        self.pieces.push_back((before, piece));
    }

    /// Bytes that wait.
    fn waiting(&self) -> usize {
        self.copied.len() + self.bytes
    }

    /// Whether more of bodies may be added.
    pub(super) fn has_room(&self) -> bool {
        self.waiting() < FULL
    }

    /// Whether what answers a frame may be added.
    pub(super) fn may_answer(&self) -> bool {
        self.waiting() < OVERFULL
    }

    /// Whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting() == 0 && !self.is_unflushed
    }

    /// Gives memory up, as nothing will be written for a while.
    pub(super) fn release(&mut self, spares: &Spares) {
        if self.waiting() == 0 {
            spares.reclaim(&mut self.copied);
            self.pieces = VecDeque::new();
        }
    }

    /// Writes as much as the socket takes: the bytes that it took now. Ready when that is all.
    ///
    /// # Errors
    /// What the socket says; `WriteZero` when it takes nothing.
    pub(super) fn poll_write(
        &mut self,
        socket: &mut Stream,
        taken: &mut usize,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        if self.is_empty() {
            return Poll::Ready(Ok(()));
        }
        let mut socket = Pin::new(socket);
        while self.waiting() > 0 {
            let written = if self.pieces.is_empty() {
                ready!(socket.as_mut().poll_write(context, &self.copied))?
            } else {
                let mut slices = [IoSlice::new(&[]); PARTS];
                let count = self.fill(&mut slices);
                let slices = slices.get(..count).unwrap_or_default();
                ready!(socket.as_mut().poll_write_vectored(context, slices))?
            };
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            *taken += written;
            self.is_unflushed = true;
            self.advance(written);
        }
        // TLS holds back what it has encrypted until it is flushed; on a plain socket this does nothing.
        ready!(socket.poll_flush(context))?;
        self.is_unflushed = false;
        Poll::Ready(Ok(()))
    }

    /// Puts the first parts into `slices`, and gives their number.
    fn fill<'a>(&'a self, slices: &mut [IoSlice<'a>; PARTS]) -> usize {
        let mut rest = &self.copied[..];
        let mut count = 0;
        for (before, piece) in &self.pieces {
            let Some([first, second]) = slices.get_mut(count..count + 2) else {
                return count;
            };
            let (frames, after) = rest.split_at((*before).min(rest.len()));
            (*first, *second) = (IoSlice::new(frames), IoSlice::new(piece));
            rest = after;
            count += 2;
        }
        if let Some(last) = slices.get_mut(count) {
            *last = IoSlice::new(rest);
            count += 1;
        }
        count
    }

    fn advance(&mut self, mut written: usize) {
        while let Some((before, piece)) = self.pieces.front_mut() {
            let frames = written.min(*before);
            *before -= frames;
            self.placed -= frames;
            self.copied.advance(frames);
            written -= frames;
            let taken = written.min(piece.len());
            piece.advance(taken);
            self.bytes -= taken;
            written -= taken;
            if !piece.is_empty() {
                return;
            }
            self.pieces.pop_front();
        }
        if written == self.copied.len() {
            // A buffer that is advanced to its end has no room left that is known of, to write into or to give up.
            self.copied.clear();
        } else {
            self.copied.advance(written);
        }
    }
}

#[cfg(any(test, feature = "fuzzing"))]
impl Queue {
    /// Writes up to `most` of the bytes that wait.
    pub(super) fn write(&mut self, most: usize) -> Vec<u8> {
        let mut written = Vec::new();
        while self.waiting() > 0 && written.len() < most {
            let mut slices = [IoSlice::new(&[]); PARTS];
            let count = self.fill(&mut slices);
            let mut bytes: Vec<u8> = slices[..count]
                .iter()
                .flat_map(|part| part.to_vec())
                .collect();
            bytes.truncate(most - written.len());
            self.advance(bytes.len());
            written.extend(bytes);
        }
        written
    }

    /// All that waits.
    pub(super) fn drain(&mut self) -> Vec<u8> {
        self.write(usize::MAX)
    }
}
