//! What waits to be written to a socket.
//!
//! Heads, chunk sizes and small pieces of bodies are copied into one buffer, so that they leave in one system call. A
//! large piece is not copied: it is written between what goes before and what goes after it.

use crate::{spares::Spares, watch::Watch};
use bytes::{Buf, Bytes, BytesMut};
use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
};
use tokio::io::AsyncWrite;

/// Pieces from this size on are not copied. Below it a copy is cheaper than what `writev` costs more than `send`.
pub(crate) const UNCOPIED: usize = 16 * 1024;

/// As soon as this much waits it is written, before more is taken.
const FULL: usize = 32 * 1024;

/// What waits to be written to one socket.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    /// Goes first.
    copied: BytesMut,
    /// Goes next.
    piece: Bytes,
    /// Goes last: the end of a chunk.
    tail: &'static [u8],
    has_written: bool,
    /// Whether the socket may hold back what it took.
    is_unflushed: bool,
}

impl Outbox {
    /// Where to write what is to be copied. There must be no piece waiting.
    pub(crate) fn buffer(&mut self) -> &mut BytesMut {
        debug_assert!(self.piece.is_empty() && self.tail.is_empty());
        &mut self.copied
    }

    /// Leaves `piece`, followed by `tail`, to be written uncopied after what is in the buffer.
    pub(crate) fn leave(&mut self, piece: Bytes, tail: &'static [u8]) {
        debug_assert!(self.piece.is_empty() && self.tail.is_empty());
        self.piece = piece;
        self.tail = tail;
    }

    /// Throws away what waits.
    pub(crate) fn clear(&mut self) {
        self.is_unflushed = false;
        self.copied.clear();
        self.piece = Bytes::new();
        self.tail = b"";
    }

    /// From now on, [`Outbox::has_written`] tells of what follows.
    pub(crate) fn begin_counting(&mut self) {
        self.has_written = false;
    }

    /// Whether the socket took a byte.
    pub(crate) fn has_written(&self) -> bool {
        self.has_written
    }

    /// Whether nothing waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.is_taken() && !self.is_unflushed
    }

    /// Whether the socket took everything.
    fn is_taken(&self) -> bool {
        self.copied.is_empty() && self.piece.is_empty() && self.tail.is_empty()
    }

    /// Whether more may be added before what waits is written.
    pub(crate) fn has_room(&self) -> bool {
        self.piece.is_empty() && self.tail.is_empty() && self.copied.len() < FULL
    }

    /// Gets memory to write a head into.
    pub(crate) fn lend(&mut self, spares: &Spares) {
        spares.lend(&mut self.copied);
    }

    /// Gives memory up, as nothing will be written for a while.
    pub(crate) fn release(&mut self, spares: &Spares) {
        spares.reclaim(&mut self.copied);
    }

    /// Writes everything, and tells `watch` whenever the socket takes a part of it.
    ///
    /// # Errors
    /// What the socket says; `WriteZero` when it takes nothing.
    pub(crate) fn poll_write<W: AsyncWrite + Unpin>(
        &mut self,
        socket: &mut W,
        watch: &Watch,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        if self.is_empty() {
            return Poll::Ready(Ok(()));
        }
        while !self.is_taken() {
            let mut socket = Pin::new(&mut *socket);
            let written = if self.piece.is_empty() && self.tail.is_empty() {
                ready!(socket.as_mut().poll_write(context, &self.copied))?
            } else {
                let parts = [&self.copied[..], &self.piece[..], self.tail];
                let slices = parts.map(IoSlice::new);
                ready!(socket.as_mut().poll_write_vectored(context, &slices))?
            };
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.has_written = true;
            self.is_unflushed = true;
            self.advance(written);
            watch.moved();
        }
        // TLS holds back what it has encrypted until it is flushed; on a plain socket this does nothing.
        ready!(Pin::new(socket).poll_flush(context))?;
        self.is_unflushed = false;
        Poll::Ready(Ok(()))
    }

    fn advance(&mut self, mut written: usize) {
        let copied = written.min(self.copied.len());
        if copied == self.copied.len() {
            // A buffer that is advanced to its end has no room left that is known of, to write into or to give up.
            self.copied.clear();
        } else {
            self.copied.advance(copied);
        }
        written -= copied;
        let piece = written.min(self.piece.len());
        self.piece.advance(piece);
        self.tail = &self.tail[written - piece..];
    }
}
