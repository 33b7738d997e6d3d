//! WebSockets, with a real client and server, and what becomes of long-lived exchanges when their version has lost its
//! weight.

use crate::support::{
    eventually,
    origin::{self, on_its_own_runtime},
    run, soon,
    speak::{self, Client, Message, Socket},
    tls::Authority,
    world::{self, World},
};
use futures_util::{SinkExt, StreamExt};
use http::Version;
use rustls::ServerConfig;
use std::{
    io,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{io::AsyncWriteExt, task::spawn_local};
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::{
    WebSocketStream, accept_async, client_async,
    tungstenite::{
        self, Bytes,
        protocol::{CloseFrame, Message as Frame, frame::coding::CloseCode},
    },
};
use traffic::{Backend, BackendPolicy, Role, Split, Target, Weight, policy::StreamDrain};

/// A WebSocket server that gives back what comes.
fn echo(tls: Option<Arc<ServerConfig>>) -> SocketAddr {
    on_its_own_runtime(async move |listener| {
        loop {
            let (tcp, _) = listener.accept().await.unwrap();
            let tls = tls.clone();
            spawn_local(async move {
                let socket: Box<dyn Socket> = match tls {
                    None => Box::new(tcp),
                    Some(tls) => Box::new(TlsAcceptor::from(tls).accept(tcp).await.unwrap()),
                };
                let Ok(mut socket) = accept_async(socket).await else {
                    return;
                };
                while let Some(Ok(frame)) = socket.next().await {
                    if frame.is_text() || frame.is_binary() {
                        let _ = socket.send(frame).await;
                    }
                }
                let _ = socket.get_mut().shutdown().await;
            });
        }
    })
}

type WebSocket = WebSocketStream<Box<dyn Socket>>;

async fn open(socket: Box<dyn Socket>) -> Result<WebSocket, tungstenite::Error> {
    let opened = client_async("ws://shop.example/chat", socket);
    soon("an answer", opened).await.map(|(socket, _)| socket)
}

async fn open_plain(world: &World) -> WebSocket {
    let socket = speak::connect(world.address(), None).await.unwrap();
    open(socket).await.unwrap()
}

async fn next(socket: &mut WebSocket) -> Option<Result<Frame, tungstenite::Error>> {
    soon("a frame", socket.next()).await
}

async fn echoes(socket: &mut WebSocket) {
    socket.send(Frame::text("hello")).await.unwrap();
    let answer = next(socket).await.unwrap().unwrap();
    assert_eq!(answer, Frame::text("hello"));
}

#[test]
fn websockets_pass_in_plain_text_and_under_tls() {
    let authority = Authority::new("tunnels");
    let (front, back) = (
        authority.sign("shop.example"),
        authority.sign("backend.example"),
    );
    for (tls_in, tls_out) in [(false, false), (true, false), (false, true), (true, true)] {
        let server = authority.server(&["http/1.1"], &back, false);
        let address = echo(tls_out.then_some(server));
        let world = world::start_with(1, |config| {
            if tls_in {
                config.listeners[0].tls = Some(authority.listener(&[&front]));
            }
        });
        let policy = BackendPolicy {
            tls: tls_out.then(|| authority.backend("backend.example", None)),
            ..BackendPolicy::default()
        };
        world.serve_with(&[address], policy);
        run(async {
            let config = authority.client(&["http/1.1"], None);
            let tls = tls_in.then_some((&config, "shop.example"));
            let socket = speak::connect(world.address(), tls).await.unwrap();
            let mut socket = open(socket).await.unwrap();
            echoes(&mut socket).await;
            let big = Bytes::from(vec![9; 8 * 1024 * 1024]);
            for _ in 0..2 {
                socket.send(Frame::Binary(big.clone())).await.unwrap();
                let answer = next(&mut socket).await.unwrap().unwrap();
                assert_eq!(answer.into_data(), big);
            }
            let frame = CloseFrame {
                code: CloseCode::Normal,
                reason: "done".into(),
            };
            socket.close(Some(frame.clone())).await.unwrap();
            let closed = next(&mut socket).await.unwrap().unwrap();
            assert_eq!(closed, Frame::Close(Some(frame)));
            let end = next(&mut socket).await;
            assert!(end.is_none(), "{tls_in} {tls_out} {end:?}");
        });
        let totals = world.stable();
        assert_eq!(totals.statuses, [(101, 1)], "{tls_in} {tls_out}");
        assert_eq!((totals.failed, totals.cancelled), (0, 0));
    }
}

#[test]
fn an_origin_may_refuse_to_change_the_protocol() {
    let origin = origin::http().status(403).body("no").run();
    let world = world::start();
    world.serve(&[origin.address]);
    run(async {
        let socket = speak::connect(world.address(), None).await.unwrap();
        let refused = open(socket).await.err().unwrap();
        let tungstenite::Error::Http(answer) = refused else {
            panic!("{refused}");
        };
        assert_eq!(answer.status(), 403);
        assert_eq!(answer.body().as_deref(), Some(&b"no"[..]));
    });
    assert_eq!(world.stable().statuses, [(403, 1)]);
}

#[test]
fn one_side_may_end_while_the_other_goes_on() {
    let origin = origin::after_head(|wire| {
        wire.send("HTTP/1.1 101 X\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n");
        assert_eq!(wire.take(5), b"there");
        assert!(wire.is_closed());
        wire.send("and back");
    });
    let world = world::start();
    world.serve(&[origin.address]);
    let mut client = world.connect();
    client.send("GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: x\r\n\r\nthere");
    assert_eq!(client.response_head().status(), 101);
    client.finish();
    assert_eq!(client.take(8), b"and back");
    assert!(client.is_closed());
}

/// Publishes a split with the canary at `weight`, both drained as `drain` says.
fn split(world: &World, address: SocketAddr, weight: Weight, drain: StreamDrain) {
    let of = |role| Backend {
        policy: Arc::new(BackendPolicy {
            stream_drain: drain,
            ..BackendPolicy::default()
        }),
        ..world.backend(role, &[address])
    };
    let split = Split {
        weight,
        ..world.split_of(of(Role::Stable), of(Role::Canary))
    };
    world.publish(&[("/", Target::Split(0))], vec![split]);
}

const SOON: StreamDrain = StreamDrain::CloseAfter(Duration::from_millis(200));

#[test]
fn tunnels_are_closed_some_time_after_their_version_has_lost_its_weight() {
    let address = echo(None);
    for drain in [SOON, StreamDrain::Keep] {
        let world = world::start();
        split(&world, address, Weight::FULL, drain);
        run(async {
            let mut socket = open_plain(&world).await;
            echoes(&mut socket).await;
            // Less is not nothing.
            split(&world, address, Weight::from_percent(1).unwrap(), drain);
            let began = Instant::now();
            while began.elapsed() < Duration::from_millis(300) {
                echoes(&mut socket).await;
            }
            split(&world, address, Weight::ZERO, drain);
            if drain == StreamDrain::Keep {
                let began = Instant::now();
                while began.elapsed() < Duration::from_millis(300) {
                    echoes(&mut socket).await;
                }
                return;
            }
            // It is still served in between.
            echoes(&mut socket).await;
            let end = next(&mut socket).await;
            assert!(!matches!(end, Some(Ok(_))), "{end:?}");
        });
        assert_eq!(world.totals(Role::Canary).statuses, [(101, 1)]);
    }
}

/// An origin that sends a piece at a time for as long as somebody reads.
fn endless() -> origin::Origin {
    origin::after_head(|wire| {
        wire.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
        while io::Write::write_all(&mut wire.stream, b"1\r\nx\r\n").is_ok() {
            std::thread::sleep(Duration::from_millis(1));
        }
    })
}

#[test]
fn an_answer_that_stable_gave_in_the_canarys_place_goes_on_when_the_canary_loses_its_weight() {
    let broken = origin::http().status(500).run();
    let endless = endless();
    let world = world::start();
    let rescued = |weight| {
        let of = |role, address| Backend {
            policy: Arc::new(BackendPolicy {
                stream_drain: SOON,
                ..BackendPolicy::default()
            }),
            ..world.backend(role, &[address])
        };
        let (stable, canary) = (
            of(Role::Stable, endless.address),
            of(Role::Canary, broken.address),
        );
        let split = Split {
            weight,
            rescue: true,
            ..world.split_of(stable, canary)
        };
        world.publish(&[("/", Target::Split(0))], vec![split]);
    };
    rescued(Weight::FULL);
    let mut client = world.connect();
    client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    assert_eq!(client.response_head().status(), 200);
    rescued(Weight::ZERO);
    let began = Instant::now();
    while began.elapsed() < Duration::from_millis(300) {
        client.take(6);
    }
}

#[test]
fn answers_that_go_on_are_closed_as_tunnels_are() {
    let endless = endless();
    for version in [Version::HTTP_11, Version::HTTP_2] {
        let world = world::start();
        split(&world, endless.address, Weight::FULL, SOON);
        run(async {
            let mut client = Client::plain(version, world.address()).await;
            let mut answer = std::pin::pin!(client.send(Message::ask("GET", "/")));
            let canary = world
                .stats
                .series(&traffic::RolloutId::new("default", "shop"), Role::Canary);
            let begun = async {
                while canary.totals().in_flight == 0 {
                    tokio::task::yield_now().await;
                }
            };
            tokio::select! {
                answer = &mut answer => panic!("{answer:?}"),
                () = begun => {}
            }
            split(&world, endless.address, Weight::ZERO, SOON);
            let answer = soon("the end", answer).await;
            assert!(answer.is_err(), "{version:?} {answer:?}");
        });
        assert_eq!(world.totals(Role::Canary).in_flight, 0);
    }
}

#[test]
fn what_begins_after_its_version_has_lost_its_weight_is_closed_too() {
    // The answer's head comes when the weight is gone already.
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let wait = std::sync::Mutex::new(wait);
    let late = origin::after_head(move |wire| {
        let _ = wait.lock().unwrap().recv();
        wire.send("HTTP/1.1 101 X\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n");
        while !wire.is_closed() {
            wire.discard();
        }
    });
    let world = world::start();
    split(&world, late.address, Weight::FULL, SOON);
    let mut client = world.connect();
    client.send("GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n");
    eventually("it has come", || late.connections() == 1);
    split(&world, late.address, Weight::ZERO, SOON);
    // The worker has seen the table when it routes by it.
    let other = origin::http().run();
    let stable = world.backend(Role::Stable, &[other.address]);
    let canary = world.backend(Role::Canary, &[late.address]);
    let none = Split {
        weight: Weight::ZERO,
        ..world.split_of(stable, canary)
    };
    world.publish(&[("/", Target::Split(0))], vec![none]);
    assert_eq!(world.connect().get("/", "").status(), 200);
    go.send(()).unwrap();
    assert_eq!(client.response_head().status(), 101);
    assert!(client.is_closed());
}

#[test]
fn a_tunnel_takes_the_places_of_a_request() {
    use traffic::policy::BackendLimits;
    let address = echo(None);
    let world = world::start();
    let limits = BackendLimits {
        requests: 1,
        ..BackendLimits::default()
    };
    let policy = BackendPolicy {
        limits,
        ..BackendPolicy::default()
    };
    world.serve_with(&[address], policy);
    run(async {
        let mut socket = open_plain(&world).await;
        echoes(&mut socket).await;
        let mut client = Client::plain(Version::HTTP_11, world.address()).await;
        let answer = client.ask(Message::ask("GET", "/")).await;
        assert_eq!(answer.status, 503);
        socket.close(None).await.unwrap();
        while next(&mut socket).await.is_some() {}
        drop(socket);
        let free = async {
            loop {
                let socket = speak::connect(world.address(), None).await.unwrap();
                if open(socket).await.is_ok() {
                    return;
                }
            }
        };
        soon("its place is free", free).await;
    });
}
