//! Pieces of a body that are kept.

use crate::http1::Piece;
use bytes::BytesMut;

/// A piece below this size is copied to others. Each piece costs its own size in memory, and keeps the whole buffer that it
/// was read into: a body that comes byte by byte would cost a hundred times what it holds.
const COPIED: usize = 4 * 1024;

/// Copies are gathered into pieces of about this size.
const GATHERED: usize = 16 * 1024;

/// Pieces of one body, from its first byte on.
#[derive(Debug, Default)]
pub(crate) struct Pieces {
    pieces: Vec<Piece>,
    /// Small pieces that follow.
    gathered: BytesMut,
    bytes: usize,
}

impl Pieces {
    /// Keeps one more.
    pub(crate) fn push(&mut self, piece: &Piece) {
        if let Piece::Data(data) = piece {
            self.bytes += data.len();
            if data.len() < COPIED {
                self.gathered.extend_from_slice(data);
                if self.gathered.len() >= GATHERED {
                    self.seal();
                }
                return;
            }
        }
        self.seal();
        self.pieces.push(piece.clone());
    }

    /// Makes a piece of what was gathered.
    fn seal(&mut self) {
        if !self.gathered.is_empty() {
            self.pieces
                .push(Piece::Data(self.gathered.split().freeze()));
        }
    }

    /// All of them, in as few pieces as may be.
    pub(crate) fn sealed(&mut self) -> &[Piece] {
        self.seal();
        &self.pieces
    }

    /// Bytes of data in them.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    #[test]
    fn a_body_in_tiny_pieces_is_kept_in_few() {
        let mut pieces = Pieces::default();
        let large = Bytes::from(vec![b'x'; COPIED]);
        for _ in 0..GATHERED + 1 {
            pieces.push(&Piece::Data(Bytes::from_static(b"a")));
        }
        pieces.push(&Piece::Data(large.clone()));
        pieces.push(&Piece::Data(Bytes::from_static(b"b")));
        pieces.push(&Piece::End);
        assert_eq!(pieces.bytes(), GATHERED + 1 + COPIED + 1);
        let expected = [
            Piece::Data(vec![b'a'; GATHERED].into()),
            Piece::Data(Bytes::from_static(b"a")),
            Piece::Data(large),
            Piece::Data(Bytes::from_static(b"b")),
            Piece::End,
        ];
        assert_eq!(pieces.sealed(), expected);
    }
}
