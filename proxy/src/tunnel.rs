//! Connections that stopped speaking HTTP, such as WebSockets: bytes pass both ways until one side ends.

use crate::{
    account::Account,
    balance::Permit,
    client::Ask,
    drains::Draining,
    headers::{self, Upgrade},
    pool::Slot,
    response::ResponseBody,
    send::{Answered, Attempt, NoAnswer},
    stream::Stream,
    upstream::Exchange,
    watch::{Phase, Watch},
};
use bytes::Bytes;
use http::Response;
use std::{
    cell::Cell,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf, copy_bidirectional},
    time::{Instant, sleep_until},
};
use traffic::Failure;

/// Makes the tunnel ready that begins when the client has got this answer.
pub(crate) fn prepare(
    ask: &Ask,
    answered: Answered,
    asked: Option<&Upgrade>,
) -> Result<Response<ResponseBody>, NoAnswer> {
    let Answered {
        mut exchange,
        attempt,
        permit,
    } = answered;
    let mut head = exchange.take_answer().parts;
    // An endpoint may change the protocol only when it was asked to (RFC 9110 section 15.2.2).
    let agreed = headers::upgrade(&head.headers).filter(|_| asked.is_some());
    let protocol = agreed.ok_or(NoAnswer::Version(Failure::Protocol))?;
    let Exchange::Http1(connection) = exchange else {
        return Err(NoAnswer::Version(Failure::Protocol));
    };
    let (stream, read, slot) = connection.into_io();
    ask.watch.enter(Phase::Transfer);
    headers::remove_hop_by_hop(&mut head.headers);
    protocol.set(&mut head.headers);
    attempt.succeeded(ask.client.worker.turn.elapsed());
    let tunnel = Tunnel {
        stream,
        read,
        drain: None,
        tally: Tally::default(),
        _held: Held {
            slot,
            permit,
            attempt,
        },
        _route_permit: None,
    };
    Ok(Response::from_parts(head, ResponseBody::tunnel(tunnel)))
}

/// An endpoint's side of a tunnel that is about to begin.
#[derive(Debug)]
pub(crate) struct Tunnel {
    /// The connection.
    pub(crate) stream: Stream,
    /// What has come on it after the answer that began the tunnel.
    pub(crate) read: Bytes,
    /// Set when the tunnel ends some time after its version has lost its weight.
    pub(crate) drain: Option<Draining>,
    tally: Tally,
    _held: Held,
    _route_permit: Option<traffic::Permit>,
}

/// What a tunnel has of its Service while it lasts: as much as a request that goes on.
#[derive(Debug)]
#[expect(dead_code, reason = "held to be dropped")]
struct Held {
    slot: Slot,
    permit: Option<Permit>,
    attempt: Attempt,
}

/// Bytes that have passed, written down when this is dropped.
#[derive(Debug, Default)]
struct Tally {
    account: Option<Box<Account>>,
    from_client: Cell<u64>,
    to_client: Cell<u64>,
}

impl Drop for Tally {
    fn drop(&mut self) {
        if let Some(account) = &mut self.account {
            account.sent(self.to_client.get());
            account.ended(self.from_client.get(), None);
        }
    }
}

impl Tunnel {
    /// Has it written down in `account`, and hold the place that its route has given it.
    pub(crate) fn keep(&mut self, account: Option<Box<Account>>, permit: Option<traffic::Permit>) {
        self.tally.account = account;
        self._route_permit = permit;
    }

    /// Passes bytes both ways until both sides have ended, one fails, nothing has moved for as long as `watch` lets it, or
    /// its version has lost its weight. `sent` is what the client sent before the tunnel began.
    pub(crate) async fn run(mut self, mut client: Stream, sent: Bytes, watch: &Watch) {
        let moved = Cell::new(Instant::now());
        let pass = async {
            let Tally {
                from_client,
                to_client,
                ..
            } = &self.tally;
            let (mut client, mut endpoint) = (
                Noticed::new(&mut client, &moved, to_client),
                Noticed::new(&mut self.stream, &moved, from_client),
            );
            endpoint.write_all(&sent).await?;
            endpoint.flush().await?;
            client.write_all(&self.read).await?;
            client.flush().await?;
            copy_bidirectional(&mut client, &mut endpoint).await
        };
        let stalled = async {
            let idle = watch.limits().idle;
            loop {
                let deadline = moved.get() + idle;
                if deadline <= Instant::now() {
                    return;
                }
                sleep_until(deadline).await;
            }
        };
        let drained = async {
            match &self.drain {
                Some(drain) => drain.told.notified().await,
                None => std::future::pending().await,
            }
            sleep_until(watch.until().unwrap_or_else(Instant::now)).await;
        };
        tokio::select! {
            ended = pass => if let Err(error) = ended {
                tracing::debug!(%error, "a tunnel broke off");
            },
            () = stalled => tracing::debug!("a tunnel lay idle for too long"),
            () = drained => tracing::debug!("a tunnel's version has lost its weight"),
        }
    }
}

/// A stream that writes down when bytes moved on it, and how many were written.
struct Noticed<'a> {
    stream: &'a mut Stream,
    moved: &'a Cell<Instant>,
    written: &'a Cell<u64>,
}

impl<'a> Noticed<'a> {
    fn new(stream: &'a mut Stream, moved: &'a Cell<Instant>, written: &'a Cell<u64>) -> Self {
        Self {
            stream,
            moved,
            written,
        }
    }
}

impl AsyncRead for Noticed<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut *self.stream).poll_read(context, buffer))?;
        self.moved.set(Instant::now());
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Noticed<'_> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut *self.stream).poll_write(context, bytes))?;
        self.moved.set(Instant::now());
        self.written.set(self.written.get() + written as u64);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.stream).poll_shutdown(context)
    }
}
