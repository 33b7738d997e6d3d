//! Heads as bytes come: where one ends, and what is wrong with it in general.

use super::{
    request::{self, RequestFault, RequestHead},
    response::{self, ResponseFault, ResponseHead},
    scan::is_token_byte,
    section::{Section, SectionFault},
};
use bytes::{Buf, BytesMut};
use http::{HeaderMap, Method};

/// The empty lines, CR and LF each, that may stand before a request: some clients end a body with one.
const EMPTY_LINES: u8 = 4;

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
    /// Takes a request's head off `buffer`, or nothing when it is not whole, and puts it into `into`, as it is large to be moved.
    /// Its headers stay lines where they can, unless there is one, by name and value, that `looks_at` says is looked at, or one
    /// whose name has an underscore; else they are in `recycled`, whose contents are dropped and whose room is kept.
    pub(crate) fn request(
        &mut self,
        buffer: &mut BytesMut,
        limits: &HeadLimits,
        looks_at: impl Fn(&[u8], &[u8]) -> bool,
        recycled: impl FnOnce() -> HeaderMap,
        into: &mut Option<RequestHead>,
    ) -> Result<(), RequestFault> {
        self.skip_empty_lines(buffer)?;
        match buffer.first() {
            None => return Ok(()),
            // An empty line that is not whole yet.
            Some(b'\r') if buffer.len() == 1 => return Ok(()),
            // Said at once: who begins a TLS handshake never sends the end of a head.
            Some(first) if !is_token_byte(*first) => return Err(RequestFault::RequestLine),
            Some(_) => {}
        }
        // Most come at once, and are well.
        if self.section.is_new() {
            let mut read = request::Read::default();
            let found = read.find(within(buffer, limits), limits, &looks_at);
            if found.is_ok() {
                self.empty_lines = 0;
                let head = buffer.split_to(read.len()).freeze();
                return read.understand(head, limits, recycled, into);
            }
        }
        let end = self.section.end(buffer, limits.head_bytes);
        let Some(length) = end.map_err(RequestFault::from)? else {
            return Ok(());
        };
        self.empty_lines = 0;
        let head = buffer.split_to(length).freeze();
        request::parse(head, limits, looks_at, recycled, into)
    }

    /// Takes the head of the response to a request of `request_method` off `buffer`, or nothing when it is not whole, and puts it
    /// into `into`, as it is large to be moved. Interim responses (1xx) are given as any other. Of an answer whose headers are not
    /// `looked_at`, they stay lines where they can.
    #[expect(
        clippy::too_many_arguments,
        reason = "the last is where what is large to be moved is put"
    )]
    pub(crate) fn response(
        &mut self,
        buffer: &mut BytesMut,
        limits: &HeadLimits,
        request_method: &Method,
        looked_at: bool,
        recycled: impl FnOnce() -> HeaderMap,
        into: &mut Option<ResponseHead>,
    ) -> Result<(), ResponseFault> {
        let begun = buffer.len().min(5);
        if buffer[..begun] != b"HTTP/"[..begun] {
            return Err(ResponseFault::StatusLine);
        }
        if self.section.is_new() {
            let mut read = response::Read::default();
            if read.find(within(buffer, limits), limits).is_ok() {
                let head = buffer.split_to(read.len()).freeze();
                return read.understand(head, request_method, looked_at, recycled, into);
            }
        }
        let end = self.section.end(buffer, limits.head_bytes);
        let Some(length) = end.map_err(|fault| ResponseFault::Head(fault.into()))? else {
            return Ok(());
        };
        let head = buffer.split_to(length).freeze();
        response::parse(head, limits, request_method, looked_at, recycled, into)
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

/// What `read` puts into the place that it is given.
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) fn given<H, F>(
    read: impl FnOnce(&mut Option<H>) -> Result<(), F>,
) -> Result<Option<H>, F> {
    let mut head = None;
    read(&mut head)?;
    Ok(head)
}

/// The bytes at the beginning of `buffer` that a head may have.
fn within<'a>(buffer: &'a [u8], limits: &HeadLimits) -> &'a [u8] {
    buffer.get(..limits.head_bytes).unwrap_or(buffer)
}
