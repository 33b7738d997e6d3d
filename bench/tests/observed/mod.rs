//! A proxy that forwards requests while a program that counts looks on.

use bench::{client::Client, sluice::HOST};
use std::{
    io::{BufRead as _, BufReader},
    net::SocketAddr,
    process::{Command, Stdio},
};

/// Has a proxy, that `observer` runs, forward `requests` requests of one client to `endpoint`, and ends it. `observer` is a
/// command that runs what its further arguments name.
pub(crate) async fn forward(mut observer: Command, endpoint: SocketAddr, requests: u64) {
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
    let request = format!("GET /cart HTTP/1.1\r\nhost: {HOST}\r\naccept: */*\r\n\r\n");
    let mut client = Client::connect(address, &request).await.unwrap();
    for _ in 0..requests {
        client.exchange().await.unwrap();
    }
    // The proxy ends with its input.
    drop(proxy.stdin.take());
    assert!(proxy.wait().unwrap().success());
}
