//! Heads as bytes come: where one ends, and what is wrong with it in general.

use super::{
    fields::is_token_byte,
    request::{self, RequestFault, RequestHead},
    response::{self, ResponseFault, ResponseHead},
    section::{Section, SectionFault},
};
use bytes::{Buf, BytesMut};
use http::{HeaderMap, Method};
use std::mem::MaybeUninit;

/// The empty lines, CR and LF each, that may stand before a request: some clients end a body with one.
const EMPTY_LINES: u8 = 4;

/// The headers for which there is room on the stack.
const USUAL_HEADERS: usize = 100;

/// How large a head may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HeadLimits {
    /// Its bytes, from the start line to the empty line. Trailers have as many of their own.
    pub(crate) head_bytes: usize,
    /// Its headers. Trailers have as many of their own.
    pub(crate) headers: usize,
    /// The bytes of the request's target.
    pub(crate) uri_bytes: usize,
}

/// What is wrong with a head, of a request or of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HeadFault {
    /// It is larger than [`HeadLimits::head_bytes`].
    TooLarge,
    /// It has more headers than [`HeadLimits::headers`].
    TooManyHeaders,
    /// A line does not end with CR and LF.
    LineEnd,
    /// A header's name is no token: white space before the colon, a folded line.
    HeaderName,
    /// A header's value has control characters.
    HeaderValue,
}

impl HeadFault {
    /// What is wrong, in one line.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::TooLarge => "the head is too large",
            Self::TooManyHeaders => "there are too many headers",
            Self::LineEnd => "a line of the head does not end with CR and LF",
            Self::HeaderName => "a header's name is not followed by a colon, or is no name",
            Self::HeaderValue => "a header's value has control characters",
        }
    }
}

impl From<SectionFault> for HeadFault {
    fn from(fault: SectionFault) -> Self {
        match fault {
            SectionFault::BareLineFeed => Self::LineEnd,
            SectionFault::TooLarge { .. } => Self::TooLarge,
        }
    }
}

/// Takes heads off the bytes of one connection, as they come. After a fault the connection is of no use, as nobody knows
/// where the next message begins.
#[derive(Debug, Default)]
pub(crate) struct HeadReader {
    section: Section,
    empty_lines: u8,
}

impl HeadReader {
    /// Takes a request's head off `buffer`, or nothing when it is not whole. Its headers stay lines where they can, unless
    /// there is one, by name and value, that `looks_at` says is looked at; else they are in `recycled`, whose contents are
    /// dropped and whose room is kept.
    pub(crate) fn request(
        &mut self,
        buffer: &mut BytesMut,
        limits: &HeadLimits,
        looks_at: impl Fn(&str, &[u8]) -> bool,
        recycled: impl FnOnce() -> HeaderMap,
    ) -> Result<Option<RequestHead>, RequestFault> {
        self.skip_empty_lines(buffer)?;
        match buffer.first() {
            None => return Ok(None),
            // An empty line that is not whole yet.
            Some(b'\r') if buffer.len() == 1 => return Ok(None),
            // Said at once: who begins a TLS handshake never sends the end of a head.
            Some(first) if !is_token_byte(*first) => return Err(RequestFault::RequestLine),
            Some(_) => {}
        }
        let end = self.section.end(buffer, limits.head_bytes);
        let Some(length) = end.map_err(RequestFault::from)? else {
            return Ok(None);
        };
        self.empty_lines = 0;
        let head = buffer.split_to(length).freeze();
        request::parse(&head, limits, looks_at, recycled).map(Some)
    }

    /// Takes the head of the response to a request of `request_method` off `buffer`, or nothing when it is not whole.
    /// Interim responses (1xx) are given as any other. Of an answer whose headers are not `looked_at`, they stay lines where
    /// they can.
    pub(crate) fn response(
        &mut self,
        buffer: &mut BytesMut,
        limits: &HeadLimits,
        request_method: &Method,
        looked_at: bool,
        recycled: impl FnOnce() -> HeaderMap,
    ) -> Result<Option<ResponseHead>, ResponseFault> {
        let begun = buffer.len().min(5);
        if buffer[..begun] != b"HTTP/"[..begun] {
            return Err(ResponseFault::StatusLine);
        }
        let end = self.section.end(buffer, limits.head_bytes);
        let Some(length) = end.map_err(|fault| ResponseFault::Head(fault.into()))? else {
            return Ok(None);
        };
        let head = buffer.split_to(length).freeze();
        response::parse(&head, limits, request_method, looked_at, recycled).map(Some)
    }

    fn skip_empty_lines(&mut self, buffer: &mut BytesMut) -> Result<(), RequestFault> {
        while buffer.starts_with(b"\r\n") {
            if self.empty_lines == EMPTY_LINES {
                return Err(RequestFault::EmptyLines);
            }
            self.empty_lines += 1;
            buffer.advance(2);
        }
        Ok(())
    }
}

/// Room for the headers that one head can have: on the stack for the usual number.
pub(super) struct Room<'a> {
    usual: [MaybeUninit<httparse::Header<'a>>; USUAL_HEADERS],
    many: Vec<MaybeUninit<httparse::Header<'a>>>,
}

impl<'a> Room<'a> {
    pub(super) fn new() -> Self {
        Self {
            usual: [const { MaybeUninit::uninit() }; USUAL_HEADERS],
            many: Vec::new(),
        }
    }

    /// Room for the headers of a head of `bytes`, and for no more than `limit`.
    pub(super) fn for_headers(
        &mut self,
        bytes: usize,
        limit: usize,
    ) -> &mut [MaybeUninit<httparse::Header<'a>>] {
        // No header is shorter than `a:` and its line's end.
        let count = limit.min(bytes / 4 + 1);
        if count <= USUAL_HEADERS {
            return &mut self.usual[..count];
        }
        self.many.resize_with(count, MaybeUninit::uninit);
        &mut self.many
    }
}
