//! Reading from and writing to a socket, with as few system calls as may be.
//!
//! The calls are made without the C library where one is made for each request: of a program with threads, its `recv` and
//! `send` tell the thread before and after each call that it may be cancelled, by locked operations that take more than a
//! twentieth of a small request's time outside the kernel.

use bytes::BufMut;
use rustix::net::{RecvFlags, SendFlags, recv, send};
use std::{
    io,
    task::{Context, Poll, ready},
};
use tokio::{io::Interest, net::TcpStream, task::coop::poll_proceed};

/// Reads into the free memory of `buffer`, when there is something to be read. Gives the number of bytes; 0 at the end of the
/// stream.
///
/// # Errors
/// What the socket says.
pub(crate) fn poll_read(
    tcp: &TcpStream,
    buffer: &mut impl BufMut,
    context: &mut Context<'_>,
) -> Poll<io::Result<usize>> {
    poll(tcp, Interest::READABLE, context, || {
        let room = buffer.chunk_mut().len();
        (tcp.try_read_buf(buffer), room)
    })
}

/// Reads into `memory`, when there is something to be read. Gives the number of bytes; 0 at the end of the stream.
///
/// # Errors
/// What the socket says.
pub(crate) fn poll_receive(
    tcp: &TcpStream,
    memory: &mut [u8],
    context: &mut Context<'_>,
) -> Poll<io::Result<usize>> {
    poll(tcp, Interest::READABLE, context, || {
        let received = tcp.try_io(Interest::READABLE, || {
            let (_, length) = recv(tcp, &mut *memory, RecvFlags::empty())?;
            Ok(length)
        });
        (received, memory.len())
    })
}

/// Writes `bytes`, or the first of them. Gives how many.
///
/// # Errors
/// What the socket says.
pub(crate) fn poll_write(
    tcp: &TcpStream,
    bytes: &[u8],
    context: &mut Context<'_>,
) -> Poll<io::Result<usize>> {
    poll(tcp, Interest::WRITABLE, context, || {
        let sent = tcp.try_io(Interest::WRITABLE, || {
            Ok(send(tcp, bytes, SendFlags::NOSIGNAL)?)
        });
        (sent, bytes.len())
    })
}

/// Does what `attempt` does, which gives how much it did, and how much it would have done. Readiness is asked for only when
/// that would have to wait: the library's own ways ask for it twice, and before there is memory to read into. As there, a task
/// that has read or written often enough lets others go on first.
fn poll(
    tcp: &TcpStream,
    interest: Interest,
    context: &mut Context<'_>,
    mut attempt: impl FnMut() -> (io::Result<usize>, usize),
) -> Poll<io::Result<usize>> {
    let turn = ready!(poll_proceed(context));
    loop {
        match attempt() {
            (Err(error), _) if error.kind() == io::ErrorKind::WouldBlock => {
                ready!(match interest {
                    Interest::READABLE => tcp.poll_read_ready(context),
                    _ => tcp.poll_write_ready(context),
                })?;
            }
            (done, wanted) => {
                turn.made_progress();
                if matches!(done, Ok(done) if (1..wanted).contains(&done)) {
                    forget(tcp, interest);
                }
                return Poll::Ready(done);
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
