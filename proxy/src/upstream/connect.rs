//! Making connections to endpoints.

use super::{http1, http2};
use crate::{
    pool::{Flavor, Key},
    stream::Stream,
    worker::Worker,
};
use http::uri::Scheme;
use std::{cell::Cell, io, rc::Rc, time::Duration};
use tokio::{net::TcpStream, task::spawn_local, time::timeout};
use traffic::Failure;

/// A connection of its own for one request, as `key` says.
pub(crate) async fn http1(worker: &Worker, key: Key) -> Result<Box<http1::Connection>, Failure> {
    let stream = within(worker.timeouts.connect, stream(&key)).await?;
    Ok(Box::new(http1::Connection::new(key, stream, worker)))
}

/// A connection with room for one more request: one that there is, or one that is made for all who wait.
pub(crate) async fn http2(worker: &Worker, key: Key) -> Result<Rc<http2::Connection>, Failure> {
    loop {
        if let Some(connection) = worker.pool.shared(&key) {
            return Ok(connection);
        }
        let making = match worker.pool.connecting(&key) {
            Ok(connecting) => {
                connecting.wait().await?;
                continue;
            }
            Err(making) => making,
        };
        let made = within(worker.timeouts.connect, handshake(worker, &key)).await;
        match made {
            Ok(connection) => {
                worker.pool.share(key, Rc::clone(&connection));
                making.end(None);
                return Ok(connection);
            }
            Err(failure) => {
                making.end(Some(failure));
                return Err(failure);
            }
        }
    }
}

async fn within<T>(
    limit: Duration,
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    timeout(limit, work)
        .await
        .unwrap_or(Err(Failure::ConnectTimeout))
}

async fn stream(key: &Key) -> Result<Stream, Failure> {
    let address = key.address;
    let stream = TcpStream::connect(address).await.map_err(|error| {
        tracing::debug!(%address, %error, "could not connect to an endpoint");
        match error.kind() {
            io::ErrorKind::TimedOut => Failure::ConnectTimeout,
            _ => Failure::Connect,
        }
    })?;
    // Without it a small write waits for the acknowledgement of the one before. An error shows at the next use.
    let _ = stream.set_nodelay(true);
    Ok(Stream::Plain(stream))
}

async fn handshake(worker: &Worker, key: &Key) -> Result<Rc<http2::Connection>, Failure> {
    let stream = stream(key).await?;
    let shaken = worker.http2_client.handshake(stream).await;
    let (sender, connection) = shaken.map_err(|error| {
        tracing::debug!(%error, "an endpoint does not speak HTTP/2");
        Failure::Connect
    })?;
    let is_closed = Rc::new(Cell::new(false));
    let closed = Rc::clone(&is_closed);
    spawn_local(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "an HTTP/2 connection to an endpoint broke off");
        }
        closed.set(true);
    });
    let is_tls = key
        .flavor
        .as_deref()
        .is_some_and(|flavor: &Flavor| flavor.tls.is_some());
    let scheme = if is_tls { Scheme::HTTPS } else { Scheme::HTTP };
    Ok(Rc::new(http2::Connection::new(sender, scheme, is_closed)))
}
