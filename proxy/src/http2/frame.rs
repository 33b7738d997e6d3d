//! Frames (RFC 9113 section 4): their heads as they are read, and whole ones as they are written.

use super::Broken;
use bytes::{BufMut, BytesMut};
use h2::Reason;
use std::ops::Range;

/// Bytes of a frame's head.
pub(super) const HEAD: usize = 9;

/// The largest payload that is taken: what SETTINGS_MAX_FRAME_SIZE is where nothing is said.
pub(super) const LARGEST: usize = 16 * 1024;

/// The largest number that a window, or a stream, may have.
pub(super) const MOST: u32 = (1 << 31) - 1;

pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const PRIORITY: u8 = 2;
pub(super) const RST_STREAM: u8 = 3;
pub(super) const SETTINGS: u8 = 4;
pub(super) const PUSH_PROMISE: u8 = 5;
pub(super) const PING: u8 = 6;
pub(super) const GOAWAY: u8 = 7;
pub(super) const WINDOW_UPDATE: u8 = 8;
pub(super) const CONTINUATION: u8 = 9;

pub(super) const ACK: u8 = 1;
pub(super) const END_STREAM: u8 = 1;
pub(super) const END_HEADERS: u8 = 4;
const PADDED: u8 = 8;
const HAS_PRIORITY: u8 = 32;

/// The head of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// Bytes of the payload.
    pub(super) length: usize,
    pub(super) kind: u8,
    pub(super) flags: u8,
    /// 0 for the connection.
    pub(super) stream: u32,
}

impl Head {
    /// The head at the beginning of `bytes`, if it is there whole.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let &[a, b, c, kind, flags, s0, s1, s2, s3] = bytes.first_chunk::<HEAD>()?;
        Some(Self {
            length: u32::from_be_bytes([0, a, b, c]) as usize,
            kind,
            flags,
            stream: u32::from_be_bytes([s0, s1, s2, s3]) & MOST,
        })
    }

    pub(super) fn has(self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// Where in the `payload` of DATA or HEADERS its content is, without padding (sections 6.1 and 6.2) and what an obsolete
    /// priority says, and the stream that this one depends on by it.
    ///
    /// # Errors
    /// More padding than there is room for.
    pub(super) fn content(self, payload: &[u8]) -> Result<(Range<usize>, Option<u32>), Broken> {
        let (mut from, mut to) = (0, payload.len());
        if self.has(PADDED) {
            let padding = payload.first().copied().ok_or(TOO_SHORT)?;
            from = 1;
            to = to
                .checked_sub(usize::from(padding))
                .filter(|to| *to >= from)
                .ok_or(Broken(Reason::PROTOCOL_ERROR, "more padding than payload"))?;
        }
        let mut depends_on = None;
        if self.kind == HEADERS && self.has(HAS_PRIORITY) {
            let priority = payload.get(from..to).ok_or(TOO_SHORT)?;
            depends_on = Some(number(priority).ok_or(TOO_SHORT)? & MOST);
            from += 5;
            if from > to {
                return Err(TOO_SHORT);
            }
        }
        Ok((from..to, depends_on))
    }
}

const TOO_SHORT: Broken = Broken(
    Reason::FRAME_SIZE_ERROR,
    "a frame is too short for its flags",
);

/// The number that the first four of `bytes` are.
pub(super) fn number(bytes: &[u8]) -> Option<u32> {
    bytes.first_chunk().map(|bytes| u32::from_be_bytes(*bytes))
}

/// Writes the head of a frame with a payload of `length` bytes, fewer than 2^24.
pub(super) fn put_head(out: &mut BytesMut, length: usize, kind: u8, flags: u8, stream: u32) {
    out.put_slice(&head(length, kind, flags, stream));
}

/// The head of a frame with a payload of `length` bytes, fewer than 2^24.
pub(super) fn head(length: usize, kind: u8, flags: u8, stream: u32) -> [u8; HEAD] {
    let [.., a, b, c] = length.to_be_bytes();
    let [s0, s1, s2, s3] = stream.to_be_bytes();
    [a, b, c, kind, flags, s0, s1, s2, s3]
}

/// Writes SETTINGS (section 6.5).
pub(super) fn put_settings(out: &mut BytesMut, settings: &[(u16, u32)]) {
    put_head(out, settings.len() * 6, SETTINGS, 0, 0);
    for (name, value) in settings {
        out.put_u16(*name);
        out.put_u32(*value);
    }
}

/// Writes PING (section 6.7).
pub(super) fn put_ping(out: &mut BytesMut, flags: u8, payload: [u8; 8]) {
    put_head(out, payload.len(), PING, flags, 0);
    out.put_slice(&payload);
}

/// Writes a frame whose payload is one number: WINDOW_UPDATE (section 6.9) or RST_STREAM (section 6.4).
pub(super) fn put_number(out: &mut BytesMut, kind: u8, stream: u32, number: u32) {
    put_head(out, 4, kind, 0, stream);
    out.put_u32(number);
}

/// Writes GOAWAY (section 6.8).
pub(super) fn put_goaway(out: &mut BytesMut, last: u32, reason: Reason) {
    put_head(out, 8, GOAWAY, 0, 0);
    out.put_u32(last);
    out.put_u32(reason.into());
}
