use super::*;
use crate::config::Forwarding;
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
