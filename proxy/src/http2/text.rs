//! Memory of a worker's in which heads are put together.

use crate::input::HEAD_ROOM;
use bytes::{BufMut, Bytes, BytesMut};
use std::ops::Range;

/// What one head at a time is put together in.
#[derive(Debug, Default)]
pub(crate) struct Text {
    /// Strings that came in Huffman's code.
    pub(super) strings: Vec<u8>,
    /// What the pseudo-header fields say, and `Host`.
    pub(super) pseudo: Vec<u8>,
    /// All cookies, as one line has them.
    pub(super) cookies: Vec<u8>,
    /// The head as one of HTTP/1.1.
    pub(super) head: BytesMut,
}

impl Text {
    /// Keeps `value` for later: where.
    pub(super) fn note(&mut self, value: &[u8]) -> Range<usize> {
        let from = self.pseudo.len();
        self.pseudo.extend_from_slice(value);
        from..self.pseudo.len()
    }

    /// Writes a header line.
    pub(super) fn line(&mut self, name: &[u8], value: &[u8]) {
        let head = &mut self.head;
        head.reserve(name.len() + value.len() + 4);
        head.put_slice(name);
        head.put_slice(b": ");
        head.put_slice(value);
        head.put_slice(b"\r\n");
    }

    /// The head, whose last line was written.
    pub(super) fn finish(&mut self) -> Bytes {
        if !self.cookies.is_empty() {
            let cookies = std::mem::take(&mut self.cookies);
            self.line(b"cookie", &cookies);
            self.cookies = cookies;
        }
        self.head.extend_from_slice(b"\r\n");
        let head = self.head.split().freeze();
        if self.head.capacity() < HEAD_ROOM / 4 {
            // One that many heads share is kept by each of them.
            self.head.reserve(HEAD_ROOM);
        }
        head
    }
}
