//! How connections spread over workers. Which worker accepts one, the kernel's hash of addresses decides, which leaves
//! workers with nothing while others have several. A worker that has more than another passes on what it accepts.
//!
//! Loads are written when connections begin and end, never on a request's way.

mod allowance;
mod choose;

pub(crate) use allowance::Allowance;

use choose::{Chosen, choose};
use std::{
    net::{SocketAddr, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// The loads of all workers, and the way to each of them.
#[derive(Debug)]
pub(crate) struct Spread(Box<[Slot]>);

/// One worker. Aligned so that no two share a cache line (or its pair, which x86 prefetches along).
#[derive(Debug)]
#[repr(align(128))]
struct Slot {
    /// Connections that it has, or that are on their way to it.
    load: AtomicUsize,
    /// Whether it takes what others accepted.
    takes: AtomicBool,
    inbox: UnboundedSender<Passed>,
}

/// A connection that one worker accepted and another is to serve.
#[derive(Debug)]
pub(crate) struct Passed {
    /// The socket, which does not block.
    pub(crate) stream: TcpStream,
    /// Where it connected from.
    pub(crate) peer: SocketAddr,
    /// The place of the listener that it came in at.
    pub(crate) listener: usize,
    /// Its part of the load of the worker that is to serve it.
    pub(crate) load: Load,
}

/// A connection's part of a worker's load, until it is dropped.
#[derive(Debug)]
pub(crate) struct Load {
    spread: Arc<Spread>,
    worker: usize,
}

impl Load {
    /// The worker that the connection counts for.
    pub(crate) fn worker(&self) -> usize {
        self.worker
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        if let Some(slot) = self.spread.0.get(self.worker) {
            slot.load.fetch_sub(1, Relaxed);
        }
    }
}

impl Spread {
    /// That of `workers` workers, and the inbox of each. Nobody takes anything before its inbox is open.
    pub(crate) fn new(workers: usize) -> (Arc<Self>, Vec<Inbox>) {
        let slot = |_| {
            let (inbox, receiver) = unbounded_channel();
            let slot = Slot {
                load: AtomicUsize::new(0),
                takes: AtomicBool::new(false),
                inbox,
            };
            (slot, receiver)
        };
        let (slots, receivers): (Vec<_>, Vec<_>) = (0..workers).map(slot).unzip();
        let spread = Arc::new(Self(slots.into()));
        let inbox = |(worker, receiver)| Inbox {
            spread: Arc::clone(&spread),
            worker,
            receiver,
        };
        let inboxes = receivers.into_iter().enumerate().map(inbox).collect();
        (spread, inboxes)
    }

    /// Counts a connection that `worker` serves itself.
    pub(crate) fn keep(self: &Arc<Self>, worker: usize) -> Load {
        if let Some(slot) = self.0.get(worker) {
            slot.load.fetch_add(1, Relaxed);
        }
        Load {
            spread: Arc::clone(self),
            worker,
        }
    }

    /// Counts a connection that `here` accepted for the worker that is to serve it. Each worker may have `most`.
    /// Without `may_pass` it stays here, unless there is no room.
    pub(crate) fn place(self: &Arc<Self>, here: usize, most: usize, may_pass: bool) -> Load {
        loop {
            let own = self.load(here);
            let other = (may_pass || own >= most)
                .then(|| choose(own, most, self.others(here)))
                .flatten();
            let Chosen { worker, load } = other.unwrap_or(Chosen {
                worker: here,
                load: own,
            });
            let Some(slot) = self.0.get(worker) else {
                return self.keep(here);
            };
            // Two that place at the same time must not both find the same worker idle.
            let counted = slot.load.compare_exchange(load, load + 1, Relaxed, Relaxed);
            if counted.is_ok() {
                return Load {
                    spread: Arc::clone(self),
                    worker,
                };
            }
        }
    }

    /// Passes a connection on to the worker that it counts for.
    ///
    /// # Errors
    /// The connection, when that worker has stopped meanwhile.
    pub(crate) fn pass(&self, passed: Passed) -> Result<(), Passed> {
        match self.0.get(passed.load.worker) {
            Some(slot) => slot.inbox.send(passed).map_err(|refused| refused.0),
            None => Err(passed),
        }
    }

    fn load(&self, worker: usize) -> usize {
        let slot = self.0.get(worker);
        slot.map_or(0, |slot| slot.load.load(Relaxed))
    }

    /// Those that take something, with their loads, from the one after `here` on: not all are to look at the same first.
    fn others(&self, here: usize) -> impl Iterator<Item = Chosen> {
        let (before, after) = self.0.split_at(here.min(self.0.len()));
        let after = after.iter().zip(here..).skip(1);
        let others = after.chain(before.iter().zip(0..));
        others
            .filter(|(slot, _)| slot.takes.load(Relaxed))
            .map(|(slot, worker)| Chosen {
                worker,
                load: slot.load.load(Relaxed),
            })
    }
}

/// Where a worker finds what others pass on to it. Dropping it closes it.
#[derive(Debug)]
pub(crate) struct Inbox {
    spread: Arc<Spread>,
    worker: usize,
    receiver: UnboundedReceiver<Passed>,
}

impl Inbox {
    /// Lets the others pass connections on to this worker.
    pub(crate) fn open(&self) {
        self.takes(true);
    }

    /// Takes nothing more. What was passed on before is still to be had from [`Self::next`].
    pub(crate) fn close(&mut self) {
        self.takes(false);
        self.receiver.close();
    }

    /// The next connection; nothing once the inbox is closed and empty.
    pub(crate) async fn next(&mut self) -> Option<Passed> {
        self.receiver.recv().await
    }

    fn takes(&self, takes: bool) {
        if let Some(slot) = self.spread.0.get(self.worker) {
            slot.takes.store(takes, Relaxed);
        }
    }
}

impl Drop for Inbox {
    fn drop(&mut self) {
        self.close();
    }
}

#[cfg(test)]
mod tests;
