//! A response's head.

use super::{
    Framing, FramingFault, HeadFault, HeadLimits, Lines,
    fields::{Fields, apart, collect},
    head::Room,
    lines::{Found, is_plain},
};
use bytes::Bytes;
use http::{
    HeaderMap, Method, StatusCode, Version,
    header::{CONTENT_LENGTH, TRANSFER_ENCODING},
    response::Parts,
};
use httparse::{ParserConfig, Status};

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

/// Bytes of a response's first line, with its end, beside its words.
const START: usize = "HTTP/1.1 200 \r\n".len();

/// Reads `head`, which ends with its first empty line.
pub(super) fn parse(
    head: &Bytes,
    limits: &HeadLimits,
    request_method: &Method,
    looked_at: bool,
    recycled: impl FnOnce() -> HeaderMap,
) -> Result<ResponseHead, ResponseFault> {
    let mut room = Room::new();
    let mut response = httparse::Response::new(&mut []);
    let parsed = ParserConfig::default().parse_response_with_uninit_headers(
        &mut response,
        head,
        room.for_headers(head.len(), limits.headers),
    );
    let code = match (parsed, response.code) {
        (Ok(Status::Complete(length)), Some(code)) if length == head.len() => code,
        (Err(error), _) => return Err(fault(error)),
        _ => return Err(ResponseFault::StatusLine),
    };
    let status = StatusCode::from_u16(code).map_err(|_| ResponseFault::StatusLine)?;
    let version = match response.version {
        Some(1) => Version::HTTP_11,
        Some(0) => Version::HTTP_10,
        _ => return Err(ResponseFault::StatusLine),
    };
    let fields = Fields::of(response.headers);
    let are_plain =
        !looked_at && is_plain(status) && *request_method != Method::HEAD && !fields.names_others();
    let announced = fields.framing(version).map_err(ResponseFault::Framing)?;
    let framing = framing(announced, status, request_method);
    // Where there are no words, the usual ones are put in.
    let words = response.reason.filter(|words| !words.is_empty());
    let found = Found {
        lines: response.headers,
        start: words
            .filter(|_| version == Version::HTTP_11)
            .map(|words| words.len() + START),
        left_out: fields.left_out,
        length_at: fields.length_at,
        host: None,
        framing,
    };
    let lines = are_plain.then(|| Lines::of(head, &found)).flatten();
    let (mut parts, ()) = http::Response::new(()).into_parts();
    let headers = &mut parts.headers;
    if lines.is_none() {
        *headers = recycled();
        headers.clear();
        collect(head, &apart(head), response.headers, headers).map_err(ResponseFault::Head)?;
    }
    if has_never_a_body(status) {
        // Who reads them would wait for a body that does not come (RFC 9110 section 8.6, RFC 9112 section 6.1).
        headers.remove(CONTENT_LENGTH);
        headers.remove(TRANSFER_ENCODING);
    }
    // Of such an endpoint one does not know whether it sends the body nevertheless, where a next response begins.
    let is_doubtful =
        has_never_a_body(status) && !matches!(announced, Framing::None | Framing::Length(0));

    parts.status = status;
    parts.version = version;
    if let Some(reason) = words
        && status.canonical_reason() != Some(reason)
    {
        parts
            .extensions
            .insert(Reason(head.slice_ref(reason.as_bytes())));
    }
    Ok(ResponseHead {
        parts,
        lines,
        framing,
        keep_alive: fields.keep_alive(version) && framing != Framing::UntilClose && !is_doubtful,
    })
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

fn fault(error: httparse::Error) -> ResponseFault {
    match error {
        httparse::Error::HeaderName => ResponseFault::Head(HeadFault::HeaderName),
        httparse::Error::HeaderValue => ResponseFault::Head(HeadFault::HeaderValue),
        httparse::Error::NewLine => ResponseFault::Head(HeadFault::LineEnd),
        httparse::Error::TooManyHeaders => ResponseFault::Head(HeadFault::TooManyHeaders),
        httparse::Error::Version | httparse::Error::Status | httparse::Error::Token => {
            ResponseFault::StatusLine
        }
    }
}
