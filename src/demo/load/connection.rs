//! Keep-alive HTTP/1.1 connections of the demo's load.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};

use axum::body::Bytes;
use axum::http::{HeaderMap, Request, header};
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::demo::app::VERSION_HEADER;

type Sender = SendRequest<Empty<Bytes>>;

/// An answer that was read to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    /// The status code.
    pub(crate) status: u16,
    /// The version that answered, when it was the app and not the proxy.
    pub(crate) version: Option<String>,
}

/// Connections to one address: idle ones wait here, and a new one is opened when none does.
#[derive(Debug)]
pub(crate) struct Connections {
    target: SocketAddr,
    host: String,
    idle: Mutex<VecDeque<Sender>>,
}

impl Connections {
    /// No connection yet.
    pub(crate) fn new(target: SocketAddr) -> Self {
        Self {
            target,
            host: target.to_string(),
            idle: Mutex::default(),
        }
    }

    /// Sends one `GET /` and reads the whole answer; nothing when that did not succeed.
    pub(crate) async fn request(&self) -> Option<Answer> {
        while let Some(mut sender) = self.take_idle() {
            if sender.ready().await.is_err() {
                continue;
            }
            match sender.try_send_request(self.get()).await {
                Ok(response) => return self.finish(sender, response).await,
                // As any client does: another connection, if the server closed this one before it saw the request.
                Err(mut error) => {
                    error.take_message()?;
                }
            }
        }
        let mut sender = self.connect().await?;
        let response = sender.send_request(self.get()).await.ok()?;
        self.finish(sender, response).await
    }

    async fn finish(
        &self,
        sender: Sender,
        response: hyper::Response<hyper::body::Incoming>,
    ) -> Option<Answer> {
        let status = response.status().as_u16();
        let version = version(response.headers());
        response.into_body().collect().await.ok()?;
        self.lock().push_back(sender);
        Some(Answer { status, version })
    }

    async fn connect(&self) -> Option<Sender> {
        let stream = TcpStream::connect(self.target).await.ok()?;
        stream.set_nodelay(true).ok()?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await.ok()?;
        // Ends when the server closes or the sender is dropped; its error reaches the request that it broke.
        tokio::spawn(connection);
        Some(sender)
    }

    fn get(&self) -> Request<Empty<Bytes>> {
        let mut request = Request::new(Empty::new());
        if let Ok(host) = self.host.parse() {
            request.headers_mut().insert(header::HOST, host);
        }
        request
    }

    fn take_idle(&self) -> Option<Sender> {
        self.lock().pop_front()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, VecDeque<Sender>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn version(headers: &HeaderMap) -> Option<String> {
    Some(headers.get(VERSION_HEADER)?.to_str().ok()?.to_owned())
}
