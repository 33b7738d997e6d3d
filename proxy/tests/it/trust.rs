//! Who is believed what, and what endpoints are told.

use crate::support::{
    origin, run,
    speak::{self, Client, Message},
    tls::Authority,
    wire,
    world::{self, World},
};
use http::Version;
use proxy::{ForwardedHeaders, Network, TlsVersion};
use std::net::{IpAddr, Ipv4Addr};
use tokio::io::AsyncReadExt;
use traffic::{BackendPolicy, policy::ProxyProtocol};

fn loopback() -> Vec<Network> {
    vec![Network {
        address: IpAddr::V4(Ipv4Addr::LOCALHOST),
        prefix: 8,
    }]
}

/// A version 2 header of a connection from 192.0.2.7:1000 to 198.51.100.1:443.
fn v2() -> Vec<u8> {
    let mut header = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c".to_vec();
    header.extend([192, 0, 2, 7, 198, 51, 100, 1, 0x03, 0xe8, 0x01, 0xbb]);
    header
}

const V1: &[u8] = b"PROXY TCP4 192.0.2.7 198.51.100.1 1000 443\r\n";

fn serve(world: &World) -> origin::Origin {
    let origin = origin::http().run();
    world.serve(&[origin.address]);
    origin
}

#[test]
fn the_proxy_protocol_is_believed_of_trusted_peers_only() {
    let get = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n";
    for header in [V1.to_vec(), v2()] {
        let world = world::start_with(1, |config| {
            config.listeners[0].proxy_protocol = loopback();
        });
        let origin = serve(&world);
        let mut client = world.connect();
        // Header and request may come together, and in pieces.
        client.send(&header[..7]);
        client.send([&header[7..], get].concat());
        assert_eq!(client.response().status(), 200);
        assert_eq!(
            origin.seen()[0].header("x-forwarded-for"),
            Some("192.0.2.7")
        );
        // A trusted peer must send one.
        let mut client = world.connect();
        client.send(get);
        assert!(client.is_closed());
        // Of others it is no HTTP.
        let world = world::start();
        let origin = serve(&world);
        let mut client = world.connect();
        client.send([&header[..], get].concat());
        assert_eq!(client.response().status(), 400);
        assert!(client.is_closed());
        assert!(origin.seen().is_empty());
    }
}

#[test]
fn endpoints_are_told_by_the_proxy_protocol_whose_connection_it_is() {
    for version in [ProxyProtocol::V1, ProxyProtocol::V2] {
        let (tell, told) = std::sync::mpsc::channel();
        let tell = std::sync::Mutex::new(tell);
        let origin = origin::raw(move |mut stream| {
            use std::io::Read;
            // The header, whose length both versions tell, then HTTP.
            let mut header = vec![0; 16];
            stream.read_exact(&mut header).unwrap();
            if header.starts_with(b"PROXY") {
                while !header.ends_with(b"\r\n") {
                    let mut byte = [0];
                    stream.read_exact(&mut byte).unwrap();
                    header.push(byte[0]);
                }
            } else {
                let mut rest = vec![0; usize::from(header[15])];
                stream.read_exact(&mut rest).unwrap();
                header.extend(rest);
            }
            tell.lock().unwrap().send(header).unwrap();
            let mut wire = wire::Client::from(stream);
            while wire.try_message(false).is_some() {
                wire.send("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
            }
        });
        let world = world::start();
        let policy = BackendPolicy {
            proxy_protocol: Some(version),
            ..BackendPolicy::default()
        };
        world.serve_with(&[origin.address], policy);
        for clients in 1..=2 {
            let mut client = world.connect();
            let port = client.stream.local_addr().unwrap().port();
            for _ in 0..3 {
                assert_eq!(client.get("/", "").status(), 200);
            }
            assert_eq!(origin.connections(), clients, "one for each client");
            let header = told.recv().unwrap();
            let to = world.address().port();
            let expected = match version {
                ProxyProtocol::V1 => {
                    format!("PROXY TCP4 127.0.0.1 127.0.0.1 {port} {to}\r\n").into_bytes()
                }
                ProxyProtocol::V2 => {
                    let mut expected = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c".to_vec();
                    expected.extend([127, 0, 0, 1, 127, 0, 0, 1]);
                    expected.extend(port.to_be_bytes());
                    expected.extend(to.to_be_bytes());
                    expected
                }
            };
            assert_eq!(header, expected);
        }
    }
}

#[test]
fn endpoints_are_told_of_clients_as_far_as_these_are_believed() {
    let claims = "x-forwarded-for: 203.0.113.1, 192.0.2.9\r\nx-forwarded-proto: https\r\nx-request-id: mine\r\n";
    for (what, trusted, hops, chain, proto, id_is_kept) in [
        ("nobody", vec![], 0, "127.0.0.1", "http", false),
        (
            "network",
            loopback(),
            0,
            "203.0.113.1, 192.0.2.9, 127.0.0.1",
            "https",
            true,
        ),
        (
            "hops",
            vec![],
            1,
            "203.0.113.1, 192.0.2.9, 127.0.0.1",
            "https",
            true,
        ),
    ] {
        let world = world::start_with(1, |config| {
            config.forwarding.trusted = trusted;
            config.forwarding.trusted_hops = hops;
            config.forwarding.via = Some("edge".into());
            config.forwarding.request_id = Some("x-request-id".parse().unwrap());
            config.forwarding.headers = ForwardedHeaders::Both;
        });
        let origin = serve(&world);
        let answer = world.connect().get("/", claims);
        assert_eq!(answer.header("via"), Some("1.1 edge"), "{what}");
        let seen = origin.seen().remove(0);
        assert_eq!(seen.header("x-forwarded-for"), Some(chain), "{what}");
        assert_eq!(seen.header("x-forwarded-proto"), Some(proto), "{what}");
        assert_eq!(seen.header("via"), Some("1.1 edge"), "{what}");
        let forwarded = seen.header("forwarded").unwrap();
        assert!(forwarded.contains("for=127.0.0.1"), "{what}: {forwarded}");
        let id = seen.header("x-request-id").unwrap();
        assert_eq!(id == "mine", id_is_kept, "{what}: {id}");
        // By HTTP/2 the same.
        run(async {
            let mut client = Client::plain(Version::HTTP_2, world.address()).await;
            let answer = client.ask(Message::ask("GET", "/")).await;
            assert_eq!(answer.one("via"), Some("1.1 edge"), "{what}");
        });
        let seen = origin.seen().remove(1);
        assert_eq!(seen.header("via"), Some("2.0 edge"), "{what}");
        assert_eq!(
            seen.header("x-forwarded-host"),
            Some("shop.example"),
            "{what}"
        );
    }
}

#[test]
fn listeners_show_the_certificate_that_is_asked_for_and_demand_theirs() {
    let authority = Authority::new("names");
    let (first, second) = (authority.sign("a.example"), authority.sign("b.example"));
    for required in [true, false] {
        let world = world::start_with(1, |config| {
            let mut tls = authority.listener(&[&first, &second]);
            tls.client = Some(authority.of_clients(required));
            tls.min_version = TlsVersion::V1_3;
            config.listeners[0].tls = Some(tls);
        });
        serve(&world);
        run(async {
            for name in ["a.example", "b.example"] {
                // Each is only believed if the certificate bears the name.
                for (shown, alpn, version) in [
                    (Some(&first), "h2", Version::HTTP_2),
                    (Some(&first), "http/1.1", Version::HTTP_11),
                    (None, "h2", Version::HTTP_2),
                ] {
                    let config = authority.client(&[alpn], shown);
                    let tls = Some((&config, name));
                    let mut socket = speak::connect(world.address(), tls).await.unwrap();
                    if shown.is_none() && required {
                        // TLS 1.3 clients hear of it after the handshake.
                        let mut byte = [0];
                        assert!(!matches!(socket.read(&mut byte).await, Ok(1..)));
                        continue;
                    }
                    let mut client = Client::begin(version, socket).await;
                    let answer = client.ask(Message::ask("GET", "/")).await;
                    assert_eq!(answer.status, 200, "{name} {alpn}");
                }
            }
            // A protocol that is not spoken is refused, an old version of TLS too.
            let config = authority.client(&["spdy/3"], Some(&first));
            let tls = Some((&config, "a.example"));
            assert!(speak::connect(world.address(), tls).await.is_err());
            let old = authority.old_client(&first);
            let tls = Some((&old, "a.example"));
            assert!(speak::connect(world.address(), tls).await.is_err());
        });
    }
}
