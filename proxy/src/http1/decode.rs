//! A body as it is read.

use super::{Framing, HeadFault, HeadLimits, chunked::Chunked};
use bytes::{Buf as _, Bytes, BytesMut};
use http::HeaderMap;

/// A part of a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// Bytes; never none.
    Data(Bytes),
    /// The fields behind a chunked body, without those that may not be there. [`Piece::End`] follows. In a box, as they are
    /// seldom there and a piece is handed through many functions.
    Trailers(Box<HeaderMap>),
    /// All has come. It is given once, and as the last.
    End,
}

/// Why a body cannot be read on. The connection is of no further use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyFault {
    /// A chunk's size is not one to sixteen hexadecimal digits with CR and LF or an extension behind.
    ChunkSize,
    /// A chunk's extensions are too long, or have bytes that no line may have.
    ChunkExtension,
    /// A chunk's data is not followed by CR and LF: it is longer or shorter than its size says.
    ChunkEnd,
    /// The trailers.
    Trailers(HeadFault),
    /// The connection closed before the body's end.
    Incomplete,
}

impl BodyFault {
    /// What is wrong, in one line.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::ChunkSize => "the size of a chunk is not a hexadecimal number",
            Self::ChunkExtension => "the extensions of a chunk are too long or invalid",
            Self::ChunkEnd => "a chunk is not as long as its size says",
            Self::Trailers(HeadFault::TooLarge) => "the trailers are too large",
            Self::Trailers(HeadFault::TooManyHeaders) => "there are too many trailers",
            Self::Trailers(_) => "the trailers are not valid header lines",
            Self::Incomplete => "the connection closed before the body's end",
        }
    }
}

/// Takes the parts of one body off the bytes of a connection, as they come. The bytes behind the body are not touched.
#[derive(Debug)]
pub(crate) struct Decoder {
    state: State,
}

#[derive(Debug)]
enum State {
    Length(u64),
    Chunked(Chunked),
    UntilClose,
    /// All has come, and [`Piece::End`] is still to be given.
    Complete,
    Ended,
}

impl Decoder {
    /// Reads a body framed so. Its trailers are limited as heads are.
    pub(crate) fn new(framing: Framing, limits: &HeadLimits) -> Self {
        let state = match framing {
            Framing::None | Framing::Length(0) => State::Complete,
            Framing::Length(bytes) => State::Length(bytes),
            Framing::Chunked => State::Chunked(Chunked::new(limits)),
            Framing::UntilClose => State::UntilClose,
        };
        Self { state }
    }

    /// The next part that is in `buffer`, or nothing when more bytes are needed or [`Piece::End`] was given.
    pub(crate) fn decode(&mut self, buffer: &mut BytesMut) -> Result<Option<Piece>, BodyFault> {
        let piece = match &mut self.state {
            State::Ended => None,
            State::Complete => Some(Piece::End),
            State::Length(_) | State::UntilClose if buffer.is_empty() => None,
            State::Length(remaining) => {
                let data = take(buffer, *remaining);
                self.count(data.len());
                Some(Piece::Data(data))
            }
            State::UntilClose => Some(Piece::Data(buffer.split().freeze())),
            State::Chunked(chunked) => chunked.decode(buffer)?,
        };
        if matches!(piece, Some(Piece::End)) {
            self.state = State::Ended;
        } else if matches!(&self.state, State::Chunked(chunked) if chunked.is_complete()) {
            self.state = State::Complete;
        }
        Ok(piece)
    }

    /// Gives what is in `buffer` of a body that comes as it is to `copy`, and takes it off, if it is fewer than `limit` bytes; in
    /// place of [`Self::decode`], which counts who holds the memory. Whether there was any.
    ///
    /// # Errors
    /// What `copy` says.
    pub(crate) fn copy<E>(
        &mut self,
        buffer: &mut BytesMut,
        limit: usize,
        copy: impl FnOnce(&[u8]) -> Result<(), E>,
    ) -> Result<bool, E> {
        let length = match self.state {
            State::Length(remaining) => within(buffer, remaining),
            State::UntilClose => buffer.len(),
            State::Chunked(_) | State::Complete | State::Ended => 0,
        };
        if !(1..limit).contains(&length) {
            return Ok(false);
        }
        copy(&buffer[..length])?;
        buffer.advance(length);
        self.count(length);
        Ok(true)
    }

    /// So many bytes of data were taken.
    fn count(&mut self, taken: usize) {
        if let State::Length(remaining) = &mut self.state {
            *remaining -= taken as u64;
            if *remaining == 0 {
                self.state = State::Complete;
            }
        }
    }

    /// The peer closed its side, and what it sent before has been decoded. Fails when the body is not whole. A body
    /// until the connection's end is whole now, and [`Piece::End`] is next.
    pub(crate) fn end_of_input(&mut self) -> Result<(), BodyFault> {
        match self.state {
            State::Complete | State::Ended => Ok(()),
            State::UntilClose => {
                self.state = State::Complete;
                Ok(())
            }
            State::Length(_) | State::Chunked(_) => Err(BodyFault::Incomplete),
        }
    }

    /// Whether all has come. Only [`Piece::End`] can still be to be given, which needs no bytes.
    pub(crate) fn is_ended(&self) -> bool {
        matches!(self.state, State::Complete | State::Ended)
    }

    /// The bytes of data still to come, as far as that was announced.
    pub(crate) fn remaining(&self) -> Option<u64> {
        match self.state {
            State::Length(remaining) => Some(remaining),
            State::Complete | State::Ended => Some(0),
            State::Chunked(_) | State::UntilClose => None,
        }
    }
}

/// What is in `buffer`, up to `most` bytes.
pub(super) fn take(buffer: &mut BytesMut, most: u64) -> Bytes {
    buffer.split_to(within(buffer, most)).freeze()
}

/// How many bytes are in `buffer`, up to `most`.
fn within(buffer: &[u8], most: u64) -> usize {
    usize::try_from(most).map_or(buffer.len(), |most| most.min(buffer.len()))
}
