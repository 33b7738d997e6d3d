//! The server that is forwarded to: as little work as an HTTP server can be, so that the proxy is what is measured.

use std::sync::Arc;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

/// Answers every request on every connection of `listener` with 200 and a body of `body_bytes` bytes, on tasks of the
/// calling runtime. Reads requests without a body only. After a connection's first request it allocates nothing.
pub async fn serve(listener: TcpListener, body_bytes: usize) {
    let mut response = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: {body_bytes}\r\n\r\n"
    )
    .into_bytes();
    response.resize(response.len() + body_bytes, b'x');
    let response: Arc<[u8]> = response.into();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => drop(tokio::spawn(answer(stream, Arc::clone(&response)))),
            // Only the connection is lost, or descriptors are; the client sees it and fails the measurement.
            Err(_) => tokio::task::yield_now().await,
        }
    }
}

/// Answers until the other side is gone.
async fn answer(mut stream: TcpStream, response: Arc<[u8]>) {
    let _ = stream.set_nodelay(true);
    let mut buffer = vec![0; 16 * 1024];
    let mut ends = HeadEnds::default();
    while let Ok(read @ 1..) = stream.read(&mut buffer).await {
        for _ in 0..ends.count(&buffer[..read]) {
            if stream.write_all(&response).await.is_err() {
                return;
            }
        }
    }
}

/// Counts the ends of heads in a stream, wherever it is cut.
#[derive(Debug, Default)]
pub(crate) struct HeadEnds {
    /// How much of the end has been seen.
    matched: usize,
}

impl HeadEnds {
    /// How many heads end in `bytes`, which come next.
    pub(crate) fn count(&mut self, bytes: &[u8]) -> usize {
        const END: &[u8; 4] = b"\r\n\r\n";
        let mut ends = 0;
        for &byte in bytes {
            if byte == END[self.matched] {
                self.matched += 1;
            } else {
                self.matched = usize::from(byte == END[0]);
            }
            if self.matched == END.len() {
                self.matched = 0;
                ends += 1;
            }
        }
        ends
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_counted_wherever_the_stream_is_cut() {
        let stream = b"GET / HTTP/1.1\r\nhost: a\r\n\r\nGET / HTTP/1.1\r\n\r\n\r\r\n\r\n";
        for cut in 0..=stream.len() {
            let (before, after) = stream.split_at(cut);
            let mut ends = HeadEnds::default();
            assert_eq!(ends.count(before) + ends.count(after), 3, "cut at {cut}");
        }
    }
}
