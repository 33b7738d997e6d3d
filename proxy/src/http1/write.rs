//! Heads as they are written.

use super::{Encoder, Framing, Lines, Reason, fields::tokens, response::has_never_a_body};
use bytes::{BufMut, BytesMut};
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version,
    header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING},
    request::Parts,
};

/// Writes the head of a request, in origin form or with `*`, and gives the encoder of its body. `Content-Length` and
/// `Transfer-Encoding` are those of `framing`, whatever the headers say; what they say in `Connection` stays.
pub(crate) fn write_request(out: &mut BytesMut, parts: &Parts, framing: Framing) -> Encoder {
    out.reserve(room(&parts.headers));
    write_request_line(out, parts);
    let has_options = write_fields(out, &parts.headers, false);
    if has_options {
        write_connection(out, &parts.headers, None);
    }
    end_request(out, &parts.method, framing, false)
}

/// Writes the first line of a request's head.
pub(crate) fn write_request_line(out: &mut BytesMut, parts: &Parts) {
    out.put_slice(parts.method.as_str().as_bytes());
    out.put_u8(b' ');
    let target = parts.uri.path_and_query().map_or("/", |it| it.as_str());
    if target.starts_with('?') {
        out.put_u8(b'/');
    }
    out.put_slice(target.as_bytes());
    out.put_slice(b" HTTP/1.1\r\n");
}

/// Ends the head of a request of `method`, saying how its body is framed unless it `is_said`, and gives the encoder of the
/// body.
pub(crate) fn end_request(
    out: &mut BytesMut,
    method: &Method,
    framing: Framing,
    is_said: bool,
) -> Encoder {
    let framing = match framing {
        // A request that ends with the connection gets no answer.
        Framing::UntilClose => Framing::Chunked,
        framing => framing,
    };
    match framing {
        _ if is_said => {}
        // RFC 9110 section 8.6: these are expected to have a body, and some servers answer 411 when nothing is said.
        Framing::None if [Method::POST, Method::PUT, Method::PATCH].contains(method) => {
            write_framing(out, Framing::Length(0));
        }
        framing => write_framing(out, framing),
    }
    out.put_slice(b"\r\n");
    Encoder::new(framing)
}

/// What the first line of a response is made of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StatusLine<'a> {
    /// The version that the client speaks, which decides about more than the line.
    pub(crate) version_of_client: Version,
    /// The status.
    pub(crate) status: StatusCode,
    /// Words in place of the usual ones.
    pub(crate) reason: Option<&'a Reason>,
}

/// Writes the head of a response and gives the encoder of its body. `Content-Length` and `Transfer-Encoding` are those of
/// `framing`; with [`Framing::None`] (the response to a HEAD, a 304) the `Content-Length` in `headers` stays. What they
/// say in `Connection` stays, and whether it stays open is added. `lines` are headers, too.
///
/// To a client of HTTP/1.0, chunks become a body until the connection closes, see [`Encoder::is_until_close`].
pub(crate) fn write_response(
    out: &mut BytesMut,
    line: &StatusLine<'_>,
    headers: &HeaderMap,
    lines: Option<&Lines>,
    framing: &Framing,
    keep_alive: bool,
) -> Encoder {
    let StatusLine {
        version_of_client,
        status,
        reason,
    } = *line;
    let framing = match framing {
        _ if has_never_a_body(status) => Framing::None,
        Framing::Chunked if version_of_client < Version::HTTP_11 => Framing::UntilClose,
        framing => *framing,
    };
    out.reserve(room(headers) + lines.map_or(0, Lines::len));
    if !lines.is_some_and(Lines::has_start) {
        out.put_slice(b"HTTP/1.1 ");
        out.put_slice(status.as_str().as_bytes());
        out.put_u8(b' ');
        match reason {
            Some(reason) => out.put_slice(&reason.0),
            None => out.put_slice(status.canonical_reason().unwrap_or_default().as_bytes()),
        }
        out.put_slice(b"\r\n");
    }
    let keeps_length = framing == Framing::None && !has_never_a_body(status);
    let is_said = lines.is_some_and(|lines| lines.write(out, framing));
    let has_options = write_fields(out, headers, keeps_length);
    if !is_said {
        write_framing(out, framing);
    }
    let option = if status.is_informational() {
        // It says nothing about the response that follows.
        None
    } else if !keep_alive || framing == Framing::UntilClose {
        Some("close")
    } else if version_of_client < Version::HTTP_11 {
        Some("keep-alive")
    } else {
        None
    };
    if has_options || option.is_some() {
        write_connection(out, headers, option);
    }
    out.put_slice(b"\r\n");
    Encoder::new(framing)
}

/// About the bytes of a head with `headers`, as they usually are.
fn room(headers: &HeaderMap) -> usize {
    256 + 64 * headers.len()
}

/// Writes all headers but those that are written from elsewhere. Whether there is a `Connection` among these.
fn write_fields(out: &mut BytesMut, headers: &HeaderMap, keeps_length: bool) -> bool {
    let mut has_options = false;
    for (name, value) in headers {
        let is_connection = *name == CONNECTION;
        let is_own = is_connection
            || *name == TRANSFER_ENCODING
            || (*name == CONTENT_LENGTH && !keeps_length);
        if !is_own {
            write_field(out, name, value);
        }
        has_options |= is_connection;
    }
    has_options
}

/// Writes one header line.
pub(super) fn write_field(out: &mut BytesMut, name: &HeaderName, value: &HeaderValue) {
    out.put_slice(name.as_str().as_bytes());
    out.put_slice(b": ");
    out.put_slice(value.as_bytes());
    out.put_slice(b"\r\n");
}

fn write_framing(out: &mut BytesMut, framing: Framing) {
    match framing {
        Framing::None | Framing::UntilClose => {}
        Framing::Chunked => out.put_slice(b"transfer-encoding: chunked\r\n"),
        Framing::Length(bytes) => {
            out.put_slice(b"content-length: ");
            out.put_slice(decimal(bytes, &mut [b'0'; 20]));
            out.put_slice(b"\r\n");
        }
    }
}

/// Writes `Connection` in one line: the options that the caller set (`upgrade`, `te`, `close`) and `option`, which alone
/// decides about `keep-alive`.
fn write_connection(out: &mut BytesMut, headers: &HeaderMap, option: Option<&'static str>) {
    let set = headers.get_all(CONNECTION).into_iter();
    let set = set.flat_map(|value| tokens(value.as_bytes()));
    let is_other = |token: &&[u8]| {
        let is = |known: &str| token.eq_ignore_ascii_case(known.as_bytes());
        !token.is_empty() && !is("keep-alive") && !option.is_some_and(is)
    };
    let mut separator: &[u8] = b"connection: ";
    for token in set.filter(is_other).chain(option.map(str::as_bytes)) {
        out.put_slice(separator);
        out.put_slice(token);
        separator = b", ";
    }
    if separator == b", " {
        out.put_slice(b"\r\n");
    }
}

/// `number` in decimal, at the end of `digits`, which are enough for 2^64.
pub(crate) fn decimal(mut number: u64, digits: &mut [u8; 20]) -> &[u8] {
    let mut length = 0;
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
        length += 1;
        if number == 0 {
            break;
        }
    }
    &digits[digits.len() - length..]
}
