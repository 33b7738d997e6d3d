//! One request after the other to one contender, as the case says it.

use super::case::{Case, PATH, Transport};
use crate::{client::Client, sluice::HOST};
use anyhow::{Context as _, ensure};
use bytes::Bytes;
use h2::client::SendRequest;
use http::{Request, Version};
use std::net::SocketAddr;
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream, rustls::pki_types::ServerName};

/// How a contender is reached.
#[derive(Clone)]
pub(crate) struct Dialer {
    pub(crate) address: SocketAddr,
    pub(crate) case: Case,
    pub(crate) tls: TlsConnector,
}

/// A place for one request at a time.
pub(crate) enum Lane {
    /// A connection of its own for each request.
    Fresh { dialer: Dialer, request: String },
    /// A connection that is kept.
    Kept(Wire),
    /// A stream of a connection that lanes share.
    Http2(Box<Stream>),
}

/// A connection of HTTP/1.1.
pub(crate) enum Wire {
    Plain(Client),
    Tls(Box<Client<TlsStream<TcpStream>>>),
}

/// A lane's part of a connection of HTTP/2.
pub(crate) struct Stream {
    connection: SendRequest<Bytes>,
    request: Request<()>,
    upload: Option<Bytes>,
    body: usize,
}

impl Dialer {
    /// All lanes of the case, connected where they keep a connection.
    pub(crate) async fn lanes(&self) -> anyhow::Result<Vec<Lane>> {
        let mut lanes = Vec::new();
        for connection in 0..self.case.connections {
            if self.case.transport == Transport::Http2 {
                lanes.extend(self.streams(connection).await?);
            } else if self.case.is_kept {
                let wire = self.connect(&self.case.request(connection)).await?;
                lanes.push(Lane::Kept(wire));
            } else {
                lanes.push(Lane::Fresh {
                    dialer: self.clone(),
                    request: self.case.request(connection),
                });
            }
        }
        Ok(lanes)
    }

    async fn connect(&self, request: &str) -> anyhow::Result<Wire> {
        if self.case.transport == Transport::Http1 {
            return Ok(Wire::Plain(Client::connect(self.address, request).await?));
        }
        let name = ServerName::try_from(HOST)?;
        let stream = self.tls.connect(name, self.tcp().await?).await;
        let stream = stream.with_context(|| format!("no TLS with {}", self.address))?;
        Ok(Wire::Tls(Box::new(Client::over(stream, request))))
    }

    async fn tcp(&self) -> anyhow::Result<TcpStream> {
        let stream = TcpStream::connect(self.address).await;
        let stream = stream.with_context(|| format!("cannot connect to {}", self.address))?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    /// The lanes of one connection of HTTP/2.
    async fn streams(&self, connection: usize) -> anyhow::Result<Vec<Lane>> {
        let (send, driver) = h2::client::handshake(self.tcp().await?).await?;
        // It ends with the last of its lanes; what goes wrong with it fails their requests.
        tokio::spawn(driver);
        let lanes = (0..self.case.streams).map(|lane| {
            let method = if self.case.upload.is_some() {
                "POST"
            } else {
                "GET"
            };
            let mut request = Request::builder()
                .version(Version::HTTP_2)
                .method(method)
                .uri(format!("http://{HOST}{PATH}"));
            for (name, value) in self.case.headers(connection * self.case.streams + lane) {
                request = request.header(name, value);
            }
            Ok(Lane::Http2(Box::new(Stream {
                connection: send.clone(),
                request: request.body(())?,
                upload: self.case.upload.map(|bytes| vec![b'x'; bytes].into()),
                body: self.case.body,
            })))
        });
        lanes.collect()
    }
}

impl Lane {
    /// Sends the request and reads its response to the end.
    ///
    /// # Errors
    /// When the response is anything but a whole 200.
    pub(crate) async fn exchange(&mut self) -> anyhow::Result<()> {
        match self {
            Self::Fresh { dialer, request } => dialer.connect(request).await?.exchange().await,
            Self::Kept(wire) => wire.exchange().await,
            Self::Http2(stream) => stream.exchange().await,
        }
    }
}

impl Wire {
    async fn exchange(&mut self) -> anyhow::Result<()> {
        match self {
            Self::Plain(client) => client.exchange().await,
            Self::Tls(client) => client.exchange().await,
        }
    }
}

impl Stream {
    async fn exchange(&mut self) -> anyhow::Result<()> {
        let mut connection = self.connection.clone().ready().await?;
        let (response, mut body) =
            connection.send_request(self.request.clone(), self.upload.is_none())?;
        if let Some(upload) = &self.upload {
            body.send_data(upload.clone(), true)?;
        }
        let response = response.await?;
        ensure!(
            response.status() == 200,
            "expected a 200, got a {}",
            response.status()
        );
        let (mut body, mut read) = (response.into_body(), 0);
        while let Some(data) = body.data().await {
            let bytes = data?.len();
            body.flow_control().release_capacity(bytes)?;
            read += bytes;
        }
        let expected = self.body;
        ensure!(read == expected, "expected {expected} bytes, got {read}");
        Ok(())
    }
}
