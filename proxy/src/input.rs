//! Reading from a socket into a buffer that takes memory only while there is something in it.

use crate::{spares::Spares, stream::Stream};
use bytes::BytesMut;
use std::{
    io,
    task::{Context, Poll, ready},
};

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
    // Connections that wait would hold a buffer each, if room were made before there is something to read.
    ready!(stream.poll_read_ready(context))?;
    spares.make_room(buffer, room);
    let read = stream.poll_read_into(buffer, context);
    if read.is_pending() {
        // Of a record of TLS there may be only a part yet.
        spares.reclaim(buffer);
    }
    read
}
