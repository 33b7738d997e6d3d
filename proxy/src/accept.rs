//! How connections come to a worker: from its sockets, and from other workers.

use crate::{
    client::serve,
    contain,
    spread::{Inbox, Load, Passed},
    worker::{Gate, Worker},
};
use std::{future::poll_fn, io, net::SocketAddr, pin::pin, rc::Rc, task::Poll, time::Duration};
use tokio::{
    net::{TcpListener, TcpStream},
    task::yield_now,
    time::sleep,
};

/// How long accepting rests when the process has no file descriptor left, or another resource. Trying again at once
/// would keep the core busy with failing.
const ACCEPT_REST: Duration = Duration::from_millis(50);

/// Accepts connections until draining begins, and then those that wait already.
pub(crate) async fn accept(worker: Rc<Worker>, gate: Rc<Gate>, listener: TcpListener) {
    let mut is_failing = false;
    let mut drain = pin!(worker.drain.notified());
    while !worker.is_draining() {
        let accepted = tokio::select! {
            accepted = poll_fn(|context| listener.poll_accept(context)) => accepted,
            () = &mut drain => break,
        };
        match accepted {
            Ok((stream, peer)) => {
                is_failing = false;
                place(&worker, &gate, stream, peer);
            }
            Err(error) if is_the_connections(&error) => {}
            Err(error) => {
                worker.counters().accept_failures.count();
                if !std::mem::replace(&mut is_failing, true) {
                    tracing::warn!(%error, "cannot accept connections; trying again until it works");
                }
                sleep(ACCEPT_REST).await;
            }
        }
    }
    // Lets the runtime look for connections that have arrived meanwhile.
    yield_now().await;
    while let Poll::Ready(Ok((stream, peer))) =
        poll_fn(|context| Poll::Ready(listener.poll_accept(context))).await
    {
        begin(&worker, &gate, stream, peer, worker.keep());
    }
}

/// Serves what other workers pass on until draining begins, and then what they have passed on already.
pub(crate) async fn receive(worker: Rc<Worker>, mut inbox: Inbox) {
    while !worker.is_draining() {
        tokio::select! {
            Some(passed) = inbox.next() => take(&worker, passed),
            () = worker.drain.notified() => break,
        }
    }
    // Whoever would pass one on from now on serves it itself.
    inbox.close();
    while let Some(passed) = inbox.next().await {
        take(&worker, passed);
    }
}

/// Serves an accepted connection here, or passes it on to a worker that has fewer.
fn place(worker: &Rc<Worker>, gate: &Rc<Gate>, stream: TcpStream, peer: SocketAddr) {
    let load = worker.place();
    if worker.is(load.worker()) {
        return begin(worker, gate, stream, peer, load);
    }
    // The socket leaves this worker's epoll, for the other's.
    let Ok(stream) = stream.into_std() else {
        return worker.counters().accept_failures.count();
    };
    let passed = Passed {
        stream,
        peer,
        listener: gate.index,
        load,
    };
    match worker.spread.pass(passed) {
        Ok(()) => worker.counters().passed.count(),
        Err(back) => {
            let load = worker.keep();
            take(worker, Passed { load, ..back });
        }
    }
}

/// Serves a connection that was passed on to this worker, or that came back from one which takes none.
fn take(worker: &Rc<Worker>, passed: Passed) {
    match (
        worker.gate(passed.listener),
        TcpStream::from_std(passed.stream),
    ) {
        (Some(gate), Ok(stream)) => begin(worker, gate, stream, passed.peer, passed.load),
        _ => worker.counters().accept_failures.count(),
    }
}

/// Begins to serve a connection, if there is room for it.
fn begin(worker: &Rc<Worker>, gate: &Rc<Gate>, stream: TcpStream, peer: SocketAddr, load: Load) {
    if worker.has_room() {
        let (open, gate) = (worker.open(load), Rc::clone(gate));
        contain::spawn(worker, "a connection", move || {
            serve(open, gate, stream, peer)
        });
    } else {
        worker.counters().accepted.count();
        worker.counters().closed.count();
        worker.counters().refused.count();
    }
}

/// Whether only the connection that was to be accepted is lost.
fn is_the_connections(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
    )
}
