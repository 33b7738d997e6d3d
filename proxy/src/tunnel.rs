//! Connections that stopped speaking HTTP, such as WebSockets: bytes pass both ways until one side ends.

use crate::{
    client::Ask,
    drains::Draining,
    headers::{self, Upgrade},
    pool::Slot,
    response::ResponseBody,
    send::{Answered, NoAnswer},
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
        exchange, answer, ..
    } = answered;
    let mut head = answer.parts;
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
    let tunnel = Tunnel {
        stream,
        read,
        drain: None,
        _slot: slot,
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
    _slot: Slot,
}

impl Tunnel {
    /// Passes bytes both ways until both sides have ended, one fails, nothing has moved for as long as `watch` lets it, or
    /// its version has lost its weight. `sent` is what the client sent before the tunnel began.
    pub(crate) async fn run(mut self, mut client: Stream, sent: Bytes, watch: &Watch) {
        let moved = Cell::new(Instant::now());
        let pass = async {
            let (mut client, mut endpoint) = (
                Noticed::new(&mut client, &moved),
                Noticed::new(&mut self.stream, &moved),
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

/// A stream that writes down when bytes moved on it.
struct Noticed<'a> {
    stream: &'a mut Stream,
    moved: &'a Cell<Instant>,
}

impl<'a> Noticed<'a> {
    fn new(stream: &'a mut Stream, moved: &'a Cell<Instant>) -> Self {
        Self { stream, moved }
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
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.stream).poll_shutdown(context)
    }
}
