//! A connection, in plain text or over TLS, to a client or to an endpoint.

use crate::{socket, tls::ServerStream};
use rustls::CommonState;
#[cfg(test)]
use rustls::{ProtocolVersion, pki_types::CertificateDer};
use socket2::SockRef;
use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, Interest, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::client;

/// A connection's bytes.
///
/// Of TLS two things are to be known. A write that is done may lie encrypted in memory, as the socket took no more: only
/// a flush sees it off. And a peer that ends without the closing alert makes a read fail with
/// [`io::ErrorKind::UnexpectedEof`], as somebody between may have cut what it sent.
#[derive(Debug)]
pub(crate) enum Stream {
    /// Plain text.
    Plain(TcpStream),
    /// TLS, where the other end is the client.
    Server(Box<ServerStream>),
    /// TLS, where the other end is the server.
    Client(Box<client::TlsStream<TcpStream>>),
}

impl Stream {
    /// The socket below.
    pub(crate) fn tcp(&self) -> &TcpStream {
        match self {
            Self::Plain(tcp) => tcp,
            Self::Server(tls) => tls.tcp(),
            Self::Client(tls) => tls.get_ref().0,
        }
    }

    /// Sends small writes at once (`TCP_NODELAY`). An error shows at the next use.
    #[cfg(test)]
    pub(crate) fn set_nodelay(&self) {
        let _ = self.tcp().set_nodelay(true);
    }

    /// The socket itself, or the stream as it was when TLS is spoken on it.
    #[cfg(test)]
    pub(crate) fn into_plain(self) -> Result<TcpStream, Self> {
        match self {
            Self::Plain(tcp) => Ok(tcp),
            tls @ (Self::Server(_) | Self::Client(_)) => Err(tls),
        }
    }

    /// Ends the connection so that the peer sees it broken (RST). What is not sent yet is lost.
    pub(crate) fn reset(self) {
        // Where that fails, an orderly end is the best there is.
        let _ = SockRef::from(self.tcp()).set_linger(Some(Duration::ZERO));
    }

    /// Ready when a read may find something. Where TLS may hold something back and does not tell, that is always so.
    ///
    /// # Errors
    /// What the socket says.
    pub(crate) fn poll_read_ready(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(tcp) => tcp.poll_read_ready(context),
            Self::Server(tls) => tls.poll_read_ready(context),
            Self::Client(_) => Poll::Ready(Ok(())),
        }
    }

    /// Whether the runtime has heard of nothing that could be read. It is not asked where TLS may hold something back.
    pub(crate) fn is_untouched(&self) -> bool {
        let is_ready = |tcp: &TcpStream| tcp.try_io(Interest::READABLE, || Ok(())).is_ok();
        matches!(self, Self::Plain(tcp) if !is_ready(tcp))
    }

    /// Whether TLS is spoken.
    pub(crate) fn is_tls(&self) -> bool {
        self.tls().is_some()
    }

    /// The protocol that was agreed on by ALPN (RFC 7301), such as `h2`.
    pub(crate) fn alpn(&self) -> Option<&[u8]> {
        self.tls()?.alpn_protocol()
    }

    /// The version of TLS that is spoken, as logs write it.
    #[cfg(test)]
    pub(crate) fn tls_version(&self) -> Option<&'static str> {
        match self.tls()?.protocol_version()? {
            ProtocolVersion::TLSv1_2 => Some("TLSv1.2"),
            ProtocolVersion::TLSv1_3 => Some("TLSv1.3"),
            _ => None,
        }
    }

    /// The certificate that the other end showed, and that was checked.
    #[cfg(test)]
    pub(crate) fn peer_certificate(&self) -> Option<&CertificateDer<'static>> {
        self.tls()?.peer_certificates()?.first()
    }

    /// Whom [`Self::peer_certificate`] is for (RFC 4514), such as `CN=shop,O=Example`. Reads the certificate each time:
    /// to be asked once for a connection.
    #[cfg(test)]
    pub(crate) fn peer_subject(&self) -> Option<String> {
        crate::tls::subject(self.peer_certificate()?)
    }

    fn tls(&self) -> Option<&CommonState> {
        match self {
            Self::Plain(_) => None,
            Self::Server(tls) => Some(tls.tls()),
            Self::Client(tls) => Some(tls.get_ref().1),
        }
    }
}

impl From<TcpStream> for Stream {
    fn from(tcp: TcpStream) -> Self {
        Self::Plain(tcp)
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_read(context, buffer),
            Self::Server(tls) => Pin::new(tls).poll_read(context, buffer),
            Self::Client(tls) => Pin::new(tls).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(tcp) => socket::poll_write(tcp, bytes, context),
            Self::Server(tls) => Pin::new(tls).poll_write(context, bytes),
            Self::Client(tls) => Pin::new(tls).poll_write(context, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_write_vectored(context, parts),
            Self::Server(tls) => Pin::new(tls).poll_write_vectored(context, parts),
            Self::Client(tls) => Pin::new(tls).poll_write_vectored(context, parts),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(tcp) => tcp.is_write_vectored(),
            Self::Server(tls) => tls.is_write_vectored(),
            Self::Client(tls) => tls.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_flush(context),
            Self::Server(tls) => Pin::new(tls).poll_flush(context),
            Self::Client(tls) => Pin::new(tls).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_shutdown(context),
            Self::Server(tls) => Pin::new(tls).poll_shutdown(context),
            Self::Client(tls) => Pin::new(tls).poll_shutdown(context),
        }
    }
}

#[cfg(test)]
mod tests;
