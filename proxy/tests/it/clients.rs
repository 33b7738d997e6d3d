//! HTTP/1 clients that go away, dribble, or ask for thousands of things at once.

use crate::support::{eventually, origin, wire, world};
use std::{
    io::Write,
    net::{Ipv4Addr, Shutdown},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    thread,
    time::Duration,
};

/// A server that counts the connections that are open to it, and for `/half` answers half of what it announces.
fn counting() -> (origin::Origin, Arc<AtomicUsize>) {
    let open = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&open);
    let origin = origin::raw(move |stream| {
        counted.fetch_add(1, SeqCst);
        let mut wire = wire::Client::from(stream);
        if wire
            .try_head()
            .is_some_and(|head| head.start.contains("half"))
        {
            wire.send("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf");
        }
        while !wire.is_closed() {
            wire.discard();
        }
        counted.fetch_sub(1, SeqCst);
    });
    (origin, open)
}

#[test]
fn nothing_is_left_of_a_client_that_goes_away() {
    const UPLOAD: &str = "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\nhalf";
    const CHUNKS: &str = "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n4\r\nha";
    const HALF: &str = "GET /half HTTP/1.1\r\nhost: a\r\n\r\n";
    let (origin, open_there) = counting();
    let world = world::start();
    world.serve(&[origin.address]);
    let mut asked = 0;
    for (sent, is_request) in [
        ("", false),
        ("GE", false),
        ("GET / HTTP/1.1\r\nho", false),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n", false),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0", false),
        (UPLOAD, true),
        (CHUNKS, true),
        ("GET / HTTP/1.1\r\nhost: a\r\n\r\n", true),
        (HALF, true),
    ] {
        for how in ["close", "reset", "half"] {
            for _ in 0..5 {
                let mut client = world.connect();
                client.send(sent);
                if is_request {
                    eventually("the request is under way", || world.in_flight() == 1);
                    asked += 1;
                }
                if sent == HALF {
                    assert_eq!(client.response_head().status(), 200);
                }
                match how {
                    "reset" => {
                        let socket = socket2::SockRef::from(&client.stream);
                        socket.set_linger(Some(Duration::ZERO)).unwrap();
                        drop(client);
                    }
                    "half" => {
                        client.stream.shutdown(Shutdown::Write).unwrap();
                        // What it is told, if anything, is not for this test.
                        while !client.is_closed() {
                            client.discard();
                        }
                    }
                    _ => drop(client),
                }
                eventually("all connections end", || {
                    let open = world.proxy.counters().read().open;
                    (open, world.in_flight(), open_there.load(SeqCst)) == (0, 0, 0)
                });
            }
        }
    }
    let totals = world.stable();
    assert_eq!((totals.dispatched, totals.failed), (asked, 0));
    assert_eq!(totals.cancelled, asked);
}

#[test]
fn thousands_of_requests_at_once_are_answered_in_order() {
    const REQUESTS: usize = 5000;
    let origin = origin::raw(|stream| {
        let mut wire = wire::Client::from(stream);
        while let Some(request) = wire.try_message(false) {
            let path = request.start.split(' ').nth(1).unwrap();
            let length = path.len();
            wire.send(format!(
                "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{path}"
            ));
        }
    });
    let world = world::start();
    world.serve(&[origin.address]);
    let mut client = world.connect();
    let mut sending = client.stream.try_clone().unwrap();
    let sender = thread::spawn(move || {
        for n in 0..REQUESTS {
            write!(sending, "GET /{n} HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
        }
    });
    let mut other = world.connect();
    for n in 0..REQUESTS {
        if n % 500 == 0 {
            assert_eq!(other.get("/other", "").text(), "/other");
        }
        assert_eq!(client.response().text(), format!("/{n}"));
    }
    sender.join().unwrap();
}

#[test]
fn a_client_that_asks_and_never_reads_holds_up_no_others() {
    let world = world::start_with(1, |config| {
        config.timeouts.idle = Duration::from_millis(300);
    });
    let origin = origin::http().body(&"x".repeat(10_000)).run();
    world.serve(&[origin.address]);
    let mut deaf = world.connect();
    deaf.stream.set_nonblocking(true).unwrap();
    // Until the proxy takes no more.
    while deaf
        .stream
        .write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        .is_ok()
    {}
    let mut other = world.connect();
    for _ in 0..100 {
        assert_eq!(other.get("/", "").status(), 200);
    }
    drop(other);
    eventually("it is given up", || world.proxy.counters().read().open == 0);
    assert_eq!(world.stable().failed, 0);
}

#[test]
fn a_body_that_comes_too_slowly_is_refused() {
    let (origin, _) = counting();
    let world = world::start_with(1, |config| {
        // Faster than anybody is.
        config.limits.body_rate = u32::MAX;
        config.timeouts.idle = Duration::from_millis(300);
    });
    world.serve(&[origin.address]);
    let mut slow = world.connect();
    slow.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1000000000000\r\n\r\n");
    let mut sending = slow.stream.try_clone().unwrap();
    let sender = thread::spawn(move || {
        // It never stands still.
        while sending.write_all(b"x").is_ok() {}
    });
    assert_eq!(slow.response().status(), 408);
    let totals = world.stable();
    assert_eq!((totals.cancelled, totals.failed), (1, 0));
    drop(slow);
    sender.join().unwrap();
}

/// A connection to an HTTP/2 endpoint is made for all who wait for it, by the first. It must not be lost with that one.
#[test]
fn a_client_that_goes_away_while_a_connection_is_made_takes_it_from_nobody() {
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.set_nonblocking(true).unwrap();
    let accept = || {
        let mut accepted = None;
        eventually("the endpoint is connected to", || {
            accepted = listener.accept().ok();
            accepted.is_some()
        });
        accepted
    };
    let world = world::start_with(1, |config| {
        config.timeouts.connect = Duration::from_secs(60);
    });
    let policy = traffic::BackendPolicy {
        protocol: traffic::policy::Protocol::Http2,
        // Hands shake only when the other side does.
        tls: Some(traffic::policy::BackendTls::default()),
        ..traffic::BackendPolicy::default()
    };
    world.serve_with(&[listener.local_addr().unwrap()], policy);
    let ask = || {
        let mut client = world.connect();
        client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
        client
    };
    let first = ask();
    let _stalled = accept();
    eventually("it is under way", || world.in_flight() == 1);
    let _second = ask();
    eventually("both are under way", || world.in_flight() == 2);
    drop(first);
    let _next = accept();
    assert_eq!(world.in_flight(), 1, "the other goes on");
}
