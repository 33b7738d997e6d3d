//! One check of one endpoint.

use crate::http1::{HeadLimits, HeadReader};
use bytes::BytesMut;
use http::{HeaderMap, Method, Request, StatusCode, Uri, header::HOST, header::USER_AGENT};
use std::io;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use traffic::{
    BackendPolicy,
    policy::{Protocol, ProxyProtocol},
};

/// Who asks.
const AGENT: &str = concat!("sluice-health/", env!("CARGO_PKG_VERSION"));

/// What the head of an answer may be.
const LIMITS: HeadLimits = HeadLimits {
    head_bytes: 16 * 1024,
    headers: 128,
    uri_bytes: 0,
};

/// The PROXY protocol header of a connection that the proxy makes for itself (`doc/proxy-protocol.txt` of HAProxy,
/// section 2.1 `UNKNOWN`, section 2.2 `LOCAL`).
pub(crate) const fn local_header(version: ProxyProtocol) -> &'static [u8] {
    match version {
        ProxyProtocol::V1 => b"PROXY UNKNOWN\r\n",
        ProxyProtocol::V2 => b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0",
    }
}

/// Asks the endpoint at the other end of `stream` for `path` and gives the status of its answer.
///
/// # Errors
/// When the connection breaks, or what comes is no HTTP.
pub(super) async fn ask(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    host: &str,
    path: &str,
    policy: &BackendPolicy,
) -> io::Result<u16> {
    match policy.protocol {
        Protocol::Http1 => ask_http1(stream, host, path).await,
        Protocol::Http2 => {
            let scheme = if policy.tls.is_some() {
                "https"
            } else {
                "http"
            };
            ask_http2(stream, scheme, host, path).await
        }
    }
}

async fn ask_http1(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    host: &str,
    path: &str,
) -> io::Result<u16> {
    let request = format!(
        "GET {path} HTTP/1.1\r\n{HOST}: {host}\r\n{USER_AGENT}: {AGENT}\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await?;
    stream.flush().await?;
    let (mut received, mut reader, mut head) = (BytesMut::new(), HeadReader::default(), None);
    loop {
        let method = &Method::GET;
        let read = reader.response(
            &mut received,
            &LIMITS,
            method,
            false,
            HeaderMap::new,
            &mut head,
        );
        read.map_err(|fault| invalid(fault.as_str()))?;
        match head.take().map(|head| head.parts.status) {
            Some(status) if status.is_informational() => continue,
            Some(status) => return Ok(status.as_u16()),
            None if stream.read_buf(&mut received).await? > 0 => {}
            None => return Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

async fn ask_http2(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    scheme: &str,
    host: &str,
    path: &str,
) -> io::Result<u16> {
    let uri = Uri::builder().scheme(scheme).authority(host);
    let uri = uri.path_and_query(path).build().map_err(invalid)?;
    let request = Request::get(uri).header(USER_AGENT, AGENT).body(());
    let request = request.map_err(invalid)?;
    let (sender, connection) = h2::client::handshake(stream)
        .await
        .map_err(io::Error::other)?;
    let exchange = async {
        let mut sender = sender.ready().await?;
        let (response, _) = sender.send_request(request, true)?;
        Ok::<StatusCode, h2::Error>(response.await?.status())
    };
    tokio::select! {
        status = exchange => Ok(status.map_err(io::Error::other)?.as_u16()),
        ended = connection => {
            ended.map_err(io::Error::other)?;
            Err(io::ErrorKind::UnexpectedEof.into())
        }
    }
}

fn invalid(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::duplex;

    fn run<T>(future: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        runtime.unwrap().block_on(future)
    }

    /// What is made of `answer`, and what was asked.
    fn ask_who_answers(answer: &[u8]) -> (io::Result<u16>, String) {
        run(async {
            let (near, mut far) = duplex(64 * 1024);
            far.write_all(answer).await.unwrap();
            far.shutdown().await.unwrap();
            let status = ask(near, "shop.example", "/up?x=1", &BackendPolicy::default()).await;
            let mut asked = String::new();
            far.read_to_string(&mut asked).await.unwrap();
            (status, asked)
        })
    }

    #[test]
    fn the_status_is_that_of_the_final_answer() {
        let long = format!(
            "HTTP/1.1 200 OK\r\nx: {}\r\n\r\n",
            "y".repeat(LIMITS.head_bytes)
        );
        for (answer, expected) in [
            ("HTTP/1.1 200 OK\r\n\r\n", Some(200)),
            ("HTTP/1.0 503 Busy\r\ncontent-length: 9\r\n\r\n", Some(503)),
            (
                "HTTP/1.1 103 Early Hints\r\nlink: a\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
                Some(204),
            ),
            ("HTTP/1.1 200 OK\r\n", None),
            ("SSH-2.0-OpenSSH\r\n", None),
            ("", None),
            (&long, None),
        ] {
            let (status, asked) = ask_who_answers(answer.as_bytes());
            assert_eq!(status.ok(), expected, "{answer:.40}");
            let head = "GET /up?x=1 HTTP/1.1\r\nhost: shop.example\r\nuser-agent: sluice-health/";
            assert!(asked.starts_with(head), "{asked}");
            assert!(asked.ends_with("\r\nconnection: close\r\n\r\n"), "{asked}");
        }
    }

    #[test]
    fn http2_is_spoken_to_backends_that_say_so() {
        let policy = BackendPolicy {
            protocol: Protocol::Http2,
            ..BackendPolicy::default()
        };
        let (status, path) = run(async {
            let (near, far) = duplex(64 * 1024);
            let serve = async {
                let mut connection = h2::server::handshake(far).await.unwrap();
                let (request, mut respond) = connection.accept().await.unwrap().unwrap();
                let response = http::Response::builder().status(404).body(()).unwrap();
                respond.send_response(response, true).unwrap();
                let path = request.uri().to_string();
                while connection.accept().await.is_some() {}
                path
            };
            tokio::join!(ask(near, "shop.example", "/up", &policy), serve)
        });
        assert_eq!(status.unwrap(), 404);
        assert_eq!(path, "http://shop.example/up");
    }

    #[test]
    fn the_proxy_speaks_for_itself() {
        assert_eq!(local_header(ProxyProtocol::V1), b"PROXY UNKNOWN\r\n");
        let v2 = local_header(ProxyProtocol::V2);
        assert_eq!(v2.len(), 16);
        assert_eq!(v2[12..], [0x20, 0, 0, 0], "version 2, LOCAL, no addresses");
    }
}
