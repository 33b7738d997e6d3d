//! A response's head.

use super::{
    Framing, FramingFault, HeadFault, HeadLimits, Lines,
    fields::{Fields, apart, collect},
    lines::is_plain,
    words,
};
use bytes::Bytes;
use http::{
    HeaderMap, Method, StatusCode, Version,
    header::{CONTENT_LENGTH, TRANSFER_ENCODING},
    response::Parts,
};

/// A response's head.
#[derive(Debug)]
pub(crate) struct ResponseHead {
    /// Status, version (1.0 or 1.1) and headers, as they came.
    pub(crate) parts: Parts,
    /// The headers, if they are not in `parts`.
    pub(crate) lines: Option<Lines>,
    /// How the body is framed.
    pub(crate) framing: Framing,
    /// Whether the connection can be used again after the body. When an interim response says no, the final one cannot
    /// say yes.
    pub(crate) keep_alive: bool,
}

/// Words for a status that are not its usual ones; an extension of the response's parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reason(pub(super) Bytes);

/// Why a response cannot be understood. The connection is of no further use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ResponseFault {
    /// The head in general.
    Head(HeadFault),
    /// The first line is not a version of HTTP/1 and a status of three digits.
    StatusLine,
    /// It is not certain where the body ends.
    Framing(FramingFault),
}

impl ResponseFault {
    /// What is wrong, in one line.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Head(fault) => fault.as_str(),
            Self::StatusLine => "the first line is not a version and a status of HTTP/1",
            Self::Framing(fault) => fault.as_str(),
        }
    }
}

/// Where the parts of a head are, and what its lines say. All of it has the form that it must have.
#[derive(Debug, Default)]
pub(super) struct Read {
    version: Version,
    code: u16,
    /// Where the words behind the status begin and end, which are text.
    words: (usize, usize),
    fields: Fields,
}

/// Bytes of the empty line.
const END: usize = "\r\n".len();

/// Where the words of a response's first line begin.
const WORDS: usize = "HTTP/1.1 200 ".len();

/// Reads `head`, which ends with its first empty line.
pub(super) fn parse(
    head: Bytes,
    limits: &HeadLimits,
    request_method: &Method,
    looked_at: bool,
    recycled: impl FnOnce() -> HeaderMap,
    into: &mut Option<ResponseHead>,
) -> Result<(), ResponseFault> {
    let mut read = Read::default();
    read.find(&head, limits)?;
    if read.len() != head.len() {
        return Err(ResponseFault::StatusLine);
    }
    read.understand(head, request_method, looked_at, recycled, into)
}

impl Read {
    /// The bytes of the head.
    pub(super) fn len(&self) -> usize {
        self.fields.end + END
    }

    /// Finds the parts of the head at the beginning of `bytes`.
    ///
    /// # Errors
    /// When one has not its form, or not all of it is there: what is wrong is certain only where a whole head is.
    #[inline(always)]
    pub(super) fn find(&mut self, bytes: &[u8], limits: &HeadLimits) -> Result<(), ResponseFault> {
        let (version, code) = match bytes.first_chunk() {
            Some(
                [
                    b'H',
                    b'T',
                    b'T',
                    b'P',
                    b'/',
                    b'1',
                    b'.',
                    minor,
                    b' ',
                    a,
                    b,
                    c,
                ],
            ) => (version(*minor), decimal([*a, *b, *c])),
            _ => (None, None),
        };
        self.version = version.ok_or(ResponseFault::StatusLine)?;
        self.code = code.ok_or(ResponseFault::StatusLine)?;
        let (from, to) = words(bytes).ok_or(ResponseFault::StatusLine)?;
        if bytes.get(from..to).is_some_and(<[u8]>::is_ascii) {
            self.words = (from, to);
        }
        let read = self.fields.read(bytes, to + END, limits.headers, |_| false);
        read.map_err(ResponseFault::Head)
    }

    /// Minor version, status and words of `head`, whose parts these are.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(super) fn line<'a>(&self, head: &'a [u8]) -> (u8, u16, &'a [u8]) {
        let minor = u8::from(self.version == Version::HTTP_11);
        (minor, self.code, &head[self.words.0..self.words.1])
    }

    /// What `head` means, whose parts these are, in answer to a request of `request_method`, put into `into`.
    pub(super) fn understand(
        &self,
        head: Bytes,
        request_method: &Method,
        looked_at: bool,
        recycled: impl FnOnce() -> HeaderMap,
        into: &mut Option<ResponseHead>,
    ) -> Result<(), ResponseFault> {
        let status = StatusCode::from_u16(self.code).map_err(|_| ResponseFault::StatusLine)?;
        let (version, fields) = (self.version, &self.fields);
        let are_plain = !looked_at
            && is_plain(status)
            && *request_method != Method::HEAD
            && !fields.names_others()
            && Lines::can_be(fields);
        let announced = fields.framing(version).map_err(ResponseFault::Framing)?;
        let framing = framing(announced, status, request_method);
        // Where there are no words, the usual ones are put in.
        let (from, to) = self.words;
        let words = head.get(from..to).filter(|words| !words.is_empty());
        let has_start = words.is_some() && version == Version::HTTP_11;
        let mut headers = HeaderMap::new();
        if !are_plain {
            headers = recycled();
            headers.clear();
            collect(&apart(&head), fields, &mut headers).map_err(ResponseFault::Head)?;
        }
        if has_never_a_body(status) {
            // Who reads them would wait for a body that does not come (RFC 9110 section 8.6, RFC 9112 section 6.1).
            headers.remove(CONTENT_LENGTH);
            headers.remove(TRANSFER_ENCODING);
        }
        // Of such an endpoint one does not know whether it sends the body nevertheless, where a next response begins.
        let is_doubtful =
            has_never_a_body(status) && !matches!(announced, Framing::None | Framing::Length(0));
        let reason = words
            .filter(|words| status.canonical_reason().map(str::as_bytes) != Some(words))
            .map(|_| Reason(head.slice(from..to)));
        let (parts, ()) = http::Response::new(()).into_parts();
        let into = into.insert(ResponseHead {
            parts,
            lines: are_plain.then(|| Lines::of(head, fields, has_start)),
            framing,
            keep_alive: fields.keep_alive(version)
                && framing != Framing::UntilClose
                && !is_doubtful,
        });
        into.parts.status = status;
        into.parts.version = version;
        into.parts.headers = headers;
        if let Some(reason) = reason {
            into.parts.extensions.insert(reason);
        }
        Ok(())
    }
}

/// The version of HTTP/1 with this `minor` number.
fn version(minor: u8) -> Option<Version> {
    match minor {
        b'1' => Some(Version::HTTP_11),
        b'0' => Some(Version::HTTP_10),
        _ => None,
    }
}

/// The number of three `digits`.
fn decimal(digits: [u8; 3]) -> Option<u16> {
    let is_number = digits.iter().all(u8::is_ascii_digit);
    let number = digits
        .iter()
        .fold(0, |number, digit| number * 10 + u16::from(digit & 0xf));
    is_number.then_some(number)
}

/// Where the words of the first line at the beginning of `bytes` begin and end, of which there may be none, with or without a
/// space before them.
#[inline]
fn words(bytes: &[u8]) -> Option<(usize, usize)> {
    let (from, rest) = match bytes.get(WORDS - 1..)? {
        [b' ', rest @ ..] => (WORDS, rest),
        rest @ [b'\r', ..] => (WORDS - 1, rest),
        _ => return None,
    };
    let (words, rest) = rest.split_at(words::value_end(rest));
    let ends = rest.starts_with(b"\r\n");
    ends.then_some((from, from + words.len()))
}

/// RFC 9112 section 6.3.
fn framing(announced: Framing, status: StatusCode, request_method: &Method) -> Framing {
    let has_none = has_never_a_body(status)
        || status == StatusCode::NOT_MODIFIED
        || *request_method == Method::HEAD;
    match announced {
        _ if has_none => Framing::None,
        Framing::None => Framing::UntilClose,
        announced => announced,
    }
}

/// Whether responses of `status` neither have a body nor may say how long one would have been.
pub(super) fn has_never_a_body(status: StatusCode) -> bool {
    status.is_informational() || status == StatusCode::NO_CONTENT
}
