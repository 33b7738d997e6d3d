//! The server that is forwarded to: as little work as an HTTP server can be, so that the proxy is what is measured.

use crate::requests::RequestEnds;
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

/// Answers every request on every connection of `listener` with 200 and a body of `body_bytes` bytes, on tasks of the
/// calling runtime, and counts them in `answered`. A request is answered when it is whole; its body, if any, has a
/// `Content-Length`. After a connection's first request it allocates nothing.
pub async fn serve(listener: TcpListener, body_bytes: usize, answered: Arc<AtomicU64>) {
    let mut response = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: {body_bytes}\r\n\r\n"
    )
    .into_bytes();
    response.resize(response.len() + body_bytes, b'x');
    let response: Arc<[u8]> = response.into();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let (response, answered) = (Arc::clone(&response), Arc::clone(&answered));
                tokio::spawn(answer(stream, response, answered));
            }
            // Only the connection is lost, or descriptors are; the client sees it and fails the measurement.
            Err(_) => tokio::task::yield_now().await,
        }
    }
}

/// Answers until the other side is gone.
async fn answer(mut stream: TcpStream, response: Arc<[u8]>, answered: Arc<AtomicU64>) {
    let _ = stream.set_nodelay(true);
    let mut buffer = vec![0; 16 * 1024];
    let mut ends = RequestEnds::default();
    while let Ok(read @ 1..) = stream.read(&mut buffer).await {
        for _ in 0..ends.count(&buffer[..read]) {
            if stream.write_all(&response).await.is_err() {
                return;
            }
            answered.fetch_add(1, Relaxed);
        }
    }
}
