//! Over real sockets, with the certificates that the plan makes.

use super::{CONNECTIONS, Judge, LARGEST, PATH, PATIENCE, Shown, serve, tls};
use crate::{
    metrics::Metrics,
    shard::Shards,
    watch::Scope,
    webhook::{
        contents::{Contents, certified},
        names::ServiceName,
        plan::{Keeper, Lives},
    },
};
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper::{body::Bytes, client::conn::http1};
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs, pki_types::ServerName};
use serde_json::{Value, json};
use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::{Duration, SystemTime},
};
use tokio::{
    io::AsyncReadExt as _,
    net::{TcpListener, TcpStream},
};
use tokio_rustls::TlsConnector;

const HOST: &str = "hook.sluice.svc";

struct Running {
    address: SocketAddr,
    shown: Arc<Shown>,
    metrics: Metrics,
}

async fn start() -> Running {
    start_with(PATIENCE).await
}

async fn start_with(patience: Duration) -> Running {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let metrics = Metrics::new("1", Shards::ONE);
    let shown = Arc::<Shown>::default();
    let judge = Judge::new(Scope::default(), metrics.counts(), patience);
    let tls = tls(Arc::clone(&shown)).unwrap();
    tokio::spawn(serve(listener, tls, Arc::new(judge)));
    Running {
        address,
        shown,
        metrics,
    }
}

/// What a new Secret holds.
fn contents() -> Contents {
    let service = "sluice/hook".parse::<ServiceName>().unwrap().within("");
    let now = SystemTime::UNIX_EPOCH.elapsed().unwrap();
    let mut keeper = Keeper::new(service.hosts(), Lives::default());
    keeper.decide(&[], None, now).unwrap().contents
}

/// A connection of somebody who trusts what `contents` says.
async fn connect(
    address: SocketAddr,
    host: &'static str,
    contents: &Contents,
) -> io::Result<http1::SendRequest<Full<Bytes>>> {
    let mut roots = RootCertStore::empty();
    for root in contents.bundle() {
        roots.add(root.der.clone()).unwrap();
    }
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let host = ServerName::try_from(host).unwrap();
    let stream = TcpStream::connect(address).await?;
    let stream = TlsConnector::from(Arc::new(config))
        .connect(host, stream)
        .await?;
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    Ok(sender)
}

async fn send(
    sender: &mut http1::SendRequest<Full<Bytes>>,
    method: Method,
    path: &str,
    body: String,
) -> (StatusCode, Bytes) {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::HOST, HOST)
        .body(Full::from(body))
        .unwrap();
    sender.ready().await.unwrap();
    let (head, body) = Response::into_parts(sender.send_request(request).await.unwrap());
    (head.status, body.collect().await.unwrap().to_bytes())
}

fn review(spec: &Value) -> String {
    json!({
        "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
        "request": {
            "uid": "u1", "operation": "CREATE", "namespace": "prod",
            "resource": {"group": "argoproj.io", "version": "v1alpha1", "resource": "rollouts"},
            "object": {"metadata": {"name": "shop"}, "spec": spec},
        },
    })
    .to_string()
}

#[tokio::test]
async fn reviews_are_answered_to_who_trusts_the_bundle() {
    let running = start().await;
    let contents = contents();
    running.shown.show(certified(&contents.serving).unwrap());
    let sender = &mut connect(running.address, HOST, &contents).await.unwrap();
    let (status, body) = send(sender, Method::POST, PATH, review(&json!({}))).await;
    let answer: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(status, StatusCode::OK);
    assert_eq!(answer["response"]["allowed"], false, "{answer}");
    let delete = review(&json!({})).replace("CREATE", "DELETE");
    let (_, body) = send(sender, Method::POST, "/validate?timeout=3s", delete).await;
    let answer: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(answer["response"]["allowed"], true, "{answer}");
    for (method, path, body, expected) in [
        (Method::POST, PATH, "{".to_owned(), StatusCode::BAD_REQUEST),
        (
            Method::GET,
            PATH,
            String::new(),
            StatusCode::METHOD_NOT_ALLOWED,
        ),
        (Method::POST, "/", String::new(), StatusCode::NOT_FOUND),
    ] {
        let (status, said) = send(sender, method, path, body).await;
        assert_eq!(status, expected, "{said:?}");
    }
    let sender = &mut connect(running.address, HOST, &contents).await.unwrap();
    let (status, _) = send(sender, Method::POST, PATH, " ".repeat(LARGEST + 1)).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    let text = running.metrics.render().unwrap();
    for (result, times) in [("allowed", 1), ("denied", 1), ("unreadable", 2)] {
        let line =
            format!("sluice_controller_webhook_requests_total{{result=\"{result}\"}} {times}\n");
        assert!(text.contains(&line), "{line} is not in {text}");
    }
}

#[tokio::test]
async fn another_certificate_is_shown_without_a_restart() {
    let running = start().await;
    let (first, second) = (contents(), contents());
    connect(running.address, HOST, &first).await.unwrap_err();
    running.shown.show(certified(&first.serving).unwrap());
    let open = &mut connect(running.address, HOST, &first).await.unwrap();
    connect(running.address, "hook.sluice.svc.cluster.local", &first)
        .await
        .unwrap();
    connect(running.address, HOST, &second).await.unwrap_err();
    connect(running.address, "other.sluice.svc", &first)
        .await
        .unwrap_err();
    running.shown.show(certified(&second.serving).unwrap());
    connect(running.address, HOST, &second).await.unwrap();
    connect(running.address, HOST, &first).await.unwrap_err();
    // What is open goes on.
    let (status, _) = send(open, Method::POST, PATH, review(&json!({}))).await;
    assert_eq!(status, StatusCode::OK);
}

/// Who does not speak takes a place, but not for long.
#[tokio::test]
async fn who_says_nothing_is_let_go() {
    let running = start_with(Duration::from_millis(100)).await;
    let contents = contents();
    running.shown.show(certified(&contents.serving).unwrap());
    let mut silent = Vec::new();
    for _ in 0..CONNECTIONS {
        silent.push(TcpStream::connect(running.address).await.unwrap());
    }
    connect(running.address, HOST, &contents).await.unwrap();
    for mut stream in silent {
        let ended = stream.read(&mut [0]).await;
        assert!(matches!(ended, Ok(0) | Err(_)), "{ended:?}");
    }
}
