//! HTTP/2 clients that send what costs them nothing and the proxy much, or take nothing of what they asked for.

use crate::support::{
    eventually,
    frames::{self, Frame, Peer, block, frame, request},
    http2, origin, wire,
    world::{self, World},
};
use std::{thread, time::Duration};

const SHORT: Duration = Duration::from_millis(150);

/// RFC 9113 section 7.
const ENHANCE_YOUR_CALM: u32 = 11;

/// How an attacker's connection must end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// With GOAWAY of this code.
    GoAway(u32),
    /// Somehow.
    Cut,
}

/// Whoever floods is cut off, others are served meanwhile, and nothing is left of it.
fn check(what: &str, end: End, flood: impl Fn(&mut Peer) + Sync) {
    let world = world::start();
    let origin = origin::raw(|stream| {
        let mut wire = wire::Client::from(stream);
        while let Some(request) = wire.try_head() {
            if request.start.contains("/hang") {
                while !wire.is_closed() {}
                return;
            }
            wire.send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
        }
    });
    world.serve(&[origin.address]);
    thread::scope(|scope| {
        let attack = scope.spawn(|| {
            let mut attacker = Peer::connect(world.address());
            flood(&mut attacker);
            let came = attacker.rest();
            if let End::GoAway(code) = end {
                let last = came.iter().rfind(|frame| frame.kind == frames::GOAWAY);
                assert_eq!(last.map(Frame::code), Some(code), "{what}");
            }
        });
        let mut other = world.connect();
        for _ in 0..20 {
            assert_eq!(other.get("/", "").status(), 200, "{what}");
        }
        attack.join().unwrap();
        assert_eq!(other.get("/", "").status(), 200, "{what}");
    });
    nothing_is_left(&world, what);
}

fn nothing_is_left(world: &World, what: &str) {
    eventually(&format!("{what}: all connections end"), || {
        world.proxy.counters().read().open == 0
    });
    assert_eq!(world.stable().in_flight, 0, "{what}");
}

/// Sends these bytes again and again, as long as the other end lets it.
fn repeat(attacker: &mut Peer, times: usize, bytes: impl Fn(u32) -> Vec<u8>) {
    for n in 0..times {
        if !attacker.try_send(bytes(n as u32)) {
            return;
        }
    }
}

/// The number of the client's `n`th stream.
fn stream(n: u32) -> u32 {
    2 * n + 1
}

const OPEN: u8 = frames::END_HEADERS;
const WHOLE: u8 = frames::END_HEADERS | frames::END_STREAM;

#[test]
fn floods_of_control_frames_end_the_connection() {
    let ping = frame(frames::PING, 0, 0, &[7; 8]);
    let settings = frame(frames::SETTINGS, 0, 0, &[]);
    let priority = frame(frames::PRIORITY, 0, 3, &[0, 0, 0, 0, 9]);
    for (what, bytes) in [
        ("PING", ping),
        ("SETTINGS", settings),
        ("PRIORITY", priority),
    ] {
        check(what, End::Cut, |attacker| {
            repeat(attacker, 5000, |_| bytes.clone());
        });
    }
}

#[test]
fn floods_of_streams_that_are_reset_at_once_end_the_connection() {
    check("rapid reset", End::GoAway(ENHANCE_YOUR_CALM), |attacker| {
        let head = request("GET", "/hang");
        repeat(attacker, 5000, |n| {
            let mut bytes = frame(frames::HEADERS, WHOLE, stream(n), &head);
            bytes.extend(frame(frames::RST_STREAM, 0, stream(n), &[0, 0, 0, 8]));
            bytes
        });
    });
    // The client does what the proxy has to reset the stream for.
    let no_window = |n| frame(frames::WINDOW_UPDATE, 0, stream(n), &[0; 4]);
    let overflow = |n| frame(frames::WINDOW_UPDATE, 0, stream(n), &[0x7f, 255, 255, 255]);
    type Provoke = fn(u32) -> Vec<u8>;
    for (what, provoke) in [
        ("a window of nothing", no_window as Provoke),
        ("a window too large", overflow),
    ] {
        check(what, End::GoAway(ENHANCE_YOUR_CALM), |attacker| {
            let head = request("GET", "/hang");
            repeat(attacker, 5000, |n| {
                let mut bytes = frame(frames::HEADERS, WHOLE, stream(n), &head);
                bytes.extend(provoke(n));
                bytes
            });
        });
    }
}

#[test]
fn heads_and_bodies_without_content_end_the_connection() {
    check("empty DATA", End::GoAway(ENHANCE_YOUR_CALM), |attacker| {
        let head = request("POST", "/hang");
        attacker.send(frame(frames::HEADERS, OPEN, 1, &head));
        repeat(attacker, 5000, |_| frame(frames::DATA, 0, 1, &[]));
    });
    for (what, piece) in [
        ("empty CONTINUATION", Vec::new()),
        ("CONTINUATION", block(&[("x-more", &"y".repeat(1000))])),
    ] {
        check(what, End::Cut, |attacker| {
            let head = request("GET", "/");
            attacker.send(frame(frames::HEADERS, frames::END_STREAM, 1, &head));
            repeat(attacker, 5000, |_| {
                frame(frames::CONTINUATION, 0, 1, &piece)
            });
        });
    }
}

#[test]
fn a_client_that_measures_its_path_while_it_works_is_no_flood() {
    let world = world::start_with(1, |config| config.limits.http2.control_frames = 50);
    let origin = origin::http().run();
    world.serve(&[origin.address]);
    let mut client = Peer::connect(world.address());
    for n in 0..500 {
        client.send(frame(frames::PING, 0, 0, &[7; 8]));
        client.get(stream(n), "/");
        while client.find(frames::DATA).expect("an answer").flags & frames::END_STREAM == 0 {}
    }
}

#[test]
fn streams_beyond_the_limit_are_refused() {
    let world = world::start();
    let origin = origin::after_head(|wire| while !wire.is_closed() {});
    world.serve(&[origin.address]);
    let mut greedy = Peer::connect(world.address());
    let head = request("GET", "/");
    repeat(&mut greedy, 10_000, |n| {
        frame(frames::HEADERS, WHOLE, stream(n), &head)
    });
    greedy.rest();
    assert!(origin.connections() <= 128, "{}", origin.connections());
    nothing_is_left(&world, "10,000 streams");
}

#[test]
fn heads_are_limited_in_size_and_number() {
    let world = world::start();
    let origin = origin::http().run();
    world.serve(&[origin.address]);
    let long_path = format!("/{}", "p".repeat(17 * 1024));
    let ask = |path: &str, headers: &[(String, String)]| {
        let mut request = http::Request::get(format!("http://shop.example{path}"));
        for (name, value) in headers {
            request = request.header(name, value);
        }
        http2::ask(world.address(), request.body(()).unwrap(), b"")
            .unwrap()
            .status
    };
    let many = |n| (0..n).map(|i| (format!("x-{i}"), "1".to_owned()));
    let cookies = |n| (0..n).map(|i| ("cookie".to_owned(), format!("c{i}=1")));
    for (path, headers, status) in [
        ("/", vec![("x".into(), "y".repeat(1 << 15))], 200),
        ("/", vec![("x".into(), "y".repeat(1 << 16))], 431),
        ("/", many(90).collect(), 200),
        ("/", many(101).collect(), 431),
        ("/", cookies(300).collect(), 200),
        ("/", cookies(5000).collect(), 431),
        (&long_path[..], vec![], 414),
    ] {
        assert_eq!(ask(path, &headers), status, "{}", headers.len());
    }
    assert_eq!(origin.seen().len(), 3);
    eventually("all connections end", || {
        world.proxy.counters().read().open == 0
    });
}

/// A header of 4,000 bytes that the table remembers is named by one byte each time.
#[test]
fn a_head_that_unpacks_to_megabytes_ends_the_connection() {
    let mut head = request("GET", "/");
    // Literal with incremental indexing (RFC 7541 section 6.2.1).
    let literal = block(&[("x", &"y".repeat(3900))]);
    head.push(0x40);
    head.extend(&literal[1..]);
    head.extend([0xbe; 8000]);
    check("a bomb", End::Cut, |attacker| {
        attacker.send(frame(frames::HEADERS, WHOLE, 1, &head));
    });
}

#[test]
fn an_idle_connection_ends_whether_its_client_agrees_or_not() {
    for pong in [true, false] {
        let world = world::start_with(1, |config| config.timeouts.keep_alive = SHORT);
        let mut idle = Peer::connect(world.address());
        let mut said = 0;
        while let Some(frame) = idle.next() {
            said += u32::from(frame.kind == frames::GOAWAY);
            if pong && frame.kind == frames::PING && frame.flags == 0 {
                idle.send(frames::frame(frames::PING, frames::ACK, 0, &frame.payload));
            }
        }
        assert!(said > 0, "its end is announced");
        nothing_is_left(&world, "an idle connection");
    }
}

#[test]
fn a_head_that_never_ends_ends_the_connection() {
    let world = world::start_with(1, |config| config.timeouts.keep_alive = SHORT);
    let mut slow = Peer::connect(world.address());
    let head = request("GET", "/");
    slow.send(frame(frames::HEADERS, frames::END_STREAM, 1, &head));
    slow.rest();
    nothing_is_left(&world, "half a head");
}

#[test]
fn answers_that_nobody_takes_are_given_up() {
    let world = world::start_with(1, |config| {
        // The endpoint is to have answered by then.
        config.timeouts.idle = 4 * SHORT;
        config.timeouts.keep_alive = SHORT;
    });
    let origin = origin::after_head(|wire| {
        wire.send("HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n");
        let part = vec![1; 1 << 16];
        while std::io::Write::write_all(&mut wire.stream, &part).is_ok() {}
    });
    world.serve(&[origin.address]);
    // SETTINGS_INITIAL_WINDOW_SIZE (4) of 0.
    let mut stalled = Peer::with_settings(world.address(), &[0, 4, 0, 0, 0, 0]);
    for n in 0..30 {
        stalled.get(stream(n), "/");
    }
    let resets = stalled.rest();
    let resets = resets.iter().filter(|f| f.kind == frames::RST_STREAM);
    assert_eq!(resets.count(), 30);
    nothing_is_left(&world, "stalled streams");
    let totals = world.stable();
    assert_eq!((totals.cancelled, totals.failed), (30, 0));
}
