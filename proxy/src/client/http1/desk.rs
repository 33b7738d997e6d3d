//! Where requests are answered: what a request takes of memory while it is under way, which goes from one of the worker's
//! connections to the next.
//!
//! Were it a part of each connection's task, an idle connection would take more than twice the memory, and hundreds of
//! connections that take turns would have all of that in the caches in turns. The place that was given back last is the next
//! to be taken, so that there are as many in the caches as there are requests at the same time.

use super::{Next, serve_one};
use crate::{
    client::{Client, http1::Io},
    watch::Watch,
};
use std::{
    cell::{Cell, RefCell},
    convert::Infallible,
    fmt,
    future::poll_fn,
    pin::{Pin, pin},
    rc::Rc,
    task::{Context, Poll},
};

/// The most that are kept while nobody uses them: with some 2,500 bytes each, a megabyte.
const KEPT: usize = 512;

/// A request to be read and answered.
pub(super) struct Job {
    pub(super) client: Rc<Client>,
    pub(super) io: Rc<Io>,
    pub(super) watch: Rc<Watch>,
    /// Whether the connection ends with it.
    pub(super) is_last: bool,
}

/// A place where one request at a time is answered. Dropped in the middle of one, it gives that up.
pub(super) struct Desk {
    tray: Rc<Tray>,
    /// Does what lies in the tray, one job after the other. It never ends, so that its memory is there for the next.
    clerk: Pin<Box<dyn Future<Output = Infallible>>>,
}

#[derive(Default)]
struct Tray {
    job: Cell<Option<Job>>,
    done: Cell<Option<Next>>,
}

impl Desk {
    fn new() -> Self {
        let tray = Rc::new(Tray::default());
        let of_clerk = Rc::clone(&tray);
        let clerk = Box::pin(async move {
            loop {
                let job = poll_fn(|_| of_clerk.job.take().map_or(Poll::Pending, Poll::Ready));
                let job = job.await;
                // Pinned, as what is awaited by value is moved first, whole.
                let next = pin!(serve_one(&job)).await;
                drop(job);
                of_clerk.done.set(Some(next));
            }
        });
        Self { tray, clerk }
    }

    /// Waits for what follows the request.
    pub(super) async fn done(&mut self) -> Next {
        poll_fn(|context| self.poll_done(context)).await
    }

    fn poll_done(&mut self, context: &mut Context<'_>) -> Poll<Next> {
        if let Poll::Ready(never) = self.clerk.as_mut().poll(context) {
            match never {}
        }
        self.tray.done.take().map_or(Poll::Pending, Poll::Ready)
    }
}

/// A worker's desks that nobody uses.
#[derive(Default)]
pub(crate) struct Desks(RefCell<Vec<Desk>>);

impl Desks {
    /// A desk at which `job` is done.
    pub(super) fn take(&self, job: Job) -> Desk {
        let desk = self.0.borrow_mut().pop().unwrap_or_else(Desk::new);
        desk.tray.job.set(Some(job));
        desk
    }

    /// Keeps a desk whose job is done for the next.
    pub(super) fn put(&self, desk: Desk) {
        let mut desks = self.0.borrow_mut();
        if desks.len() < KEPT {
            desks.push(desk);
        }
    }
}

impl fmt::Debug for Desks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Desks")
            .field(&self.0.borrow().len())
            .finish()
    }
}
