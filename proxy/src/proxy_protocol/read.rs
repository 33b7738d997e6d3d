//! Reading a header from a socket, and not a byte more: what follows may be TLS, which wants to read for itself.

use super::{Header, parse};
use std::io;
use tokio::{io::AsyncReadExt, net::TcpStream};

/// Bytes that are looked at in one go; nearly all headers are shorter.
const LOOK: usize = 256;

/// Takes the header from the beginning of a connection. The caller limits the time.
///
/// # Errors
/// What the socket says; [`io::ErrorKind::UnexpectedEof`] when it ends within the header;
/// [`io::ErrorKind::InvalidData`] with a [`Fault`](super::Fault) when there is no header.
pub(crate) async fn read_header(stream: &mut TcpStream) -> io::Result<Header> {
    let mut held = Vec::with_capacity(LOOK);
    loop {
        let before = held.len();
        held.resize(before + LOOK, 0);
        let seen = stream.peek(&mut held[before..]).await?;
        if seen == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        held.truncate(before + seen);
        let parsed =
            parse(&held).map_err(|fault| io::Error::new(io::ErrorKind::InvalidData, fault))?;
        // As long as the header is not whole, all that was seen belongs to it. To leave it in the socket would mean to
        // see it again at once, forever.
        let end = parsed.map_or(held.len(), |(_, length)| length);
        stream.read_exact(&mut held[before..end]).await?;
        if let Some((header, _)) = parsed {
            return Ok(header);
        }
    }
}
