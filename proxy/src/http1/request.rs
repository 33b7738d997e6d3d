//! A request's head.

use super::{
    Framing, FramingFault, HeadFault, HeadLimits, Lines,
    fields::{Fields, collect},
    scan::{Line, token_end},
    section::SectionFault,
    target, words,
};
use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, Version, request::Parts};

/// A request's head.
#[derive(Debug)]
pub(crate) struct RequestHead {
    /// Method, target, version (1.0 or 1.1) and headers, as they came.
    pub(crate) parts: Parts,
    /// The headers, if they are not in `parts`.
    pub(crate) lines: Option<Lines>,
    /// How the body is framed. A request's never ends with the connection.
    pub(crate) framing: Framing,
    /// Whether the client wants to send more requests.
    pub(crate) keep_alive: bool,
    /// Whether the client waits for a 100 before it sends the body.
    pub(crate) expects_continue: bool,
    /// Whether the client says that it takes trailers.
    pub(crate) takes_trailers: bool,
}

/// Why a request is refused. The connection is to be closed after the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RequestFault {
    /// The head in general.
    Head(HeadFault),
    /// More than four empty lines before the request.
    EmptyLines,
    /// The first line is not a method, a target and a version with one space between each.
    RequestLine,
    /// HTTP of another version.
    Version,
    /// The target is neither a path, `*` of OPTIONS nor an `http` URL without user information.
    Target,
    /// The target is longer than [`HeadLimits::uri_bytes`].
    TargetTooLong,
    /// `CONNECT` asks for a tunnel to a host of the client's choice.
    Connect,
    /// HTTP/1.1 demands a `Host` (RFC 9112 section 3.2).
    NoHost,
    /// More than one `Host`: another server on the way may have chosen the other one.
    ManyHosts,
    /// The `Host` cannot be one.
    HostInvalid,
    /// The target has another host than `Host`.
    HostContradicts,
    /// It is not certain where the body ends.
    Framing(FramingFault),
}

impl RequestFault {
    /// The status of the answer.
    pub(crate) const fn status(self) -> StatusCode {
        match self {
            Self::Head(HeadFault::TooLarge | HeadFault::TooManyHeaders) => {
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE
            }
            Self::TargetTooLong => StatusCode::URI_TOO_LONG,
            Self::Connect | Self::Framing(FramingFault::UnknownCoding) => {
                StatusCode::NOT_IMPLEMENTED
            }
            Self::Version => StatusCode::HTTP_VERSION_NOT_SUPPORTED,
            _ => StatusCode::BAD_REQUEST,
        }
    }

    /// What the client is told.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Head(fault) => fault.as_str(),
            Self::EmptyLines => "there are too many empty lines before the request",
            Self::RequestLine => "the first line is not a method, a target and a version",
            Self::Version => "the version of HTTP is neither 1.1 nor 1.0",
            Self::Target => "the request target is neither a path nor an http URL",
            Self::TargetTooLong => "the request target is too long",
            Self::Connect => "CONNECT is not supported",
            Self::NoHost => "the request has no Host header, which HTTP/1.1 demands",
            Self::ManyHosts => "the request has more than one Host header",
            Self::HostInvalid => {
                "the Host header is not a host name or address with an optional port"
            }
            Self::HostContradicts => "the request target has another host than the Host header",
            Self::Framing(fault) => fault.as_str(),
        }
    }
}

impl From<SectionFault> for RequestFault {
    fn from(fault: SectionFault) -> Self {
        match fault {
            // Nothing of a request line can be that long but the target.
            SectionFault::TooLarge { first_line: true } => Self::TargetTooLong,
            fault => Self::Head(fault.into()),
        }
    }
}

/// Where the parts of a head are, and what its lines say. All of it has the form that it must have.
#[derive(Debug, Default)]
pub(super) struct Read {
    method_end: usize,
    target_end: usize,
    version: Version,
    fields: Fields,
}

/// Bytes of the empty line.
const END: usize = "\r\n".len();

/// Reads `head`, which ends with its first empty line. There is one always, given as it is given on, as it is large to be moved.
pub(crate) fn parse(
    head: Bytes,
    limits: &HeadLimits,
    looks_at: impl Fn(&[u8], &[u8]) -> bool,
    recycled: impl FnOnce() -> HeaderMap,
    into: &mut Option<RequestHead>,
) -> Result<(), RequestFault> {
    let mut read = Read::default();
    read.find(&head, limits, looks_at)?;
    if read.len() != head.len() {
        return Err(RequestFault::RequestLine);
    }
    read.understand(head, limits, recycled, into)
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
    pub(super) fn find(
        &mut self,
        bytes: &[u8],
        limits: &HeadLimits,
        looks_at: impl Fn(&[u8], &[u8]) -> bool,
    ) -> Result<(), RequestFault> {
        let method = method_end(bytes);
        let (method, rest) = bytes.split_at(method);
        let rest = rest.strip_prefix(b" ").filter(|_| !method.is_empty());
        let rest = rest.ok_or(RequestFault::RequestLine)?;
        let (target, rest) = rest.split_at(words::word_end(rest));
        let is_text = target.is_ascii() || str::from_utf8(target).is_ok();
        let rest = rest
            .strip_prefix(b" ")
            .filter(|_| !target.is_empty() && is_text)
            .ok_or(RequestFault::RequestLine)?;
        self.version = match rest.first_chunk() {
            Some(VERSION_11) => Version::HTTP_11,
            Some(VERSION_10) => Version::HTTP_10,
            _ => return Err(version_fault(bytes, rest)),
        };
        self.method_end = method.len();
        self.target_end = method.len() + 1 + target.len();
        // A name with an underscore may be read as one with a hyphen, be it one that is looked at.
        let looks_at = |line: &Line<'_>| line.has_underscore || looks_at(line.name, line.value);
        let start = self.target_end + 1 + VERSION_11.len();
        let read = self.fields.read(bytes, start, limits.headers, looks_at);
        read.map_err(RequestFault::Head)
    }

    /// Method, target and minor version of `head`, whose parts these are.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(super) fn line<'a>(&self, head: &'a [u8]) -> (&'a [u8], &'a [u8], u8) {
        let (method, target) = head[..self.target_end].split_at(self.method_end);
        let minor = u8::from(self.version == Version::HTTP_11);
        (method, &target[1..], minor)
    }

    /// What `head` means, whose parts these are, put into `into`.
    pub(super) fn understand(
        &self,
        head: Bytes,
        limits: &HeadLimits,
        recycled: impl FnOnce() -> HeaderMap,
        into: &mut Option<RequestHead>,
    ) -> Result<(), RequestFault> {
        let Self {
            version,
            ref fields,
            method_end,
            target_end,
        } = *self;
        let method = head.get(..method_end).unwrap_or_default();
        let method = Method::from_bytes(method).map_err(|_| RequestFault::RequestLine)?;
        let uri = target::parse(head.slice(method_end + 1..target_end), &method, limits)?;
        let host = fields.host.and_then(|(from, to)| head.get(from..to));
        target::check_host(&uri, version, fields.hosts, host)?;
        let framing = fields.framing(version).map_err(RequestFault::Framing)?;
        // What HTTP/1.0 may leave out, or a target says in place of `Host`, has to be put in.
        let are_plain = version == Version::HTTP_11
            && uri.authority().is_none()
            && !fields.names_others()
            && !fields.is_looked_at
            && Lines::can_be(fields);
        let mut headers = HeaderMap::new();
        if !are_plain {
            headers = recycled();
            headers.clear();
            collect(&head, fields, &mut headers).map_err(RequestFault::Head)?;
        }
        let (parts, ()) = http::Request::new(()).into_parts();
        let has_body = !matches!(framing, Framing::None | Framing::Length(0));
        let into = into.insert(RequestHead {
            parts,
            lines: are_plain.then(|| Lines::of(head, fields, true)),
            framing,
            keep_alive: fields.keep_alive(version),
            // RFC 9110 section 10.1.1: to be ignored in HTTP/1.0.
            takes_trailers: fields.takes_trailers,
            expects_continue: fields.expects_continue && has_body && version == Version::HTTP_11,
        });
        into.parts.method = method;
        into.parts.uri = uri;
        into.parts.version = version;
        into.parts.headers = headers;
        Ok(())
    }
}

/// Where the method at the beginning of `head` ends.
#[inline]
fn method_end(head: &[u8]) -> usize {
    match words::letters_end(head) {
        end if head.get(end) == Some(&b' ') => end,
        _ => token_end(head),
    }
}

const VERSION_11: &[u8; 10] = b"HTTP/1.1\r\n";
const VERSION_10: &[u8; 10] = b"HTTP/1.0\r\n";

/// What is wrong with the first line of `head`, where it ends with `rest` in place of a version.
#[cold]
fn version_fault(head: &[u8], rest: &[u8]) -> RequestFault {
    if rest.starts_with(b"HTTP/1.1") || rest.starts_with(b"HTTP/1.0") {
        RequestFault::Head(HeadFault::LineEnd)
    } else if has_other_version(head) {
        RequestFault::Version
    } else {
        RequestFault::RequestLine
    }
}

/// Whether the first line is one of HTTP (RFC 9112 section 2.3), with whatever version.
pub(super) fn has_other_version(head: &[u8]) -> bool {
    let line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let version = line.split(|byte| *byte == b' ').nth(2);
    let version = version.and_then(|version| version.strip_prefix(b"HTTP/"));
    matches!(version, Some([major, b'.', minor]) if major.is_ascii_digit() && minor.is_ascii_digit())
}
