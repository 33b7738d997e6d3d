//! What must hold of whole connections.

use super::{
    reader::{self, Message},
    stage::{Answer, Played, play},
};
use crate::http1::{
    HeadLimits,
    transcript::{self, Requests},
};
use std::rc::Rc;

/// Those that a worker has by default.
const LIMITS: HeadLimits = HeadLimits {
    head_bytes: 64 * 1024,
    headers: 100,
    uri_bytes: 16 * 1024,
};

fn ok(_: &Message) -> Answer {
    Answer {
        bytes: b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok".to_vec(),
        closes: false,
    }
}

/// Any bytes from a client of HTTP/1, in pieces of `size`. What endpoints get is what the codec reads in them, each request
/// once, in its order and at the place that its path leads to.
pub(super) fn requests(bytes: &[u8], size: usize) {
    if bytes.starts_with(b"P")
        && b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".starts_with(&bytes[..bytes.len().min(24)])
    {
        return;
    }
    let mut whole = Requests::default();
    whole.feed(bytes, &LIMITS);
    let is_forwarded = |message: &transcript::Message<http::request::Parts>| {
        let is_tunnel = message.head.method == http::Method::CONNECT;
        !is_tunnel && message.head.uri.path() != "*"
    };
    let forwarded: Vec<_> = whole
        .messages
        .iter()
        .filter(|it| is_forwarded(it))
        .collect();
    let played = play(bytes.chunks(size.max(1)), forwarded.len(), Rc::new(ok));
    let mut expected = forwarded.into_iter();
    for (is_first, seen) in &played.seen {
        let message = expected
            .next()
            .unwrap_or_else(|| panic!("made up: {seen:?}"));
        let head = &message.head;
        let target = head
            .uri
            .path_and_query()
            .map_or("/", |target| target.as_str());
        let target = if target.starts_with('?') || target.is_empty() {
            format!("/{target}")
        } else {
            target.to_owned()
        };
        assert_eq!(
            (seen.word(0), seen.word(1)),
            (head.method.as_str(), &*target)
        );
        assert_eq!(seen.body, message.data, "{seen:?}");
        let path = head.uri.path();
        assert_eq!(*is_first, path == "/a" || path.starts_with("/a/"), "{path}");
    }
    let methods: Vec<&str> = whole
        .messages
        .iter()
        .map(|it| it.head.method.as_str())
        .collect();
    let (responses, is_cut) = reader::responses(&played.client, &methods, true)
        .unwrap_or_else(|fault| panic!("the client got no HTTP: {fault}"));
    assert!(!is_cut, "an answer is not whole");
    let answers = responses.iter().filter(|it| it.word(1) == "200").count();
    assert_eq!(answers, played.seen.len(), "as many answers as requests");
    if expected.next().is_some() {
        let last = responses
            .last()
            .expect("an answer that ends the connection");
        assert!(last.closes(), "a request was left out: {last:?}");
    }
    conserved(&played);
}

/// Every request that was counted has ended once.
fn conserved(played: &Played) {
    let totals = &played.totals;
    let ended: u64 = totals.statuses.iter().map(|(_, count)| count).sum();
    assert_eq!(totals.dispatched, ended, "{totals:?}");
}

/// What tells the answers to different requests apart, at the place of an `@`.
const MARKS: [u8; 4] = *b"QWXZ";

/// Requests of one client, each of which has another mark as its path.
const ASKED: [(&str, &[u8]); 4] = [
    ("GET", b"GET /Q HTTP/1.1\r\nhost: a\r\nte: trailers\r\n\r\n"),
    ("HEAD", b"HEAD /W HTTP/1.1\r\nhost: a\r\n\r\n"),
    (
        "POST",
        b"POST /X HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\nabc",
    ),
    ("GET", b"GET /Z HTTP/1.1\r\nhost: a\r\n\r\n"),
];

/// Any bytes from endpoints: one part of `bytes` for each request, parted by 0xFF. Nobody gets what is another's, and the client
/// gets whole answers of HTTP, or a connection that ends. The bits of `closing` tell after which answers the endpoint closes.
pub(super) fn answers(bytes: &[u8], closing: u8) {
    let parts: Vec<Vec<u8>> = bytes
        .split(|byte| *byte == 0xff)
        .map(<[u8]>::to_vec)
        .collect();
    let says = move |request: &Message| {
        let mark = request.word(1).as_bytes().get(1).copied().unwrap_or(b'?');
        let place = MARKS.iter().position(|known| *known == mark).unwrap_or(0);
        let part = parts
            .get(place)
            .or_else(|| parts.last())
            .cloned()
            .unwrap_or_default();
        let marked = |byte| match byte {
            b'@' => mark,
            byte if MARKS.contains(&byte) => b'V',
            byte => byte,
        };
        Answer {
            bytes: part.into_iter().map(marked).collect(),
            closes: closing & 1 << place != 0,
        }
    };
    let played = play(ASKED.iter().map(|(_, request)| *request), 0, Rc::new(says));
    let methods = ASKED.map(|(method, _)| method);
    let (responses, _) = reader::responses(&played.client, &methods, true)
        .unwrap_or_else(|fault| panic!("the client got no HTTP: {fault}"));
    assert!(
        responses.len() <= ASKED.len(),
        "answers that nobody asked for"
    );
    for (place, response) in responses.iter().enumerate() {
        let headers = response.headers.iter().flat_map(|(_, value)| value.bytes());
        let all = response
            .start
            .bytes()
            .chain(headers)
            .chain(response.body.iter().copied());
        let mut foreign = all.filter(|byte| MARKS.contains(byte) && *byte != MARKS[place]);
        assert_eq!(
            foreign.next(),
            None,
            "an answer to another request: {response:?}"
        );
    }
    conserved(&played);
}

/// Frames of HTTP/2 from a client: kind, flags, stream and length of each, and its payload. A head may be one of those that are
/// well-formed, so that requests get through. Endpoints get requests that are whole, and every one ends.
pub(super) fn frames(script: &[u8]) {
    let played = play(bytes_of(script).chunks(1024), 0, Rc::new(ok));
    conserved(&played);
}

/// The same, without a worker: what a connection makes of them in pieces of `size`.
pub(super) fn session(script: &[u8], size: usize) {
    crate::http2::transcript::check(&bytes_of(script), size);
}

/// The bytes of the frames of `script`, with what a client begins with.
fn bytes_of(mut script: &[u8]) -> Vec<u8> {
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec();
    while let Some((&[kind, flags, stream, length], rest)) = script.split_first_chunk::<4>() {
        let (payload, rest) = rest.split_at(usize::from(length).min(rest.len()));
        script = rest;
        let payload = match (kind, flags & 0x80) {
            (1, 0) => HEADS[usize::from(length) % HEADS.len()],
            _ => payload,
        };
        let stream = match stream & 0x80 {
            0 => u32::from(stream % 16) * 2 + 1,
            _ => u32::from(stream & 0x7f),
        };
        let length = u32::try_from(payload.len()).unwrap_or(0).to_be_bytes();
        bytes.extend_from_slice(&length[1..]);
        bytes.extend_from_slice(&[kind, flags & 0x7f]);
        bytes.extend_from_slice(&stream.to_be_bytes());
        bytes.extend_from_slice(payload);
    }
    bytes
}

/// Heads by RFC 7541: indexed fields, and an `:authority` and others as they stand.
const HEADS: [&[u8]; 6] = [
    // GET http / of a.
    b"\x82\x86\x84\x41\x01a",
    // POST.
    b"\x83\x86\x84\x41\x01a",
    // GET /a/b.
    b"\x82\x86\x44\x04/a/b\x41\x01a",
    // POST of two bytes.
    b"\x83\x86\x84\x41\x01a\x0f\x0d\x012",
    // POST that waits to continue.
    b"\x83\x86\x84\x41\x01a\x0f\x14\x0c100-continue",
    // Trailers.
    b"\x00\x01t\x01u",
];
