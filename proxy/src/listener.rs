//! The sockets that clients connect to.

use crate::StartError;
use socket2::{Domain, Protocol, Socket, Type};
use std::{
    io,
    net::{SocketAddr, TcpListener},
};

/// How many connections the kernel holds that no worker has accepted yet. The kernel caps it (`net.core.somaxconn`).
const BACKLOG: i32 = 4096;

/// For each of `workers` its own socket on each of `addresses`: the kernel spreads new connections over the workers
/// and no two workers wait on one queue.
pub(crate) fn bind(
    addresses: &[SocketAddr],
    workers: usize,
) -> Result<Vec<Vec<TcpListener>>, StartError> {
    let mut by_worker: Vec<Vec<TcpListener>> = (0..workers).map(|_| Vec::new()).collect();
    for &address in addresses {
        let failed = |source| StartError::Bind { address, source };
        refuse_a_taken_port(address).map_err(failed)?;
        let mut bound = address;
        for sockets in &mut by_worker {
            let listener = listen(bound).map_err(failed)?;
            // With port 0 the first socket finds the port, and the others share it.
            bound = listener.local_addr().map_err(failed)?;
            sockets.push(listener);
        }
    }
    Ok(by_worker)
}

/// Sockets with SO_REUSEPORT may share a port with those of another process of the same user, which would then take
/// part of the connections without anybody knowing. A socket without it cannot.
fn refuse_a_taken_port(address: SocketAddr) -> io::Result<()> {
    if address.port() == 0 {
        return Ok(());
    }
    let socket = socket(address)?;
    socket.bind(&address.into())
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = socket(address)?;
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

fn socket(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    // Connections of an earlier process that linger in TIME_WAIT do not keep the port.
    socket.set_reuse_address(true)?;
    Ok(socket)
}
