//! The client that sends the load: one keep-alive connection, one request after the other.

use anyhow::{Context as _, ensure};
use std::net::SocketAddr;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpStream,
};

/// The largest response head that is understood.
const HEAD_BYTES: usize = 16 * 1024;

/// A connection that is kept.
#[derive(Debug)]
pub struct Client<S = TcpStream> {
    stream: S,
    request: Box<[u8]>,
    buffer: Box<[u8]>,
}

impl Client {
    /// Connects to `address`, to send `request` on it again and again.
    ///
    /// # Errors
    /// When there is nobody.
    pub async fn connect(address: SocketAddr, request: &str) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address)
            .await
            .with_context(|| format!("cannot connect to {address}"))?;
        stream.set_nodelay(true)?;
        Ok(Self::over(stream, request))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    /// A client that sends `request` on `stream` again and again.
    pub fn over(stream: S, request: &str) -> Self {
        Self {
            stream,
            request: request.as_bytes().into(),
            buffer: vec![0; 64 * 1024].into(),
        }
    }

    /// Sends the request and reads its response to the end. Allocates nothing.
    ///
    /// # Errors
    /// When the response is anything but a 200 with a `Content-Length`, or is not whole: a measurement of refused
    /// requests would be worth nothing.
    pub async fn exchange(&mut self) -> anyhow::Result<()> {
        let status = self.ask().await?;
        ensure!(status == 200, "expected a 200, got a {status}");
        Ok(())
    }

    /// Sends the request, reads its response to the end, and tells its status. Allocates nothing.
    ///
    /// # Errors
    /// When the response has no `Content-Length` or is not whole.
    pub async fn ask(&mut self) -> anyhow::Result<u16> {
        self.stream.write_all(&self.request).await?;
        // Of use where the stream encrypts and holds back what is not flushed.
        self.stream.flush().await?;
        let mut read = 0;
        let (head, status, body) = loop {
            let n = self.stream.read(&mut self.buffer[read..]).await?;
            ensure!(n > 0, "the connection ended before the response's head");
            // The end may have come in two parts.
            let from = read.saturating_sub(3);
            read += n;
            if let Some(end) = head_end(&self.buffer[from..read]) {
                let head = from + end;
                let (status, body) = status_and_length(&self.buffer[..head])?;
                break (head, status, body);
            }
            ensure!(
                read < HEAD_BYTES,
                "the response's head is larger than {HEAD_BYTES} bytes"
            );
        };
        let mut left = (head + body)
            .checked_sub(read)
            .context("more came than the response")?;
        while left > 0 {
            let most = left.min(self.buffer.len());
            let n = self.stream.read(&mut self.buffer[..most]).await?;
            ensure!(
                n > 0,
                "the connection ended {left} bytes before the response did"
            );
            left -= n;
        }
        Ok(status)
    }
}

/// Where the body begins.
fn head_end(bytes: &[u8]) -> Option<usize> {
    bytes
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .map(|at| at + 4)
}

fn status_and_length(head: &[u8]) -> anyhow::Result<(u16, usize)> {
    let head = std::str::from_utf8(head).context("the response's head is not UTF-8")?;
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap_or_default();
    let code = status
        .strip_prefix("HTTP/1.1 ")
        .and_then(|rest| rest.get(..3)?.parse().ok())
        .with_context(|| format!("the response begins with {status:?}"))?;
    let length = lines
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let (_, length) = length.context("the response has no Content-Length")?;
    let length = length
        .trim()
        .parse()
        .with_context(|| format!("Content-Length is {length}"))?;
    Ok((code, length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_tells_the_status_and_how_much_follows() {
        for (head, expected) in [
            (
                "HTTP/1.1 200 OK\r\nDate: x\r\nContent-Length: 12\r\n\r\n",
                Some((200, 12)),
            ),
            (
                "HTTP/1.1 502 Bad Gateway\r\ncontent-length:0\r\n\r\n",
                Some((502, 0)),
            ),
            ("HTTP/1.1 20\r\ncontent-length: 12\r\n\r\n", None),
            ("HTTP/1.1 200 OK\r\n\r\n", None),
            ("HTTP/1.1 200 OK\r\ncontent-length: many\r\n\r\n", None),
        ] {
            let found = status_and_length(head.as_bytes()).ok();
            assert_eq!(found, expected, "{head}");
        }
    }

    #[test]
    fn a_body_begins_after_the_empty_line() {
        assert_eq!(head_end(b"a\r\n\r\nb"), Some(5));
        assert_eq!(head_end(b"a\r\n\r"), None);
    }
}
