//! Making connections to endpoints.

use super::{NoConnection, http1, http2};
use crate::{
    balance::{
        Permit,
        health::{Connect, local_header},
    },
    contain,
    pool::{Key, Proxied, Slot},
    proxy_protocol,
    stream::Stream,
    tls::ClientTls,
    worker::Worker,
};
use http::uri::Scheme;
use std::{io, net::SocketAddr, rc::Rc, sync::Arc, time::Duration};
use tokio::{io::AsyncWriteExt, net::TcpStream, time::timeout};
use traffic::{BackendPolicy, Failure, policy::Protocol};

/// A connection of its own for one request, as `key` says, in the place that `permit` gives.
pub(crate) async fn http1(
    worker: &Rc<Worker>,
    key: Key,
    permit: Permit,
) -> Result<Box<http1::Connection>, NoConnection> {
    let slot = Slot::new(permit, worker);
    let stream = within(worker.timeouts.connect, stream(worker, &key)).await?;
    Ok(Box::new(http1::Connection::new(key, stream, slot, worker)))
}

/// A connection with room for one more request: one that there is, or one that is made for all who wait, in a place that
/// `admit` gives.
pub(crate) async fn http2(
    worker: &Rc<Worker>,
    key: Key,
    admit: impl Fn() -> Option<Permit>,
) -> Result<Rc<http2::Connection>, NoConnection> {
    loop {
        if let Some(connection) = worker.pool.shared(&key) {
            return Ok(connection);
        }
        // Or each request of a burst would make a connection of its own.
        if let Some(unsettled) = worker.pool.unsettled(&key) {
            let settled = timeout(worker.timeouts.connect, unsettled.settled()).await;
            settled.map_err(|_| Failure::ConnectTimeout)?;
            continue;
        }
        let making = match worker.pool.connecting(&key) {
            Ok(connecting) => {
                connecting.wait().await?;
                continue;
            }
            Err(making) => making,
        };
        worker.pool.forget_closed(&key);
        let made = match admit() {
            Some(permit) => {
                let slot = Slot::new(permit, worker);
                within(worker.timeouts.connect, handshake(worker, &key, slot)).await
            }
            None => Err(Failure::Overload.into()),
        };
        match made {
            Ok(connection) => {
                worker.pool.share(key, Rc::clone(&connection));
                drop(making);
                return Ok(connection);
            }
            Err(failure) => {
                making.fail(failure);
                return Err(failure);
            }
        }
    }
}

async fn within<T>(
    limit: Duration,
    work: impl Future<Output = Result<T, NoConnection>>,
) -> Result<T, NoConnection> {
    timeout(limit, work)
        .await
        .unwrap_or(Err(Failure::ConnectTimeout.into()))
}

/// A connection to `key.address`, with the PROXY header and under TLS where `key` says so.
async fn stream(worker: &Worker, key: &Key) -> Result<Stream, NoConnection> {
    let address = key.address;
    let mut tcp = TcpStream::connect(address)
        .await
        .map_err(|error| failed(address, &error))?;
    // Without it a small write waits for the acknowledgement of the one before. An error shows at the next use.
    let _ = tcp.set_nodelay(true);
    let Some(flavor) = &key.flavor else {
        return Ok(Stream::Plain(tcp));
    };
    if let Some(proxied) = flavor.proxied {
        tell(&mut tcp, proxied)
            .await
            .map_err(|error| failed(address, &error))?;
    }
    let Some(tls) = &flavor.tls else {
        return Ok(Stream::Plain(tcp));
    };
    let client = worker.tls.client();
    let secured = client
        .connect(tls, flavor.protocol, tcp, address.ip())
        .await;
    secured.map_err(|error| {
        tracing::debug!(%address, %error, "could not agree on TLS with an endpoint");
        Failure::Connect.into()
    })
}

/// Says whom the connection is for.
async fn tell(tcp: &mut TcpStream, proxied: Proxied) -> io::Result<()> {
    let mut header = Vec::new();
    proxy_protocol::write(
        proxied.version,
        proxied.source,
        proxied.destination,
        &mut header,
    );
    tcp.write_all(&header).await
}

fn failed(address: SocketAddr, error: &io::Error) -> NoConnection {
    tracing::debug!(%address, %error, "could not connect to an endpoint");
    if is_exhausted(error) {
        return NoConnection::Exhausted;
    }
    NoConnection::Version(match error.kind() {
        io::ErrorKind::TimedOut => Failure::ConnectTimeout,
        _ => Failure::Connect,
    })
}

/// Whether it is this process, or its system, that has nothing left: no port, no descriptor (EMFILE, ENFILE), no memory
/// (ENOBUFS, ENOMEM).
fn is_exhausted(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let exhausted = [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM];
    error.kind() == io::ErrorKind::AddrNotAvailable
        || Errno::from_io_error(error).is_some_and(|errno| exhausted.contains(&errno))
}

/// Makes the connections of health checks.
#[derive(Debug)]
pub(crate) struct Secured(pub(crate) Arc<ClientTls>);

impl Connect for Secured {
    type Stream = Stream;

    async fn connect(&self, address: SocketAddr, policy: &BackendPolicy) -> io::Result<Stream> {
        let mut tcp = TcpStream::connect(address).await?;
        if let Some(version) = policy.proxy_protocol {
            tcp.write_all(local_header(version)).await?;
        }
        let Some(tls) = &policy.tls else {
            return Ok(Stream::Plain(tcp));
        };
        let secured = self
            .0
            .connect(tls, policy.protocol, tcp, address.ip())
            .await;
        secured.map_err(io::Error::other)
    }
}

async fn handshake(
    worker: &Rc<Worker>,
    key: &Key,
    slot: Slot,
) -> Result<Rc<http2::Connection>, NoConnection> {
    let stream = stream(worker, key).await?;
    let is_tls = stream.is_tls();
    let shaken = worker.http2_client.handshake(stream).await;
    let (sender, connection) = shaken.map_err(|error| {
        tracing::debug!(%error, "an endpoint does not speak HTTP/2");
        Failure::Connect
    })?;
    debug_assert!(
        key.flavor
            .as_ref()
            .is_some_and(|flavor| flavor.protocol == Protocol::Http2)
    );
    let driven = Rc::new(http2::Driven::default());
    let drive = Rc::clone(&driven);
    contain::spawn(worker, "a connection to an endpoint", move || {
        drive.drive(connection)
    });
    let scheme = if is_tls { Scheme::HTTPS } else { Scheme::HTTP };
    Ok(Rc::new(http2::Connection::new(
        sender, scheme, driven, slot,
    )))
}
