//! A body as it is written.

use super::{Framing, trailers::is_forbidden, write::write_field};
use bytes::{BufMut, BytesMut};
use http::HeaderMap;

/// More was to be written than the head announced. What is beyond would be taken for the next message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Overrun;

/// Less was written than the head announced: so many bytes are missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Short(pub(crate) u64);

/// Frames one body, as its head announced it.
#[derive(Debug)]
pub(crate) struct Encoder {
    state: State,
}

#[derive(Debug)]
enum State {
    Length(u64),
    Chunked,
    UntilClose,
    Ended,
}

impl Encoder {
    /// Writes a body framed so. The writers of heads give the encoder that fits to what they wrote.
    pub(crate) fn new(framing: Framing) -> Self {
        let state = match framing {
            Framing::None => State::Length(0),
            Framing::Length(bytes) => State::Length(bytes),
            Framing::Chunked => State::Chunked,
            Framing::UntilClose => State::UntilClose,
        };
        Self { state }
    }

    /// Copies `data` to `out`, framed.
    pub(crate) fn data(&mut self, data: &[u8], out: &mut BytesMut) -> Result<(), Overrun> {
        let after = self.before(data.len(), out)?;
        out.extend_from_slice(data);
        out.extend_from_slice(after);
        Ok(())
    }

    /// Makes `out` ready for `length` bytes of data, which the caller writes himself, and gives what he must write
    /// after them.
    pub(crate) fn before(
        &mut self,
        length: usize,
        out: &mut BytesMut,
    ) -> Result<&'static [u8], Overrun> {
        match &mut self.state {
            // A chunk of no bytes would end the body.
            _ if length == 0 => Ok(b""),
            State::Length(remaining) => {
                *remaining = remaining.checked_sub(length as u64).ok_or(Overrun)?;
                Ok(b"")
            }
            State::Chunked => {
                write_hex(out, length as u64);
                out.put_slice(b"\r\n");
                Ok(b"\r\n")
            }
            State::UntilClose => Ok(b""),
            State::Ended => Err(Overrun),
        }
    }

    /// Ends the body. Trailers are written where there is a place for them, which is behind chunks, and without fields
    /// that may not be there; elsewhere they are dropped. The second call does nothing.
    pub(crate) fn end(
        &mut self,
        trailers: Option<&HeaderMap>,
        out: &mut BytesMut,
    ) -> Result<(), Short> {
        match self.state {
            State::Length(missing) if missing > 0 => return Err(Short(missing)),
            State::Chunked => {
                out.put_slice(b"0\r\n");
                let fields = trailers.into_iter().flatten();
                for (name, value) in fields.filter(|(name, _)| !is_forbidden(name)) {
                    write_field(out, name, value);
                }
                out.put_slice(b"\r\n");
            }
            State::Length(_) | State::UntilClose | State::Ended => {}
        }
        self.state = State::Ended;
        Ok(())
    }
}

/// Writes `number` in hexadecimal, without leading zeros.
fn write_hex(out: &mut BytesMut, number: u64) {
    let digits = (u64::BITS - number.leading_zeros()).div_ceil(4).max(1);
    for place in (0..digits).rev() {
        let digit = (number >> (4 * place)) as usize & 0xf;
        out.put_u8(b"0123456789abcdef"[digit]);
    }
}
