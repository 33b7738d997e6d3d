//! Memory that a worker uses again and again, so that a request allocates next to nothing.

use crate::{input::BODY_ROOM, response::Passing};
use bytes::BytesMut;
use http::HeaderMap;
use std::cell::{Cell, RefCell, RefMut};

/// The most that is kept in buffers, in bytes. Hundreds of requests under way at the same time take some each; to ask the
/// allocator for them again and again takes a fifth of a small request's instructions.
const KEPT_BYTES: usize = 4 * 1024 * 1024;

/// The most header maps, and the most places for answers, that are kept.
const KEPT: usize = 512;

/// The largest header map that is kept, in headers.
const LARGEST_MAP: usize = 128;

/// A worker's buffers and header maps that nobody uses. Connections that wait have none, and take what they need when
/// something comes.
#[derive(Debug, Default)]
pub(crate) struct Spares {
    buffers: RefCell<Vec<BytesMut>>,
    /// What the buffers hold together, in bytes.
    bytes: Cell<usize>,
    /// What little is read into before it is known whose memory it is to fill, and what TLS writes records into before the socket
    /// takes them.
    scratch: RefCell<Vec<u8>>,
    maps: RefCell<Vec<HeaderMap>>,
    #[expect(clippy::vec_box, reason = "it is the boxes that are kept")]
    places: RefCell<Vec<Box<Option<Passing>>>>,
}

impl Spares {
    /// Gives memory to `buffer` if it has none.
    pub(crate) fn lend(&self, buffer: &mut BytesMut) {
        if buffer.capacity() == 0
            && let Some(spare) = self.buffers.borrow_mut().pop()
        {
            self.bytes.set(self.bytes.get() - spare.capacity());
            *buffer = spare;
        }
    }

    /// Gives `buffer` memory for some `room` bytes behind what it holds.
    pub(crate) fn make_room(&self, buffer: &mut BytesMut, room: usize) {
        self.lend(buffer);
        if buffer.capacity() - buffer.len() < room / 4 {
            buffer.reserve(room);
        }
    }

    /// Takes the memory of an empty buffer away from who has no use for it for a while.
    pub(crate) fn reclaim(&self, buffer: &mut BytesMut) {
        if !buffer.is_empty() {
            return;
        }
        let mut buffer = std::mem::take(buffer);
        // All of its room may lie behind what has been read of it.
        if buffer.capacity() == 0 && !buffer.try_reclaim(1) {
            return;
        }
        let bytes = self.bytes.get() + buffer.capacity();
        if bytes <= KEPT_BYTES && buffer.capacity() <= 2 * BODY_ROOM {
            self.bytes.set(bytes);
            self.buffers.borrow_mut().push(buffer);
        }
    }

    /// Initialised memory of `least` bytes or more that anybody may write to, and whose content nobody counts on. It stays the
    /// worker's.
    ///
    /// # Panics
    /// When somebody else is using it.
    pub(crate) fn scratch(&self, least: usize) -> RefMut<'_, Vec<u8>> {
        let mut scratch = self.scratch.borrow_mut();
        if scratch.len() < least {
            scratch.resize(least, 0);
        }
        scratch
    }

    /// An empty place for an answer.
    pub(crate) fn take_place(&self) -> Box<Option<Passing>> {
        self.places.borrow_mut().pop().unwrap_or_default()
    }

    /// Keeps `place`, which is empty, for the next answer.
    pub(crate) fn put_place(&self, place: Box<Option<Passing>>) {
        let mut places = self.places.borrow_mut();
        if places.len() < KEPT {
            places.push(place);
        }
    }

    /// An empty header map, with memory from an earlier use where there is one.
    pub(crate) fn take_map(&self) -> HeaderMap {
        self.maps.borrow_mut().pop().unwrap_or_default()
    }

    /// Keeps the memory of `map`, if it has any, for the next message.
    pub(crate) fn put_map(&self, map: &mut HeaderMap) {
        let mut maps = self.maps.borrow_mut();
        let is_worth_it = (1..=LARGEST_MAP).contains(&map.capacity());
        if is_worth_it && maps.len() < KEPT {
            map.clear();
            maps.push(std::mem::take(map));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Buf as _;

    #[test]
    fn a_buffer_that_was_read_to_its_end_is_kept_whole() {
        let spares = Spares::default();
        let mut buffer = BytesMut::from("what was written");
        let room = buffer.capacity();
        buffer.advance(room);
        assert_eq!(buffer.capacity(), 0);
        spares.reclaim(&mut buffer);
        assert_eq!(buffer.capacity(), 0);
        assert!(!buffer.try_reclaim(1), "its memory is given up");
        spares.lend(&mut buffer);
        assert_eq!(buffer.capacity(), room);
    }
}
