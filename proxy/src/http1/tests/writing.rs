use super::*;
use http::{Request, Version};

fn map(lines: &[(&'static str, &str)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in lines {
        map.append(*name, value.parse().unwrap());
    }
    map
}

#[test]
fn requests_are_written_as_they_are_framed() {
    let cases = [
        (
            "GET",
            "/a?b",
            &[][..],
            Framing::None,
            "GET /a?b HTTP/1.1\r\n\r\n",
        ),
        (
            "GET",
            "http://a/b",
            &[],
            Framing::None,
            "GET /b HTTP/1.1\r\n\r\n",
        ),
        (
            "GET",
            "http://a?b",
            &[],
            Framing::None,
            "GET /?b HTTP/1.1\r\n\r\n",
        ),
        (
            "OPTIONS",
            "*",
            &[],
            Framing::None,
            "OPTIONS * HTTP/1.1\r\n\r\n",
        ),
        (
            "POST",
            "/",
            &[],
            Framing::None,
            "POST / HTTP/1.1\r\ncontent-length: 0\r\n\r\n",
        ),
        (
            "PUT",
            "/",
            &[
                ("host", "a"),
                ("content-length", "7"),
                ("transfer-encoding", "x"),
            ],
            Framing::Length(u64::MAX),
            "PUT / HTTP/1.1\r\nhost: a\r\ncontent-length: 18446744073709551615\r\n\r\n",
        ),
        (
            "PUT",
            "/",
            &[("content-length", "7")],
            Framing::UntilClose,
            "PUT / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n",
        ),
        (
            "GET",
            "/",
            &[
                ("connection", "upgrade"),
                ("upgrade", "x"),
                ("connection", "te, keep-alive,"),
            ],
            Framing::None,
            "GET / HTTP/1.1\r\nupgrade: x\r\nconnection: upgrade, te\r\n\r\n",
        ),
    ];
    for (method, uri, headers, framing, expected) in cases {
        let (mut parts, ()) = Request::builder()
            .method(method)
            .uri(uri)
            .body(())
            .unwrap()
            .into_parts();
        parts.headers = map(headers);
        let mut out = BytesMut::new();
        write_request(&mut out, &parts, framing);
        assert_eq!(str::from_utf8(&out), Ok(expected));
    }
}

/// Checks the lines of a response, without status line and last line.
fn check_response(
    (version, status, framing, keep_alive): (Version, u16, Framing, bool),
    headers: &[(&'static str, &str)],
    expected: &str,
) {
    let status = http::StatusCode::from_u16(status).unwrap();
    let mut out = BytesMut::new();
    write_response(
        &mut out,
        &StatusLine {
            version_of_client: version,
            status,
            reason: None,
        },
        &map(headers),
        None,
        &framing,
        keep_alive,
    );
    let text = str::from_utf8(&out).unwrap();
    let (first, lines) = text.split_once("\r\n").unwrap();
    let reason = status.canonical_reason().unwrap_or_default();
    assert_eq!(first, format!("HTTP/1.1 {} {reason}", status.as_str()));
    assert_eq!(lines, format!("{expected}\r\n"));
}

#[test]
fn responses_are_written_for_the_client_that_reads_them() {
    let (old, new) = (Version::HTTP_10, Version::HTTP_11);
    let length = &[("content-length", "5")][..];
    let none = &[][..];
    let close = &[("connection", "close")][..];
    let upgrade = &[("connection", "Upgrade"), ("upgrade", "x")][..];
    let cases = [
        (
            (new, 200, Framing::Length(0), true),
            none,
            "content-length: 0\r\n",
        ),
        (
            (new, 299, Framing::Length(1230), true),
            length,
            "content-length: 1230\r\n",
        ),
        (
            (new, 200, Framing::Chunked, true),
            length,
            "transfer-encoding: chunked\r\n",
        ),
        (
            (new, 200, Framing::Chunked, false),
            none,
            "transfer-encoding: chunked\r\nconnection: close\r\n",
        ),
        (
            (new, 200, Framing::UntilClose, true),
            length,
            "connection: close\r\n",
        ),
        (
            (new, 200, Framing::Length(1), true),
            close,
            "content-length: 1\r\nconnection: close\r\n",
        ),
        (
            (new, 200, Framing::Length(1), false),
            close,
            "content-length: 1\r\nconnection: close\r\n",
        ),
        (
            (old, 200, Framing::Length(1), true),
            none,
            "content-length: 1\r\nconnection: keep-alive\r\n",
        ),
        (
            (old, 200, Framing::Length(1), false),
            none,
            "content-length: 1\r\nconnection: close\r\n",
        ),
        (
            (old, 200, Framing::Chunked, true),
            none,
            "connection: close\r\n",
        ),
        // To a HEAD, and a 304.
        (
            (new, 200, Framing::None, true),
            length,
            "content-length: 5\r\n",
        ),
        (
            (new, 304, Framing::None, true),
            length,
            "content-length: 5\r\n",
        ),
        ((new, 204, Framing::None, true), length, ""),
        ((new, 204, Framing::Chunked, true), none, ""),
        ((new, 100, Framing::None, false), length, ""),
        (
            (new, 101, Framing::None, true),
            upgrade,
            "upgrade: x\r\nconnection: Upgrade\r\n",
        ),
    ];
    for (head, headers, expected) in cases {
        check_response(head, headers, expected);
    }
}

#[test]
fn a_body_is_as_long_as_its_head_says() {
    let mut out = BytesMut::new();
    let mut encoder = Encoder::new(Framing::Length(3));
    assert_eq!(encoder.data(b"ab", &mut out), Ok(()));
    assert_eq!(encoder.end(None, &mut out), Err(Short(1)));
    assert_eq!(encoder.data(b"cd", &mut out), Err(Overrun));
    assert_eq!(encoder.data(b"c", &mut out), Ok(()));
    assert_eq!(encoder.data(b"", &mut out), Ok(()));
    assert_eq!(encoder.end(Some(&map(&[("a", "b")])), &mut out), Ok(()));
    assert_eq!(&out[..], b"abc");
    assert_eq!(
        Encoder::new(Framing::None).data(b"a", &mut out),
        Err(Overrun)
    );
}

#[test]
fn chunks_are_written_with_trailers_behind() {
    let mut out = BytesMut::new();
    let mut encoder = Encoder::new(Framing::Chunked);
    encoder.data(b"", &mut out).unwrap();
    encoder.data(b"abc", &mut out).unwrap();
    assert_eq!(encoder.before(0x1234_5678_9abc, &mut out), Ok(&b"\r\n"[..]));
    let trailers = map(&[("grpc-status", "0"), ("content-length", "5"), ("x", "y")]);
    encoder.end(Some(&trailers), &mut out).unwrap();
    encoder.end(None, &mut out).unwrap();
    assert_eq!(
        &out[..],
        b"3\r\nabc\r\n123456789abc\r\n0\r\ngrpc-status: 0\r\nx: y\r\n\r\n"
    );
    assert_eq!(encoder.data(b"a", &mut out), Err(Overrun));
}
