use super::*;
use proptest::prelude::*;
use std::net::{Ipv4Addr, Ipv6Addr};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

fn proxied(source: &str, destination: &str) -> Header {
    Header::Proxied {
        source: source.parse().unwrap(),
        destination: destination.parse().unwrap(),
    }
}

/// A version 2 header with this command, family and rest.
fn binary(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let mut bytes = v2::SIGNATURE.to_vec();
    bytes.extend([command, family]);
    bytes.extend(u16::try_from(rest.len()).unwrap().to_be_bytes());
    bytes.extend(rest);
    bytes
}

const FOUR: [u8; 12] = [192, 0, 2, 1, 198, 51, 100, 2, 0x30, 0x39, 0x01, 0xBB];

fn four() -> Header {
    proxied("192.0.2.1:12345", "198.51.100.2:443")
}

/// Checks that `bytes` are one header, also when they come in pieces and when more follows.
fn check(bytes: &[u8], expected: Header) {
    for end in 0..bytes.len() {
        assert_eq!(parse(&bytes[..end]), Ok(None), "{end} bytes of {bytes:?}");
    }
    let followed = [bytes, b"\x16\x03\x01 GET / HTTP/1.1\r\n\r\n"].concat();
    assert_eq!(
        parse(&followed),
        Ok(Some((expected, bytes.len()))),
        "{bytes:?}"
    );
}

#[test]
fn lines_are_read() {
    for (line, expected) in [
        ("PROXY TCP4 192.0.2.1 198.51.100.2 12345 443\r\n", four()),
        (
            "PROXY TCP4 0.0.0.0 255.255.255.255 0 65535\r\n",
            proxied("0.0.0.0:0", "255.255.255.255:65535"),
        ),
        (
            "PROXY TCP6 2001:db8::1 ::1 1 2\r\n",
            proxied("[2001:db8::1]:1", "[::1]:2"),
        ),
        (
            "PROXY TCP6 ::ffff:192.0.2.1 ::1 1 2\r\n",
            proxied("[::ffff:192.0.2.1]:1", "[::1]:2"),
        ),
        ("PROXY UNKNOWN\r\n", Header::Local),
        (
            "PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n",
            Header::Local,
        ),
    ] {
        check(line.as_bytes(), expected);
    }
}

#[test]
fn other_lines_are_refused() {
    let long = format!("PROXY UNKNOWN {}\r\n", "x".repeat(100));
    for (line, fault) in [
        ("GET / HTTP/1.1\r\n", Fault::Signature),
        ("proxy TCP4", Fault::Signature),
        ("PROXY\tTCP4", Fault::Signature),
        ("\x16\x03\x01", Fault::Signature),
        (long.as_str(), Fault::Line),
        ("PROXY TCP4 192.0.2.1 198.51.100.2 12345 443\n", Fault::Line),
        ("PROXY \r\n", Fault::Field("protocol")),
        (
            "PROXY UDP4 192.0.2.1 198.51.100.2 1 2\r\n",
            Fault::Field("protocol"),
        ),
        (
            "PROXY  TCP4 192.0.2.1 198.51.100.2 1 2\r\n",
            Fault::Field("protocol"),
        ),
        ("PROXY TCP4\r\n", Fault::Field("source address")),
        (
            "PROXY TCP4 ::1 198.51.100.2 1 2\r\n",
            Fault::Field("source address"),
        ),
        (
            "PROXY TCP6 192.0.2.1 ::1 1 2\r\n",
            Fault::Field("source address"),
        ),
        (
            "PROXY TCP4 192.0.2.01 198.51.100.2 1 2\r\n",
            Fault::Field("source address"),
        ),
        (
            "PROXY TCP4 192.0.2.256 198.51.100.2 1 2\r\n",
            Fault::Field("source address"),
        ),
        (
            "PROXY TCP4 192.0.2.1  198.51.100.2 1 2\r\n",
            Fault::Field("destination address"),
        ),
        (
            "PROXY TCP4 192.0.2.1 198.51.100.2\r\n",
            Fault::Field("source port"),
        ),
        (
            "PROXY TCP4 192.0.2.1 198.51.100.2 +1 2\r\n",
            Fault::Field("source port"),
        ),
        (
            "PROXY TCP4 192.0.2.1 198.51.100.2 01 2\r\n",
            Fault::Field("source port"),
        ),
        (
            "PROXY TCP4 192.0.2.1 198.51.100.2 1 65536\r\n",
            Fault::Field("destination port"),
        ),
        (
            "PROXY TCP4 192.0.2.1 198.51.100.2 1 \r\n",
            Fault::Field("destination port"),
        ),
        (
            "PROXY TCP4 192.0.2.1 198.51.100.2 1 2 \r\n",
            Fault::Field("end"),
        ),
        (
            "PROXY TCP4 192.0.2.1 198.51.100.2 1 2 3\r\n",
            Fault::Field("end"),
        ),
    ] {
        assert_eq!(parse(line.as_bytes()), Err(fault), "{line:?}");
    }
    assert_eq!(
        parse(b"PROXY UNKNOWN \xFF\r\n"),
        Err(Fault::Field("character"))
    );
}

#[test]
fn binary_headers_are_read() {
    let six = [[0xFD; 16].as_slice(), &[0xFE; 16], &[0, 1, 0, 2]].concat();
    let extended = [FOUR.as_slice(), &[0x02, 0, 3, b'a', b'b', b'c', 0x04, 0, 0]].concat();
    let largest = [FOUR.as_slice(), &[0x04, 0x0F, 0xF1], &[0; 0x0FF1]].concat();
    assert_eq!(largest.len(), 4096);
    let fd = "[fdfd:fdfd:fdfd:fdfd:fdfd:fdfd:fdfd:fdfd]:1";
    let fe = "[fefe:fefe:fefe:fefe:fefe:fefe:fefe:fefe]:2";
    for (command, family, rest, expected) in [
        (0x21, 0x11, FOUR.as_slice(), four()),
        (0x21, 0x21, &six, proxied(fd, fe)),
        (0x21, 0x11, &extended, four()),
        (0x21, 0x11, &largest, four()),
        (0x21, 0x12, &FOUR, Header::Local),
        (0x21, 0x10, &FOUR, Header::Local),
        (0x21, 0x31, &[0; 216], Header::Local),
        (0x21, 0x00, &[], Header::Local),
        (0x21, 0x00, &[0x04, 0, 1, 0], Header::Local),
        (0x21, 0x51, b"whatever", Header::Local),
        (0x20, 0x00, &[], Header::Local),
        (0x20, 0x11, &FOUR, Header::Local),
        (
            0x20,
            0xFF,
            b"what a sender of LOCAL put here",
            Header::Local,
        ),
    ] {
        check(&binary(command, family, rest), expected);
    }
}

#[test]
fn other_binary_headers_are_refused() {
    let extended = |extension: &[u8]| [&FOUR, extension].concat();
    for (bytes, fault) in [
        (binary(0x11, 0x11, &FOUR), Fault::Command(0x11)),
        (binary(0x22, 0x11, &FOUR), Fault::Command(0x22)),
        (binary(0x21, 0x11, &FOUR[..11]), Fault::Length(11)),
        (binary(0x21, 0x21, &FOUR), Fault::Length(12)),
        (binary(0x21, 0x31, &FOUR), Fault::Length(12)),
        (binary(0x21, 0x11, &extended(&[0x04])), Fault::Extension),
        (binary(0x21, 0x11, &extended(&[0x04, 0])), Fault::Extension),
        (
            binary(0x21, 0x11, &extended(&[0x04, 0, 2, 0])),
            Fault::Extension,
        ),
        (binary(0x21, 0x11, &[0; 4097]), Fault::Length(4097)),
        (
            binary(0x20, 0x00, &[0; 65535])[..16].to_vec(),
            Fault::Length(65535),
        ),
        (b"\r\n\r\n\0\r\nQUIT\r".to_vec(), Fault::Signature),
    ] {
        assert_eq!(parse(&bytes), Err(fault), "{bytes:?}");
    }
}

#[test]
fn addresses_of_two_families_are_written_as_ipv6() {
    let mut line = Vec::new();
    let (four, six) = (
        "192.0.2.1:1".parse().unwrap(),
        "[2001:db8::1]:2".parse().unwrap(),
    );
    write(ProxyProtocol::V1, four, six, &mut line);
    assert_eq!(line, b"PROXY TCP6 ::ffff:192.0.2.1 2001:db8::1 1 2\r\n");
    line.clear();
    let mapped = "[::ffff:192.0.2.9]:3".parse().unwrap();
    write(ProxyProtocol::V1, four, mapped, &mut line);
    assert_eq!(line, b"PROXY TCP4 192.0.2.1 192.0.2.9 1 3\r\n");
}

fn address() -> impl Strategy<Value = SocketAddr> {
    let four = any::<Ipv4Addr>().prop_map(IpAddr::V4);
    let six = any::<Ipv6Addr>().prop_map(IpAddr::V6);
    (prop_oneof![four, six], any::<u16>()).prop_map(|(ip, port)| SocketAddr::new(ip, port))
}

/// Bytes that are likely to get past the signatures.
fn hostile() -> impl Strategy<Value = Vec<u8>> {
    let start = prop_oneof![
        Just(Vec::new()),
        Just(b"PROXY ".to_vec()),
        Just(b"PROXY TCP4 1.2.3.4 ".to_vec()),
        Just(v2::SIGNATURE.to_vec()),
        Just([v2::SIGNATURE, &[0x21, 0x11, 0]].concat()),
        Just([v2::SIGNATURE, &[0x21, 0x21, 0]].concat()),
    ];
    let rest = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..300),
        "[ .:0-9A-F\r\n]{0,120}".prop_map(String::into_bytes),
    ];
    (start, rest).prop_map(|(start, rest)| [start, rest].concat())
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        source in address(),
        destination in address(),
        version in prop_oneof![Just(ProxyProtocol::V1), Just(ProxyProtocol::V2)],
    ) {
        let mut bytes = Vec::new();
        write(version, source, destination, &mut bytes);
        let (source, destination) = of_one_family(source, destination);
        check(&bytes, Header::Proxied { source, destination });
    }

    #[test]
    fn hostile_bytes_do_no_harm(bytes in hostile()) {
        let whole = parse(&bytes);
        if let Ok(Some((header, length))) = whole {
            prop_assert!(length <= bytes.len());
            prop_assert_eq!(parse(&bytes[..length]), Ok(Some((header, length))));
        }
        // More bytes change neither a header nor a fault, and fewer never make a header of another length.
        for end in 0..bytes.len() {
            match parse(&bytes[..end]) {
                Ok(None) => {}
                decided => prop_assert_eq!(decided, whole),
            }
        }
    }
}

/// A connection over which `pieces` come one by one, and its other end.
async fn connection(pieces: &[&[u8]]) -> (TcpStream, tokio::task::JoinHandle<TcpStream>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut client = TcpStream::connect(listener.local_addr().unwrap())
        .await
        .unwrap();
    client.set_nodelay(true).unwrap();
    let pieces: Vec<Vec<u8>> = pieces.iter().map(|piece| piece.to_vec()).collect();
    let sending = tokio::spawn(async move {
        for piece in pieces {
            client.write_all(&piece).await.unwrap();
            tokio::task::yield_now().await;
        }
        client.shutdown().await.unwrap();
        client
    });
    (listener.accept().await.unwrap().0, sending)
}

#[tokio::test]
async fn a_header_is_taken_from_the_socket_and_nothing_more() {
    let line = b"PROXY TCP4 192.0.2.1 198.51.100.2 12345 443\r\n".to_vec();
    let long = binary(
        0x21,
        0x11,
        &[FOUR.as_slice(), &[4, 0x0E, 0], &[7; 0x0E00]].concat(),
    );
    for bytes in [line, binary(0x21, 0x11, &FOUR), long] {
        let followed = [bytes.as_slice(), b"next"].concat();
        let (first, last) = followed.split_at(7);
        let single: Vec<&[u8]> = followed.chunks(1).collect();
        for pieces in [&[followed.as_slice()][..], &[first, last], &single] {
            let (mut stream, sending) = connection(pieces).await;
            assert_eq!(read_header(&mut stream).await.unwrap(), four());
            let mut rest = Vec::new();
            stream.read_to_end(&mut rest).await.unwrap();
            assert_eq!(rest, b"next");
            sending.await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_connection_without_a_whole_header_fails() {
    for (bytes, kind) in [
        (b"".as_slice(), std::io::ErrorKind::UnexpectedEof),
        (b"PROXY TCP4 192.0.2.1", std::io::ErrorKind::UnexpectedEof),
        (b"G", std::io::ErrorKind::InvalidData),
    ] {
        let (mut stream, _sending) = connection(&[bytes]).await;
        assert_eq!(read_header(&mut stream).await.unwrap_err().kind(), kind);
    }
}
