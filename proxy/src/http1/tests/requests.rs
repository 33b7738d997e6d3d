use super::*;
use FramingFault as F;
use HeadFault as H;
use RequestFault as R;

/// Checks that a request with these lines (without its last, empty one) is refused for `fault`.
fn check_refused(lines: &str, fault: RequestFault) {
    let bytes = lines.as_bytes();
    let got = request(&[bytes, b"\r\n\r\n"].concat());
    let got = got.map(|head| head.map(|(head, _)| head.parts));
    assert_eq!(got.err(), Some(fault), "{lines:?}");
}

#[test]
fn what_is_not_certain_is_refused() {
    let cases = [
        // The first line.
        ("GET /", R::RequestLine),
        ("GET / ", R::RequestLine),
        ("GET  / HTTP/1.1\r\nHost: a", R::RequestLine),
        ("GET /  HTTP/1.1\r\nHost: a", R::RequestLine),
        ("GET\t/ HTTP/1.1\r\nHost: a", R::RequestLine),
        ("GET / HTTP/1.1 \r\nHost: a", R::Head(H::LineEnd)),
        (" GET / HTTP/1.1\r\nHost: a", R::RequestLine),
        ("\u{16}\u{3}\u{1}", R::RequestLine),
        ("G(T / HTTP/1.1\r\nHost: a", R::RequestLine),
        ("GET / HTTP/1.2\r\nHost: a", R::Version),
        ("GET / HTTP/2.0\r\nHost: a", R::Version),
        ("GET / HTTP/0.9\r\nHost: a", R::Version),
        ("PRI * HTTP/2.0", R::Version),
        ("GET / HTTP/1\r\nHost: a", R::RequestLine),
        ("GET / HTTP/11\r\nHost: a", R::RequestLine),
        ("GET / http/1.1\r\nHost: a", R::RequestLine),
        ("GET / HTTPS/1.1\r\nHost: a", R::RequestLine),
        // Line ends.
        ("GET / HTTP/1.1\nHost: a", R::Head(H::LineEnd)),
        ("GET / HTTP/1.1\r\nHost: a\nB: c", R::Head(H::LineEnd)),
        ("GET / HTTP/1.1\r\nHost: a\rB: c", R::Head(H::HeaderValue)),
        ("GET / HTTP/1.1\rHost: a", R::Head(H::LineEnd)),
        ("GET / HTTP/1.1\r\r\nHost: a", R::Head(H::LineEnd)),
        ("\nGET / HTTP/1.1\r\nHost: a", R::RequestLine),
        ("\rGET / HTTP/1.1\r\nHost: a", R::RequestLine),
        // Headers.
        (
            "GET / HTTP/1.1\r\nHost: a\r\n folded: b",
            R::Head(H::HeaderName),
        ),
        ("GET / HTTP/1.1\r\n Host: a", R::Head(H::HeaderName)),
        ("GET / HTTP/1.1\r\nHost : a", R::Head(H::HeaderName)),
        ("GET / HTTP/1.1\r\nHost: a\r\nB", R::Head(H::HeaderName)),
        ("GET / HTTP/1.1\r\nHost: a\r\n: b", R::Head(H::HeaderName)),
        (
            "GET / HTTP/1.1\r\nHost: a\r\nB\u{e9}: c",
            R::Head(H::HeaderName),
        ),
        (
            "GET / HTTP/1.1\r\nHost: a\r\nB: c\0",
            R::Head(H::HeaderValue),
        ),
        (
            "GET / HTTP/1.1\r\nHost: a\r\nB: \u{1}c",
            R::Head(H::HeaderValue),
        ),
        (
            "GET / HTTP/1.1\r\nHost: a\r\nB: \u{7f}",
            R::Head(H::HeaderValue),
        ),
        // Targets.
        ("GET a HTTP/1.1\r\nHost: a", R::Target),
        ("GET a:80 HTTP/1.1\r\nHost: a", R::Target),
        ("GET ?a HTTP/1.1\r\nHost: a", R::Target),
        ("GET /#a HTTP/1.1\r\nHost: a", R::Target),
        ("GET /\u{e9} HTTP/1.1\r\nHost: a", R::Target),
        ("GET * HTTP/1.1\r\nHost: a", R::Target),
        ("GET http:// HTTP/1.1\r\nHost: a", R::Target),
        ("GET http:///a HTTP/1.1\r\nHost: a", R::Target),
        ("GET http:/a HTTP/1.1\r\nHost: a", R::Target),
        ("GET http://u@a/ HTTP/1.1\r\nHost: a", R::Target),
        ("GET http://a:b/ HTTP/1.1\r\nHost: a", R::Target),
        ("GET ftp://a/ HTTP/1.1\r\nHost: a", R::Target),
        ("GET ws://a/ HTTP/1.1\r\nHost: a", R::Target),
        ("CONNECT a:80 HTTP/1.1\r\nHost: a", R::Connect),
        ("CONNECT / HTTP/1.1\r\nHost: a", R::Connect),
        // Hosts.
        ("GET / HTTP/1.1\r\nA: b", R::NoHost),
        ("GET http://a/ HTTP/1.1", R::NoHost),
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: a", R::ManyHosts),
        ("GET / HTTP/1.0\r\nHost: a\r\nHost: b", R::ManyHosts),
        ("GET / HTTP/1.1\r\nHost: a b", R::HostInvalid),
        ("GET / HTTP/1.1\r\nHost: a/b", R::HostInvalid),
        ("GET http://a/ HTTP/1.1\r\nHost: b", R::HostContradicts),
        ("GET http://a/ HTTP/1.1\r\nHost: a:8080", R::HostContradicts),
        ("GET http://a/ HTTP/1.1\r\nHost: a:443", R::HostContradicts),
        ("GET http://a/ HTTP/1.0\r\nHost: b", R::HostContradicts),
        ("GET http://a/ HTTP/1.1\r\nHost:", R::HostInvalid),
    ];
    for (lines, fault) in cases {
        check_refused(lines, fault);
    }
}

#[test]
fn a_body_without_a_certain_end_is_refused() {
    let cases = [
        ("Content-Length: +5", F::ContentLength),
        ("Content-Length: -5", F::ContentLength),
        ("Content-Length: 0x5", F::ContentLength),
        ("Content-Length: 5 5", F::ContentLength),
        ("Content-Length: 5, 5", F::ContentLength),
        ("Content-Length: 5;", F::ContentLength),
        ("Content-Length: 5.0", F::ContentLength),
        ("Content-Length:", F::ContentLength),
        ("Content-Length: 18446744073709551616", F::ContentLength),
        (
            "Content-Length: 5\r\nContent-Length: 5",
            F::ManyContentLengths,
        ),
        (
            "Content-Length: 5\r\nContent-Length: 6",
            F::ManyContentLengths,
        ),
        (
            "Content-Length: x\r\nContent-Length: 5",
            F::ManyContentLengths,
        ),
        (
            "Content-Length: 5\r\nTransfer-Encoding: chunked",
            F::LengthAndCoding,
        ),
        (
            "Transfer-Encoding: x\r\nContent-Length: 5",
            F::LengthAndCoding,
        ),
        ("Transfer-Encoding: identity", F::Coding),
        ("Transfer-Encoding: gzip", F::Coding),
        ("Transfer-Encoding: xchunked", F::Coding),
        ("Transfer-Encoding: \"chunked\"", F::Coding),
        ("Transfer-Encoding: chunked;a=b", F::Coding),
        ("Transfer-Encoding: chunked, chunked", F::Coding),
        (
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
            F::Coding,
        ),
        ("Transfer-Encoding: chunked, identity", F::Coding),
        (
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: gzip",
            F::Coding,
        ),
        ("Transfer-Encoding: ,chunked", F::Coding),
        ("Transfer-Encoding: chunked,", F::Coding),
        ("Transfer-Encoding:", F::Coding),
        ("Transfer-Encoding: gzip, chunked", F::UnknownCoding),
        (
            "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked",
            F::UnknownCoding,
        ),
    ];
    for (lines, fault) in cases {
        let lines = format!("POST / HTTP/1.1\r\nHost: a\r\n{lines}");
        check_refused(&lines, R::Framing(fault));
    }
    let old = "POST / HTTP/1.0\r\nTransfer-Encoding: chunked";
    check_refused(old, R::Framing(F::CodingInHttp10));
}

/// Checks what becomes of a request with these lines: its target, framing and whether the connection stays.
fn check_accepted(lines: &str, target: &str, framing: Framing, keep_alive: bool) {
    let bytes = format!("{lines}\r\n\r\nrest");
    let (head, rest) = request(bytes.as_bytes()).unwrap().unwrap();
    assert_eq!(head.parts.uri, target, "{lines:?}");
    assert_eq!(head.framing, framing, "{lines:?}");
    assert_eq!(head.keep_alive, keep_alive, "{lines:?}");
    assert_eq!(&rest[..], b"rest", "{lines:?}");
}

#[test]
fn what_is_certain_is_taken() {
    let cases = [
        ("GET / HTTP/1.1\r\nHost: a", "/", Framing::None, true),
        ("GET / HTTP/1.1\r\nHost:", "/", Framing::None, true),
        (
            "GET / HTTP/1.1\r\nhOST:\t a:65535 \t",
            "/",
            Framing::None,
            true,
        ),
        ("GET / HTTP/1.1\r\nHost: [::1]:80", "/", Framing::None, true),
        (
            "GET / HTTP/1.1\r\nHost: a\r\nConnection: x, Close",
            "/",
            Framing::None,
            false,
        ),
        ("GET / HTTP/1.0", "/", Framing::None, false),
        (
            "GET / HTTP/1.0\r\nConnection: Keep-Alive",
            "/",
            Framing::None,
            true,
        ),
        (
            "GET / HTTP/1.0\r\nConnection: keep-alive, close",
            "/",
            Framing::None,
            false,
        ),
        (
            "GET //a?b?{c|d} HTTP/1.1\r\nHost: a",
            "//a?b?{c|d}",
            Framing::None,
            true,
        ),
        ("OPTIONS * HTTP/1.1\r\nHost: a", "*", Framing::None, true),
        (
            "GET http://A:80/b HTTP/1.1\r\nHost: a",
            "http://a:80/b",
            Framing::None,
            true,
        ),
        (
            "GET HTTPS://a HTTP/1.1\r\nHost: a:443",
            "https://a/",
            Framing::None,
            true,
        ),
        (
            "\r\n\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: a",
            "/",
            Framing::None,
            true,
        ),
        (
            "X-Y! / HTTP/1.1\r\nHost: a\r\nA:\u{e9}\t",
            "/",
            Framing::None,
            true,
        ),
        (
            "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 007",
            "/",
            Framing::Length(7),
            true,
        ),
        (
            "GET / HTTP/1.0\r\nContent-Length: 1",
            "/",
            Framing::Length(1),
            false,
        ),
        (
            "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 0",
            "/",
            Framing::Length(0),
            true,
        ),
        (
            "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked",
            "/",
            Framing::Chunked,
            true,
        ),
    ];
    for (lines, target, framing, keep_alive) in cases {
        check_accepted(lines, target, framing, keep_alive);
    }
}

#[test]
fn limits_have_statuses_of_their_own() {
    let long = "x".repeat(600);
    let many = "A: b\r\n".repeat(9);
    let cases = [
        (
            format!("GET /{} HTTP/1.1\r\nHost: a", &long[..64]),
            R::TargetTooLong,
            414,
        ),
        (format!("GET /{long}"), R::TargetTooLong, 414),
        (
            format!("GET / HTTP/1.1\r\nHost: a\r\nB: {long}"),
            R::Head(H::TooLarge),
            431,
        ),
        (
            format!("GET / HTTP/1.1\r\n{many}Host: a"),
            R::Head(H::TooManyHeaders),
            431,
        ),
    ];
    for (lines, fault, status) in cases {
        check_refused(&lines, fault);
        assert_eq!(fault.status(), status);
    }
    // The limit holds before the head is whole.
    assert_eq!(request(long.as_bytes()).err(), Some(R::TargetTooLong));
    assert!(matches!(request(&long.as_bytes()[..512]), Ok(None)));
    let empty = request(b"\r\n\r\n\r\n\r\n\r\nGET / HTTP/1.1\r\n");
    assert_eq!(empty.err(), Some(R::EmptyLines));
}

#[test]
fn statuses_tell_what_the_client_can_do() {
    let cases = [
        (R::Version, 505),
        (R::Connect, 501),
        (R::Framing(F::UnknownCoding), 501),
        (R::Framing(F::Coding), 400),
        (R::Head(H::LineEnd), 400),
        (R::NoHost, 400),
    ];
    for (fault, status) in cases {
        assert_eq!(fault.status(), status, "{fault:?}");
    }
}

#[test]
fn hosts_are_names_or_addresses() {
    let valid = [
        "a",
        "a.",
        "A-b_c~9",
        "1.2.3.4",
        "a:0",
        "a:65535",
        "a:00080",
        "[::]",
        "[2001:db8::1]:1",
        "a%2e",
        "a!$&'()*+,;=",
    ];
    let invalid = [
        " ",
        "a b",
        "a,b c",
        "a:",
        ":80",
        "a:65536",
        "a:+1",
        "a:1a",
        "a:000080",
        "u@a",
        "a/",
        "a?b",
        "a#b",
        "a\\b",
        "a%2",
        "a%zz",
        "[::1",
        "::1",
        "[::1]a",
        "[::1]:",
        "[]",
        "[a]",
        "[::1%25lo]",
        "[v1.a]",
        "a[b]",
        "\"a\"",
        "a<b",
        "\u{e9}",
        "a:80:80",
        "http://a",
    ];
    for (hosts, is_valid) in [(&valid[..], true), (&invalid[..], false)] {
        for host in hosts {
            let bytes = format!("GET / HTTP/1.1\r\nHost:{host}\r\n\r\n");
            let expected = (!is_valid && *host != " ").then_some(R::HostInvalid);
            assert_eq!(request(bytes.as_bytes()).err(), expected, "{host:?}");
        }
    }
}

#[test]
fn a_client_may_wait_for_a_continue() {
    let cases = [
        (
            "HTTP/1.1",
            "Expect: 100-Continue\r\nContent-Length: 1",
            true,
        ),
        (
            "HTTP/1.1",
            "Expect: 100-continue\r\nTransfer-Encoding: chunked",
            true,
        ),
        ("HTTP/1.1", "Expect: 100-continue", false),
        (
            "HTTP/1.1",
            "Expect: 100-continue\r\nContent-Length: 0",
            false,
        ),
        ("HTTP/1.1", "Expect: x\r\nContent-Length: 1", false),
        (
            "HTTP/1.0",
            "Expect: 100-continue\r\nContent-Length: 1",
            false,
        ),
    ];
    for (version, lines, expects) in cases {
        let bytes = format!("PUT / {version}\r\nHost: a\r\n{lines}\r\n\r\n");
        let (head, _) = request(bytes.as_bytes()).unwrap().unwrap();
        assert_eq!(head.expects_continue, expects, "{version} {lines}");
    }
}

#[test]
fn headers_are_slices_of_what_was_read() {
    let mut buffer = BytesMut::from(&b"GET /path HTTP/1.1\r\nHost: a\r\nAccept: b\r\n\r\n"[..]);
    let whole = buffer.as_ptr_range();
    let mut recycled = HeaderMap::with_capacity(50);
    recycled.insert("old", "value".parse().unwrap());
    let room = recycled.capacity();
    let mut reader = HeadReader::default();
    let head = given(|into| reader.request(&mut buffer, &LIMITS, |_, _| true, || recycled, into));
    let parts = head.unwrap().unwrap().parts;
    assert!(whole.contains(&parts.headers["accept"].as_bytes().as_ptr()));
    assert!(whole.contains(&parts.uri.path().as_ptr()));
    assert_eq!((parts.headers.len(), parts.headers.capacity()), (2, room));
}

#[test]
fn requests_follow_each_other() {
    let one = b"\r\nGET /1 HTTP/1.1\r\nHost: a\r\n\r\n";
    let mut buffer = BytesMut::from(&one.repeat(20)[..]);
    let mut reader = HeadReader::default();
    for _ in 0..20 {
        let head =
            given(|into| reader.request(&mut buffer, &LIMITS, |_, _| true, HeaderMap::new, into));
        assert_eq!(head.unwrap().unwrap().parts.uri, "/1");
    }
    assert!(buffer.is_empty());
}

#[test]
fn http2_is_known_by_its_preface() {
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0";
    for length in 0..preface.len() {
        let expected = if length < 24 {
            Preface::NeedMore
        } else {
            Preface::Yes
        };
        assert_eq!(is_http2_preface(&preface[..length]), expected);
    }
    for other in [
        &b"G"[..],
        b"PRI * HTTP/1.1\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\r",
    ] {
        assert_eq!(is_http2_preface(other), Preface::No);
    }
}
