use super::*;
use BodyFault as B;
use bytes::Bytes;

/// What a body is: its data, its trailers as lines, and how many bytes are behind it.
type Body = (Vec<u8>, Vec<String>, usize);

/// Decodes `bytes`, of which so many come at a time. It makes no difference whether a few of them are copied.
fn decode(framing: Framing, bytes: &[u8], at_a_time: usize) -> Result<Option<Body>, BodyFault> {
    let body = decode_by(framing, bytes, at_a_time, 0);
    for limit in [2, 100_000] {
        assert_eq!(decode_by(framing, bytes, at_a_time, limit), body);
    }
    body
}

/// Decodes `bytes`, of which so many come at a time, and copies data of fewer than `limit` bytes.
fn decode_by(
    framing: Framing,
    bytes: &[u8],
    at_a_time: usize,
    limit: usize,
) -> Result<Option<Body>, BodyFault> {
    let mut decoder = Decoder::new(framing, &LIMITS);
    let mut buffer = BytesMut::new();
    let mut body: Body = Default::default();
    for (i, part) in bytes.chunks(at_a_time).enumerate() {
        buffer.extend_from_slice(part);
        let mut copy = |data: &[u8]| {
            assert!((1..limit).contains(&data.len()));
            body.0.extend_from_slice(data);
            Ok(())
        };
        while decoder.copy(&mut buffer, limit, &mut copy)? {}
        while let Some(piece) = decoder.decode(&mut buffer)? {
            match piece {
                Piece::Data(data) => {
                    assert!(!data.is_empty());
                    body.0.extend_from_slice(&data);
                }
                Piece::Trailers(map) => body.1 = lines(&map),
                Piece::End => {
                    assert!(decoder.is_ended());
                    assert_eq!(decoder.decode(&mut buffer), Ok(None));
                    let come = (i * at_a_time + part.len()).min(bytes.len());
                    body.2 = buffer.len() + bytes.len() - come;
                    return Ok(Some(body));
                }
            }
        }
    }
    decoder.end_of_input()?;
    Ok(match decoder.decode(&mut buffer)? {
        Some(Piece::End) => Some(body),
        _ => None,
    })
}

fn lines(map: &HeaderMap) -> Vec<String> {
    let line =
        |(name, value): (_, &http::HeaderValue)| format!("{name}: {}", value.to_str().unwrap());
    map.iter().map(line).collect()
}

/// Checks what a chunked body of `bytes` is, in whatever pieces it comes.
fn check(bytes: &str, expected: Result<(&str, &[&str], usize), BodyFault>) {
    let expected = expected.map(|(data, trailers, rest)| {
        let trailers = trailers.iter().map(ToString::to_string).collect();
        Some((data.as_bytes().to_vec(), trailers, rest))
    });
    for at_a_time in [1, 2, 3, 7, 100_000] {
        let got = decode(Framing::Chunked, bytes.as_bytes(), at_a_time);
        assert_eq!(got, expected, "{bytes:?} by {at_a_time}");
    }
}

#[test]
fn chunks_are_taken_apart() {
    check("0\r\n\r\n", Ok(("", &[], 0)));
    check("3\r\nabc\r\n00\r\n\r\nmore", Ok(("abc", &[], 4)));
    check(
        "00000000000000a\r\n0123456789\r\n1\r\nx\r\n0\r\n\r\n",
        Ok(("0123456789x", &[], 0)),
    );
    check(
        "A;a;b=\"c\t\";d\r\n0123456789\r\n0;x\r\n\r\n",
        Ok(("0123456789", &[], 0)),
    );
    check(
        "1\r\na\r\n0\r\nB: c\r\nd:\r\n\r\n",
        Ok(("a", &["b: c", "d: "], 0)),
    );
    check(
        "0\r\nContent-Length: 5\r\nB: c\r\n\r\n",
        Ok(("", &["b: c"], 0)),
    );
    check("0\r\nTransfer-Encoding: chunked\r\n\r\nx", Ok(("", &[], 1)));
}

#[test]
fn chunks_that_two_servers_read_differently_are_refused() {
    let long = "x".repeat(1100);
    let size = [
        "",
        "\r\n",
        " 1\r\na\r\n",
        "1 \r\na\r\n",
        "1 ;a\r\na\r\n",
        "+1\r\na\r\n",
        "-1\r\na\r\n",
        "0x1\r\na\r\n",
        "g\r\n",
        "1_\r\n",
        "1\na\r\n",
        "1\ra\r\n",
        "1\r\ra",
        "00000000000000001\r\na",
        "10000000000000000\r\n",
        ";a\r\n",
        "1\0\r\n",
        "\t1\r\n",
        "\u{661}\r\n",
        "1,\r\na",
    ];
    for bytes in size {
        let fault = if bytes.is_empty() {
            B::Incomplete
        } else {
            B::ChunkSize
        };
        check(bytes, Err(fault));
    }
    let cases = [
        ("1;a\nb\r\n0\r\n\r\n".into(), B::ChunkExtension),
        ("1;a\rb\r\n0\r\n\r\n".into(), B::ChunkSize),
        ("1;a\0\r\n0\r\n\r\n".into(), B::ChunkExtension),
        (format!("1;{long}\r\na\r\n"), B::ChunkExtension),
        (
            format!("1;{}\r\na\r\n", &long[..1000]).repeat(20),
            B::ChunkExtension,
        ),
        ("1\r\nab\r\n".into(), B::ChunkEnd),
        ("1\r\na\n".into(), B::ChunkEnd),
        ("1\r\na\rb".into(), B::ChunkEnd),
        ("2\r\na\r\n0\r\n\r\n".into(), B::ChunkEnd),
        ("0\r\nA: b\n\r\n".into(), B::Trailers(HeadFault::LineEnd)),
        (
            "0\r\n A: b\r\n\r\n".into(),
            B::Trailers(HeadFault::HeaderName),
        ),
        (
            "0\r\nA: b\r\n c\r\n\r\n".into(),
            B::Trailers(HeadFault::HeaderName),
        ),
        (
            "0\r\nA : b\r\n\r\n".into(),
            B::Trailers(HeadFault::HeaderName),
        ),
        (
            "0\r\nA: b\0\r\n\r\n".into(),
            B::Trailers(HeadFault::HeaderValue),
        ),
        (
            "0\r\nGET / HTTP/1.1\r\n\r\n".into(),
            B::Trailers(HeadFault::HeaderName),
        ),
        (
            format!("0\r\n{}\r\n", "A: b\r\n".repeat(9)),
            B::Trailers(HeadFault::TooManyHeaders),
        ),
        (
            format!("0\r\nA: {long}\r\n\r\n"),
            B::Trailers(HeadFault::TooLarge),
        ),
        ("1\r\n".into(), B::Incomplete),
        ("1\r\na\r\n".into(), B::Incomplete),
        ("1\r\na\r\n0\r\n".into(), B::Incomplete),
        ("0\r\nA: b\r\n".into(), B::Incomplete),
        ("ffffffffffffffff\r\nab".into(), B::Incomplete),
    ];
    for (bytes, fault) in cases {
        check(&bytes, Err(fault));
    }
}

#[test]
fn extensions_are_paid_for_with_data() {
    let chunk = format!("400;{}\r\n{}\r\n", "x".repeat(1000), "d".repeat(1024));
    let body = format!("{}0\r\n\r\n", chunk.repeat(50));
    let got = decode(Framing::Chunked, body.as_bytes(), 5000).unwrap();
    assert_eq!(got.unwrap().0.len(), 50 * 1024);
}

#[test]
fn other_bodies_end_where_they_should() {
    let all = |data: &str, rest| Ok(Some((data.as_bytes().to_vec(), Vec::new(), rest)));
    let cases = [
        (Framing::None, "abc", all("", 3)),
        (Framing::Length(0), "abc", all("", 3)),
        (Framing::Length(2), "abc", all("ab", 1)),
        (Framing::Length(3), "abc", all("abc", 0)),
        (Framing::Length(4), "abc", Err(B::Incomplete)),
        (Framing::Length(u64::MAX), "abc", Err(B::Incomplete)),
        (Framing::UntilClose, "abc", all("abc", 0)),
        (Framing::UntilClose, "", all("", 0)),
    ];
    for (framing, bytes, expected) in cases {
        for at_a_time in [1, 2, 10] {
            if bytes.len() > 2 || at_a_time == 1 {
                let got = decode(framing, bytes.as_bytes(), at_a_time);
                // Nothing comes at all: the loop above does not ask.
                assert_eq!(got, expected, "{framing:?} {bytes} by {at_a_time}");
            }
        }
    }
}

#[test]
fn a_length_counts_down() {
    let mut decoder = Decoder::new(Framing::Length(3), &LIMITS);
    let mut buffer = BytesMut::from("ab");
    assert_eq!(decoder.remaining(), Some(3));
    let whole = buffer.as_ptr();
    let Ok(Some(Piece::Data(data))) = decoder.decode(&mut buffer) else {
        panic!("there is data");
    };
    assert_eq!((data.as_ptr(), decoder.remaining()), (whole, Some(1)));
    assert!(!decoder.is_ended());
    buffer.extend_from_slice(b"cd");
    let data = Piece::Data(Bytes::from_static(b"c"));
    assert_eq!(decoder.decode(&mut buffer), Ok(Some(data)));
    assert!(decoder.is_ended());
    assert_eq!(decoder.decode(&mut buffer), Ok(Some(Piece::End)));
    assert_eq!(decoder.decode(&mut buffer), Ok(None));
    assert_eq!(&buffer[..], b"d");
}
