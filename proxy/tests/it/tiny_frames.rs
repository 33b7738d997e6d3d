//! Bodies by HTTP/2 in frames of one byte, while whoever is to have them takes none.

use crate::support::{
    eventually,
    frames::{self, Peer, block, frame, request},
    http2, origin,
    world::{self, World},
};
use bytes::Bytes;
use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering::SeqCst},
    mpsc,
};
use traffic::{Backend, BackendPolicy, Role, Target, policy::Protocol};

/// SETTINGS_INITIAL_WINDOW_SIZE (4) of 0.
const NO_WINDOW: &[u8] = &[0, 4, 0, 0, 0, 0];

fn policy() -> BackendPolicy {
    BackendPolicy {
        protocol: Protocol::Http2,
        ..BackendPolicy::default()
    }
}

/// Room for `bytes` more of `stream`; of the connection, where that is 0.
fn more(stream: u32, bytes: usize) -> Vec<u8> {
    let bytes = u32::try_from(bytes).unwrap();
    frame(frames::WINDOW_UPDATE, 0, stream, &bytes.to_be_bytes())
}

/// The body, whose bytes tell their order.
fn body(size: usize) -> Vec<u8> {
    (0..size).map(|n| (n % 251) as u8).collect()
}

/// Reads `streams` whole. The bodies, in the order of `streams`.
fn read(peer: &mut Peer, streams: &[u32]) -> Vec<Vec<u8>> {
    let mut bodies = vec![Vec::new(); streams.len()];
    let mut ended = 0;
    while ended < streams.len() {
        let next = peer.next().expect("more of the bodies");
        let Some(at) = streams.iter().position(|stream| *stream == next.stream) else {
            continue;
        };
        assert_ne!(next.kind, frames::RST_STREAM);
        if next.kind == frames::DATA {
            bodies[at].extend(next.payload);
        }
        ended += usize::from(next.flags & frames::END_STREAM > 0);
    }
    bodies
}

#[test]
fn answers_wait_for_readers_who_stall_and_hold_up_no_others() {
    const SIZE: usize = 20_000;
    const STREAMS: [u32; 8] = [1, 3, 5, 7, 9, 11, 13, 15];
    let sent = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&sent);
    let origin = http2::origin(move |request, respond| {
        let counted = Arc::clone(&counted);
        async move {
            if request.uri().path() != "/tiny" {
                return http2::say(respond, Bytes::from_static(b"ok")).await;
            }
            let mut respond = respond;
            let mut stream = respond.send_response(http::Response::new(()), false)?;
            for byte in body(SIZE) {
                http2::send_part(&mut stream, vec![byte].into()).await?;
                counted.fetch_add(1, SeqCst);
            }
            stream.send_trailers(http::HeaderMap::new())
        }
    });
    let world = world::start();
    world.serve_with(&[origin.address], policy());
    let mut client = Peer::with_settings(world.address(), NO_WINDOW);
    for stream in STREAMS {
        client.get(stream, "/tiny");
    }
    let mut other = world.connect();
    eventually("all has left the origin", || {
        assert_eq!(other.get("/", "").text(), "ok");
        sent.load(SeqCst) == STREAMS.len() * SIZE
    });
    assert_eq!(other.get("/", "").text(), "ok");
    assert_eq!(origin.connections(), 1, "all share a connection");
    client.send(more(0, STREAMS.len() * SIZE));
    for stream in STREAMS {
        client.send(more(stream, SIZE));
    }
    for came in read(&mut client, &STREAMS) {
        assert!(came == body(SIZE), "{} bytes came", came.len());
    }
    assert_eq!(world.stable().failed, 0);
}

/// An endpoint that takes a body of `size` bytes when the channel gives the word, and what it got.
fn late(size: usize) -> (origin::Origin, mpsc::Sender<()>, Arc<Mutex<Vec<u8>>>) {
    let (go, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let got: Arc<Mutex<Vec<u8>>> = Arc::default();
    let kept = Arc::clone(&got);
    let origin = frames::origin(NO_WINDOW, move |mut peer| {
        // What it says of windows is to be known before a body is sent.
        let whole = frames::END_HEADERS | frames::END_STREAM;
        let head = block(&[(":status", "204")]);
        peer.find(frames::HEADERS).expect("a head");
        peer.send(frame(frames::HEADERS, whole, 1, &head));
        let stream = peer.find(frames::HEADERS).expect("another").stream;
        wait.lock().unwrap().recv().unwrap();
        peer.send(more(stream, size));
        *kept.lock().unwrap() = read(&mut peer, &[stream]).remove(0);
        peer.send(frame(frames::HEADERS, whole, stream, &head));
        peer.rest();
    });
    (origin, go, got)
}

fn publish(world: &World, late: &origin::Origin, other: &origin::Origin) {
    let late = Backend {
        policy: Arc::new(policy()),
        ..world.backend(Role::Canary, &[late.address])
    };
    let other = Target::Backend(world.backend(Role::Stable, &[other.address]));
    let routes = [("/late", Target::Backend(late)), ("/", other)];
    world.publish(&routes, Vec::new());
}

#[test]
fn uploads_wait_for_endpoints_that_stall_and_hold_up_no_others() {
    const SIZE: usize = 40_000;
    let (late, go, got) = late(SIZE);
    let other = origin::http().run();
    let world = world::start();
    publish(&world, &late, &other);
    assert_eq!(http2::get(world.address(), "/late").unwrap().status, 204);
    let mut client = Peer::connect(world.address());
    let head = request("POST", "/late");
    client.send(frame(frames::HEADERS, frames::END_HEADERS, 1, &head));
    let bytes = body(SIZE);
    let tiny = bytes.chunks(1);
    client.send(
        tiny.map(|byte| frame(frames::DATA, 0, 1, byte))
            .collect::<Vec<_>>()
            .concat(),
    );
    client.get(3, "/");
    assert_eq!(read(&mut client, &[3]), [b"ok"]);
    client.send(frame(frames::DATA, frames::END_STREAM, 1, &[]));
    go.send(()).unwrap();
    assert_eq!(read(&mut client, &[1]), [b""]);
    let got = got.lock().unwrap();
    assert!(*got == body(SIZE), "{} bytes came", got.len());
    assert_eq!(world.totals(Role::Canary).failed, 0);
}
