//! A client's connection that speaks HTTP/2.

mod answer;
mod open;
mod room;

pub(crate) use answer::Job;
pub(crate) use room::Purse;

use super::{Client, end};
use crate::{
    contain,
    http2::{Broken, Handle, Session},
    input::{BODY_ROOM, HEAD_ROOM, poll_read},
    stream::Stream,
    worker::Worker,
};
use answer::answer;
use bytes::BytesMut;
use open::Open;
use room::Room;
use std::{
    cell::RefCell,
    future::{Future, poll_fn},
    pin::pin,
    rc::Rc,
    task::{Context, Poll},
    time::Duration,
};
use tokio::time::{Instant, sleep_until};

/// How many times a connection is read before others have their turn.
const READS: usize = 4;

/// How long a client may take, with nothing under way, to agree that its connection ends. It is asked by a PING, which
/// it may leave unanswered. Less where a connection may not even lie idle for so long.
const FAREWELL: Duration = Duration::from_secs(2);

/// How a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    /// In order, or by the client.
    Done,
    /// By a fault of the client's, who may still be sending.
    Unread,
}

/// What there is to be read after what was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Read {
    /// Nothing yet.
    All,
    /// Perhaps more, when others had their turn.
    More,
    /// Perhaps more, when the client has taken some of what waits for it.
    HeldUp,
    /// Nothing any more.
    Closed,
}

/// Serves the connection to its end. `input` is what has been read of it.
pub(crate) async fn serve(client: Rc<Client>, stream: Stream, input: BytesMut) {
    let worker = Rc::clone(&client.worker);
    worker.turn.begin();
    let mut driver = Driver::new(client, stream, input);
    let ended = drive(&worker, &mut driver).await;
    driver.session.borrow_mut().break_off(None);
    end(driver.stream, ended == Ended::Unread).await;
}

/// Drives the connection until it ends, lies idle for too long, or has to end for draining.
async fn drive(worker: &Worker, driver: &mut Driver) -> Ended {
    let mut alarm = pin!(sleep_until(driver.deadline()));
    let mut drain = pin!(worker.drain.notified());
    let mut waits = false;
    poll_fn(|context| {
        worker.turn.begin();
        // Polled once, for its waker, which stays this task's; what it is woken for is looked up.
        if !std::mem::replace(&mut waits, true) {
            let _ = drain.as_mut().poll(context);
        }
        if let Poll::Ready(ended) = driver.turn(context) {
            return Poll::Ready(ended);
        }
        let deadline = driver.deadline();
        if alarm.is_elapsed() || deadline < alarm.deadline() {
            alarm.as_mut().reset(deadline);
        }
        if alarm.as_mut().poll(context).is_ready() {
            context.waker().wake_by_ref();
        }
        Poll::Pending
    })
    .await
}

/// Reads and writes a connection, and begins a task for each request.
struct Driver {
    client: Rc<Client>,
    stream: Stream,
    input: BytesMut,
    session: Rc<RefCell<Session>>,
    open: Rc<Open>,
    room: Room,
    began: Instant,
    /// Requests so far.
    served: u64,
    /// Whether the client was told that it ends.
    is_ending: bool,
}

impl Driver {
    fn new(client: Rc<Client>, stream: Stream, input: BytesMut) -> Self {
        let worker = &client.worker;
        let session = Session::new(
            worker.limits.http2,
            worker.limits.head_bytes,
            Rc::clone(&worker.spares),
            worker.turn.elapsed(),
        );
        let window = worker.limits.http2.connection_window;
        Self {
            stream,
            input,
            session: Rc::new(RefCell::new(session)),
            open: Rc::new(Open::new(&worker.turn)),
            room: Room::new(window, Rc::clone(&worker.purse)),
            began: worker.turn.now(),
            served: 0,
            is_ending: false,
            client,
        }
    }

    /// Until when the client has to do something, if nothing is under way.
    fn deadline(&self) -> Instant {
        let timeouts = &self.client.worker.timeouts;
        if !self.session.borrow().has_begun() {
            return self.began + timeouts.request_header;
        }
        self.open.deadline(match self.is_ending {
            false => timeouts.keep_alive,
            true => FAREWELL.min(timeouts.keep_alive),
        })
    }

    /// Does what there is to do.
    fn turn(&mut self, context: &mut Context<'_>) -> Poll<Ended> {
        self.session.borrow_mut().begin_turn(context);
        // Answers go out before more is asked for.
        if self.flush(context).is_err() {
            return Poll::Ready(Ended::Done);
        }
        let read = match self.read(context) {
            Ok(Read::Closed) => return Poll::Ready(Ended::Done),
            Ok(read) => read,
            Err(broken) => {
                self.session.borrow_mut().break_off(Some(broken));
                let _ = self.flush(context);
                return Poll::Ready(Ended::Unread);
            }
        };
        self.end_in_time();
        if self.flush(context).is_err() {
            return Poll::Ready(Ended::Done);
        }
        let mut session = self.session.borrow_mut();
        let is_late = self.deadline_has_passed(&session);
        if (session.is_over() && session.is_flushed()) || is_late {
            return Poll::Ready(Ended::Done);
        }
        session.end_turn();
        if read == Read::More || (read == Read::HeldUp && session.may_read()) {
            context.waker().wake_by_ref();
        }
        if self.input.is_empty() {
            // An idle connection keeps no memory.
            self.client.worker.spares.reclaim(&mut self.input);
            session.rest();
        }
        Poll::Pending
    }

    /// Whether a client that was told of the end, or has not begun, has had its time.
    fn deadline_has_passed(&self, session: &Session) -> bool {
        let worker = &self.client.worker;
        if session.has_begun() {
            let patience = FAREWELL.min(worker.timeouts.keep_alive);
            self.is_ending && self.open.deadline(patience) <= worker.turn.now()
        } else {
            self.began + worker.timeouts.request_header <= worker.turn.now()
        }
    }

    /// Tells the client of the end when it is time.
    fn end_in_time(&mut self) {
        let worker = &self.client.worker;
        let limit = worker.limits.requests_per_connection;
        let is_idle = self.open.deadline(worker.timeouts.keep_alive) <= worker.turn.now();
        let must_end =
            worker.is_draining() || is_idle || limit.is_some_and(|most| self.served >= most);
        if must_end && !self.is_ending {
            self.is_ending = true;
            self.open.touch();
            self.session.borrow_mut().end_in_order();
        }
    }

    /// Writes what waits, as far as the socket takes it.
    fn flush(&mut self, context: &mut Context<'_>) -> std::io::Result<()> {
        let mut session = self.session.borrow_mut();
        match session.poll_flush(&mut self.stream, context) {
            Poll::Ready(written) => written,
            Poll::Pending => Ok(()),
        }
    }

    /// Reads what has come.
    fn read(&mut self, context: &mut Context<'_>) -> Result<Read, Broken> {
        let worker = Rc::clone(&self.client.worker);
        for _ in 0..READS {
            let (now, text) = (worker.turn.elapsed(), &mut worker.text.borrow_mut());
            let needed = self
                .session
                .borrow_mut()
                .receive(&mut self.input, text, now)?;
            self.accept();
            self.resize();
            if !self.session.borrow().may_read() {
                return Ok(Read::HeldUp);
            }
            let room = if needed > HEAD_ROOM {
                BODY_ROOM
            } else {
                HEAD_ROOM
            };
            let (stream, input) = (&mut self.stream, &mut self.input);
            match poll_read(stream, input, room, &worker.spares, context) {
                Poll::Ready(Ok(read)) if read > 0 => {}
                Poll::Ready(_) => return Ok(Read::Closed),
                Poll::Pending => return Ok(Read::All),
            }
        }
        Ok(Read::More)
    }

    /// Begins a task for each request that has come.
    fn accept(&mut self) {
        loop {
            let Some(arrived) = self.session.borrow_mut().accept() else {
                return;
            };
            self.served += 1;
            let job = Job {
                client: Rc::clone(&self.client),
                handle: Rc::new(Handle::new(&self.session, arrived.stream)),
                arrived,
                _open: self.open.begin(),
            };
            contain::spawn(&self.client.worker, "a request", move || answer(job));
        }
    }

    /// Gives bodies that stall room beside them, and takes it back.
    fn resize(&mut self) {
        let mut session = self.session.borrow_mut();
        let (came, held) = session.bodies();
        let may_grow = !self.client.worker.is_short_of_memory();
        if let Some(size) = self.room.resize(came, held, may_grow) {
            session.set_target(size);
        }
    }
}
