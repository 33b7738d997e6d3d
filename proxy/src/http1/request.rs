//! A request's head.

use super::{
    Framing, FramingFault, HeadFault, HeadLimits, Lines,
    fields::{Fields, collect},
    head::Room,
    lines::Found,
    section::SectionFault,
    target,
};
use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, Version, request::Parts};
use httparse::{ParserConfig, Status};

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

/// Bytes of a request's first line, with its end, beside method and target.
const START: usize = "  HTTP/1.1\r\n".len();

/// Reads `head`, which ends with its first empty line.
pub(crate) fn parse(
    head: &Bytes,
    limits: &HeadLimits,
    looks_at: impl Fn(&str, &[u8]) -> bool,
    recycled: impl FnOnce() -> HeaderMap,
) -> Result<RequestHead, RequestFault> {
    let mut room = Room::new();
    let mut request = httparse::Request::new(&mut []);
    let parsed = ParserConfig::default().parse_request_with_uninit_headers(
        &mut request,
        head,
        room.for_headers(head.len(), limits.headers),
    );
    let (method, target) = match (parsed, request.method, request.path) {
        (Ok(Status::Complete(length)), Some(method), Some(path)) if length == head.len() => {
            (method, path)
        }
        (Err(error), ..) => return Err(fault(error, head)),
        _ => return Err(RequestFault::RequestLine),
    };
    let method = Method::from_bytes(method.as_bytes()).map_err(|_| RequestFault::RequestLine)?;
    let version = match request.version {
        Some(1) => Version::HTTP_11,
        Some(0) => Version::HTTP_10,
        _ => return Err(RequestFault::Version),
    };
    let uri = target::parse(head.slice_ref(target.as_bytes()), &method, limits)?;
    let fields = Fields::of(request.headers);
    // What HTTP/1.0 may leave out, or a target says in place of `Host`, has to be put in.
    let are_plain = version == Version::HTTP_11
        && uri.authority().is_none()
        && !fields.names_others()
        && !request
            .headers
            .iter()
            .any(|line| looks_at(line.name, line.value));
    target::check_host(&uri, version, &fields)?;
    let framing = fields.framing(version).map_err(RequestFault::Framing)?;
    let found = Found {
        lines: request.headers,
        start: Some(method.as_str().len() + target.len() + START),
        left_out: fields.left_out,
        length_at: fields.length_at,
        host: fields.host,
        framing,
    };
    let lines = are_plain.then(|| Lines::of(head, &found)).flatten();
    let (mut parts, ()) = http::Request::new(()).into_parts();
    if lines.is_none() {
        parts.headers = recycled();
        parts.headers.clear();
        collect(head, head, request.headers, &mut parts.headers).map_err(RequestFault::Head)?;
    }

    parts.method = method;
    parts.uri = uri;
    parts.version = version;
    let has_body = !matches!(framing, Framing::None | Framing::Length(0));
    Ok(RequestHead {
        parts,
        lines,
        framing,
        keep_alive: fields.keep_alive(version),
        // RFC 9110 section 10.1.1: to be ignored in HTTP/1.0.
        takes_trailers: fields.takes_trailers,
        expects_continue: fields.expects_continue && has_body && version == Version::HTTP_11,
    })
}

fn fault(error: httparse::Error, head: &[u8]) -> RequestFault {
    match error {
        httparse::Error::HeaderName => RequestFault::Head(HeadFault::HeaderName),
        httparse::Error::HeaderValue => RequestFault::Head(HeadFault::HeaderValue),
        httparse::Error::NewLine => RequestFault::Head(HeadFault::LineEnd),
        httparse::Error::TooManyHeaders => RequestFault::Head(HeadFault::TooManyHeaders),
        httparse::Error::Version if has_other_version(head) => RequestFault::Version,
        httparse::Error::Version | httparse::Error::Status | httparse::Error::Token => {
            RequestFault::RequestLine
        }
    }
}

/// Whether the first line is one of HTTP (RFC 9112 section 2.3), with whatever version.
fn has_other_version(head: &[u8]) -> bool {
    let line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let version = line.split(|byte| *byte == b' ').nth(2);
    let version = version.and_then(|version| version.strip_prefix(b"HTTP/"));
    matches!(version, Some([major, b'.', minor]) if major.is_ascii_digit() && minor.is_ascii_digit())
}
