//! Every pairing of HTTP versions, in plain text and under TLS: what one side says reaches the other.

use crate::support::{
    run, soon,
    speak::{self, Client, Message, Origin},
    tls::{Authority, Pair},
    wire, world,
    world::World,
};
use http::Version;
use std::{future::poll_fn, task::Poll};
use traffic::{
    BackendPolicy,
    policy::{BackendTls, Protocol},
};

const VERSIONS: [Version; 2] = [Version::HTTP_11, Version::HTTP_2];
const PROTOCOLS: [Protocol; 2] = [Protocol::Http1, Protocol::Http2];

fn policy(protocol: Protocol, tls: Option<BackendTls>) -> BackendPolicy {
    BackendPolicy {
        protocol,
        tls,
        ..BackendPolicy::default()
    }
}

/// A proxy before an origin that answers as the request's path asks for.
fn plain(protocol: Protocol) -> (World, Origin) {
    let origin = speak::origin(protocol, None, answer);
    let world = world::start();
    world.serve_with(&[origin.address], policy(protocol, None));
    (world, origin)
}

/// What a request is answered, by its path.
fn answer(request: &Message) -> Message {
    let path = request.target.rsplit_once('/').unwrap().1;
    match path {
        "empty" => Message::answer(200),
        "none" => Message::answer(204).header("x-kind", "none"),
        "same" => Message::answer(304).header("etag", "\"1\""),
        "sized" => Message::answer(200)
            .header("content-length", "5")
            .body(&["he", "llo"]),
        "trailers" => Message::answer(200)
            .body(&["one", "two"])
            .trailer("x-sum", "6")
            .trailer("content-length", "77")
            .trailer("set-cookie", "forged=1"),
        "large" => Message::answer(200)
            .header("x-large", &"v".repeat(20_000))
            .body(&["x"]),
        "cookies" => Message::answer(200)
            .header("set-cookie", "a=1")
            .header("set-cookie", "b=2"),
        "early" => {
            let mut answer = Message::answer(200).body(&["x"]);
            answer.interim = vec![http::StatusCode::EARLY_HINTS; 2];
            answer
        }
        _ => {
            let mut answer = Message::answer(200);
            answer.body = request.body.clone();
            answer
        }
    }
}

/// Does `each` with a client and an origin of every pairing of versions.
fn with_every_pairing(each: impl AsyncFn(&mut Client, &Origin, &World, (Version, Protocol))) {
    for protocol in PROTOCOLS {
        let (world, origin) = plain(protocol);
        for version in VERSIONS {
            run(async {
                let mut client = Client::plain(version, world.address()).await;
                each(&mut client, &origin, &world, (version, protocol)).await;
            });
        }
        let totals = world.stable();
        assert_eq!((totals.failed, totals.cancelled), (0, 0), "{protocol:?}");
    }
}

#[test]
fn answers_of_every_shape_pass() {
    with_every_pairing(async |client, origin, _, pairing| {
        for (method, path, status, body) in [
            ("GET", "/empty", 200, ""),
            ("GET", "/none", 204, ""),
            ("GET", "/same", 304, ""),
            ("GET", "/sized", 200, "hello"),
            ("GET", "/trailers", 200, "onetwo"),
            ("HEAD", "/empty", 200, ""),
            ("HEAD", "/sized", 200, ""),
            ("HEAD", "/trailers", 200, ""),
            ("HEAD", "/same", 304, ""),
            ("DELETE", "/none", 204, ""),
        ] {
            let answer = client.ask(Message::ask(method, path)).await;
            let what = format!("{method} {path} {pairing:?}: {answer:?}");
            assert_eq!(
                (answer.status.as_u16(), &*answer.text()),
                (status, body),
                "{what}"
            );
            if path == "/sized" {
                assert_eq!(answer.one("content-length"), Some("5"), "{what}");
            }
            if path == "/same" {
                assert_eq!(answer.one("etag"), Some("\"1\""), "{what}");
            }
            assert_eq!(origin.take().method, method);
        }
    });
}

#[test]
fn requests_of_every_framing_pass() {
    with_every_pairing(async |client, origin, _, pairing| {
        for (pieces, length) in [
            (&["hello"][..], Some("5")),
            (&["hel", "lo"], Some("5")),
            (&["hel", "lo"], None),
            (&[], Some("0")),
        ] {
            let mut request = Message::ask("POST", "/back").body(pieces);
            if let Some(length) = length {
                request = request.header("content-length", length);
            }
            let answer = client.ask(request).await;
            assert_eq!(answer.text(), pieces.concat(), "{pieces:?} {pairing:?}");
            let seen = origin.take();
            assert_eq!(seen.text(), pieces.concat());
            if !pieces.is_empty() {
                assert_eq!(seen.one("content-length"), length, "{pairing:?}");
            }
        }
    });
}

#[test]
fn trailers_pass_both_ways_but_for_those_that_must_not_come_in_them() {
    with_every_pairing(async |client, origin, _, pairing| {
        let request = Message::ask("POST", "/trailers")
            .header("te", "trailers")
            .body(&["x"])
            .trailer("x-check", "1")
            .trailer("x-forwarded-for", "192.0.2.1")
            .trailer("authorization", "forged");
        // A sender that announces none sends none in HTTP/1.
        let request = request.header("trailer", "x-check, x-forwarded-for, authorization");
        let answer = client.ask(request).await;
        let (told, seen) = (answer.trailers.unwrap_or_default(), origin.take());
        let asked = seen.trailers.unwrap_or_default();
        let names = |map: &http::HeaderMap| -> Vec<String> {
            map.keys().map(ToString::to_string).collect()
        };
        assert_eq!(names(&asked), ["x-check"], "{pairing:?}");
        if pairing.1 == Protocol::Http2 {
            // (hyper sends only the trailers that it announced, so that its origin sends none.)
            assert_eq!(names(&told), ["x-sum"], "{pairing:?}");
        }
    });
}

#[test]
fn what_concerns_one_connection_stays_there() {
    with_every_pairing(async |client, origin, _, (version, protocol)| {
        let mut request = Message::ask("GET", "/x")
            .header("te", "trailers")
            .header("x-kept", "1");
        if version == Version::HTTP_11 {
            request = request
                .header("connection", "x-mine, keep-alive")
                .header("x-mine", "1")
                .header("keep-alive", "timeout=5")
                .header("proxy-connection", "keep-alive");
        }
        client.ask(request).await;
        let seen = origin.take();
        let pairing = format!("{version:?} {protocol:?} {seen:?}");
        for name in ["x-mine", "keep-alive", "proxy-connection", "upgrade"] {
            assert_eq!(seen.one(name), None, "{name} {pairing}");
        }
        assert_eq!(seen.one("x-kept"), Some("1"));
        assert_eq!(seen.one("te"), Some("trailers"), "{pairing}");
        assert_eq!(seen.one("x-forwarded-proto"), Some("http"), "{pairing}");
        match protocol {
            Protocol::Http1 => {
                assert_eq!(seen.one("host"), Some("shop.example"), "{pairing}");
                assert_eq!(seen.target, "/x");
            }
            Protocol::Http2 => {
                assert_eq!(seen.one("host"), None, "{pairing}");
                assert_eq!(seen.one("connection"), None, "{pairing}");
                assert_eq!(seen.target, "http://shop.example/x", "{pairing}");
            }
        }
    });
}

#[test]
fn large_heads_and_many_cookies_pass() {
    with_every_pairing(async |client, origin, _, (version, protocol)| {
        let answer = client.ask(Message::ask("GET", "/large")).await;
        assert_eq!(answer.one("x-large").unwrap().len(), 20_000);
        origin.take();
        let mut request = Message::ask("GET", "/cookies").header("x-large", &"w".repeat(20_000));
        for cookie in 0..40 {
            request = request.header("cookie", &format!("c{cookie}=1"));
        }
        let answer = client.ask(request).await;
        assert_eq!(answer.all("set-cookie"), ["a=1", "b=2"]);
        let seen = origin.take();
        assert_eq!(seen.one("x-large").unwrap().len(), 20_000);
        let cookies = seen.all("cookie");
        if version == Version::HTTP_2 && protocol == Protocol::Http1 {
            assert_eq!(cookies.len(), 1, "crumbs are one header in HTTP/1");
        }
        assert_eq!(cookies.join("; ").split("; ").count(), 40);
    });
}

#[test]
fn interim_answers_reach_those_who_know_them() {
    // From an HTTP/2 origin.
    let (world, _origin) = plain(Protocol::Http2);
    run(async {
        let mut client = Client::plain(Version::HTTP_2, world.address()).await;
        let answer = client.ask(Message::ask("GET", "/early")).await;
        assert_eq!(answer.interim, [http::StatusCode::EARLY_HINTS; 2]);
    });
    let mut client = world.connect();
    client.send("GET /early HTTP/1.1\r\nhost: a\r\n\r\n");
    for status in [103, 103, 200] {
        assert_eq!(client.response().status(), status);
    }
    // From an HTTP/1 origin, to an HTTP/2 client.
    let origin = crate::support::origin::answering(
        b"HTTP/1.1 103 E\r\nlink: <a>\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nx",
    );
    world.serve(&[origin.address]);
    run(async {
        let mut client = Client::plain(Version::HTTP_2, world.address()).await;
        let answer = client.ask(Message::ask("GET", "/")).await;
        assert_eq!(answer.interim, [http::StatusCode::EARLY_HINTS]);
        assert_eq!(answer.text(), "x");
    });
}

#[test]
fn both_sides_may_speak_tls_and_show_certificates() {
    let authority = Authority::new("both sides");
    let front = authority.sign("shop.example");
    let back = authority.sign("backend.example");
    let own = authority.sign("proxy.example");
    for protocol in PROTOCOLS {
        let alpn = match protocol {
            Protocol::Http1 => "http/1.1",
            Protocol::Http2 => "h2",
        };
        let server = authority.server(&[alpn], &back, true);
        let origin = speak::origin(protocol, Some(server), answer);
        let world = world::start_with(1, |config| {
            let mut tls = authority.listener(&[&front]);
            tls.client = Some(authority.of_clients(true));
            config.listeners[0].tls = Some(tls);
        });
        let serve = |shown: Option<&Pair>| {
            let tls = authority.backend("backend.example", shown);
            world.serve_with(&[origin.address], policy(protocol, Some(tls)));
        };
        serve(Some(&own));
        for (version, alpn) in [(Version::HTTP_11, "http/1.1"), (Version::HTTP_2, "h2")] {
            let config = authority.client(&[alpn], Some(&front));
            run(async {
                let tls = Some((&config, "shop.example"));
                let socket = speak::connect(world.address(), tls).await.unwrap();
                let mut client = Client::begin(version, socket).await;
                let answer = client
                    .ask(Message::ask("POST", "/back").body(&["hello"]))
                    .await;
                assert_eq!(answer.text(), "hello", "{version:?} {protocol:?}");
                let seen = origin.take();
                assert_eq!(seen.one("x-forwarded-proto"), Some("https"));
                if protocol == Protocol::Http2 {
                    assert_eq!(seen.target, "https://shop.example/back");
                }
            });
        }
        // Without the certificate that the endpoint demands.
        serve(None);
        let config = authority.client(&["h2"], Some(&front));
        run(async {
            let tls = Some((&config, "shop.example"));
            let socket = speak::connect(world.address(), tls).await.unwrap();
            let mut client = Client::begin(Version::HTTP_2, socket).await;
            let answer = client.ask(Message::ask("GET", "/")).await;
            assert_eq!(answer.status, 502, "{protocol:?}");
        });
        // Without the one that the listener demands: at the latest when something is read.
        let config = authority.client(&["http/1.1"], None);
        run(async {
            let tls = Some((&config, "shop.example"));
            let Ok(socket) = speak::connect(world.address(), tls).await else {
                return;
            };
            let mut client = Client::begin(Version::HTTP_11, socket).await;
            let sent = soon("a refusal", client.send(Message::ask("GET", "/"))).await;
            assert!(sent.is_err());
        });
    }
}

#[test]
fn an_answer_that_comes_before_the_request_has_ended_ends_it() {
    // The origin reads nothing of the body.
    let hasty = crate::support::origin::after_head(|wire| {
        wire.send("HTTP/1.1 403 No\r\ncontent-length: 2\r\nconnection: close\r\n\r\nno");
        while !wire.is_closed() {
            wire.discard();
        }
    });
    let world = world::start();
    world.serve(&[hasty.address]);
    run(async {
        let mut client = Client::plain(Version::HTTP_2, world.address()).await;
        let Client::Http2(sender) = &mut client else {
            unreachable!()
        };
        let request = http::Request::post("http://shop.example/")
            .body(())
            .unwrap();
        let (response, mut stream) = sender.send_request(request, false).unwrap();
        stream.send_data("begun".into(), false).unwrap();
        let response = soon("an answer", response).await.unwrap();
        assert_eq!(response.status(), 403);
        let mut body = response.into_body();
        assert_eq!(soon("its body", body.data()).await.unwrap().unwrap(), "no");
        while let Some(more) = soon("its end", body.data()).await {
            assert_eq!(more.unwrap(), "");
        }
        // RFC 9113 section 8.1: the client is asked to stop, and its connection stays.
        let reset = poll_fn(|context| stream.poll_reset(context));
        let reason = soon("word to stop", reset).await.unwrap();
        assert_eq!(reason, h2::Reason::NO_ERROR);
        let answer = client.ask(Message::ask("GET", "/again")).await;
        assert_eq!(answer.status, 403);
    });
    assert_eq!(world.stable().failed, 0);
}

#[test]
fn a_client_that_waits_to_continue_is_told_whatever_the_endpoint_speaks() {
    for protocol in PROTOCOLS {
        let (world, origin) = plain(protocol);
        let mut client = world.connect();
        client.send(
            "POST /back HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\n",
        );
        assert_eq!(client.response_head().status(), 100);
        client.send("hello");
        assert_eq!(client.response().text(), "hello");
        assert_eq!(origin.take().one("expect"), None);
    }
}

#[test]
fn a_stream_that_the_client_resets_ends_at_the_endpoint() {
    let (told, hears) = std::sync::mpsc::channel();
    let told = std::sync::Mutex::new(told);
    let silent = crate::support::origin::after_head(move |wire: &mut wire::Client| {
        let told = told.lock().unwrap().clone();
        told.send("asked").unwrap();
        while !wire.is_closed() {
            wire.discard();
        }
        told.send("closed").unwrap();
    });
    let world = world::start();
    world.serve(&[silent.address]);
    run(async {
        let mut client = Client::plain(Version::HTTP_2, world.address()).await;
        let Client::Http2(sender) = &mut client else {
            unreachable!()
        };
        let request = http::Request::get("http://shop.example/").body(()).unwrap();
        let (response, mut stream) = sender.send_request(request, true).unwrap();
        let mut response = std::pin::pin!(response);
        let asked = poll_fn(|context| {
            let _ = response.as_mut().poll(context);
            match hears.try_recv() {
                Ok(what) => Poll::Ready(what),
                Err(_) => {
                    context.waker().wake_by_ref();
                    Poll::Pending
                }
            }
        });
        assert_eq!(soon("the request", asked).await, "asked");
        stream.send_reset(h2::Reason::CANCEL);
        let closed = poll_fn(|context| match hears.try_recv() {
            Ok(what) => Poll::Ready(what),
            Err(_) => {
                context.waker().wake_by_ref();
                Poll::Pending
            }
        });
        // The driver of the connection runs beside.
        assert_eq!(soon("the endpoint hears of it", closed).await, "closed");
    });
    let totals = world.stable();
    assert_eq!((totals.cancelled, totals.failed), (1, 0));
}
