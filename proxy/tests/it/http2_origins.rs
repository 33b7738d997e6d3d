//! Origins that speak HTTP/2 and end streams and connections, as they may.

use crate::support::{
    PATIENCE, eventually,
    origin::on_its_own_runtime,
    run, soon,
    speak::{Client, Message, reply_http2},
    world::{self, World},
};
use bytes::Bytes;
use h2::{
    Reason, RecvStream,
    server::{Builder, Connection, SendResponse},
};
use http::{Request, Version};
use std::{
    cell::Cell,
    net::SocketAddr,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};
use tokio::{net::TcpStream, task::spawn_local};
use traffic::{
    Backend, BackendPolicy, Failure, Role, Target,
    action::{Actions, RouteTimeouts},
    policy::{BackendLimits, Protocol},
};

type Asked = (Request<RecvStream>, SendResponse<Bytes>);

fn http2() -> BackendPolicy {
    BackendPolicy {
        protocol: Protocol::Http2,
        ..BackendPolicy::default()
    }
}

/// An origin that does what `serve` does with each connection, which it is told the number of.
fn origin<W: Future<Output = ()> + 'static>(
    build: impl Fn(&mut Builder) + Send + 'static,
    serve: impl Fn(usize, Connection<TcpStream, Bytes>) -> W + Send + 'static,
) -> SocketAddr {
    on_its_own_runtime(async move |listener| {
        for number in 0.. {
            let (tcp, _) = listener.accept().await.unwrap();
            let mut builder = Builder::new();
            build(&mut builder);
            if let Ok(connection) = builder.handshake(tcp).await {
                spawn_local(serve(number, connection));
            }
        }
    })
}

fn ok((_, respond): Asked) {
    let _ = reply_http2(respond, Message::answer(200).body(&["ok"]));
}

fn check(world: &World, what: &str, messages: &[Message]) {
    run(async {
        for version in [Version::HTTP_2, Version::HTTP_11] {
            let mut client = Client::plain(version, world.address()).await;
            for message in messages.iter().cloned() {
                let answer = client.ask(message).await;
                assert_eq!(answer.status, 200, "{what} {version:?} {answer:?}");
            }
        }
    });
    let totals = world.stable();
    assert_eq!((totals.failed, totals.cancelled), (0, 0), "{what}");
}

#[test]
fn a_request_that_the_origin_did_not_act_on_is_sent_again() {
    // The first stream of each connection is refused.
    let refusing = origin(
        |_| {},
        async |_, mut connection| {
            let mut count = 0;
            while let Some(Ok((request, mut respond))) = connection.accept().await {
                count += 1;
                if count == 1 {
                    respond.send_reset(Reason::REFUSED_STREAM);
                } else {
                    ok((request, respond));
                }
            }
        },
    );
    // Each connection carries one request, and says so after it (GOAWAY).
    let leaving = origin(
        |_| {},
        async |_, mut connection| {
            while let Some(Ok(asked)) = connection.accept().await {
                ok(asked);
                connection.graceful_shutdown();
            }
        },
    );
    // Each connection is cut off after its answer, without a word.
    let dropping = origin(
        |_| {},
        async |_, mut connection| {
            let Some(Ok(asked)) = connection.accept().await else {
                return;
            };
            ok(asked);
            let flushed = std::future::poll_fn(|context| connection.poll_closed(context));
            let _ = tokio::time::timeout(Duration::from_millis(20), flushed).await;
        },
    );
    for (what, address) in [
        ("refused", refusing),
        ("leaving", leaving),
        ("dropping", dropping),
    ] {
        let world = world::start();
        world.serve_with(&[address], http2());
        let mut messages = vec![Message::ask("GET", "/"); 10];
        if what != "dropping" {
            messages.extend(vec![Message::ask("POST", "/").body(&["hel", "lo"]); 10]);
        }
        check(&world, what, &messages);
    }
}

#[test]
fn what_is_under_way_when_the_origin_leaves_is_finished() {
    // All requests of a connection are begun, then GOAWAY comes, then the answers.
    const TOGETHER: usize = 10;
    let address = origin(
        |_| {},
        async |_, mut connection| {
            let mut begun = Vec::new();
            while let Some(Ok(asked)) = connection.accept().await {
                begun.push(asked);
                if begun.len() == TOGETHER {
                    connection.graceful_shutdown();
                    begun.drain(..).for_each(ok);
                }
            }
        },
    );
    let world = world::start();
    world.serve_with(&[address], http2());
    run(async {
        let mut client = Client::plain(Version::HTTP_2, world.address()).await;
        let Client::Http2(sender) = &mut client else {
            unreachable!()
        };
        let mut answers = Vec::new();
        for _ in 0..TOGETHER {
            let mut sender = sender.clone().ready().await.unwrap();
            let request = Request::post("http://shop.example/").body(()).unwrap();
            answers.push(sender.send_request(request, true).unwrap().0);
        }
        for answer in answers {
            assert_eq!(soon("an answer", answer).await.unwrap().status(), 200);
        }
    });
    assert_eq!(world.stable().failed, 0);
}

/// An origin that answers late, and takes `most` requests at a time by a connection. How many connections it was made.
fn busy(most: u32) -> (SocketAddr, Arc<AtomicUsize>) {
    let connections = Arc::new(AtomicUsize::new(0));
    let opened = Arc::clone(&connections);
    let address = origin(
        move |builder| {
            builder.max_concurrent_streams(most);
        },
        move |_, mut connection| {
            opened.fetch_add(1, SeqCst);
            async move {
                let open = Rc::new(Cell::new(0));
                while let Some(Ok(asked)) = connection.accept().await {
                    let open = Rc::clone(&open);
                    open.set(open.get() + 1);
                    assert!(open.get() <= most);
                    spawn_local(async move {
                        for _ in 0..20 {
                            tokio::task::yield_now().await;
                        }
                        open.set(open.get() - 1);
                        ok(asked);
                    });
                }
            }
        },
    );
    (address, connections)
}

#[test]
fn no_connection_carries_more_streams_than_the_origin_lets_it() {
    // With as many connections as it takes, and with two, for which requests have to wait.
    for limit in [1000, 2] {
        let (address, connections) = busy(4);
        // On a busy machine it takes long until it is a request's turn.
        let world = world::start_with(1, |config| config.timeouts.connect = PATIENCE);
        let limits = BackendLimits {
            connections: limit,
            ..BackendLimits::default()
        };
        world.serve_with(&[address], BackendPolicy { limits, ..http2() });
        run(async {
            let mut client = Client::plain(Version::HTTP_2, world.address()).await;
            let Client::Http2(sender) = &mut client else {
                unreachable!()
            };
            let mut answers = Vec::new();
            for _ in 0..100 {
                let mut sender = sender.clone().ready().await.unwrap();
                let request = Request::get("http://shop.example/").body(()).unwrap();
                answers.push(sender.send_request(request, true).unwrap().0);
            }
            for answer in answers {
                let answer = soon("an answer", answer).await.unwrap();
                assert_eq!(answer.status(), 200, "{limit} {answer:?}");
            }
        });
        assert!(connections.load(SeqCst) <= limit as usize);
        assert_eq!(world.stable().failed, 0);
    }
}

#[test]
fn a_connection_that_was_closed_makes_room_for_the_next() {
    let leaving = origin(
        |_| {},
        async |_, mut connection| {
            while let Some(Ok(asked)) = connection.accept().await {
                ok(asked);
                connection.graceful_shutdown();
            }
        },
    );
    // Nothing is swept away meanwhile.
    let world = world::start_with(1, |config| {
        config.pool.idle_time = Duration::from_secs(3600);
    });
    let limits = BackendLimits {
        connections: 1,
        ..BackendLimits::default()
    };
    world.serve_with(&[leaving], BackendPolicy { limits, ..http2() });
    let messages = vec![Message::ask("GET", "/"); 5];
    check(&world, "one connection at a time", &messages);
}

#[test]
fn a_reader_that_is_slow_holds_the_origin_back() {
    const SENT: usize = 32 * 1024 * 1024;
    let taken = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&taken);
    let address = origin(
        |_| {},
        move |_, mut connection| {
            let counted = Arc::clone(&counted);
            async move {
                while let Some(Ok((_, mut respond))) = connection.accept().await {
                    let counted = Arc::clone(&counted);
                    spawn_local(async move {
                        let head = http::Response::new(());
                        let mut stream = respond.send_response(head, false).unwrap();
                        let mut left = SENT;
                        while left > 0 {
                            stream.reserve_capacity(left.min(64 * 1024));
                            let room =
                                std::future::poll_fn(|context| stream.poll_capacity(context));
                            let Some(Ok(room)) = room.await else { return };
                            let piece = room.min(left);
                            stream.send_data(vec![0; piece].into(), false).unwrap();
                            counted.fetch_add(piece, SeqCst);
                            left -= piece;
                        }
                        stream.send_data(Bytes::new(), true).unwrap();
                    });
                }
            }
        },
    );
    let world = world::start();
    world.serve_with(&[address], http2());
    run(async {
        let mut client = Client::plain(Version::HTTP_2, world.address()).await;
        let Client::Http2(sender) = &mut client else {
            unreachable!()
        };
        let request = Request::get("http://shop.example/").body(()).unwrap();
        let (response, _) = sender.send_request(request, true).unwrap();
        let mut body = soon("an answer", response).await.unwrap().into_body();
        // Nothing is read, until the origin has come to rest; another request is answered meanwhile.
        let mut before = usize::MAX;
        while taken.load(SeqCst) != before {
            before = taken.load(SeqCst);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert!(before < 4 * 1024 * 1024, "{before} bytes are under way");
        let mut all = 0;
        while let Some(data) = soon("more", body.data()).await {
            let data = data.unwrap();
            all += data.len();
            body.flow_control().release_capacity(data.len()).unwrap();
        }
        assert_eq!(all, SENT);
    });
    assert_eq!(world.stable().failed, 0);
}

#[test]
fn a_client_that_goes_while_a_connection_is_made_takes_nobody_with_it() {
    // An origin that takes connections but waits with the beginning of HTTP/2 cannot be told from a slow network: TLS is
    // where a connection that is being made can be held.
    let authority = crate::support::tls::Authority::new("held");
    let pair = authority.sign("backend.example");
    let server = authority.server(&["h2"], &pair, false);
    let (go, wait) = tokio::sync::watch::channel(false);
    let accepted = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&accepted);
    let address = on_its_own_runtime(async move |listener| {
        loop {
            let (tcp, _) = listener.accept().await.unwrap();
            counted.fetch_add(1, SeqCst);
            let (server, mut wait) = (server.clone(), wait.clone());
            spawn_local(async move {
                wait.wait_for(|go| *go).await.unwrap();
                let acceptor = tokio_rustls::TlsAcceptor::from(server);
                let Ok(tls) = acceptor.accept(tcp).await else {
                    return;
                };
                let mut connection = h2::server::handshake(tls).await.unwrap();
                while let Some(Ok(asked)) = connection.accept().await {
                    ok(asked);
                }
            });
        }
    });
    let world = world::start();
    let policy = BackendPolicy {
        tls: Some(authority.backend("backend.example", None)),
        ..http2()
    };
    world.serve_with(&[address], policy);
    let mut first = world.connect();
    first.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    eventually("a connection is made", || accepted.load(SeqCst) == 1);
    let mut second = world.connect();
    second.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    eventually("both wait", || world.in_flight() == 2);
    drop(first);
    eventually("one is given up", || world.in_flight() == 1);
    go.send(true).unwrap();
    assert_eq!(second.response().status(), 200);
    let totals = world.stable();
    assert_eq!((totals.cancelled, totals.failed), (1, 0));
}

#[test]
fn a_request_timeout_holds_while_a_connection_is_made() {
    // It takes connections and says nothing.
    let silent = crate::support::origin::raw(|stream| {
        let mut wire = crate::support::wire::Client::from(stream);
        while !wire.is_closed() {
            wire.discard();
        }
    });
    let authority = crate::support::tls::Authority::new("silent");
    let world = world::start();
    let actions = Actions {
        timeouts: RouteTimeouts {
            request: Some(Duration::from_millis(100)),
            ..RouteTimeouts::default()
        },
        ..Actions::default()
    };
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let backend = Backend {
            policy: BackendPolicy {
                protocol,
                tls: Some(authority.backend("backend.example", None)),
                ..BackendPolicy::default()
            }
            .into(),
            ..world.backend(Role::Stable, &[silent.address])
        };
        world.route(Target::Backend(backend), actions.clone());
        let answer = world.connect().get("/", "");
        assert_eq!(answer.status(), 504, "{answer:?}");
    }
    let totals = world.stable();
    assert_eq!(totals.failures[Failure::ResponseTimeout as usize], 2);
}
