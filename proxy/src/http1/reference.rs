//! What `httparse` makes of heads, which the codec has to find as well: for tests and fuzzing.

use super::{
    HeadFault, HeadLimits, RequestFault, chunked,
    request::{self, has_other_version},
    response::{self, ResponseFault},
    scan,
    section::Section,
};
use bytes::Bytes;
use httparse::{EMPTY_HEADER, Error, Header, Status};

/// Checks that the head of a request at the beginning of `bytes` is read as `httparse` reads it, or refused for the same reason,
/// and that one that is not whole, or whose end is in doubt, is not read.
pub(super) fn check_request(bytes: &[u8], limits: &HeadLimits) {
    if !bytes.first().copied().is_some_and(scan::is_token_byte) {
        return;
    }
    let find = |bytes: &[u8]| {
        let mut read = request::Read::default();
        let found = read.find(bytes, limits, |_, _| false);
        found.map(|()| read)
    };
    let within = bytes.get(..limits.head_bytes).unwrap_or(bytes);
    let Ok(Some(length)) = Section::default().end(bytes, limits.head_bytes) else {
        assert!(find(within).is_err(), "{bytes:?}");
        return;
    };
    let head = &bytes[..length];
    let mut room = vec![EMPTY_HEADER; limits.headers];
    let mut expected = httparse::Request::new(&mut room);
    let parsed = expected.parse(head);
    let read = match (parsed, find(head)) {
        (Ok(Status::Complete(parsed)), Ok(read)) => {
            assert_eq!((parsed, read.len()), (length, length));
            read
        }
        (Err(error), Err(fault)) => return assert_eq!(fault, request_fault(error, head)),
        (parsed, found) => unreachable!("{parsed:?} {found:?} {bytes:?}"),
    };
    let again = find(within).expect("what comes behind makes no difference");
    assert_eq!(format!("{again:?}"), format!("{read:?}"));
    let (method, target, version) = read.line(head);
    assert_eq!(Some(method), expected.method.map(str::as_bytes));
    assert_eq!(Some(target), expected.path.map(str::as_bytes));
    assert_eq!(Some(version), expected.version);
    let line = method.len() + target.len() + "  HTTP/1.1\r\n".len();
    check_lines(&head[line..], expected.headers);
}

/// The same as [`check_request`], of a response.
pub(super) fn check_response(bytes: &[u8], limits: &HeadLimits) {
    if !bytes.starts_with(b"HTTP/") {
        return;
    }
    let find = |bytes: &[u8]| {
        let mut read = response::Read::default();
        let found = read.find(bytes, limits);
        found.map(|()| read)
    };
    let within = bytes.get(..limits.head_bytes).unwrap_or(bytes);
    let Ok(Some(length)) = Section::default().end(bytes, limits.head_bytes) else {
        assert!(find(within).is_err(), "{bytes:?}");
        return;
    };
    let head = &bytes[..length];
    let mut room = vec![EMPTY_HEADER; limits.headers];
    let mut expected = httparse::Response::new(&mut room);
    let parsed = expected.parse(head);
    let read = match (parsed, find(head)) {
        (Ok(Status::Complete(parsed)), Ok(read)) => {
            assert_eq!((parsed, read.len()), (length, length));
            read
        }
        (Err(error), Err(fault)) => {
            let expected = head_fault(error).map_or(ResponseFault::StatusLine, ResponseFault::Head);
            return assert_eq!(fault, expected);
        }
        (parsed, found) => unreachable!("{parsed:?} {found:?} {bytes:?}"),
    };
    let again = find(within).expect("what comes behind makes no difference");
    assert_eq!(format!("{again:?}"), format!("{read:?}"));
    let (version, code, words) = read.line(head);
    assert_eq!(Some(version), expected.version);
    assert_eq!(Some(code), expected.code);
    assert_eq!(Some(words), expected.reason.map(str::as_bytes));
    let line = head.iter().position(|byte| *byte == b'\n');
    check_lines(&head[line.map_or(0, |at| at + 1)..], expected.headers);
}

/// Checks that the trailers at the beginning of `bytes` are taken if `httparse` takes them, or refused for the same reason.
pub(super) fn check_trailers(bytes: &[u8], limits: &HeadLimits) {
    let Ok(Some(length)) = Section::default().end(bytes, limits.head_bytes) else {
        return;
    };
    let mut room = vec![EMPTY_HEADER; limits.headers];
    let expected = match httparse::parse_headers(&bytes[..length], &mut room) {
        Ok(Status::Complete((parsed, _))) if parsed == length => None,
        Err(Error::TooManyHeaders) => Some(HeadFault::TooManyHeaders),
        Err(Error::HeaderValue) => Some(HeadFault::HeaderValue),
        _ => Some(HeadFault::HeaderName),
    };
    let trailers = Bytes::copy_from_slice(&bytes[..length]);
    let parsed = chunked::parse(&trailers, limits.headers);
    assert_eq!(parsed.err(), expected, "{bytes:?}");
}

/// Checks that `text`, which ends with an empty line, has the `expected` lines and no more.
fn check_lines(mut text: &[u8], expected: &[Header<'_>]) {
    for expected in expected {
        let line = scan::line(text).expect("it was read").expect("there it is");
        assert_eq!(line.name, expected.name.as_bytes());
        assert_eq!(line.value, expected.value);
        assert_eq!(line.has_underscore, expected.name.contains('_'));
        text = line.rest;
    }
    assert_eq!(scan::line(text), Ok(None));
    assert_eq!(text, b"\r\n");
}

fn request_fault(error: Error, head: &[u8]) -> RequestFault {
    match head_fault(error) {
        Some(fault) => RequestFault::Head(fault),
        None if error == Error::Version && has_other_version(head) => RequestFault::Version,
        None => RequestFault::RequestLine,
    }
}

fn head_fault(error: Error) -> Option<HeadFault> {
    match error {
        Error::HeaderName => Some(HeadFault::HeaderName),
        Error::HeaderValue => Some(HeadFault::HeaderValue),
        Error::NewLine => Some(HeadFault::LineEnd),
        Error::TooManyHeaders => Some(HeadFault::TooManyHeaders),
        Error::Version | Error::Status | Error::Token => None,
    }
}
