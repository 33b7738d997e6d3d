//! A plain TCP relay: the floor under what any proxy on this runtime can cost. It reads no HTTP, splits nothing and
//! counts nothing.

use std::net::SocketAddr;
use tokio::{
    io::copy_bidirectional_with_sizes,
    net::{TcpListener, TcpStream},
};

/// Connects every connection of `listener` with one of its own to `upstream`.
pub async fn serve(listener: TcpListener, upstream: SocketAddr) {
    loop {
        match listener.accept().await {
            Ok((client, _)) => drop(tokio::spawn(relay(client, upstream))),
            Err(_) => tokio::task::yield_now().await,
        }
    }
}

async fn relay(mut client: TcpStream, upstream: SocketAddr) {
    /// As large as the proxy's grow, so that a large body takes no more system calls than there.
    const BUFFER_BYTES: usize = 128 * 1024;
    let Ok(mut server) = TcpStream::connect(upstream).await else {
        return;
    };
    let _ = client.set_nodelay(true);
    let _ = server.set_nodelay(true);
    // However the connection ends, both sides of it end with this task.
    let _ =
        copy_bidirectional_with_sizes(&mut client, &mut server, BUFFER_BYTES, BUFFER_BYTES).await;
}
