//! Requests by HTTP/2 on their way to an origin that speaks HTTP/1: what would be several requests there, or another one,
//! does not pass.

use crate::support::{
    frames::{self, DATA, END_HEADERS, END_STREAM, HEADERS, Peer, block, frame},
    recorder::{Recorder, messages},
    strict::{Message, Next},
    world::{self, World},
};

type Field = (&'static str, &'static str);

/// A request, and the most of it that may arrive.
struct Case {
    /// Pseudo-headers that replace the usual ones, and headers.
    fields: Vec<Field>,
    /// The pieces of the body.
    data: &'static [&'static str],
    trailers: &'static [Field],
}

/// What usually comes first.
const USUAL: [Field; 4] = [
    (":method", "POST"),
    (":scheme", "http"),
    (":authority", "a"),
    (":path", "/a"),
];

/// The usual request with `fields`, of which pseudo-headers take the place of usual ones.
fn request(fields: &[Field]) -> Vec<Field> {
    let is_replaced = |usual: &&Field| fields.iter().any(|(name, _)| *name == usual.0);
    let mut all: Vec<Field> = USUAL
        .iter()
        .filter(|it| !is_replaced(it))
        .copied()
        .collect();
    all.extend(fields.iter().filter(|(name, _)| name.starts_with(':')));
    all.extend(fields.iter().filter(|(name, _)| !name.starts_with(':')));
    all
}

/// A proxy before a recorder.
struct Course {
    world: World,
    recorder: Recorder,
    sentinels: usize,
}

impl Course {
    fn start() -> Self {
        let (world, recorder) = (world::start(), Recorder::start());
        world.serve(&[recorder.address()]);
        Self {
            world,
            recorder,
            sentinels: 0,
        }
    }

    /// The messages that arrive at the origin when a client plays `case`; another client is served as ever.
    fn play(&mut self, case: &Case) -> Result<Vec<Message>, String> {
        let mut peer = Peer::connect(self.world.address());
        let mut bytes = Vec::new();
        let ends = |is_last: bool| if is_last { END_STREAM } else { 0 };
        let is_last = case.data.is_empty() && case.trailers.is_empty();
        let head = block(&case.fields);
        bytes.extend(frame(HEADERS, END_HEADERS | ends(is_last), 1, &head));
        for (i, data) in case.data.iter().enumerate() {
            let is_last = i + 1 == case.data.len() && case.trailers.is_empty();
            bytes.extend(frame(DATA, ends(is_last), 1, data.as_bytes()));
        }
        if !case.trailers.is_empty() {
            let trailers = block(case.trailers);
            bytes.extend(frame(HEADERS, END_HEADERS | END_STREAM, 1, &trailers));
        }
        peer.try_send(bytes);
        answered(&mut peer);
        self.sentinel();
        let seen = self.recorder.take();
        let invalid = seen.iter().find_map(|seen| match &seen.next {
            Next::Invalid(what) => Some(what.clone()),
            _ => None,
        });
        if let Some(what) = invalid {
            return Err(what);
        }
        let mut whole: Vec<Message> = messages(&seen).into_iter().cloned().collect();
        let last = whole.pop().map(|it| it.start);
        assert_eq!(last, Some(format!("GET /sentinel/{}", self.sentinels)));
        Ok(whole)
    }

    /// A request that has never been sent before is answered on a connection of its own.
    fn sentinel(&mut self) {
        self.sentinels += 1;
        let mut peer = Peer::connect(self.world.address());
        peer.get(1, &format!("/sentinel/{}", self.sentinels));
        assert!(answered(&mut peer), "the sentinel was not answered");
    }
}

/// Waits until the first stream has an answer to its end, or none any more. Whether it has one that is a success.
fn answered(peer: &mut Peer) -> bool {
    /// `:status: 200` in the static table (RFC 7541 appendix A).
    const OK: u8 = 0x88;
    let mut is_ok = false;
    while let Some(frame) = peer.next() {
        match frame.kind {
            frames::GOAWAY => return is_ok,
            _ if frame.stream != 1 => {}
            frames::RST_STREAM => return false,
            HEADERS | DATA => {
                is_ok |= frame.kind == HEADERS && frame.payload.contains(&OK);
                if frame.flags & END_STREAM != 0 {
                    return is_ok;
                }
            }
            _ => {}
        }
    }
    is_ok
}

#[test]
fn what_is_one_request_arrives_as_one() {
    const LENGTH: &[Field] = &[("content-length", "5")];
    let mut course = Course::start();
    for (fields, data, start, body) in [
        (&[][..], &[][..], "POST /a", ""),
        (&[(":method", "GET")], &[], "GET /a", ""),
        (&[(":method", "get")], &[], "get /a", ""),
        (
            &[(":method", "OPTIONS"), (":path", "/")],
            &[],
            "OPTIONS /",
            "",
        ),
        (&[(":path", "/?")], &[], "POST /?", ""),
        (&[(":path", "//b//c?d?e")], &[], "POST //b//c?d?e", ""),
        (&[(":path", "/http://b/")], &[], "POST /http://b/", ""),
        (&[(":authority", "A:80"), ("host", "a")], &[], "POST /a", ""),
        (&[], &["hello"], "POST /a", "hello"),
        (&[], &["", "he", "", "llo", ""], "POST /a", "hello"),
        (
            &[],
            &["0\r\n\r\nGET /b HTTP/1.1\r\n\r\n"],
            "POST /a",
            "0\r\n\r\nGET /b HTTP/1.1\r\n\r\n",
        ),
        (LENGTH, &["hello"], "POST /a", "hello"),
        (LENGTH, &["he", "llo"], "POST /a", "hello"),
        (&[("content-length", "0")], &[], "POST /a", ""),
        (&[("content-length", "005")], &["hello"], "POST /a", "hello"),
        (&[("te", "trailers")], &["hello"], "POST /a", "hello"),
        (
            &[("expect", "100-continue")],
            &["hello"],
            "POST /a",
            "hello",
        ),
        (&[("x-text", "\u{e9}")], &["hello"], "POST /a", "hello"),
        (
            &[("transfer_encoding", "chunked")],
            &["hello"],
            "POST /a",
            "hello",
        ),
        (&[("content_length", "1")], &["hello"], "POST /a", "hello"),
    ] {
        let seen = course.play(&Case {
            fields: request(fields),
            data,
            trailers: &[],
        });
        let seen = seen.unwrap();
        let got: Vec<_> = seen
            .iter()
            .map(|it| (&*it.start, it.body.as_slice()))
            .collect();
        assert_eq!(got, [(start, body.as_bytes())], "{fields:?} {data:?}");
    }
}

#[test]
fn what_trailers_say_is_not_what_headers_say() {
    let mut course = Course::start();
    for (trailers, expected) in [
        (&[("x-sum", "1")][..], &["x-sum"][..]),
        (&[("content-length", "1"), ("x-sum", "1")], &["x-sum"]),
        (&[("host", "b")], &[]),
        (&[("x-forwarded-for", "192.0.2.1")], &[]),
        (&[("x_forwarded_for", "192.0.2.1")], &[]),
        (&[("authorization", "b")], &[]),
    ] {
        let seen = course.play(&Case {
            fields: request(&[]),
            data: &["hello"],
            trailers,
        });
        let seen = seen.unwrap();
        assert_eq!(seen.len(), 1, "{trailers:?}");
        assert_eq!(seen[0].body, b"hello", "{trailers:?}");
        let names: Vec<&str> = seen[0].trailers.iter().map(|(name, _)| &**name).collect();
        assert_eq!(names, expected, "{trailers:?}");
    }
}

#[test]
fn what_is_no_request_does_not_arrive() {
    let mut course = Course::start();
    let length = |value| vec![("content-length", value)];
    let mut refused: Vec<(Vec<Field>, &'static [&'static str])> = vec![
        (length("5"), &[]),
        (length("5"), &["hell"]),
        (length("5"), &["hello", "!"]),
        (length("4"), &["hello"]),
        (length("0"), &["GET /b HTTP/1.1\r\nHost: a\r\n\r\n"]),
        (
            vec![("content-length", "5"), ("content-length", "5")],
            &["hello"],
        ),
        (
            vec![("content-length", "5"), ("content-length", "6")],
            &["hello"],
        ),
        (
            vec![("content-length", "6"), ("content-length", "5")],
            &["hello"],
        ),
        (
            vec![("content-length", ""), ("content-length", "5")],
            &["hello"],
        ),
    ];
    for value in [
        "",
        "+5",
        "-5",
        "5,5",
        "5, 5",
        "0x5",
        "5.0",
        "5 5",
        "x",
        "18446744073709551621",
    ] {
        refused.push((length(value), &["hello"]));
    }
    for field in [
        ("transfer-encoding", "chunked"),
        ("transfer-encoding", "identity"),
        ("transfer-encoding", ""),
        ("connection", "close"),
        ("connection", "keep-alive, content-length"),
        ("connection", ""),
        ("keep-alive", "1"),
        ("proxy-connection", "keep-alive"),
        ("upgrade", "websocket"),
        ("upgrade", "h2c"),
        ("te", "gzip"),
        ("te", "trailers, chunked"),
        ("te", ""),
        // Names.
        ("Content-Length", "5"),
        ("Transfer-Encoding", "chunked"),
        ("X", "y"),
        ("", "y"),
        ("x y", "z"),
        ("x:", "y"),
        ("x: y\r\ntransfer-encoding", "chunked"),
        ("x\r\ny", "z"),
        ("x\ny", "z"),
        ("x\0", "y"),
        ("transfer-encoding ", "chunked"),
        (" transfer-encoding", "chunked"),
        ("\ttransfer-encoding", "chunked"),
        ("\u{e9}", "y"),
        ("x\u{7f}", "y"),
        // Values.
        ("x", "y\r\nz: a"),
        ("x", "y\r\n\r\nGET /b HTTP/1.1\r\nhost: a\r\n\r\n"),
        ("x", "y\nz: a"),
        ("x", "y\rz: a"),
        ("x", "y\r"),
        ("x", "y\n"),
        ("x", "y\0"),
        ("x", "\u{7f}"),
        // Hosts.
        ("host", "b"),
        ("host", ""),
        ("host", "a b"),
        ("host", "a:81"),
        ("host", "a\r\nx: y"),
        (":authority", ""),
        (":authority", "a b"),
        (":authority", "b@a"),
        (":authority", "a/b"),
        (":authority", "a?b"),
        (":authority", "a#b"),
        (":authority", "a:b"),
        (":authority", "a:99999"),
        (":authority", "a\r\nx: y"),
        (":authority", "[::1"),
        (":authority", "a\\b"),
        // Methods.
        (":method", ""),
        (":method", "CONNECT"),
        (":method", "GET "),
        (":method", "GET /b"),
        (":method", "GET / HTTP/1.1\r\nhost: a\r\n\r\nGET"),
        (":method", "G\0T"),
        (":method", "G\u{e9}T"),
        // Paths.
        (":path", ""),
        (":path", "a"),
        (":path", "?a"),
        (":path", "*"),
        (":path", "**"),
        (":path", "http://b/"),
        (":path", "/a b"),
        (":path", "/a HTTP/1.1\r\nhost: b\r\n\r\nGET /b"),
        (":path", "/a\r\nx: y"),
        (":path", "/a\t"),
        (":path", "/a\0"),
        (":path", "/\u{e9}"),
        (":path", "/\u{7f}"),
        (":path", "\\a"),
        // A fragment is the client's own business.
        (":path", "/b#c"),
        (":path", "#"),
        // Schemes.
        (":scheme", ""),
        (":scheme", "ftp"),
        (":scheme", "http "),
        (":scheme", "http://b/?"),
        (":scheme", "ht\r\ntp"),
        // Pseudo-headers that are none of a request.
        (":status", "200"),
        (":protocol", "websocket"),
        (":host", "a"),
        (":", "a"),
    ] {
        refused.push((vec![field], &["hello"]));
    }
    for field in [
        ("host", "a"),
        (":path", "/a"),
        (":method", "GET"),
        (":authority", "a"),
    ] {
        refused.push((vec![field, field], &["hello"]));
    }
    let mut wrong = Vec::new();
    let mut check = |fields: Vec<Field>, data, trailers| {
        let case = Case {
            fields,
            data,
            trailers,
        };
        let seen = course.play(&case);
        if seen != Ok(Vec::new()) {
            wrong.push(format!("{:?} {data:?} {trailers:?}: {seen:?}", case.fields));
        }
    };
    for (fields, data) in refused {
        check(request(&fields), data, &[]);
    }
    for missing in 0..3 {
        let mut fields = USUAL.to_vec();
        fields.remove(missing);
        // Without an authority there has to be a host.
        check(fields, &["hello"], &[]);
    }
    let mut late = USUAL.to_vec();
    late.insert(3, ("x", "y"));
    check(late, &["hello"], &[]);
    for trailers in [
        &[("X", "y")][..],
        &[("x", "y\r\nz: a")],
        &[("x\r\ny", "z")],
        &[(":path", "/b")],
    ] {
        check(USUAL.to_vec(), &["hello"], trailers);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
