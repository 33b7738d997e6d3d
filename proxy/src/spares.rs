//! Memory that a worker uses again and again, so that a request allocates next to nothing.

use crate::input::BODY_ROOM;
use bytes::BytesMut;
use http::HeaderMap;
use std::cell::RefCell;

/// The most buffers, and the most header maps, that are kept.
const KEPT: usize = 64;

/// The largest header map that is kept, in headers.
const LARGEST_MAP: usize = 128;

/// A worker's buffers and header maps that nobody uses. Connections that wait have none, and take what they need when
/// something comes.
#[derive(Debug, Default)]
pub(crate) struct Spares {
    buffers: RefCell<Vec<BytesMut>>,
    maps: RefCell<Vec<HeaderMap>>,
}

impl Spares {
    /// Gives memory to `buffer` if it has none.
    pub(crate) fn lend(&self, buffer: &mut BytesMut) {
        if buffer.capacity() == 0
            && let Some(spare) = self.buffers.borrow_mut().pop()
        {
            *buffer = spare;
        }
    }

    /// Takes the memory of an empty buffer away from who has no use for it for a while.
    pub(crate) fn reclaim(&self, buffer: &mut BytesMut) {
        if !buffer.is_empty() || buffer.capacity() == 0 {
            return;
        }
        let buffer = std::mem::take(buffer);
        let mut buffers = self.buffers.borrow_mut();
        if buffers.len() < KEPT && buffer.capacity() <= 2 * BODY_ROOM {
            buffers.push(buffer);
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
