//! Clients that go while their endpoint takes no more of the request's body, and more of it waits than the proxy reads.

use crate::support::{
    eventually,
    frames::{self, Peer, frame, request},
    origin,
    tls::Authority,
    wire,
    world::{self, World},
};
use rustls::{ClientConnection, StreamOwned, pki_types::ServerName};
use socket2::SockRef;
use std::{
    io::Write,
    net::{SocketAddr, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
        mpsc,
    },
    time::Duration,
};
use traffic::{BackendPolicy, policy::Protocol};

/// A part of a body, of which a socket takes several ahead of who reads it.
const PART: [u8; 8000] = [b'x'; 8000];

const UPLOAD: &str = "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1000000000\r\n\r\n";

/// Nothing is to end by the time that it takes.
const FAR: Duration = Duration::from_secs(3600);

fn policy(protocol: Protocol) -> BackendPolicy {
    BackendPolicy {
        protocol,
        ..BackendPolicy::default()
    }
}

/// A proxy before `endpoint`.
fn patient(endpoint: SocketAddr, protocol: Protocol) -> World {
    let world = world::start_with(1, |config| config.timeouts.idle = FAR);
    world.serve_with(&[endpoint], policy(protocol));
    world
}

/// An endpoint that takes the head of a request by HTTP/2 and nothing of its body, and how many streams have ended there.
fn full() -> (origin::Origin, Arc<AtomicUsize>) {
    let ended = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&ended);
    // SETTINGS_INITIAL_WINDOW_SIZE (4) of 0.
    let origin = frames::origin(&[0, 4, 0, 0, 0, 0], move |mut peer| {
        while let Some(frame) = peer.next() {
            counted.fetch_add(usize::from(frame.kind == frames::RST_STREAM), SeqCst);
        }
    });
    (origin, ended)
}

/// Whatever the client leaves behind, nothing is left of it at the proxy and at the endpoint.
fn check(what: &str, leave: impl FnOnce(&World)) {
    let (origin, ended) = full();
    let world = patient(origin.address, Protocol::Http2);
    leave(&world);
    eventually(&format!("{what}: the endpoint is told"), || {
        ended.load(SeqCst) == 1
    });
    is_cancelled(&world, what);
}

fn is_cancelled(world: &World, what: &str) {
    let totals = world.stable();
    assert_eq!((totals.cancelled, totals.failed), (1, 0), "{what}");
    eventually(&format!("{what}: the connection ends"), || {
        world.proxy.counters().read().open == 0
    });
}

fn under_way(world: &World) {
    eventually("it is under way", || world.in_flight() == 1);
}

/// Sends by `send` until the proxy reads no more, though its socket has taken everything.
fn leave_unread(client: &TcpStream, mut send: impl FnMut()) {
    let ends = (client.local_addr().unwrap(), client.peer_addr().unwrap());
    // Bytes that were not acknowledged, and bytes that were not read at the other end.
    let queues = || {
        let sockets = procfs::net::tcp().unwrap();
        let of = |local, remote| {
            let mut sockets = sockets.iter();
            let socket = sockets.find(|s| (s.local_address, s.remote_address) == (local, remote));
            socket.expect("both ends are open")
        };
        let (own, other) = (of(ends.0, ends.1), of(ends.1, ends.0));
        (own.tx_queue, other.rx_queue)
    };
    while queues().1 < 3 * PART.len() as u32 {
        send();
        eventually("everything is taken", || queues().0 == 0);
    }
}

/// Resets the connection when it is dropped.
fn will_reset(stream: &TcpStream) {
    let socket = SockRef::from(stream);
    socket.set_linger(Some(Duration::ZERO)).unwrap();
}

#[test]
fn an_http1_client_that_goes_is_not_waited_for() {
    for (what, resets) in [("closed", false), ("reset", true)] {
        check(what, |world| {
            let mut client = world.connect();
            client.send(UPLOAD);
            under_way(world);
            let stream = client.stream.try_clone().unwrap();
            leave_unread(&stream, || client.send(PART));
            if resets {
                will_reset(&stream);
            }
        });
    }
}

#[test]
fn an_http2_client_that_goes_is_not_waited_for() {
    for (what, resets) in [("closed", false), ("reset", true)] {
        check(what, |world| {
            let mut client = Peer::connect(world.address());
            let head = request("POST", "/");
            client.send(frame(frames::HEADERS, frames::END_HEADERS, 1, &head));
            for _ in 0..8 {
                client.send(frame(frames::DATA, 0, 1, &PART));
            }
            under_way(world);
            if resets {
                will_reset(&client.stream);
            }
        });
    }
}

/// The endpoint speaks HTTP/1 and reads nothing more, so that all sockets on the way are full.
#[test]
fn a_client_that_resets_what_it_could_not_send_is_not_waited_for() {
    let ended = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&ended);
    let (go, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let origin = origin::after_head(move |wire| {
        wait.lock().unwrap().recv().unwrap();
        while !wire.is_closed() {
            wire.discard();
        }
        counted.fetch_add(1, SeqCst);
    });
    let world = patient(origin.address, Protocol::Http1);
    let mut client = world.connect();
    client.send(UPLOAD);
    under_way(&world);
    fill(&mut client);
    will_reset(&client.stream);
    drop(client);
    is_cancelled(&world, "reset");
    go.send(()).unwrap();
    eventually("the endpoint is told", || ended.load(SeqCst) == 1);
}

/// Sends until nothing more is taken for a while.
fn fill(client: &mut wire::Client) {
    let pause = Duration::from_millis(200);
    client.stream.set_write_timeout(Some(pause)).unwrap();
    let part = vec![b'x'; 1 << 16];
    while client.stream.write(&part).is_ok() {}
}

#[test]
fn a_client_that_goes_is_not_waited_for_under_tls() {
    let authority = Authority::new("test");
    let pair = authority.sign("shop.example");
    let (origin, ended) = full();
    let world = world::start_with(1, |config| {
        config.timeouts.idle = FAR;
        config.listeners[0].tls = Some(authority.listener(&[&pair]));
    });
    world.serve_with(&[origin.address], policy(Protocol::Http2));
    let config = Arc::new(authority.client(&["http/1.1"], None));
    let name = ServerName::try_from("shop.example").unwrap();
    let session = ClientConnection::new(config, name).unwrap();
    let socket = TcpStream::connect(world.address()).unwrap();
    let mut client = StreamOwned::new(session, socket);
    client.write_all(UPLOAD.as_bytes()).unwrap();
    under_way(&world);
    let stream = client.sock.try_clone().unwrap();
    leave_unread(&stream, || client.write_all(&PART).unwrap());
    drop((client, stream));
    eventually("the endpoint is told", || ended.load(SeqCst) == 1);
    is_cancelled(&world, "under TLS");
}
