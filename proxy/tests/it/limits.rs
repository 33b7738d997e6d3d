//! What clients may not exceed.

use crate::support::{
    eventually,
    frames::{self, Peer, frame},
    http2, origin, wire,
    world::{self, World},
};
use proxy::{Config, Network};
use std::net::Ipv4Addr;

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
            let mut request = http::Request::post("http://shop.example/");
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
