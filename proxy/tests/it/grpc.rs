//! gRPC from end to end, with a real client and server.

use crate::failure_rules::failed;
use crate::support::{
    eventually,
    frames::{self, block, frame},
    grpc::{self, Raw},
    origin, run, soon,
    tls::Authority,
    world::{self, World},
};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use proxy::Listener;
use std::{
    net::SocketAddr,
    sync::{Mutex, atomic::Ordering::SeqCst, mpsc},
    time::Duration,
};
use tonic::{
    Code, Request, Status,
    client::Grpc,
    codec::CompressionEncoding::Gzip,
    codegen::http::uri::PathAndQuery,
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity, ServerTlsConfig},
};
use traffic::{
    BackendPolicy, Failure, FailureRule, GrpcCode,
    policy::{BackendTls, Protocol},
};

fn http2(tls: Option<BackendTls>) -> BackendPolicy {
    BackendPolicy {
        protocol: Protocol::Http2,
        tls,
        ..BackendPolicy::default()
    }
}

/// A proxy before a gRPC server, both in plain text.
fn plain() -> (World, std::sync::Arc<grpc::Seen>) {
    let (address, seen) = grpc::serve(None);
    let world = world::start();
    world.serve_with(&[address], http2(None));
    (world, seen)
}

async fn connect(address: SocketAddr) -> Grpc<Channel> {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
    client(endpoint.connect().await.unwrap()).await
}

async fn client(channel: Channel) -> Grpc<Channel> {
    let mut client = Grpc::new(channel).max_decoding_message_size(usize::MAX);
    client.ready().await.unwrap();
    client
}

fn method(name: &'static str) -> PathAndQuery {
    PathAndQuery::from_maybe_shared(format!("/test.Echo/{name}")).unwrap()
}

async fn unary(client: &mut Grpc<Channel>, message: impl Into<Bytes>) -> Result<Bytes, Status> {
    client.ready().await.unwrap();
    let request = Request::new(message.into());
    let answer = soon("an answer", client.unary(request, method("Unary"), Raw)).await?;
    Ok(answer.into_inner())
}

fn failed_grpc(world: &World) -> u64 {
    world.stable().failures[Failure::Grpc as usize]
}

#[test]
fn calls_of_every_kind_pass_in_plain_text_and_under_tls() {
    let authority = Authority::new("both sides");
    let (front, back) = (
        authority.sign("shop.example"),
        authority.sign("backend.example"),
    );
    for (tls_in, tls_out) in [(false, false), (true, false), (false, true), (true, true)] {
        let identity = Identity::from_pem(&back.chain, &back.key);
        let server = ServerTlsConfig::new().identity(identity);
        let (address, _) = grpc::serve(tls_out.then_some(server));
        let world = world::start_with(1, |config| {
            if tls_in {
                config.listeners[0].tls = Some(authority.listener(&[&front]));
            }
        });
        let tls = tls_out.then(|| authority.backend("backend.example", None));
        world.serve_with(&[address], http2(tls));
        run(async {
            let at = world.address();
            let mut client = if tls_in {
                let trusted = Certificate::from_pem(authority.pem());
                let tls = ClientTlsConfig::new()
                    .ca_certificate(trusted)
                    .domain_name("shop.example");
                let endpoint = Endpoint::from_shared(format!("https://{at}")).unwrap();
                let channel = endpoint.tls_config(tls).unwrap().connect().await.unwrap();
                client(channel).await
            } else {
                connect(at).await
            };
            every_kind(&mut client).await;
        });
        let totals = world.stable();
        assert_eq!(totals.statuses, [(200, 5)], "{tls_in} {tls_out}");
        assert_eq!((totals.failed, totals.cancelled), (0, 0));
    }
}

async fn every_kind(client: &mut Grpc<Channel>) {
    assert_eq!(unary(client, "hello").await.unwrap(), "hello");
    // Many times what a window takes.
    let large = Bytes::from(vec![5; 1024 * 1024]);
    assert_eq!(unary(client, large.clone()).await.unwrap(), large);

    client.ready().await.unwrap();
    let messages = stream::iter(vec![Bytes::from_static(b"four"); 10]);
    let told = client
        .client_streaming(Request::new(messages), method("Upload"), Raw)
        .await
        .unwrap();
    assert_eq!(told.into_inner(), "10 40");

    client.ready().await.unwrap();
    let request = Request::new(Bytes::from_static(b"10 100000"));
    let answer = client
        .server_streaming(request, method("Download"), Raw)
        .await
        .unwrap();
    let messages: Vec<_> = answer.into_inner().collect().await;
    assert!(
        messages
            .iter()
            .all(|m| m.as_ref().unwrap().len() == 100_000)
    );
    assert_eq!(messages.len(), 10);

    client.ready().await.unwrap();
    let (sender, receiver) = tokio::sync::mpsc::channel::<Bytes>(1);
    let messages = stream::unfold(receiver, |mut receiver| async {
        receiver.recv().await.map(|message| (message, receiver))
    });
    let answer = client
        .streaming(Request::new(messages), method("Chat"), Raw)
        .await
        .unwrap();
    let mut answers = answer.into_inner();
    for message in ["a", "b", "c"] {
        // Each answer comes before the next message is sent.
        sender.send(message.into()).await.unwrap();
        let answer = soon("an answer", answers.message()).await.unwrap();
        assert_eq!(answer.unwrap(), message);
    }
    drop(sender);
    assert_eq!(answers.message().await.unwrap(), None);
}

#[test]
fn the_status_decides_what_is_a_failure() {
    let (world, _) = plain();
    run(async {
        let mut client = connect(world.address()).await;
        for (code, is_failure) in [
            (Code::Cancelled, false),
            (Code::Unknown, true),
            (Code::InvalidArgument, false),
            (Code::DeadlineExceeded, true),
            (Code::NotFound, false),
            (Code::PermissionDenied, false),
            (Code::ResourceExhausted, false),
            (Code::Unimplemented, true),
            (Code::Internal, true),
            (Code::Unavailable, true),
            (Code::DataLoss, true),
            (Code::Unauthenticated, false),
        ] {
            let before = failed_grpc(&world);
            let message = format!("status:{}", code as i32);
            let status = unary(&mut client, message).await.unwrap_err();
            assert_eq!(
                (status.code(), status.message()),
                (code, "as was asked for: ä")
            );
            assert_eq!(
                failed_grpc(&world) - before,
                u64::from(is_failure),
                "{code}"
            );
        }
        // In trailers, after messages.
        client.ready().await.unwrap();
        let messages = stream::iter(["a", "fail"].map(Bytes::from));
        let answer = client
            .streaming(Request::new(messages), method("Chat"), Raw)
            .await
            .unwrap();
        let mut answers = answer.into_inner();
        assert_eq!(answers.message().await.unwrap().unwrap(), "a");
        let status = answers.message().await.unwrap_err();
        assert_eq!(status.code(), Code::Internal);
    });
    let totals = world.stable();
    assert_eq!(totals.statuses, [(200, 13)]);
    assert_eq!(totals.failed, failed_grpc(&world));
    // By another rule, other codes are failures.
    let rule = FailureRule::BROKEN.with_code(GrpcCode::NotFound);
    assert_eq!(failed(&world, &rule), 1);
    assert_eq!(failed(&world, &rule.with_code(GrpcCode::Internal)), 3);
    assert_eq!(failed(&world, &FailureRule::BROKEN), 0);
}

#[test]
fn metadata_passes_both_ways() {
    let (world, _) = plain();
    run(async {
        let mut client = connect(world.address()).await;
        let mut request = Request::new(Bytes::from_static(b"x"));
        request
            .metadata_mut()
            .insert("ask", "this".parse().unwrap());
        let answer = client.unary(request, method("Unary"), Raw).await.unwrap();
        assert_eq!(answer.metadata().get("told").unwrap(), "this");
        assert_eq!(answer.metadata().get("grpc-status").unwrap(), "0");
    });
}

#[test]
fn what_the_proxy_says_is_said_as_grpc_says_it() {
    let broken = origin::after_head(|_| {});
    for (endpoints, code) in [
        (vec![], Code::Unavailable),
        (vec![origin::refusing(); 4], Code::Unavailable),
        (vec![broken.address], Code::Unavailable),
    ] {
        let world = world::start();
        world.serve_with(&endpoints, http2(None));
        run(async {
            let mut client = connect(world.address()).await;
            let status = unary(&mut client, "hello").await.unwrap_err();
            assert_eq!(status.code(), code, "{status:?}");
            assert!(status.message().contains("shop-stable"), "{status:?}");
        });
        assert_eq!(world.stable().failed, 1);
    }
    // Without a route: as of a server that does not know the method.
    let world = world::start();
    run(async {
        let mut client = connect(world.address()).await;
        let status = unary(&mut client, "hello").await.unwrap_err();
        assert_eq!(status.code(), Code::Unimplemented);
    });
}

#[test]
fn a_call_without_messages_ends_with_its_head() {
    // "Trailers-Only": clients take a status for one only when nothing follows the head.
    let world = world::start();
    world.serve_with(&[], http2(None));
    run(async {
        let tcp = tokio::net::TcpStream::connect(world.address())
            .await
            .unwrap();
        let (mut sender, connection) = h2::client::handshake(tcp).await.unwrap();
        tokio::task::spawn_local(connection);
        let request = http::Request::post("http://shop.example/test.Echo/Unary")
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(())
            .unwrap();
        let (response, _) = sender.send_request(request, true).unwrap();
        let response = soon("an answer", response).await.unwrap();
        assert_eq!(response.headers()["grpc-status"], "14");
        assert!(response.body().is_end_stream());
    });
}

#[test]
fn a_call_that_is_given_up_is_given_up_at_the_server() {
    let (world, seen) = plain();
    run(async {
        // By the client's deadline, and by the client.
        for (deadline, abandoned) in [(true, 1), (false, 2)] {
            let mut client = connect(world.address()).await;
            let mut request = Request::new(Bytes::new());
            if deadline {
                request.set_timeout(Duration::from_millis(200));
            }
            let call = client.unary(request, method("Hang"), Raw);
            if deadline {
                let status = soon("the deadline", call).await.unwrap_err();
                let code = status.code();
                let codes = [Code::Cancelled, Code::DeadlineExceeded];
                assert!(codes.contains(&code), "{status:?}");
            } else {
                let hangs = async {
                    while seen.hanging.load(SeqCst) == 0 {
                        tokio::task::yield_now().await;
                    }
                };
                tokio::select! {
                    answer = call => panic!("{answer:?}"),
                    () = hangs => {}
                }
            }
            drop(client);
            let given_up = async {
                while seen.abandoned.load(SeqCst) < abandoned {
                    tokio::task::yield_now().await;
                }
            };
            soon("the server hears of it", given_up).await;
        }
    });
    eventually("both have ended", || world.in_flight() == 0);
    assert!(world.stable().cancelled >= 1);
}

#[test]
fn a_call_that_is_given_up_while_it_is_answered_ends_at_the_server() {
    let (world, seen) = plain();
    run(async {
        let mut client = connect(world.address()).await;
        let request = Request::new(Bytes::from_static(b"1000000 10000"));
        let answer = client
            .server_streaming(request, method("Download"), Raw)
            .await
            .unwrap();
        let mut messages = answer.into_inner();
        assert_eq!(messages.message().await.unwrap().unwrap().len(), 10_000);
        drop(messages);
        let ended = async {
            while seen.downloaded.load(SeqCst) == 0 {
                tokio::task::yield_now().await;
            }
        };
        soon("the server hears of it", ended).await;
        // The connection goes on.
        assert_eq!(unary(&mut client, "hello").await.unwrap(), "hello");
    });
    let totals = world.stable();
    assert_eq!((totals.cancelled, totals.failed), (1, 0));
}

#[test]
fn a_call_that_the_server_gives_up_is_cancelled_at_the_client() {
    /// RFC 9113 section 7.
    const INTERNAL_ERROR: u8 = 2;
    const CANCEL: u8 = 8;
    for (reason, code) in [(CANCEL, Code::Cancelled), (INTERNAL_ERROR, Code::Internal)] {
        let (go, wait) = mpsc::channel::<()>();
        let wait = Mutex::new(wait);
        let origin = frames::origin(&[], move |mut peer| {
            let stream = peer.find(frames::HEADERS).expect("a call").stream;
            let head = block(&[(":status", "200"), ("content-type", "application/grpc")]);
            peer.send(frame(frames::HEADERS, frames::END_HEADERS, stream, &head));
            peer.send(frame(frames::DATA, 0, stream, b"\0\0\0\0\x05first"));
            // What is sent together with its end may not be seen any more.
            wait.lock().unwrap().recv().unwrap();
            let reset = [0, 0, 0, reason];
            peer.send(frame(frames::RST_STREAM, 0, stream, &reset));
            peer.rest();
        });
        let world = world::start();
        world.serve_with(&[origin.address], http2(None));
        run(async {
            let mut client = connect(world.address()).await;
            let request = Request::new(Bytes::new());
            let answer = client.server_streaming(request, method("Download"), Raw);
            let mut messages = answer.await.unwrap().into_inner();
            let first = soon("a message", messages.message()).await.unwrap();
            assert_eq!(first.unwrap(), "first");
            go.send(()).unwrap();
            let end = soon("an end", messages.message()).await.unwrap_err();
            assert_eq!(end.code(), code);
        });
        assert_eq!(world.stable().failures[Failure::BodyCut as usize], 1);
    }
}

#[test]
fn compressed_messages_pass() {
    let (world, seen) = plain();
    run(async {
        let client = connect(world.address()).await;
        let mut client = client.send_compressed(Gzip).accept_compressed(Gzip);
        every_kind(&mut client).await;
        client.ready().await.unwrap();
        let request = Request::new(Bytes::from_static(b"hello"));
        let answer = client.unary(request, method("Unary"), Raw).await.unwrap();
        assert_eq!(answer.metadata().get("grpc-encoding").unwrap(), "gzip");
    });
    assert_eq!(seen.compressed.load(SeqCst), 6);
    let totals = world.stable();
    assert_eq!((totals.statuses, totals.failed), (vec![(200, 6)], 0));
}

#[test]
fn a_hundred_thousand_small_messages_pass_each_way() {
    const MESSAGES: usize = 100_000;
    let (world, _) = plain();
    run(async {
        let mut client = connect(world.address()).await;
        let messages = stream::iter(vec![Bytes::from_static(b"x"); MESSAGES]);
        let upload = client.client_streaming(Request::new(messages), method("Upload"), Raw);
        let told = soon("all are sent", upload).await.unwrap();
        assert_eq!(told.into_inner(), format!("{MESSAGES} {MESSAGES}"));
        client.ready().await.unwrap();
        let request = Request::new(Bytes::from(format!("{MESSAGES} 1")));
        let answer = client
            .server_streaming(request, method("Download"), Raw)
            .await
            .unwrap();
        let count = soon("all have come", answer.into_inner().count()).await;
        assert_eq!(count, MESSAGES);
    });
    assert_eq!(world.stable().failed, 0);
}

#[test]
fn listeners_that_speak_no_http2_serve_no_grpc() {
    let (address, _) = grpc::serve(None);
    let world = world::start_with(1, |config| {
        let at = config.listeners[0].address;
        config.listeners[0] = Listener {
            http2: false,
            ..Listener::plain("old", at)
        };
    });
    world.serve_with(&[address], http2(None));
    run(async {
        let endpoint = Endpoint::from_shared(format!("http://{}", world.address())).unwrap();
        let mut client = Grpc::new(endpoint.connect_lazy());
        let ready = client.ready().await;
        let answer = match ready {
            Ok(()) => soon(
                "an answer",
                client.unary(Request::new(Bytes::new()), method("Unary"), Raw),
            )
            .await
            .map(drop),
            Err(error) => Err(Status::from_error(error.into())),
        };
        assert!(answer.is_err());
    });
}
