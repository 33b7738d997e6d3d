//! A body as it comes: what has come of it and was not asked for yet.

use crate::http1::Piece;
use bytes::{Bytes, BytesMut};
use std::collections::VecDeque;

/// A frame below this size is copied to others: by itself it would keep all that was read with it.
pub(super) const COPIED: usize = 8 * 1024;

/// Copies are gathered into pieces of about this size.
const GATHERED: usize = 16 * 1024;

/// What has come of a body.
#[derive(Debug, Default)]
pub(super) struct Body {
    pieces: VecDeque<Piece>,
    /// Small frames that follow.
    small: BytesMut,
    /// Bytes of all that.
    held: u32,
}

impl Body {
    /// Bytes that nobody asked for yet.
    pub(super) fn held(&self) -> u32 {
        self.held
    }

    /// Adds a small piece.
    pub(super) fn copy(&mut self, data: &[u8]) {
        self.held += data.len() as u32;
        self.small.extend_from_slice(data);
        if self.small.len() >= GATHERED {
            self.seal();
        }
    }

    /// Adds a large piece.
    pub(super) fn add(&mut self, data: Bytes) {
        self.seal();
        self.held += data.len() as u32;
        self.pieces.push_back(Piece::Data(data));
    }

    /// Adds what ends it.
    pub(super) fn end(&mut self, end: Piece) {
        self.seal();
        self.pieces.push_back(end);
    }

    /// Makes a piece of the small frames.
    fn seal(&mut self) {
        if !self.small.is_empty() {
            let small = self.small.split().freeze();
            self.pieces.push_back(Piece::Data(small));
        }
    }

    /// The next piece, if one has come.
    pub(super) fn take(&mut self) -> Option<Piece> {
        if self.pieces.is_empty() {
            self.seal();
        }
        let piece = self.pieces.pop_front()?;
        if let Piece::Data(data) = &piece {
            self.held -= data.len() as u32;
        }
        Some(piece)
    }
}
