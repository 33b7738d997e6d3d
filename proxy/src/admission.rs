//! Which of a worker's connections go first when more requests have come than it can begin at once.
//!
//! Were every request begun as soon as it is seen, hundreds that came together would all be sent on before the answer to
//! the first was looked at, and what each needs, in the kernel too, would have left the processor's caches by then: with
//! 256 connections that is a tenth of what a request costs. So few are begun at a time, and what has come meanwhile, answers
//! above all, is seen to before the next. The worker never rests while somebody waits, and nobody is overtaken by who came
//! later.

use std::{
    cell::RefCell,
    collections::VecDeque,
    convert::Infallible,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    task::{Context, Waker},
};
use tokio::{sync::Notify, task::yield_now};

/// How many requests are begun before the worker looks at what has come. With half or twice as many the costs are the same.
const AT_ONCE: u32 = 16;

/// How many requests were begun since the worker looked at what has come.
#[derive(Debug, Default)]
pub(crate) struct Begun(AtomicU32);

impl Begun {
    /// The worker has nothing left to do, and is about to look. To be told by its runtime, which is why this is for all
    /// threads; only the worker's uses it.
    pub(crate) fn rest(&self) {
        self.0.store(0, Relaxed);
    }

    /// Counts one more, unless there are enough.
    fn begin(&self) -> bool {
        let begun = self.0.load(Relaxed);
        let has_room = begun < AT_ONCE;
        if has_room {
            self.0.store(begun + 1, Relaxed);
        }
        has_room
    }
}

/// Has a worker's connections take turns.
#[derive(Debug)]
pub(crate) struct Admission {
    begun: Arc<Begun>,
    /// The tasks of those that wait, in the order in which they came.
    waiting: RefCell<VecDeque<Waker>>,
    /// Told when somebody begins to wait.
    knock: Notify,
}

impl Admission {
    /// That of a worker whose runtime tells `begun` of its rests.
    pub(crate) fn new(begun: Arc<Begun>) -> Self {
        Self {
            begun,
            waiting: RefCell::default(),
            knock: Notify::new(),
        }
    }

    /// Whether a connection on which something has come is to wait. Its task is woken when it is its turn, and is not to ask
    /// again then.
    pub(crate) fn holds(&self, context: &Context<'_>) -> bool {
        if self.begun.begin() {
            return false;
        }
        let mut waiting = self.waiting.borrow_mut();
        if waiting.is_empty() {
            self.knock.notify_one();
        }
        waiting.push_back(context.waker().clone());
        true
    }

    /// Lets in who waits, few at a time.
    pub(crate) async fn serve(self: Rc<Self>) -> Infallible {
        loop {
            self.knock.notified().await;
            while !self.waiting.borrow().is_empty() {
                // Until all other tasks have run that can, and the runtime has looked at its sockets.
                yield_now().await;
                self.let_in();
            }
        }
    }

    fn let_in(&self) {
        self.begun.rest();
        while let Some(next) = self.next() {
            next.wake();
        }
    }

    /// The next to be let in, if not too many were.
    fn next(&self) -> Option<Waker> {
        let mut waiting = self.waiting.borrow_mut();
        if waiting.is_empty() || !self.begun.begin() {
            return None;
        }
        waiting.pop_front()
    }
}

#[cfg(test)]
mod tests;
