//! Where requests are answered: what a request takes of memory while it is under way, which goes from one of the worker's
//! connections to the next.
//!
//! Were it a part of each connection's task, an idle connection would take more than twice the memory, and hundreds of
//! connections that take turns would have all of that in the caches in turns. The place that was given back last is the next
//! to be taken, so that there are as many in the caches as there are requests at the same time.

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

/// A place where one request at a time, a `Job`, is answered. Dropped in the middle of one, it gives that up.
pub(crate) struct Desk<Job, Done> {
    tray: Rc<Tray<Job, Done>>,
    /// Does what lies in the tray, one job after the other. It never ends, so that its memory is there for the next.
    clerk: Pin<Box<dyn Future<Output = Infallible>>>,
}

struct Tray<Job, Done> {
    job: Cell<Option<Job>>,
    done: Cell<Option<Done>>,
}

impl<Job: 'static, Done: 'static> Desk<Job, Done> {
    /// A desk at which jobs are done by `serve`.
    fn new(serve: impl AsyncFn(&Job) -> Done + 'static) -> Self {
        let tray = Rc::new(Tray {
            job: Cell::new(None),
            done: Cell::new(None),
        });
        let of_clerk = Rc::clone(&tray);
        let clerk = Box::pin(async move {
            loop {
                let job = poll_fn(|_| of_clerk.job.take().map_or(Poll::Pending, Poll::Ready));
                let job = job.await;
                // Pinned, as what is awaited by value is moved first, whole.
                let done = pin!(serve(&job)).await;
                drop(job);
                of_clerk.done.set(Some(done));
            }
        });
        Self { tray, clerk }
    }

    /// Waits until the job is done.
    pub(super) async fn done(&mut self) -> Done {
        poll_fn(|context| self.poll_done(context)).await
    }

    fn poll_done(&mut self, context: &mut Context<'_>) -> Poll<Done> {
        if let Poll::Ready(never) = self.clerk.as_mut().poll(context) {
            match never {}
        }
        self.tray.done.take().map_or(Poll::Pending, Poll::Ready)
    }
}

/// A worker's desks that nobody uses.
pub(crate) struct Desks<Job, Done>(RefCell<Vec<Desk<Job, Done>>>);

impl<Job: 'static, Done: 'static> Desks<Job, Done> {
    /// A desk at which `job` is done, by what `serve` gives if it is a new one.
    pub(super) fn take<S>(&self, job: Job, serve: impl FnOnce() -> S) -> Desk<Job, Done>
    where
        S: AsyncFn(&Job) -> Done + 'static,
    {
        let desk = self.0.borrow_mut().pop();
        let desk = desk.unwrap_or_else(|| Desk::new(serve()));
        desk.tray.job.set(Some(job));
        desk
    }

    /// Keeps a desk whose job is done for the next.
    pub(super) fn put(&self, desk: Desk<Job, Done>) {
        let mut desks = self.0.borrow_mut();
        if desks.len() < KEPT {
            desks.push(desk);
        }
    }
}

impl<Job, Done> Default for Desks<Job, Done> {
    fn default() -> Self {
        Self(RefCell::default())
    }
}

impl<Job, Done> fmt::Debug for Desks<Job, Done> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Desks")
            .field(&self.0.borrow().len())
            .finish()
    }
}
