//! Reading from and writing to a socket, with as few system calls as may be.

use bytes::BufMut;
use std::{
    io,
    task::{Context, Poll, ready},
};
use tokio::{io::Interest, net::TcpStream, task::coop::poll_proceed};

/// Reads into the free memory of `buffer`, when there is something to be read. Readiness is asked for once: the library's
/// way of reading asks for it twice, and before there is memory to read into. As there, a task that has read often enough
/// lets others go on first. Gives the number of bytes; 0 at the end of the stream.
///
/// # Errors
/// What the socket says.
pub(crate) fn poll_read(
    tcp: &TcpStream,
    buffer: &mut impl BufMut,
    context: &mut Context<'_>,
) -> Poll<io::Result<usize>> {
    let turn = ready!(poll_proceed(context));
    loop {
        let room = buffer.chunk_mut().len();
        match tcp.try_read_buf(buffer) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                ready!(tcp.poll_read_ready(context))?;
            }
            read => {
                turn.made_progress();
                if matches!(read, Ok(read) if (1..room).contains(&read)) {
                    forget(tcp, Interest::READABLE);
                }
                return Poll::Ready(read);
            }
        }
    }
}

/// Writes to `tcp`, and asks for readiness only when it takes nothing. A task that has written often enough lets others go on
/// first.
///
/// # Errors
/// What the socket says.
pub(crate) fn poll_write(
    tcp: &TcpStream,
    bytes: &[u8],
    context: &mut Context<'_>,
) -> Poll<io::Result<usize>> {
    let turn = ready!(poll_proceed(context));
    loop {
        match tcp.try_write(bytes) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                ready!(tcp.poll_write_ready(context))?;
            }
            written => {
                turn.made_progress();
                if matches!(written, Ok(written) if written < bytes.len()) {
                    forget(tcp, Interest::WRITABLE);
                }
                return Poll::Ready(written);
            }
        }
    }
}

/// Has the runtime take `tcp` for not ready, as less was done than asked for: the socket would say so itself, at the price of
/// a system call. What comes from now on the kernel tells again, and nothing that it told is lost, as a worker's runtime is of
/// one thread.
fn forget(tcp: &TcpStream, interest: Interest) {
    let _ = tcp.try_io(interest, || Err::<(), _>(io::ErrorKind::WouldBlock.into()));
}
