//! Tells that a client has gone of whom more waits to be read than is read for now.
//!
//! A read tells of a connection's end only when everything before it was read. The kernel tells of it at once, but the
//! runtime passes that on to a task only after a read that found nothing. So it is asked through a second descriptor of
//! the same socket: what is known of that one may be forgotten without a byte being read, which on the first would lose
//! sight of the bytes that wait.

use std::{
    fmt,
    future::Future,
    io, net,
    os::fd::AsFd,
    pin::Pin,
    task::{Context, Poll},
};
use tokio::{io::Interest, net::TcpStream};

/// A second descriptor of a client's socket, which nothing is read from. The connection stays open as long as it is.
pub(super) struct Hangup(Pin<Box<dyn Future<Output = ()>>>);

impl Hangup {
    /// Of the connection `tcp`.
    ///
    /// # Errors
    /// That the process has no descriptor left.
    pub(super) fn of(tcp: &TcpStream) -> io::Result<Self> {
        let second = tcp.as_fd().try_clone_to_owned()?;
        let second = TcpStream::from_std(net::TcpStream::from(second))?;
        Ok(Self(Box::pin(ended(second))))
    }

    /// Ready when the client has ended its side of the connection, or has reset it.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        self.0.as_mut().poll(context)
    }
}

impl fmt::Debug for Hangup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hangup").finish_non_exhaustive()
    }
}

async fn ended(socket: TcpStream) {
    // An error is that of a runtime that ends.
    while let Ok(seen) = socket.ready(Interest::READABLE).await
        && !seen.is_read_closed()
    {
        // Forgets the bytes that wait, so that only what comes after them is told.
        let found_none = || Err::<(), _>(io::ErrorKind::WouldBlock.into());
        let _ = socket.try_io(Interest::READABLE, found_none);
    }
}
