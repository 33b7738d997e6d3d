//! Reading from a socket into a buffer that takes memory only while there is something in it.

use crate::{socket, spares::Spares, stream::Stream};
use bytes::{BufMut as _, BytesMut};
use std::{
    future::Future,
    io,
    pin::pin,
    task::{Context, Poll, ready},
};
use tokio::{io::AsyncReadExt as _, net::TcpStream};

/// Room for a usual head, in bytes.
pub(crate) const HEAD_ROOM: usize = 4 * 1024;

/// Room for a part of a body, in bytes: what the kernel is asked for at once.
pub(crate) const BODY_ROOM: usize = 64 * 1024;

/// Reads what is there, at most some `room` bytes, behind what `buffer` holds. Gives the number of bytes; 0 at the end
/// of the stream.
///
/// # Errors
/// What the socket says.
pub(crate) fn poll_read(
    stream: &mut Stream,
    buffer: &mut BytesMut,
    room: usize,
    spares: &Spares,
    context: &mut Context<'_>,
) -> Poll<io::Result<usize>> {
    if let Stream::Plain(tcp) = stream {
        return poll_socket(tcp, buffer, room, spares, context);
    }
    // Connections that wait would hold a buffer each, if room were made before there is something to read.
    ready!(stream.poll_read_ready(context))?;
    spares.make_room(buffer, room);
    let read = pin!(stream.read_buf(buffer)).poll(context);
    if read.is_pending() {
        // Of a record of TLS there may be only a part yet.
        spares.reclaim(buffer);
    }
    read
}

/// As [`poll_read`], and never more than `room` bytes.
pub(crate) fn poll_socket(
    tcp: &TcpStream,
    buffer: &mut BytesMut,
    room: usize,
    spares: &Spares,
    context: &mut Context<'_>,
) -> Poll<io::Result<usize>> {
    if room > HEAD_ROOM {
        ready!(tcp.poll_read_ready(context))?;
        spares.make_room(buffer, room);
        let read = socket::poll_read(tcp, &mut (&mut *buffer).limit(room), context);
        if read.is_pending() {
            spares.reclaim(buffer);
        }
        return read;
    }
    // By way of memory that is at hand at any time, so that none is made ready before there is something to read. To copy so little
    // costs less.
    let mut scratch = spares.scratch(room);
    let received = ready!(socket::poll_receive(tcp, &mut scratch[..room], context))?;
    if received > 0 {
        spares.make_room(buffer, room);
        buffer.extend_from_slice(&scratch[..received]);
    }
    Poll::Ready(Ok(received))
}
