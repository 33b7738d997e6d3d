//! The requests under way on a connection.

use crate::turn::Turn;
use std::{cell::Cell, rc::Rc, time::Duration};
use tokio::time::Instant;

/// The requests under way on a connection.
#[derive(Debug)]
pub(super) struct Open {
    count: Cell<usize>,
    /// Since when there is none.
    since: Cell<Instant>,
    turn: Rc<Turn>,
}

impl Open {
    /// None yet.
    pub(super) fn new(turn: &Rc<Turn>) -> Self {
        Self {
            count: Cell::new(0),
            since: Cell::new(turn.now()),
            turn: Rc::clone(turn),
        }
    }

    pub(super) fn begin(self: &Rc<Self>) -> OpenStream {
        self.count.set(self.count.get() + 1);
        OpenStream(Rc::clone(self))
    }

    /// Counts the time without requests from now on.
    pub(super) fn touch(&self) {
        self.since.set(self.turn.now());
    }

    /// When the connection has had no request for `patience`.
    pub(super) fn deadline(&self, patience: Duration) -> Instant {
        let since = match self.count.get() {
            0 => self.since.get(),
            _ => self.turn.now(),
        };
        since + patience
    }
}

/// A request that is under way.
#[derive(Debug)]
pub(super) struct OpenStream(Rc<Open>);

impl Drop for OpenStream {
    fn drop(&mut self) {
        self.0.count.set(self.0.count.get() - 1);
        self.0.touch();
    }
}
