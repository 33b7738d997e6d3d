//! What clients may not exceed.

use crate::support::{
    eventually,
    frames::{self, Peer, frame},
    http2, origin, run, soon, wire,
    world::{self, World},
};
use bytes::Bytes;
use http::Request;
use proxy::{Config, Network};
use std::{future::pending, net::Ipv4Addr, sync::Arc};
use tokio::{net::TcpStream, task::spawn_local};
use traffic::{Backend, BackendPolicy, Role, Target, policy::Protocol};

fn serving(set: impl FnOnce(&mut Config)) -> (World, origin::Origin) {
    let world = world::start_with(1, set);
    let origin = origin::http().run();
    world.serve(&[origin.address]);
    (world, origin)
}

/// Whether one more client is served.
fn is_served(world: &World) -> Option<wire::Client> {
    let mut client = world.connect();
    let request = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n";
    std::io::Write::write_all(&mut client.stream, request).ok()?;
    client.try_message(true).map(|_| client)
}

#[test]
fn connections_are_limited_together_and_for_each_client() {
    for set in [
        (|config| config.limits.connections = 3) as fn(&mut Config),
        |config| config.limits.connections_per_client = 3,
    ] {
        let (world, _origin) = serving(set);
        let mut clients: Vec<_> = (0..3).map(|_| is_served(&world).unwrap()).collect();
        for _ in 0..5 {
            assert!(is_served(&world).is_none(), "one too many");
        }
        for client in &mut clients {
            assert_eq!(client.get("/", "").status(), 200);
        }
        clients.pop();
        let open = || world.proxy.counters().read().open;
        eventually("there is room again", || open() == 2);
        assert!(is_served(&world).is_some());
        eventually("they are counted", || {
            world.proxy.counters().read().refused == 5
        });
    }
}

#[test]
fn uploads_that_nobody_takes_leave_room_for_others() {
    let world = world::start();
    let stalled = http2::origin(|request, respond| async move {
        let _held = (request, respond);
        pending().await
    });
    let taking = origin::http().run();
    let policy = BackendPolicy {
        protocol: Protocol::Http2,
        ..BackendPolicy::default()
    };
    let stalled = Backend {
        policy: Arc::new(policy),
        ..world.backend(Role::Canary, &[stalled.address])
    };
    let taking = Target::Backend(world.backend(Role::Stable, &[taking.address]));
    world.publish(
        &[("/stalled", Target::Backend(stalled)), ("/", taking)],
        Vec::new(),
    );
    run(async {
        let tcp = TcpStream::connect(world.address()).await.unwrap();
        let (mut sender, connection) = h2::client::handshake(tcp).await.unwrap();
        spawn_local(connection);
        let mut post = |path: &str| {
            let request = Request::post(format!("http://shop.example{path}"));
            let sent = sender.send_request(request.body(()).unwrap(), false);
            sent.unwrap()
        };
        let mut uploads = Vec::new();
        // As many as there may be, but for the one that is to pass.
        for _ in 0..127 {
            let (response, mut stream) = post("/stalled");
            let window = Bytes::from_static(&[0; 256 * 1024]);
            let sent = http2::send_part(&mut stream, window);
            soon("it is taken in", sent).await.unwrap();
            uploads.push((response, stream));
        }
        let (response, mut stream) = post("/");
        let sent = http2::send(&mut stream, Bytes::from_static(&[0; 64 * 1024]));
        soon("it is sent", sent).await.unwrap();
        let response = soon("the answer", response).await.unwrap();
        assert_eq!(response.status(), 200);
    });
}

#[test]
fn behind_a_balancer_each_client_has_its_own_places() {
    let (world, _origin) = serving(|config| {
        config.limits.connections_per_client = 1;
        config.listeners[0].proxy_protocol = vec![Network {
            address: Ipv4Addr::LOCALHOST.into(),
            prefix: 8,
        }];
    });
    let connect = |host: u8| {
        let mut client = world.connect();
        client.send(format!(
            "PROXY TCP4 192.0.2.{host} 198.51.100.1 1000 80\r\nGET / HTTP/1.1\r\nhost: a\r\n\r\n"
        ));
        client.try_message(true).map(|_| client)
    };
    let _clients = [1, 2, 3].map(|host| connect(host).unwrap());
    assert!(connect(2).is_none(), "one too many");
    eventually("it is counted", || {
        world.proxy.counters().read().refused == 1
    });
}

#[test]
fn heads_are_limited() {
    let (world, origin) = serving(|config| {
        config.limits.head_bytes = 4096;
        config.limits.headers = 20;
        config.limits.uri_bytes = 100;
    });
    let lines = |n| "x: y\r\n".repeat(n);
    for (path, headers, status) in [
        ("/".to_owned(), lines(19), 200),
        ("/".to_owned(), lines(20), 431),
        ("/".to_owned(), format!("x: {}\r\n", "y".repeat(5000)), 431),
        (format!("/{}", "p".repeat(99)), String::new(), 200),
        (format!("/{}", "p".repeat(100)), String::new(), 414),
        (format!("/{}", "p".repeat(100_000)), String::new(), 414),
    ] {
        let mut client = world.connect();
        let response = client.get(&path, &headers);
        assert_eq!(response.status(), status, "{}", path.len());
        if status != 200 {
            assert!(client.is_closed());
        }
    }
    assert_eq!(origin.seen().len(), 2);
}

#[test]
fn bodies_are_limited() {
    let (world, _origin) = serving(|config| config.limits.body_bytes = Some(1000));
    for (size, status) in [(1000, 200), (1001, 413)] {
        let body = "x".repeat(size);
        for head in [
            format!("content-length: {size}\r\n\r\n{body}"),
            format!("transfer-encoding: chunked\r\n\r\n{size:x}\r\n{body}\r\n0\r\n\r\n"),
        ] {
            let mut client = world.connect();
            client.send(format!("POST / HTTP/1.1\r\nhost: a\r\n{head}"));
            assert_eq!(client.response().status(), status, "{size}");
        }
        for announced in [true, false] {
            let mut request = Request::post("http://shop.example/");
            if announced {
                request = request.header("content-length", size);
            }
            let request = request.body(()).unwrap();
            let answer = http2::ask(world.address(), request, body.clone().leak().as_bytes());
            assert_eq!(answer.unwrap().status, status, "{size}");
        }
    }
    let totals = world.stable();
    assert_eq!(totals.failed, 0);
}

#[test]
fn a_connection_ends_after_its_last_request() {
    let (world, _origin) = serving(|config| config.limits.requests_per_connection = Some(3));
    let mut client = world.connect();
    for n in 1..=3 {
        let response = client.get("/", "");
        let is_last = response.header("connection") == Some("close");
        assert_eq!(is_last, n == 3, "request {n}");
    }
    assert!(client.is_closed());

    let mut client = Peer::connect(world.address());
    for n in 0..3 {
        client.get(2 * n + 1, "/");
    }
    let mut answered = 0;
    let mut is_announced = false;
    while let Some(next) = client.next() {
        match next.kind {
            frames::DATA if next.flags & frames::END_STREAM > 0 => answered += 1,
            frames::GOAWAY => is_announced = true,
            frames::PING if next.flags == 0 => {
                client.try_send(frame(frames::PING, frames::ACK, 0, &next.payload));
            }
            _ => {}
        }
    }
    assert_eq!((answered, is_announced), (3, true));
}

#[test]
fn requests_are_turned_away_while_memory_is_short() {
    let (world, origin) = serving(|config| config.limits.memory_bytes = Some(1));
    let mut client = world.connect();
    eventually("requests are turned away", || {
        client.get("/", "").status() == 503
    });
    let response = client.get("/", "");
    assert_eq!(response.header("sluice-error"), Some("overloaded"));
    assert_eq!(response.header("retry-after"), Some("1"));
    let answer = http2::get(world.address(), "/").unwrap();
    assert_eq!((answer.status, answer.body.is_empty()), (503, false));
    assert_eq!(answer.headers["retry-after"], "1");
    let shed = world.proxy.counters().read().shed;
    assert!(shed >= 3);
    assert_eq!(world.stable().dispatched, origin.seen().len() as u64);
}
