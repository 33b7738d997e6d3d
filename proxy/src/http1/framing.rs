//! How a message's body is framed (RFC 9112 section 6.3).

use super::codings::Codings;
use http::Version;

/// How a message's body is framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// There is no body, and nothing said of one: a request without, or the response to a HEAD, a 1xx, 204 or 304.
    None,
    /// So many bytes.
    Length(u64),
    /// Chunks that each tell their size (RFC 9112 section 7.1), and trailers behind them.
    Chunked,
    /// All bytes until the connection closes. Only a response's can be.
    UntilClose,
}

/// Why it is not certain where a body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FramingFault {
    /// `Content-Length` is no plain decimal number below 2^64.
    ContentLength,
    /// More than one `Content-Length`, be they equal.
    ManyContentLengths,
    /// `Content-Length` with `Transfer-Encoding` (RFC 9112 section 6.1).
    LengthAndCoding,
    /// `Transfer-Encoding` in HTTP/1.0, which does not know it.
    CodingInHttp10,
    /// `Transfer-Encoding` that does not end with `chunked`, has it twice or is no list of codings.
    Coding,
    /// Codings below `chunked`. The proxy would have to pass them on unseen.
    UnknownCoding,
}

impl FramingFault {
    /// What is wrong, in one line.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::ContentLength => "Content-Length is not a decimal number",
            Self::ManyContentLengths => "there is more than one Content-Length",
            Self::LengthAndCoding => "there are both a Content-Length and a Transfer-Encoding",
            Self::CodingInHttp10 => "HTTP/1.0 has no Transfer-Encoding",
            Self::Coding => "the last coding of Transfer-Encoding, and only that, must be chunked",
            Self::UnknownCoding => "the only Transfer-Encoding supported is chunked",
        }
    }
}

/// What the headers say of the body.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Announced {
    /// The `Content-Length`.
    pub(super) length: Length,
    /// All of `Transfer-Encoding`.
    pub(super) codings: Codings,
}

/// What `Content-Length` says.
#[derive(Clone, Copy, Debug, Default)]
pub(super) enum Length {
    #[default]
    Absent,
    Bytes(u64),
    Invalid,
    Many,
}

impl Length {
    /// Takes one more value in.
    pub(super) fn add(&mut self, value: &[u8]) {
        *self = match self {
            Self::Absent => decimal(value).map_or(Self::Invalid, Self::Bytes),
            Self::Bytes(_) | Self::Invalid | Self::Many => Self::Many,
        };
    }
}

/// Digits and nothing else: no sign, no space, no list.
fn decimal(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0_u64, |number, byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        number.checked_mul(10)?.checked_add(digit)
    })
}

/// The number that `text` is, if it is written as the proxy would: zeros before a number are a client's own, and no other
/// server's to puzzle over.
pub(super) fn plain_decimal(text: &[u8]) -> Option<u64> {
    decimal(text).filter(|_| text.len() == 1 || !text.starts_with(b"0"))
}

impl Announced {
    /// The framing that the headers announce; `None` when they say nothing.
    pub(super) fn framing(&self, version: Version) -> Result<Framing, FramingFault> {
        if self.codings.any() {
            return match self.length {
                _ if version < Version::HTTP_11 => Err(FramingFault::CodingInHttp10),
                Length::Absent => self.codings.only_chunked().map(|()| Framing::Chunked),
                _ => Err(FramingFault::LengthAndCoding),
            };
        }
        match self.length {
            Length::Absent => Ok(Framing::None),
            Length::Bytes(bytes) => Ok(Framing::Length(bytes)),
            Length::Invalid => Err(FramingFault::ContentLength),
            Length::Many => Err(FramingFault::ManyContentLengths),
        }
    }
}
