//! TLS with a client, on memory that is given up as soon as nothing waits in it.
//!
//! The library's own buffers cannot be given up while a connection lies idle. Here it works on what it is passed: what has
//! been read of the socket, until there is a whole record, and what the socket did not take. Both are borrowed from the
//! worker when there is something to be kept, which for most requests there is not.

mod read;
mod seal;
mod write;

use crate::{input::HEAD_ROOM, spares::Spares};
use bytes::{Buf as _, BytesMut};
use read::{Reader, deliver};
use rustls::{
    CommonState, Error, ServerConfig,
    server::UnbufferedServerConnection,
    unbuffered::{ConnectionState, UnbufferedStatus},
};
use seal::Sealed;
use std::{
    fmt,
    future::poll_fn,
    io,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll, ready},
};
use tokio::net::TcpStream;

/// A client's connection, from the handshake on.
///
/// A write that is done may lie encrypted in `outgoing`, as the socket took no more. Nothing more is taken until the socket
/// has taken that.
pub(crate) struct ServerStream {
    tcp: TcpStream,
    tls: UnbufferedServerConnection,
    /// What has come and was not processed yet. The library knows positions in it while a message of the handshake is
    /// incomplete, so it is always shown all of it.
    incoming: BytesMut,
    /// Whether only more bytes can make something of what has come.
    is_settled: bool,
    /// What was decrypted and has no reader yet.
    decrypted: BytesMut,
    /// What is to be sent.
    outgoing: BytesMut,
    /// Whether the client has said that nothing more comes.
    has_ended: bool,
    /// Whether the client was told so.
    is_closed: bool,
    /// What broke the connection.
    broken: Option<Error>,
    spares: Rc<Spares>,
}

impl ServerStream {
    /// Has a client agree on TLS. Done when all was sent that belongs to the handshake, session tickets included.
    ///
    /// # Errors
    /// What the socket says; [`io::ErrorKind::UnexpectedEof`] when the client leaves before the end;
    /// [`io::ErrorKind::InvalidData`] with a [`rustls::Error`] when it breaks the rules, or the two cannot agree. It has been
    /// told as far as the socket took that at once.
    pub(super) async fn accept(
        config: Arc<ServerConfig>,
        tcp: TcpStream,
        spares: Rc<Spares>,
    ) -> io::Result<Self> {
        let mut stream = Self {
            tcp,
            tls: UnbufferedServerConnection::new(config).map_err(io::Error::other)?,
            incoming: BytesMut::new(),
            is_settled: true,
            decrypted: BytesMut::new(),
            outgoing: BytesMut::new(),
            has_ended: false,
            is_closed: false,
            broken: None,
            spares,
        };
        poll_fn(|context| stream.poll_handshake(context)).await?;
        Ok(stream)
    }

    /// The socket below.
    pub(crate) fn tcp(&self) -> &TcpStream {
        &self.tcp
    }

    /// What was agreed on.
    pub(crate) fn tls(&self) -> &CommonState {
        &self.tls
    }

    /// Ready when a read may find something, or would not wait for it.
    ///
    /// # Errors
    /// What the socket says.
    pub(crate) fn poll_read_ready(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.is_settled || !self.decrypted.is_empty() || self.has_ended || self.broken.is_some()
        {
            return Poll::Ready(Ok(()));
        }
        self.tcp.poll_read_ready(context)
    }

    fn poll_handshake(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            self.process(None)?;
            ready!(self.poll_send(context))?;
            if !self.tls.is_handshaking() {
                return Poll::Ready(Ok(()));
            }
            if ready!(self.poll_fill(HEAD_ROOM, context))? == 0 {
                let error = io::Error::new(io::ErrorKind::UnexpectedEof, "tls handshake eof");
                return Poll::Ready(Err(error));
            }
        }
    }

    /// Has what has come processed, as far as `reader` has room for it; all of it when nobody reads, which then is kept.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidData`] with a [`rustls::Error`] when the client breaks the rules, now or before.
    fn process(&mut self, mut reader: Option<&mut Reader<'_, '_>>) -> io::Result<()> {
        if self.is_settled && self.broken.is_none() {
            return Ok(());
        }
        let mut done = 0;
        while self.broken.is_none() && !self.is_settled {
            if reader.as_ref().is_some_and(|r| r.buffer.remaining() == 0) {
                break;
            }
            match self.process_next(&mut done, reader.as_deref_mut()) {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => self.fail(error),
            }
        }
        if self.has_ended || self.broken.is_some() || done == self.incoming.len() {
            // To be ignored after the closing alert (RFC 8446 section 6.1).
            self.incoming.clear();
        } else {
            self.incoming.advance(done);
        }
        self.spares.reclaim(&mut self.incoming);
        self.broken.clone().map_or(Ok(()), |e| Err(refusal(e)))
    }

    /// Has the library process what has come from `done` on, up to the next that concerns us, and counts it as done. Gives
    /// whether to go on.
    fn process_next(
        &mut self,
        done: &mut usize,
        reader: Option<&mut Reader<'_, '_>>,
    ) -> Result<bool, Error> {
        let UnbufferedStatus { discard, state } =
            self.tls.process_tls_records(&mut self.incoming[*done..]);
        *done += discard;
        match state? {
            ConnectionState::ReadTraffic(mut traffic) => {
                let (discard, is_taken) =
                    deliver(&mut traffic, reader, &mut self.decrypted, &self.spares)?;
                *done += discard;
                return Ok(is_taken);
            }
            ConnectionState::EncodeTlsData(mut message) => {
                let mut sealed = Sealed::new(&self.spares);
                let encoded = sealed.encode(&mut message);
                encoded.map_err(|error| Error::General(error.to_string()))?;
                self.spares.lend(&mut self.outgoing);
                self.outgoing.extend_from_slice(sealed.bytes());
            }
            // It is sent in the order in which it was written.
            ConnectionState::TransmitTlsData(written) => written.done(),
            ConnectionState::PeerClosed => self.has_ended = true,
            ConnectionState::BlockedHandshake
            | ConnectionState::WriteTraffic(_)
            | ConnectionState::Closed => self.is_settled = true,
            // Early data, which is never offered.
            other => return Err(Error::General(format!("unexpected state {other:?}"))),
        }
        Ok(true)
    }

    /// Remembers what broke the connection, and tells the client, as far as the socket takes that at once.
    fn fail(&mut self, error: Error) {
        self.broken = Some(error);
        // Not asked on until it has no more to say: it would meet the same error again.
        while self.tls.wants_write() {
            // What is to be sent comes before what has come is looked at.
            let UnbufferedStatus { state, .. } = self.tls.process_tls_records(&mut []);
            let Ok(ConnectionState::EncodeTlsData(mut message)) = state else {
                break;
            };
            let mut sealed = Sealed::new(&self.spares);
            if sealed.encode(&mut message).is_err() {
                break;
            }
            self.outgoing.extend_from_slice(sealed.bytes());
        }
        // Without asking to be woken, which is for who writes.
        while !self.outgoing.is_empty()
            && let Ok(written @ 1..) = self.tcp.try_write(&self.outgoing)
        {
            self.count_sent(written);
        }
    }
}

fn refusal(error: Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

impl fmt::Debug for ServerStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerStream").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
