//! Peers that speak HTTP/2 and make room for one byte at a time.

use crate::support::{
    eventually,
    frames::{self, Peer, block, frame},
    origin,
    world::{self, World},
};
use std::{
    io::Write,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};
use traffic::{BackendPolicy, policy::Protocol};

/// SETTINGS_INITIAL_WINDOW_SIZE (4) of 0.
const NO_WINDOW: &[u8] = &[0, 4, 0, 0, 0, 0];

/// Room for one more byte of stream `stream`.
fn one_more(stream: u32) -> Vec<u8> {
    frame(frames::WINDOW_UPDATE, 0, stream, &[0, 0, 0, 1])
}

/// A proxy before an origin whose answer has a gigabyte, and how much of it has left the origin.
fn giving(idle: Duration) -> (World, origin::Origin, Arc<AtomicUsize>) {
    let left = Arc::new(AtomicUsize::new(0));
    let leaving = Arc::clone(&left);
    let origin = origin::after_head(move |wire| {
        wire.send("HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n");
        let part = vec![1; 1 << 16];
        while wire.stream.write_all(&part).is_ok() {
            leaving.fetch_add(part.len(), SeqCst);
        }
    });
    let world = world::start_with(1, |config| config.timeouts.idle = idle);
    world.serve(&[origin.address]);
    (world, origin, left)
}

fn is_given_up(world: &World) {
    let totals = world.stable();
    assert_eq!((totals.cancelled, totals.failed), (1, 0));
}

#[test]
fn an_answer_goes_out_byte_by_byte_and_is_not_hoarded() {
    let (world, _origin, left) = giving(Duration::from_secs(60));
    let mut client = Peer::with_settings(world.address(), NO_WINDOW);
    client.get(1, "/");
    client.find(frames::HEADERS).expect("a head");
    for n in 0..3000 {
        client.send(one_more(1));
        let data = client.find(frames::DATA).expect("a byte");
        assert_eq!(data.payload.len(), 1, "{n}");
    }
    // The rest is in the sockets' buffers, and at the origin.
    let left = left.load(SeqCst);
    assert!(left < 32 << 20, "{left} bytes have left the origin");
    drop(client);
    is_given_up(&world);
}

#[test]
fn an_answer_that_nobody_makes_room_for_any_more_is_given_up() {
    let (world, _origin, _) = giving(Duration::from_millis(150));
    let mut client = Peer::with_settings(world.address(), NO_WINDOW);
    client.get(1, "/");
    (0..10).for_each(|_| client.send(one_more(1)));
    /// RFC 9113 section 7.
    const CANCEL: u32 = 8;
    let reset = client.find(frames::RST_STREAM).expect("an end");
    assert_eq!((reset.stream, reset.code()), (1, CANCEL));
    is_given_up(&world);
}

#[test]
fn room_that_is_made_without_reading_costs_nobody_anything() {
    let (world, _origin, left) = giving(Duration::from_millis(150));
    let mut client = Peer::with_settings(world.address(), NO_WINDOW);
    client.get(1, "/");
    eventually("the request is sent", || world.stable_now().dispatched > 0);
    let many = one_more(1).repeat(1000);
    // What it gets piles up in its socket, until the proxy can neither write nor read on.
    client.stream.set_nonblocking(true).unwrap();
    eventually("the client is cut off, or held up", || {
        let sent = client.stream.write(&many);
        sent.is_err() || world.stable_now().cancelled > 0
    });
    let left = left.load(SeqCst);
    assert!(left < 32 << 20, "{left} bytes have left the origin");
    drop(client);
    is_given_up(&world);
}

#[test]
fn a_body_goes_byte_by_byte_to_an_endpoint_that_takes_no_more() {
    const SIZE: usize = 1000;
    let origin = frames::origin(NO_WINDOW, |mut peer| {
        let whole = frames::END_HEADERS | frames::END_STREAM;
        let head = block(&[(":status", "204")]);
        // Before a client has read the settings it may send what it likes.
        peer.find(frames::HEADERS).expect("a head");
        peer.send(frame(frames::HEADERS, whole, 1, &head));
        peer.find(frames::HEADERS).expect("another head");
        for _ in 0..SIZE {
            peer.send(one_more(3));
            let data = peer.find(frames::DATA).expect("a byte");
            assert_eq!(data.payload.len(), 1);
        }
        peer.send(frame(frames::HEADERS, whole, 3, &head));
        peer.rest();
    });
    let world = world::start();
    let policy = BackendPolicy {
        protocol: Protocol::Http2,
        ..BackendPolicy::default()
    };
    world.serve_with(&[origin.address], policy);
    let mut client = world.connect();
    assert_eq!(client.get("/", "").status(), 204);
    let body = "x".repeat(SIZE);
    client.send(format!(
        "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: {SIZE}\r\n\r\n{body}"
    ));
    assert_eq!(client.response().status(), 204);
    assert_eq!(world.stable().failed, 0);
}
