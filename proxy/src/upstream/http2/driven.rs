//! What the task that drives a connection tells those who use it.

use bytes::Bytes;
use h2::client::Connection;
use std::{cell::Cell, future::poll_fn, pin::Pin, rc::Rc};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::Notify,
};

/// How many requests the library takes for allowed before the endpoint has said how many are. It is more than an endpoint
/// can say, and another number than "as many as you like" becomes: as long as it stands, nothing was said.
pub(crate) const UNSAID: usize = usize::MAX - 1;

/// How a connection is.
#[derive(Debug, Default)]
pub(crate) struct Driven {
    is_closed: Cell<bool>,
    is_settled: Cell<bool>,
    settled: Notify,
}

impl Driven {
    /// Drives `connection` to its end.
    pub(crate) async fn drive<T>(self: Rc<Self>, mut connection: Connection<T, Bytes>)
    where
        T: AsyncRead + AsyncWrite + Unpin,
    {
        let closing = CloseAtEnd(self);
        let driven = &closing.0;
        let ended = poll_fn(|context| {
            let polled = Pin::new(&mut connection).poll(context);
            if !driven.is_settled() && connection.max_concurrent_send_streams() != UNSAID {
                driven.settle();
            }
            polled
        });
        if let Err(error) = ended.await {
            tracing::debug!(%error, "an HTTP/2 connection to an endpoint broke off");
        }
    }

    /// Whether it carries no more requests.
    pub(crate) fn is_closed(&self) -> bool {
        self.is_closed.get()
    }

    /// Whether the endpoint has said how many requests it takes at the same time (SETTINGS).
    pub(crate) fn is_settled(&self) -> bool {
        self.is_settled.get()
    }

    /// Waits until it has, or never will.
    pub(crate) async fn settled(&self) {
        if !self.is_settled() {
            self.settled.notified().await;
        }
    }

    /// Notes that it carries no more requests.
    pub(crate) fn close(&self) {
        self.is_closed.set(true);
        self.settle();
    }

    fn settle(&self) {
        self.is_settled.set(true);
        self.settled.notify_waiters();
    }
}

/// Closes the connection to further requests when it is dropped, however that comes about.
struct CloseAtEnd(Rc<Driven>);

impl Drop for CloseAtEnd {
    fn drop(&mut self) {
        self.0.close();
    }
}
