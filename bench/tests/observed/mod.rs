//! A proxy that forwards requests while a program that counts looks on.

use bench::{client::Client, sluice::HOST};
use h2::client::SendRequest;
use http::{Request, Version};
use std::{
    io::{BufRead as _, BufReader},
    net::SocketAddr,
    process::{Command, Stdio},
};
use tokio::{net::TcpStream, task::JoinSet};

/// Streams of the connection of HTTP/2.
const STREAMS: u64 = 8;

/// Connections of a crowd.
const CROWD: u64 = 256;

/// What a client asks for, again and again, each time when it has the answer.
#[derive(Clone, Copy, Debug)]
#[allow(dead_code, reason = "not every test has all of them")]
pub(crate) enum Load {
    /// A GET on one connection of HTTP/1.1.
    Get,
    /// A GET on each of [`CROWD`] connections of HTTP/1.1.
    Crowd,
    /// A POST of 1 KiB on one connection of HTTP/1.1.
    Post,
    /// A GET on a connection of HTTP/1.1 for each.
    Fresh,
    /// A GET on each of [`STREAMS`] streams of one connection of HTTP/2.
    Http2,
}

/// Has a proxy, that `observer` runs, forward `requests` requests of `load` to `endpoint`, and ends it. `observer` is a
/// command that runs what its further arguments name.
pub(crate) async fn forward(
    mut observer: Command,
    endpoint: SocketAddr,
    load: Load,
    requests: u64,
) {
    let endpoint = endpoint.to_string();
    let mut proxy = observer
        .arg(env!("CARGO_BIN_EXE_bench"))
        .args([
            "serve", "proxy", "--stable", &endpoint, "--canary", &endpoint,
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let output = proxy.stdout.take().unwrap();
    BufReader::new(output).read_line(&mut line).unwrap();
    let address = line.trim().parse().unwrap();
    ask(address, load, requests).await;
    // The proxy ends with its input.
    drop(proxy.stdin.take());
    assert!(proxy.wait().unwrap().success());
}

async fn ask(address: SocketAddr, load: Load, requests: u64) {
    let head = format!("/cart HTTP/1.1\r\nhost: {HOST}\r\naccept: */*\r\n");
    let get = format!("GET {head}\r\n");
    let post = format!("POST {head}content-length: 1024\r\n\r\n{:1024}", "");
    match load {
        Load::Get => keep_asking(address, &get, requests).await,
        Load::Crowd => {
            let each = requests.div_ceil(CROWD);
            let clients = (0..CROWD).map(|_| {
                let get = get.clone();
                async move { keep_asking(address, &get, each).await }
            });
            clients.collect::<JoinSet<_>>().join_all().await;
        }
        Load::Post => keep_asking(address, &post, requests).await,
        Load::Fresh => {
            for _ in 0..requests {
                keep_asking(address, &get, 1).await;
            }
        }
        Load::Http2 => ask_by_http2(address, requests).await,
    }
}

/// Sends `request` so many `times` on one connection.
async fn keep_asking(address: SocketAddr, request: &str, times: u64) {
    let mut client = Client::connect(address, request).await.unwrap();
    for _ in 0..times {
        client.exchange().await.unwrap();
    }
}

/// Sends so many `requests` on the streams of one connection.
async fn ask_by_http2(address: SocketAddr, requests: u64) {
    let stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let (send, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    let streams = (0..STREAMS).map(|_| ask_on_stream(send.clone(), requests / STREAMS));
    streams.collect::<JoinSet<_>>().join_all().await;
}

async fn ask_on_stream(mut send: SendRequest<bytes::Bytes>, times: u64) {
    let request = Request::get(format!("http://{HOST}/cart"))
        .version(Version::HTTP_2)
        .header("accept", "*/*")
        .body(())
        .unwrap();
    for _ in 0..times {
        send = send.ready().await.unwrap();
        let (response, _) = send.send_request(request.clone(), true).unwrap();
        let response = response.await.unwrap();
        assert_eq!(response.status(), 200);
        let mut body = response.into_body();
        while let Some(data) = body.data().await {
            let bytes = data.unwrap().len();
            body.flow_control().release_capacity(bytes).unwrap();
        }
    }
}
