use super::*;
use crate::config::{ForwardedHeaders, Forwarding, Network};
use http::{Method, Request};
use proptest::prelude::*;
use std::rc::Rc;

/// A request's head from lines as they stand on the wire.
fn head(target: &str, version: Version, headers: &[(&str, &str)]) -> Parts {
    let mut request = Request::builder().uri(target).version(version);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap().into_parts().0
}

#[test]
fn requests_that_two_servers_may_understand_differently_are_refused() {
    const HTTP_11: Version = Version::HTTP_11;
    let two = [("host", "a"), ("host", "a")];
    for (target, version, headers, expected) in [
        ("/", HTTP_11, &[("host", "a.example")][..], Ok(())),
        ("/", HTTP_11, &[("host", "[::1]:8080")], Ok(())),
        ("/", HTTP_11, &[("host", "")], Ok(())),
        ("/", HTTP_11, &[], Err(Fault::NoHost)),
        ("/", Version::HTTP_10, &[], Ok(())),
        ("/", HTTP_11, &two, Err(Fault::ManyHosts)),
        ("/", Version::HTTP_10, &two, Err(Fault::ManyHosts)),
        ("/", HTTP_11, &[("host", "a b")], Err(Fault::HostInvalid)),
        ("/", HTTP_11, &[("host", "a/b")], Err(Fault::HostInvalid)),
        ("/", HTTP_11, &[("host", "u@a")], Err(Fault::HostInvalid)),
        ("*", HTTP_11, &[("host", "a")], Ok(())),
        ("http://b/x", HTTP_11, &[("host", "a")], Ok(())),
        (
            "http://u@b/x",
            HTTP_11,
            &[("host", "a")],
            Err(Fault::TargetInvalid),
        ),
        (
            "ftp://b/x",
            HTTP_11,
            &[("host", "a")],
            Err(Fault::TargetInvalid),
        ),
        ("b:80", HTTP_11, &[("host", "a")], Err(Fault::TargetInvalid)),
    ] {
        let request = Request::from_parts(head(target, version, headers), ());
        assert_eq!(check(&request), expected, "{target} {headers:?}");
    }
    let mut connect = Request::from_parts(head("b:80", HTTP_11, &[("host", "b:80")]), ());
    *connect.method_mut() = Method::CONNECT;
    assert_eq!(check(&connect), Err(Fault::Connect));
}

/// A client that is not in any network.
fn peer(forwarding: &Forwarding) -> Peer {
    let forwarding = Rc::new(forwarding.clone());
    Peer::new([192, 0, 2, 7].into(), 8080, Scheme::Http, forwarding)
}

/// What an endpoint sees of a request to `target` with `sent`, sorted.
fn rewritten(target: &str, sent: &[(&str, &str)]) -> (String, Vec<String>) {
    let mut head = head(target, Version::HTTP_10, sent);
    rewrite(&mut head, &peer(&Forwarding::default()), true, || 0);
    assert_eq!(head.version, Version::HTTP_11);
    let line =
        |(name, value): (&HeaderName, &HeaderValue)| format!("{name}: {}", value.to_str().unwrap());
    let mut lines: Vec<String> = head.headers.iter().map(line).collect();
    lines.sort();
    (head.uri.to_string(), lines)
}

#[test]
fn what_concerns_the_connection_only_is_not_passed_on() {
    const HOST: &str = "host: ";
    const FOR: &str = "x-forwarded-for: 192.0.2.7";
    const PROTO: &str = "x-forwarded-proto: http";
    for (sent, expected) in [
        (
            &[("host", "a"), ("accept", "*/*")][..],
            &["accept: */*", "host: a", FOR, "x-forwarded-host: a", PROTO][..],
        ),
        (
            &[
                ("connection", "close, X-Secret"),
                ("x-secret", "1"),
                ("keep-alive", "timeout=5"),
                ("proxy-connection", "keep-alive"),
                ("te", "gzip"),
                ("transfer-encoding", "chunked"),
                ("upgrade", "h2c"),
                ("expect", "100-continue"),
            ],
            &[HOST, FOR, PROTO],
        ),
        (
            &[
                ("connection", "host, authorization"),
                ("host", "a"),
                ("authorization", "b"),
            ],
            &[
                "authorization: b",
                "host: a",
                FOR,
                "x-forwarded-host: a",
                PROTO,
            ],
        ),
        (
            &[("te", "gzip, trailers;q=0.5")],
            &["connection: te", HOST, "te: trailers", FOR, PROTO],
        ),
        (
            &[("connection", "Upgrade"), ("upgrade", "websocket")],
            &[
                "connection: upgrade",
                HOST,
                "upgrade: websocket",
                FOR,
                PROTO,
            ],
        ),
        (&[("upgrade", "websocket")], &[HOST, FOR, PROTO]),
        (
            &[
                ("connection", "upgrade, HTTP2-Settings"),
                ("upgrade", "h2c"),
                ("http2-settings", "x"),
            ],
            &[HOST, FOR, PROTO],
        ),
        (
            &[
                ("x-forwarded-for", "198.51.100.1"),
                ("x-forwarded-for", "198.51.100.2"),
                ("x-forwarded-proto", "https"),
                ("x-forwarded-host", "evil"),
            ],
            &[
                HOST,
                "x-forwarded-for: 198.51.100.1, 198.51.100.2, 192.0.2.7",
                PROTO,
            ],
        ),
    ] {
        assert_eq!(
            rewritten("/p?q", sent),
            (
                "/p?q".to_owned(),
                expected.iter().map(|&s| s.to_owned()).collect()
            ),
            "{sent:?}"
        );
    }
}

#[test]
fn the_targets_authority_is_the_host() {
    for (target, expected) in [
        ("http://b.example:81/p?q", "/p?q"),
        ("http://b.example:81", "/"),
    ] {
        let (uri, lines) = rewritten(target, &[("host", "a")]);
        assert_eq!(uri, expected);
        assert_eq!(lines[0], "host: b.example:81");
    }
}

/// A policy by which the peer of these tests is trusted, or not.
fn policy(is_trusted: bool, headers: ForwardedHeaders) -> Forwarding {
    let network = Network {
        address: [192, 0, 2, 0].into(),
        prefix: 24,
    };
    Forwarding {
        trusted: is_trusted.then_some(network).into_iter().collect(),
        headers,
        ..Forwarding::default()
    }
}

/// The headers that an endpoint sees of a request for host `a` with `sent`, sorted, without the host.
fn told(forwarding: &Forwarding, version: Version, sent: &[(&str, &str)]) -> Vec<String> {
    let mut head = head("/", version, sent);
    head.headers.insert(HOST, HeaderValue::from_static("a:81"));
    let mut numbers = 1..;
    rewrite(&mut head, &peer(forwarding), true, || {
        numbers.next().unwrap_or_default()
    });
    assert_eq!(head.headers.remove(HOST).unwrap(), "a:81");
    let line =
        |(name, value): (&HeaderName, &HeaderValue)| format!("{name}: {}", value.to_str().unwrap());
    let mut lines: Vec<String> = head.headers.iter().map(line).collect();
    lines.sort();
    lines
}

#[test]
fn endpoints_are_told_of_the_client_as_the_policy_says() {
    use ForwardedHeaders::{Both, Forwarded, Remove, XForwarded};
    const SENT: &[(&str, &str)] = &[
        ("forwarded", "for=198.51.100.1;proto=https"),
        ("x-forwarded-for", "198.51.100.1"),
        ("x-forwarded-host", "shop.example"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-port", "443"),
    ];
    const FOR: &str = "x-forwarded-for: 198.51.100.1, 192.0.2.7";
    const HOST: &str = "x-forwarded-host: a:81";
    const HTTP: &str = "x-forwarded-proto: http";
    const OWN: &str = "forwarded: for=192.0.2.7;proto=http;host=\"a:81\"";
    for (is_trusted, headers, expected) in [
        (false, XForwarded, &[FOR, HOST, HTTP][..]),
        (false, Forwarded, &[OWN]),
        (false, Both, &[OWN, FOR, HOST, HTTP]),
        (false, Remove, &[]),
        (
            true,
            XForwarded,
            &[
                FOR,
                "x-forwarded-host: shop.example",
                "x-forwarded-port: 443",
                "x-forwarded-proto: https",
            ],
        ),
        (
            true,
            Forwarded,
            &["forwarded: for=198.51.100.1;proto=https, for=192.0.2.7;proto=http;host=\"a:81\""],
        ),
        (true, Remove, &[]),
    ] {
        let forwarding = policy(is_trusted, headers);
        assert_eq!(
            told(&forwarding, Version::HTTP_11, SENT),
            expected,
            "{is_trusted} {headers:?}"
        );
    }
}

#[test]
fn what_a_trusted_peer_says_must_make_sense() {
    for (sent, expected) in [
        (
            &[("x-forwarded-proto", "gopher")][..],
            "x-forwarded-proto: http",
        ),
        (
            &[("x-forwarded-proto", "https,http")],
            "x-forwarded-proto: http",
        ),
        (&[("x-forwarded-host", "a b")], "x-forwarded-host: a:81"),
        (&[("x-forwarded-host", "")], "x-forwarded-host: a:81"),
        (
            &[("x-forwarded-host", "b"), ("x-forwarded-host", "c")],
            "x-forwarded-host: a:81",
        ),
    ] {
        let told = told(
            &policy(true, ForwardedHeaders::XForwarded),
            Version::HTTP_11,
            sent,
        );
        assert!(told.contains(&expected.to_owned()), "{sent:?} {told:?}");
    }
    let empty = &[("x-forwarded-for", ""), ("x-forwarded-for", "198.51.100.1")];
    let told_of_empty = told(
        &policy(true, ForwardedHeaders::XForwarded),
        Version::HTTP_11,
        empty,
    );
    let chain = "x-forwarded-for: 198.51.100.1, 192.0.2.7".to_owned();
    assert!(told_of_empty.contains(&chain), "{told_of_empty:?}");
    // A mark that is never closed would take in what is added.
    let broken = &[("forwarded", "for=\"198.51.100.1")];
    assert_eq!(
        told(
            &policy(true, ForwardedHeaders::Forwarded),
            Version::HTTP_11,
            broken
        ),
        ["forwarded: for=192.0.2.7;proto=http;host=\"a:81\""]
    );
}

#[test]
fn headers_that_endpoints_may_take_for_others_do_not_pass() {
    for (is_trusted, name, passes) in [
        (false, "x_forwarded_for", false),
        (true, "x-forwarded_proto", false),
        (true, "x_forwarded-anything", false),
        (false, "x-forwarded-prefix", false),
        (true, "x-forwarded-prefix", true),
        (false, "x_id", false),
        (false, "x-forwarded_", false),
        (false, "content_length", false),
        (false, "transfer_encoding", false),
        (true, "proxy", false),
        (true, "http2-settings", false),
        (false, "x-sluice-mirror", false),
        (true, "x-sluice-mirror", true),
        (false, "x_other", true),
        (false, "x-forwarde", true),
        (false, "proxy-authorization", true),
    ] {
        let forwarding = Forwarding {
            request_id: Some(HeaderName::from_static("x-id")),
            ..policy(is_trusted, ForwardedHeaders::XForwarded)
        };
        let told = told(&forwarding, Version::HTTP_11, &[(name, "1")]);
        let found = told
            .iter()
            .any(|line| line.starts_with(&format!("{name}:")));
        assert_eq!(found, passes, "{name}, trusted: {is_trusted}");
    }
}

/// Header lines, of which some make a map of all necessary, or a head that is refused.
const LINES: [&str; 34] = [
    "Host: a.example",
    "host:b",
    "Accept: */*",
    "accept:text/html \t",
    "X-User:\u{e9}",
    "Cookie: a=b; c=d",
    "Cookie: e=f",
    "Via: 1.0 other",
    "Connection: keep-alive",
    "Connection: close",
    "connection: Keep-Alive, X-User",
    "Connection: upgrade",
    "Keep-Alive: timeout=5",
    "Proxy-Connection: keep-alive",
    "Upgrade: websocket",
    "TE: trailers",
    "TE: gzip",
    "Expect: 100-continue",
    "Content-Length: 3",
    "Transfer-Encoding: chunked",
    "Content-Type: application/grpc",
    "Content-Type: text/plain",
    "X-Forwarded-For: 198.51.100.1",
    "x-forwarded-host: c",
    "X-Forwarded-Proto: https",
    "X-Forwarded-Prefix: /x",
    "x_forwarded_for: 1",
    "Forwarded: for=198.51.100.1",
    "Proxy: a",
    "HTTP2-Settings: a",
    "X-Sluice-Mirror: true",
    "X-Id: theirs",
    "content_length: 3",
    "x-odd_but_harmless: 1",
];

proptest! {
    #[test]
    fn an_endpoint_gets_the_same_of_lines_and_of_a_map(
        start in prop::sample::select(vec![
            "GET /a HTTP/1.1", "POST /a?b HTTP/1.1", "GET / HTTP/1.0", "GET http://a.example/ HTTP/1.1", "OPTIONS * HTTP/1.1",
        ]),
        others in prop::collection::vec(prop::sample::select(&LINES[..]), 0..7),
        has_host in any::<bool>(),
        policy in any::<u8>(),
    ) {
        let host = if has_host { "Host: a.example\r\n" } else { "" };
        let lines: String = others.iter().map(|line| format!("{line}\r\n")).collect();
        check_lines(format!("{start}\r\n{host}{lines}\r\n").as_bytes(), policy);
    }
}

#[test]
fn headers_stay_lines_when_nothing_has_to_be_done_about_them() {
    let stays = |start: &str, lines: &[&str]| {
        let lines: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
        let head = format!("{start}\r\nHost: a.example\r\n{lines}\r\n");
        let all: Vec<bool> = (0..32)
            .map(|policy| check_lines(head.as_bytes(), policy))
            .collect();
        assert!(all.iter().all(|stays| *stays == all[0]), "{head}");
        all[0]
    };
    const GET: &str = "GET / HTTP/1.1";
    for line in LINES {
        let name = line.split(':').next().unwrap().to_ascii_lowercase();
        let is_lines = match &*name {
            "accept" | "x-user" | "cookie" | "via" | "keep-alive" | "proxy-connection"
            | "content-length" | "transfer-encoding" => true,
            "connection" => !line.ends_with("X-User") && !line.ends_with("upgrade"),
            "content-type" => line.ends_with("plain"),
            _ => false,
        };
        assert_eq!(stays(GET, &[line]), is_lines, "{line}");
    }
    assert!(stays(
        GET,
        &[
            "Connection: close",
            "A: b",
            "Content-Length: 3",
            "B: c",
            "Keep-Alive: 1"
        ]
    ));
    assert!(!stays("GET / HTTP/1.0", &[]));
    assert!(!stays("GET http://a.example/ HTTP/1.1", &[]));
}

#[test]
fn a_request_gets_one_id() {
    const MADE: &str = "x-id: 00000000000000010000000000000002";
    let long = "a".repeat(129);
    for (is_trusted, sent, expected) in [
        (false, &[][..], MADE),
        (false, &[("x-id", "theirs")], MADE),
        (true, &[("x-id", "theirs")], "x-id: theirs"),
        (true, &[], MADE),
        (true, &[("x-id", "")], MADE),
        (true, &[("x-id", "two words")], MADE),
        (true, &[("x-id", &*long)], MADE),
        (true, &[("x-id", "a"), ("x-id", "b")], MADE),
    ] {
        let forwarding = Forwarding {
            request_id: Some(HeaderName::from_static("x-id")),
            ..policy(is_trusted, ForwardedHeaders::Remove)
        };
        assert_eq!(
            told(&forwarding, Version::HTTP_11, sent),
            [expected],
            "{is_trusted} {sent:?}"
        );
    }
}

#[test]
fn the_proxy_adds_itself_to_via() {
    let forwarding = Forwarding {
        via: Some("sluice".into()),
        ..policy(false, ForwardedHeaders::Remove)
    };
    for (version, sent, expected) in [
        (Version::HTTP_11, &[][..], &["via: 1.1 sluice"][..]),
        (Version::HTTP_10, &[], &["via: 1.0 sluice"]),
        (
            Version::HTTP_2,
            &[("via", "1.1 edge")],
            &["via: 1.1 edge", "via: 2.0 sluice"],
        ),
    ] {
        assert_eq!(told(&forwarding, version, sent), expected, "{version:?}");
    }
    let unfit = Forwarding {
        via: Some("a\nb".into()),
        ..forwarding
    };
    assert!(told(&unfit, Version::HTTP_11, &[]).is_empty());
}

#[test]
fn an_ipv6_peer_is_quoted() {
    for (headers, expected) in [
        (
            ForwardedHeaders::Forwarded,
            "forwarded: for=\"[2001:db8::7]\";proto=https;host=a",
        ),
        (ForwardedHeaders::XForwarded, "x-forwarded-for: 2001:db8::7"),
    ] {
        let mut head = head("/", Version::HTTP_11, &[("host", "a")]);
        let address = "2001:db8::7".parse().unwrap();
        let forwarding = Rc::new(policy(false, headers));
        let peer = Peer::new(address, 443, Scheme::Https, forwarding);
        rewrite(&mut head, &peer, false, || 0);
        let (name, value) = expected.split_once(": ").unwrap();
        assert_eq!(head.headers[name], value);
    }
}

fn some_line() -> impl Strategy<Value = (String, String)> {
    let names = vec![
        "connection",
        "cookie",
        "expect",
        "forwarded",
        "host",
        "http2-settings",
        "keep-alive",
        "proxy",
        "te",
        "transfer-encoding",
        "upgrade",
        "via",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-forwarded-proto",
        "x_forwarded_for",
        "x-id",
    ];
    let name = prop_oneof![
        prop::sample::select(names).prop_map(str::to_owned),
        "[a-z_-]{1,12}"
    ];
    let value = prop_oneof![
        "[\\x20-\\x7e\\t\u{80}-\u{ff}]{0,20}",
        "(for=\"?[0-9a-f:.\\[\\]]{0,12}\"?[;,]?){0,3}",
        prop::sample::select(vec![
            "trailers",
            "te",
            "upgrade",
            "close, x-id",
            "h2c",
            "websocket",
            "a:81",
            "chunked",
            "host, x-forwarded-for",
        ])
        .prop_map(str::to_owned),
    ];
    (name, value)
}

proptest! {
    #[test]
    fn whatever_comes_what_goes_on_is_fit(
        lines in prop::collection::vec(some_line(), 0..12),
        policy: u8,
        version: u8,
        target in prop::sample::select(vec!["/", "/p?q", "*", "http://b/p", "https://b:1/"]),
    ) {
        let mut bytes = vec![policy, version];
        bytes.extend_from_slice(target.as_bytes());
        for (name, value) in lines {
            bytes.extend_from_slice(format!("\n{name}: {value}").as_bytes());
        }
        fuzz_head(&bytes);
    }

    #[test]
    fn bytes_that_are_no_head_are_nothing(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        fuzz_head(&bytes);
    }
}
