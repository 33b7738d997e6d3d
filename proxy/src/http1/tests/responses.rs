use super::*;
use FramingFault as F;
use HeadFault as H;
use ResponseFault as R;

#[test]
fn what_is_not_certain_is_a_fault() {
    let cases = [
        ("\r\nHTTP/1.1 200 OK", R::StatusLine),
        ("HTTP/2.0 200 OK", R::StatusLine),
        ("HTTP/1.2 200 OK", R::StatusLine),
        ("ICY 200 OK", R::StatusLine),
        ("HTTP/1.1 20 OK", R::StatusLine),
        ("HTTP/1.1 2000 OK", R::StatusLine),
        ("HTTP/1.1 099 OK", R::StatusLine),
        ("HTTP/1.1  200 OK", R::StatusLine),
        ("HTTP/1.1\t200 OK", R::StatusLine),
        ("HTTP/1.1 200 O\0K", R::StatusLine),
        ("HTTP/1.1 200 O\rK", R::StatusLine),
        ("HTTP/1.1 200 OK\nA: b", R::Head(H::LineEnd)),
        ("HTTP/1.1 200 OK\r\nA: b\nC: d", R::Head(H::LineEnd)),
        ("HTTP/1.1 200 OK\r\nA: b\rC: d", R::Head(H::HeaderValue)),
        ("HTTP/1.1 200 OK\r\nA : b", R::Head(H::HeaderName)),
        ("HTTP/1.1 200 OK\r\nA: b\r\n c", R::Head(H::HeaderName)),
        ("HTTP/1.1 200 OK\r\nA: b\0", R::Head(H::HeaderValue)),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 1, 1",
            R::Framing(F::ContentLength),
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: +1",
            R::Framing(F::ContentLength),
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1",
            R::Framing(F::ManyContentLengths),
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked",
            R::Framing(F::LengthAndCoding),
        ),
        (
            "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked",
            R::Framing(F::CodingInHttp10),
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip",
            R::Framing(F::Coding),
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked",
            R::Framing(F::UnknownCoding),
        ),
    ];
    for (lines, fault) in cases {
        let got = response(format!("{lines}\r\n\r\n").as_bytes(), &Method::GET);
        assert_eq!(got.map(|_| ()).err(), Some(fault), "{lines:?}");
    }
}

#[test]
fn the_request_and_the_status_decide_about_the_body() {
    let length = "Content-Length: 5";
    let chunked = "Transfer-Encoding: chunked";
    let cases = [
        (
            "HTTP/1.1 200 OK",
            length,
            Method::GET,
            Framing::Length(5),
            true,
        ),
        (
            "HTTP/1.1 200",
            length,
            Method::GET,
            Framing::Length(5),
            true,
        ),
        (
            "HTTP/1.1 200 ",
            length,
            Method::GET,
            Framing::Length(5),
            true,
        ),
        (
            "HTTP/1.1 200 \u{e9}",
            length,
            Method::GET,
            Framing::Length(5),
            true,
        ),
        (
            "HTTP/1.1 999 X",
            length,
            Method::GET,
            Framing::Length(5),
            true,
        ),
        (
            "HTTP/1.1 200 OK",
            chunked,
            Method::POST,
            Framing::Chunked,
            true,
        ),
        (
            "HTTP/1.1 200 OK",
            "A: b",
            Method::GET,
            Framing::UntilClose,
            false,
        ),
        (
            "HTTP/1.0 200 OK",
            length,
            Method::GET,
            Framing::Length(5),
            false,
        ),
        ("HTTP/1.1 200 OK", length, Method::HEAD, Framing::None, true),
        (
            "HTTP/1.1 200 OK",
            chunked,
            Method::HEAD,
            Framing::None,
            true,
        ),
        (
            "HTTP/1.1 304 Not Modified",
            length,
            Method::GET,
            Framing::None,
            true,
        ),
        (
            "HTTP/1.1 204 No Content",
            "A: b",
            Method::GET,
            Framing::None,
            true,
        ),
        (
            "HTTP/1.1 204 No Content",
            "Content-Length: 0",
            Method::GET,
            Framing::None,
            true,
        ),
        (
            "HTTP/1.1 204 No Content",
            length,
            Method::GET,
            Framing::None,
            false,
        ),
        (
            "HTTP/1.1 204 No Content",
            chunked,
            Method::GET,
            Framing::None,
            false,
        ),
        (
            "HTTP/1.1 100 Continue",
            "A: b",
            Method::POST,
            Framing::None,
            true,
        ),
        (
            "HTTP/1.1 103 Early Hints",
            "Link: a",
            Method::GET,
            Framing::None,
            true,
        ),
        (
            "HTTP/1.1 101 Switching Protocols",
            "Upgrade: a",
            Method::GET,
            Framing::None,
            true,
        ),
        (
            "HTTP/1.1 200 OK\r\nConnection: close",
            length,
            Method::GET,
            Framing::Length(5),
            false,
        ),
        (
            "HTTP/1.0 200 OK\r\nConnection: keep-alive",
            length,
            Method::GET,
            Framing::Length(5),
            true,
        ),
    ];
    for (first, header, method, framing, keep_alive) in cases {
        let bytes = format!("{first}\r\n{header}\r\n\r\n");
        let head = response(bytes.as_bytes(), &method).unwrap().unwrap();
        assert_eq!(head.framing, framing, "{method} {first} {header}");
        assert_eq!(head.keep_alive, keep_alive, "{method} {first} {header}");
        let survives = header == length && (method == Method::HEAD || first.contains("304"));
        if framing == Framing::None {
            let length = head.parts.headers.contains_key("content-length");
            assert_eq!(length, survives, "{method} {first} {header}");
        }
    }
}

/// A connection of HTTP/2 would keep it for as long as it remembers the header.
#[test]
fn a_map_keeps_nothing_that_was_read_with_it() {
    let mut buffer = BytesMut::from("HTTP/1.1 200 OK\r\nx-request-id: 7\r\n\r\nand more");
    let room = buffer.capacity();
    let (mut heads, method) = (HeadReader::default(), &Method::GET);
    let head =
        given(|into| heads.response(&mut buffer, &LIMITS, method, true, HeaderMap::new, into));
    let head = head.unwrap().unwrap();
    buffer.clear();
    assert!(buffer.try_reclaim(room));
    assert_eq!(head.parts.headers["x-request-id"], "7");
}
