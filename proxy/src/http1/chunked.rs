//! Chunks as they are read (RFC 9112 section 7.1).

use super::{
    BodyFault, HeadFault, HeadLimits, Piece,
    decode::take,
    fields::{Fields, apart, collect},
    section::Section,
    trailers,
};
use bytes::{Buf, Bytes, BytesMut};
use http::HeaderMap;

/// The digits of a size that fit into 64 bits, leading zeros included.
const DIGITS: u8 = 16;

/// The bytes of one chunk's extensions. No common sender uses any.
const EXTENSION_BYTES: usize = 1024;

/// The bytes of extensions that may have come beyond the bytes of data: who sends a kilobyte with every byte wants to
/// keep the proxy busy, and not to send a body.
const EXTENSION_EXCESS: u64 = 16 * 1024;

/// Takes chunks and trailers apart.
#[derive(Debug)]
pub(super) struct Chunked {
    state: State,
    trailers: Section,
    extension_excess: u64,
    trailer_bytes: usize,
    trailer_count: usize,
}

/// What comes next.
#[derive(Clone, Copy, Debug)]
enum State {
    Size { size: u64, digits: u8 },
    Extension { size: u64, length: usize },
    SizeLineFeed { size: u64 },
    Data { remaining: u64 },
    DataReturn,
    DataLineFeed,
    Trailers,
    Complete,
}

impl State {
    const BEGIN: Self = Self::Size { size: 0, digits: 0 };
}

impl Chunked {
    pub(super) fn new(limits: &HeadLimits) -> Self {
        Self {
            state: State::BEGIN,
            trailers: Section::default(),
            extension_excess: 0,
            trailer_bytes: limits.head_bytes,
            trailer_count: limits.headers,
        }
    }

    /// Whether the last chunk and the trailers have come.
    pub(super) fn is_complete(&self) -> bool {
        matches!(self.state, State::Complete)
    }

    pub(super) fn decode(&mut self, buffer: &mut BytesMut) -> Result<Option<Piece>, BodyFault> {
        loop {
            match self.state {
                State::Data { .. } if buffer.is_empty() => return Ok(None),
                State::Data { remaining } => {
                    let data = take(buffer, remaining);
                    let length = data.len() as u64;
                    self.extension_excess = self.extension_excess.saturating_sub(length);
                    self.state = match remaining - length {
                        0 => State::DataReturn,
                        remaining => State::Data { remaining },
                    };
                    return Ok(Some(Piece::Data(data)));
                }
                State::Trailers => return self.trailers(buffer),
                State::Complete => return Ok(Some(Piece::End)),
                _ if buffer.is_empty() => return Ok(None),
                state => self.state = self.lines(state, buffer)?,
            }
        }
    }

    /// Takes the lines off `buffer` that are around the data, and gives the state after them.
    fn lines(&mut self, mut state: State, buffer: &mut BytesMut) -> Result<State, BodyFault> {
        let mut taken = 0;
        for byte in buffer.iter() {
            if matches!(state, State::Data { .. } | State::Trailers) {
                break;
            }
            state = self.line(state, *byte)?;
            taken += 1;
        }
        buffer.advance(taken);
        Ok(state)
    }

    /// The state after `byte` of a line around the data.
    fn line(&mut self, state: State, byte: u8) -> Result<State, BodyFault> {
        match (state, byte) {
            (State::Size { size, digits }, _) if byte.is_ascii_hexdigit() => {
                if digits == DIGITS {
                    return Err(BodyFault::ChunkSize);
                }
                Ok(State::Size {
                    size: size << 4 | u64::from(hex_digit(byte)),
                    digits: digits + 1,
                })
            }
            (State::Size { digits: 0, .. }, _) => Err(BodyFault::ChunkSize),
            (State::Size { size, .. }, b'\r') => Ok(State::SizeLineFeed { size }),
            (State::Size { size, .. }, b';') => Ok(State::Extension { size, length: 1 }),
            (State::Size { .. }, _) => Err(BodyFault::ChunkSize),
            (State::Extension { size, length }, b'\r') => {
                self.extension_excess += length as u64;
                if self.extension_excess > EXTENSION_EXCESS {
                    return Err(BodyFault::ChunkExtension);
                }
                Ok(State::SizeLineFeed { size })
            }
            (State::Extension { size, length }, b'\t' | b' '..=b'~')
                if length < EXTENSION_BYTES =>
            {
                let length = length + 1;
                Ok(State::Extension { size, length })
            }
            (State::Extension { .. }, _) => Err(BodyFault::ChunkExtension),
            (State::SizeLineFeed { size: 0 }, b'\n') => Ok(State::Trailers),
            (State::SizeLineFeed { size }, b'\n') => Ok(State::Data { remaining: size }),
            (State::DataReturn, b'\r') => Ok(State::DataLineFeed),
            (State::DataLineFeed, b'\n') => Ok(State::BEGIN),
            (State::DataReturn | State::DataLineFeed, _) => Err(BodyFault::ChunkEnd),
            (_, _) => Err(BodyFault::ChunkSize),
        }
    }

    fn trailers(&mut self, buffer: &mut BytesMut) -> Result<Option<Piece>, BodyFault> {
        let end = self.trailers.end(buffer, self.trailer_bytes);
        let Some(length) = end.map_err(|fault| BodyFault::Trailers(fault.into()))? else {
            return Ok(None);
        };
        let lines = buffer.split_to(length).freeze();
        let trailers = if *lines == *b"\r\n" {
            HeaderMap::new()
        } else {
            parse(&lines, self.trailer_count).map_err(BodyFault::Trailers)?
        };
        self.state = State::Complete;
        Ok(Some(if trailers.is_empty() {
            Piece::End
        } else {
            Piece::Trailers(Box::new(trailers))
        }))
    }
}

/// The value of a hexadecimal digit.
fn hex_digit(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        // Upper and lower case differ in one bit, which is above those that count.
        _ => (digit & 0xf) + 9,
    }
}

/// The trailers in `lines`, which end with their first empty line, without those that may not be there.
pub(super) fn parse(lines: &Bytes, limit: usize) -> Result<HeaderMap, HeadFault> {
    let mut fields = Fields::default();
    let read = fields.read(lines, 0, limit, |_| false);
    read.map_err(|fault| match fault {
        HeadFault::LineEnd => HeadFault::HeaderName,
        fault => fault,
    })?;
    let mut trailers = HeaderMap::with_capacity(fields.count);
    collect(&apart(lines), &fields, &mut trailers)?;
    trailers::remove_forbidden(&mut trailers);
    Ok(trailers)
}
