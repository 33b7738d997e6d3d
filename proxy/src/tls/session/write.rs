//! Writing to a socket.

use super::{ServerStream, refusal, seal::Sealed};
use crate::socket;
use bytes::Buf as _;
use rustls::unbuffered::{ConnectionState, UnbufferedStatus};
use std::{
    io::{self, IoSlice},
    mem::replace,
    pin::Pin,
    task::{Context, Poll, ready},
};
use tokio::io::AsyncWrite;

impl ServerStream {
    /// Sends what is to be sent.
    ///
    /// # Errors
    /// What the socket says; `WriteZero` when it takes nothing.
    pub(super) fn poll_send(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.outgoing.is_empty() {
            let written = ready!(socket::poll_write(&self.tcp, &self.outgoing, context))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.count_sent(written);
        }
        Poll::Ready(Ok(()))
    }

    pub(super) fn count_sent(&mut self, written: usize) {
        if written == self.outgoing.len() {
            // A buffer that is advanced to its end has no room left that is known of.
            self.outgoing.clear();
            self.spares.reclaim(&mut self.outgoing);
        } else {
            self.outgoing.advance(written);
        }
    }

    /// Encrypts `parts` and sends them. Keeps what the socket does not take at once.
    fn write(&mut self, parts: &[IoSlice<'_>], context: &mut Context<'_>) -> io::Result<usize> {
        if self.is_closed {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        self.process(None)?;
        let mut sealed = Sealed::new(&self.spares);
        let UnbufferedStatus { state, .. } = self.tls.process_tls_records(&mut self.incoming);
        let Ok(ConnectionState::WriteTraffic(mut traffic)) = state else {
            return Err(io::ErrorKind::BrokenPipe.into());
        };
        let taken = sealed.encrypt(&mut traffic, parts, &self.spares);
        if taken.is_err() {
            // The library may have an alert to send.
            self.is_settled = false;
        }
        let mut unsent = sealed.bytes();
        if self.outgoing.is_empty()
            && let Poll::Ready(sent) = socket::poll_write(&self.tcp, unsent, context)
        {
            unsent = &unsent[sent?..];
        }
        if !unsent.is_empty() {
            self.spares.lend(&mut self.outgoing);
            self.outgoing.extend_from_slice(unsent);
        }
        taken
    }

    /// Leaves the alert that nothing more comes to be sent, once. After an error another alert has said so.
    fn close(&mut self) {
        if replace(&mut self.is_closed, true) || self.process(None).is_err() {
            return;
        }
        let mut sealed = Sealed::new(&self.spares);
        let UnbufferedStatus { state, .. } = self.tls.process_tls_records(&mut self.incoming);
        if let Ok(ConnectionState::WriteTraffic(mut traffic)) = state
            && sealed.close(&mut traffic).is_ok()
        {
            self.outgoing.extend_from_slice(sealed.bytes());
        }
    }
}

impl AsyncWrite for ServerStream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(context, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let stream = self.get_mut();
        if parts.iter().all(|part| part.is_empty()) {
            return Poll::Ready(Ok(0));
        }
        ready!(stream.poll_send(context))?;
        Poll::Ready(stream.write(parts, context))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let stream = self.get_mut();
        ready!(stream.poll_send(context))?;
        Poll::Ready(stream.broken.clone().map_or(Ok(()), |e| Err(refusal(e))))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let stream = self.get_mut();
        stream.close();
        ready!(stream.poll_send(context))?;
        match ready!(Pin::new(&mut stream.tcp).poll_shutdown(context)) {
            // The client has gone already.
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Poll::Ready(Ok(())),
            done => Poll::Ready(done),
        }
    }
}
