//! Requests and responses on the wire.

use crate::support::{eventually, origin, wire, world};
use std::{
    io::{ErrorKind, Read, Write},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    thread,
    time::Duration,
};

#[test]
fn responses_without_a_body_leave_the_connection_usable() {
    for (method, response, status) in [
        ("HEAD", "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n", 200),
        (
            "HEAD",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
            200,
        ),
        ("GET", "HTTP/1.1 204 No Content\r\n\r\n", 204),
        (
            "GET",
            "HTTP/1.1 304 Not Modified\r\netag: \"1\"\r\n\r\n",
            304,
        ),
        ("GET", "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", 200),
    ] {
        let world = world::start();
        let origin = origin::answering(response.as_bytes());
        world.serve(&[origin.address]);
        let mut client = world.connect();
        for _ in 0..3 {
            client.send(format!("{method} / HTTP/1.1\r\nhost: a\r\n\r\n"));
            let head = client.response_head();
            assert_eq!(head.status(), status, "{response}");
            if response.contains("content-length: 9") {
                assert_eq!(head.header("content-length"), Some("9"));
            }
        }
        assert_eq!(origin.connections(), 1, "{response}");
        assert_eq!(world.stable().statuses, [(status, 3)]);
    }
}

#[test]
fn interim_answers_pass_and_those_that_the_proxy_gives_itself_do_not() {
    let world = world::start();
    let origin = origin::answering(
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </a.css>\r\n\r\n\
          HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
    );
    world.serve(&[origin.address]);
    let mut client = world.connect();
    for _ in 0..2 {
        client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
        let early = client.response_head();
        assert_eq!(
            (early.status(), early.header("link")),
            (103, Some("</a.css>"))
        );
        assert_eq!(client.response().status(), 200);
    }
    let mut old = world.connect();
    old.send("GET / HTTP/1.0\r\n\r\n");
    assert_eq!(
        old.response().status(),
        200,
        "HTTP/1.0 knows no interim answers"
    );
}

#[test]
fn a_client_that_expects_to_be_told_to_continue_is_told() {
    let world = world::start();
    let origin = origin::http().run();
    world.serve(&[origin.address]);
    let mut client = world.connect();
    client.send("POST / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\n");
    assert_eq!(client.response_head().status(), 100);
    client.send("hello");
    assert_eq!(client.response().status(), 200);
    let seen = &origin.seen()[0];
    assert_eq!((seen.text(), seen.header("expect")), ("hello", None));
}

/// Answers each request with its own body, in chunks as they come.
fn echo() -> origin::Origin {
    origin::raw(|stream| {
        let mut wire = wire::Client::from(stream);
        while let Some(request) = wire.try_message(false) {
            let mut answer =
                b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x-sum\r\n\r\n".to_vec();
            for chunk in request.body.chunks(7) {
                write!(answer, "{:x}\r\n", chunk.len()).unwrap();
                answer.extend_from_slice(chunk);
                answer.extend_from_slice(b"\r\n");
            }
            answer.extend_from_slice(b"0\r\nx-sum: 42\r\n\r\n");
            wire.send(answer);
        }
    })
}

#[test]
fn bodies_of_either_framing_pass_both_ways_with_trailers() {
    let world = world::start();
    let origin = echo();
    world.serve(&[origin.address]);
    let mut client = world.connect();
    for (head, sent) in [
        ("content-length: 12\r\n", "hello, world"),
        (
            "transfer-encoding: chunked\r\n",
            "5\r\nhello\r\n7\r\n, world\r\n0\r\n\r\n",
        ),
    ] {
        for (te, trailers) in [("te: trailers\r\n", "x-sum: 42"), ("", "")] {
            client.send(format!(
                "POST / HTTP/1.1\r\nhost: a\r\n{te}{head}\r\n{sent}"
            ));
            let response = client.response();
            assert_eq!(response.text(), "hello, world", "{head}");
            assert_eq!(response.trailers, trailers, "{head}{te}");
        }
    }
    assert_eq!(origin.connections(), 1);
}

#[test]
fn an_old_servers_body_ends_with_its_connection() {
    let world = world::start();
    let origin = origin::after_head(|wire| {
        wire.send("HTTP/1.0 200 OK\r\n\r\nhello, ");
        wire.send("world");
    });
    world.serve(&[origin.address]);
    let mut client = world.connect();
    for _ in 0..2 {
        let response = client.get("/", "");
        assert_eq!(response.start, "HTTP/1.1 200 OK");
        assert_eq!((response.text(), response.is_cut), ("hello, world", false));
    }
    assert_eq!(world.stable().statuses, [(200, 2)]);
}

#[test]
fn an_old_client_sees_that_its_answer_was_cut() {
    for (what, end) in [("whole", "0\r\n\r\n"), ("cut", "")] {
        let world = world::start();
        let origin = origin::after_head(move |wire| {
            wire.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n");
            wire.send(end);
        });
        world.serve(&[origin.address]);
        let mut client = world.connect();
        client.send("GET / HTTP/1.0\r\nhost: a\r\n\r\n");
        let read = client.stream.read_to_end(&mut Vec::new());
        let error = read.err().map(|error| error.kind());
        let wanted = end.is_empty().then_some(ErrorKind::ConnectionReset);
        assert_eq!(error, wanted, "{what}");
    }
}

#[test]
fn an_old_client_that_would_stay_is_sent_away_when_only_the_end_ends_its_answer() {
    let world = world::start();
    let origin = echo();
    world.serve(&[origin.address]);
    let mut client = world.connect();
    client.send(
        "POST /1 HTTP/1.0\r\nconnection: keep-alive\r\ncontent-length: 5\r\n\r\nhello\
         GET /2 HTTP/1.0\r\nconnection: keep-alive\r\n\r\n",
    );
    let response = client.response();
    assert_eq!(
        response.text(),
        "hello",
        "another answer would join the body"
    );
    assert_eq!(response.header("connection"), Some("close"));
    assert!(client.is_closed());
    assert_eq!(world.stable().statuses, [(200, 1)]);
}

#[test]
fn an_old_client_gets_the_body_up_to_the_end_of_the_connection() {
    let world = world::start();
    let origin = echo();
    world.serve(&[origin.address]);
    let mut client = world.connect();
    client.send("POST / HTTP/1.0\r\ncontent-length: 5\r\n\r\nhello");
    let response = client.response();
    assert!(
        response.start.starts_with("HTTP/1.1 200"),
        "{}",
        response.start
    );
    assert_eq!(response.header("transfer-encoding"), None);
    assert_eq!(response.text(), "hello");
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let world = world::start_with(2, |_| {});
    let origin = echo();
    world.serve(&[origin.address]);
    thread::scope(|scope| {
        for client in 0..10 {
            let world = &world;
            scope.spawn(move || {
                let mut wire = world.connect();
                let mut sent = String::new();
                for n in 0..20 {
                    let body = format!("{client}-{n}");
                    let length = body.len();
                    sent += &format!(
                        "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: {length}\r\n\r\n{body}"
                    );
                }
                wire.send(sent);
                for n in 0..20 {
                    assert_eq!(wire.response().text(), format!("{client}-{n}"));
                }
            });
        }
    });
    assert_eq!(world.stable().statuses, [(200, 200)]);
}

#[test]
fn a_client_that_sends_byte_by_byte_is_answered() {
    let world = world::start();
    let origin = echo();
    world.serve(&[origin.address]);
    let mut client = world.connect();
    for byte in b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\nhi" {
        client.send([*byte]);
    }
    assert_eq!(client.response().text(), "hi");
}

#[test]
fn a_slow_reader_holds_the_origin_back() {
    const BODY: usize = 48 << 20;
    let stalled_at = Arc::new(AtomicUsize::new(usize::MAX));
    let stalled = Arc::clone(&stalled_at);
    let origin = origin::after_head(move |wire| {
        wire.send(format!("HTTP/1.1 200 OK\r\ncontent-length: {BODY}\r\n\r\n"));
        let patience = Duration::from_millis(300);
        wire.stream.set_write_timeout(Some(patience)).unwrap();
        let mut written = 0;
        while written < BODY {
            match wire
                .stream
                .write(&[7; 64 * 1024][..(BODY - written).min(64 * 1024)])
            {
                Ok(n) => written += n,
                Err(error)
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) =>
                {
                    stalled.fetch_min(written, SeqCst);
                }
                Err(error) => panic!("{error}"),
            }
        }
    });
    let world = world::start();
    world.serve(&[origin.address]);
    let mut client = world.connect();
    client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    eventually("the origin is held back", || {
        stalled_at.load(SeqCst) != usize::MAX
    });
    // What the kernel holds on both connections; the proxy itself holds next to nothing.
    assert!(stalled_at.load(SeqCst) < BODY / 2, "{stalled_at:?}");
    assert_eq!(client.response_head().status(), 200);
    assert_eq!(client.take(BODY).len(), BODY);
    assert_eq!(world.stable().statuses, [(200, 1)]);
}

#[test]
fn an_answer_that_comes_before_the_request_has_ended_is_passed_on() {
    let world = world::start();
    let origin = origin::after_head(|wire| {
        wire.send("HTTP/1.1 413 Too Large\r\ncontent-length: 3\r\n\r\nno!");
        // Until the proxy ends it.
        while !wire.is_closed() {}
    });
    world.serve(&[origin.address]);
    let mut client = world.connect();
    client.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1000000\r\n\r\nbegin");
    let response = client.response();
    assert_eq!((response.status(), response.text()), (413, "no!"));
    let totals = world.stable();
    assert_eq!((totals.statuses, totals.failed), (vec![(413, 1)], 0));
}

#[test]
fn a_request_goes_on_being_sent_while_nobody_reads_its_answer() {
    const ANSWER: usize = 48 << 20;
    const UPLOAD: usize = 8 << 20;
    let uploaded = Arc::new(AtomicBool::new(false));
    let is_whole = Arc::clone(&uploaded);
    let origin = origin::after_head(move |wire| {
        wire.send(format!(
            "HTTP/1.1 200 OK\r\ncontent-length: {ANSWER}\r\n\r\n"
        ));
        let mut answering = wire.stream.try_clone().unwrap();
        let answer = thread::spawn(move || {
            for _ in 0..ANSWER >> 16 {
                answering.write_all(&[1; 1 << 16]).unwrap();
            }
        });
        wire.take(UPLOAD);
        is_whole.store(true, SeqCst);
        answer.join().unwrap();
    });
    let world = world::start();
    world.serve(&[origin.address]);
    let mut client = world.connect();
    client.send(format!(
        "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: {UPLOAD}\r\n\r\n"
    ));
    assert_eq!(client.response_head().status(), 200);
    client.send(vec![2; UPLOAD]);
    eventually("the request arrives whole", || uploaded.load(SeqCst));
    assert_eq!(client.take(ANSWER).len(), ANSWER);
    assert_eq!(world.stable().statuses, [(200, 1)]);
}

#[test]
fn an_upgraded_connection_is_a_tunnel() {
    let world = world::start();
    let origin = origin::raw(|stream| {
        let mut wire = wire::Client::from(stream);
        let request = wire.try_head().unwrap();
        assert_eq!(request.header("upgrade"), Some("websocket"));
        assert_eq!(request.header("connection"), Some("upgrade"));
        // The first bytes of the new protocol come with the answer.
        wire.send("HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\r\nhello");
        loop {
            let mut bytes = [0; 64];
            let Ok(n) = wire.stream.read(&mut bytes) else {
                return;
            };
            if n == 0 {
                return;
            }
            wire.send(&bytes[..n]);
        }
    });
    world.serve(&[origin.address]);
    let mut client = world.connect();
    // And so they do with the request.
    client.send(
        "GET / HTTP/1.1\r\nhost: a\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\r\nearly",
    );
    let head = client.response_head();
    assert_eq!(head.status(), 101);
    assert_eq!(head.header("upgrade"), Some("websocket"));
    assert_eq!(head.header("connection"), Some("upgrade"));
    assert_eq!(client.take(10), b"helloearly");
    client.send("ping");
    assert_eq!(client.take(4), b"ping");
    assert_eq!(world.proxy.counters().read().tunnels, 1);
    assert_eq!(
        world.stable().statuses,
        [(101, 1)],
        "the tunnel is no request under way"
    );
    client.finish();
    assert!(client.is_closed());
    eventually("the tunnel ends", || {
        world.proxy.counters().read().tunnels == 0
    });
}

#[test]
fn a_tunnel_that_lies_idle_is_closed() {
    let world = world::start_with(1, |config| {
        config.timeouts.idle = Duration::from_millis(100)
    });
    let origin = origin::answering(b"HTTP/1.1 101 X\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n");
    world.serve(&[origin.address]);
    let mut client = world.connect();
    client.send("GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n");
    assert_eq!(client.response_head().status(), 101);
    assert!(client.is_closed());
}
