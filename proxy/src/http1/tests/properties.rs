//! What holds of any bytes.

use super::{transcript::*, *};
use proptest::{collection::vec, prelude::*, sample::select};

/// Pieces of HTTP/1, so that what comes of them is nearly a message or one.
fn pieces() -> impl Strategy<Value = Vec<u8>> {
    const PIECES: [&str; 40] = [
        "GET / HTTP/1.1\r\n",
        "POST /a?b HTTP/1.1\r\n",
        "POST / HTTP/1.0\r\n",
        "Host: a\r\n",
        "Host: b\r\n",
        "Content-Length: 5\r\n",
        "Content-Length: 0\r\n",
        "Transfer-Encoding: chunked\r\n",
        "Transfer-Encoding: gzip\r\n",
        "Connection: close\r\n",
        "A: b\r\n",
        "\r\n",
        "\r\n\r\n",
        "\r",
        "\n",
        " ",
        "\t",
        ":",
        "0",
        "5",
        "a",
        "0\r\n\r\n",
        "0\r\n",
        "5\r\nhello\r\n",
        "5;x=y\r\nhello\r\n",
        "hello",
        "X: y\r\n",
        "HTTP/1.1 200 OK\r\n",
        "HTTP/1.1 100 Continue\r\n\r\n",
        "HTTP/1.0 200\r\n",
        "HTTP/1.1 204 No Content\r\n",
        "HTTP/1.1 304 X\r\n",
        "GET http://a/b HTTP/1.1\r\n",
        "GET http://a?b HTTP/1.1\r\n",
        "OPTIONS * HTTP/1.1\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX: y\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    ];
    let piece = prop_oneof![
        9 => select(PIECES.to_vec()).prop_map(|piece| piece.as_bytes().to_vec()),
        1 => vec(any::<u8>(), 0..4),
    ];
    vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn requests_do_not_depend_on_splits_and_survive_being_passed_on(bytes in pieces(), n in 1_usize..20) {
        check_requests(&bytes, n, &LIMITS);
    }

    #[test]
    fn responses_do_not_depend_on_splits(bytes in pieces(), n in 1_usize..20, to_head in any::<bool>()) {
        let method = if to_head { Method::HEAD } else { Method::GET };
        check_responses(&bytes, n, &method, &LIMITS);
    }

    #[test]
    fn chunks_do_not_depend_on_splits_and_survive_being_passed_on(bytes in pieces(), n in 1_usize..20) {
        check_chunks(&bytes, n, &LIMITS);
    }

    #[test]
    fn no_bytes_are_a_surprise(bytes in vec(any::<u8>(), 0..200), n in 1_usize..20) {
        check_requests(&bytes, n, &LIMITS);
        check_responses(&bytes, n, &Method::GET, &LIMITS);
        check_chunks(&bytes, n, &LIMITS);
    }

    #[test]
    fn what_is_encoded_is_decoded(
        data in vec(vec(any::<u8>(), 0..50), 0..8),
        n in 1_usize..20,
        is_chunked in any::<bool>(),
    ) {
        let all = data.concat();
        let length = Framing::Length(all.len() as u64);
        let framing = if is_chunked { Framing::Chunked } else { length };
        let mut out = BytesMut::new();
        let mut encoder = Encoder::new(framing);
        for data in &data {
            encoder.data(data, &mut out).unwrap();
        }
        encoder.end(None, &mut out).unwrap();
        out.extend_from_slice(b"next");
        let mut decoder = Decoder::new(framing, &LIMITS);
        let (mut buffer, mut got, mut parts) = (BytesMut::new(), Vec::new(), out.chunks(n));
        loop {
            match decoder.decode(&mut buffer).unwrap() {
                Some(Piece::Data(data)) => got.extend_from_slice(&data),
                Some(Piece::Trailers(trailers)) => prop_assert!(false, "{trailers:?}"),
                Some(Piece::End) => break,
                None => buffer.extend_from_slice(parts.next().expect("the body ends")),
            }
        }
        prop_assert_eq!(got, all);
        buffer.extend_from_slice(&parts.collect::<Vec<_>>().concat());
        prop_assert_eq!(&buffer[..], b"next");
    }

    #[test]
    fn responses_are_read_as_they_were_written(
        (status, has_body) in select(vec![(200, true), (404, true), (204, false), (304, false)]),
        data in vec(any::<u8>(), 0..50),
        framing in 0..3,
        version in select(vec![http::Version::HTTP_10, http::Version::HTTP_11]),
        keep_alive in any::<bool>(),
    ) {
        let data = if has_body { data } else { Vec::new() };
        let framing = match framing {
            _ if !has_body => Framing::None,
            0 => Framing::Length(data.len() as u64),
            1 => Framing::Chunked,
            _ => Framing::UntilClose,
        };
        let is_until_close = match framing {
            Framing::UntilClose => true,
            Framing::Chunked => version < http::Version::HTTP_11,
            Framing::None | Framing::Length(_) => false,
        };
        let status = http::StatusCode::from_u16(status).unwrap();
        let line = StatusLine {
            version_of_client: version,
            status,
            reason: None,
        };
        let mut out = BytesMut::new();
        let mut encoder =
            write_response(&mut out, &line, &HeaderMap::new(), None, &framing, keep_alive);
        encoder.data(&data, &mut out).unwrap();
        encoder.end(None, &mut out).unwrap();
        let stays = keep_alive && !is_until_close;
        let (messages, end) = responses([&out[..]].into_iter(), &Method::GET, &LIMITS);
        prop_assert_eq!(messages.len(), 1);
        prop_assert_eq!((messages[0].head, &messages[0].data), (status, &data));
        prop_assert_eq!(end, if stays { End::Open } else { End::Closed });
    }
}

#[test]
fn a_request_with_as_many_headers_as_it_may_have_survives_being_passed_on() {
    let lines = "x: y\r\n".repeat(LIMITS.headers - 1);
    let request = format!("POST /a HTTP/1.1\r\nhost: a\r\n{lines}\r\n");
    check_requests(request.as_bytes(), 7, &LIMITS);
}
