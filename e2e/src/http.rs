//! One HTTP request to one address, as probes and tests send it.

use anyhow::{Context as _, Result};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::{Request, Response, client::conn::http1, header::HOST};
use hyper_util::rt::TokioIo;
use std::net::SocketAddr;
use tokio::net::TcpStream;

/// Gets `path` from `address` over a connection of its own, and reads the whole answer.
///
/// # Errors
/// When nobody answers there, or not in HTTP/1.
pub async fn get(address: SocketAddr, path: &str) -> Result<Response<Bytes>> {
    get_of(address, &address.to_string(), path).await
}

/// As [`get`], of the host `host`.
///
/// # Errors
/// As with [`get`].
pub async fn get_of(address: SocketAddr, host: &str, path: &str) -> Result<Response<Bytes>> {
    let stream = TcpStream::connect(address).await;
    let stream = stream.with_context(|| address.to_string())?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let request = Request::get(path)
        .header(HOST, host)
        .body(Empty::<Bytes>::new())?;
    // Both are driven by this task. The sender goes with the exchange, which lets the connection end.
    let exchange = async move {
        let (head, body) = sender.send_request(request).await?.into_parts();
        let body = body.collect().await?.to_bytes();
        hyper::Result::Ok(Response::from_parts(head, body))
    };
    let (answer, _) = tokio::join!(exchange, connection);
    answer.with_context(|| address.to_string())
}
