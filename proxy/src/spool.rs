//! Bytes on their way from the workers to a thread of their own that writes or sends them.
//!
//! Each worker puts records into a slot of its own, which that thread empties some ten times a second by swapping in an
//! empty buffer. A slot has a lock, but no worker ever waits for it: it is free but for the moment of the swap, and what
//! comes in that moment goes beside it, under a lock that is free then, and is taken in the next round. So a record costs
//! no allocation, no system call and no memory that other workers write to. What a full slot has no room for is dropped
//! and counted.

use std::{
    io,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError, TryLockError,
        atomic::{
            AtomicBool, AtomicU64,
            Ordering::{Acquire, Relaxed, Release},
        },
        mpsc,
    },
    thread::{self, Thread},
    time::{Duration, Instant},
};

/// Buffers that grew beyond this are given back when they are empty.
const KEPT_BYTES: usize = 256 * 1024;

/// How much may wait in each slot.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Capacity {
    /// Records.
    pub(crate) records: usize,
    /// Bytes. The record that passes the bound is still taken.
    pub(crate) bytes: usize,
}

/// Records, one after the other.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    /// The records.
    pub(crate) bytes: Vec<u8>,
    /// How many they are.
    pub(crate) records: usize,
}

impl Batch {
    /// Empties it, and gives an unusually large buffer back.
    pub(crate) fn clear(&mut self) {
        self.records = 0;
        self.bytes.clear();
        self.bytes.shrink_to(KEPT_BYTES);
    }

    fn add(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        write(&mut self.bytes);
        self.records += 1;
    }

    /// Moves all of `from` to the end of this.
    fn append(&mut self, from: &mut Self) {
        match (self.records, from.records) {
            (_, 0) => {}
            (0, _) => std::mem::swap(self, from),
            _ => {
                self.bytes.extend_from_slice(&from.bytes);
                self.records += from.records;
                from.clear();
            }
        }
    }
}

/// The slots of all workers, and what their drainer is told.
#[derive(Debug)]
pub(crate) struct Spool {
    slots: Box<[Slot]>,
    capacity: Capacity,
    is_ending: AtomicBool,
    drainer: OnceLock<Thread>,
}

/// What waits of one worker. Aligned so that no two workers' slots share a cache line, or its pair.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Slot {
    pending: Mutex<Batch>,
    /// What came while `pending` was being emptied. All of it is older than what is in `pending` at the next round, so
    /// that it is taken first.
    beside: Mutex<Batch>,
    dropped: AtomicU64,
}

impl Slot {
    /// The half of the slot that its worker can put a record into now. The drainer holds one half at a time, so that
    /// the other is free; it takes a third look only where the drainer went from one to the other between the two.
    fn free(&self) -> MutexGuard<'_, Batch> {
        loop {
            for half in [&self.pending, &self.beside] {
                match half.try_lock() {
                    Ok(batch) => return batch,
                    Err(TryLockError::Poisoned(poisoned)) => return poisoned.into_inner(),
                    Err(TryLockError::WouldBlock) => {}
                }
            }
        }
    }

    /// Moves all that waits into `batch`, in order. Never holds more than one half.
    fn take(&self, batch: &mut Batch) {
        for half in [&self.beside, &self.pending] {
            batch.append(&mut lock(half));
        }
    }
}

fn lock(half: &Mutex<Batch>) -> MutexGuard<'_, Batch> {
    // A record that was cut short by a panic is no worse than one that is missing.
    half.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Spool {
    /// Empty slots for `workers` workers.
    pub(crate) fn new(workers: usize, capacity: Capacity) -> Arc<Self> {
        Arc::new(Self {
            slots: (0..workers).map(|_| Slot::default()).collect(),
            capacity,
            is_ending: AtomicBool::new(false),
            drainer: OnceLock::new(),
        })
    }

    /// How many slots there are.
    pub(crate) fn slots(&self) -> usize {
        self.slots.len()
    }

    /// How many records no slot had room for.
    pub(crate) fn dropped(&self) -> u64 {
        self.slots.iter().map(|s| s.dropped.load(Relaxed)).sum()
    }

    /// Moves what waits in slot `slot` into `batch`, which must be empty.
    pub(crate) fn take(&self, slot: usize, batch: &mut Batch) {
        debug_assert_eq!(batch.records, 0);
        self.slots[slot].take(batch);
    }

    /// Whether this is the last round: what was put in before this call can be taken after it.
    pub(crate) fn is_ending(&self) -> bool {
        self.is_ending.load(Acquire)
    }

    /// Lets the drainer rest for at most `time`. It is woken when a slot is half full, and when the end comes.
    pub(crate) fn rest(&self, time: Duration) {
        if !self.is_ending() {
            thread::park_timeout(time);
        }
    }

    /// Lets the drainer rest for `time`, or until the end comes.
    pub(crate) fn pause(&self, time: Duration) {
        let start = Instant::now();
        while let Some(left) = time.checked_sub(start.elapsed())
            && !self.is_ending()
        {
            thread::park_timeout(left);
        }
    }

    /// Wakes the drainer.
    pub(crate) fn wake(&self) {
        if let Some(thread) = self.drainer.get() {
            thread.unpark();
        }
    }

    fn end(&self) {
        self.is_ending.store(true, Release);
        self.wake();
    }

    fn is_full(&self, batch: &Batch) -> bool {
        batch.records >= self.capacity.records || batch.bytes.len() >= self.capacity.bytes
    }

    fn is_half_full(&self, batch: &Batch) -> bool {
        batch.records >= self.capacity.records / 2 || batch.bytes.len() >= self.capacity.bytes / 2
    }
}

/// A worker's side of its slot.
#[derive(Debug)]
pub(crate) struct Inlet {
    spool: Arc<Spool>,
    slot: usize,
}

impl Inlet {
    /// The side of worker `slot`, which alone may use it.
    pub(crate) fn new(spool: &Arc<Spool>, slot: usize) -> Self {
        assert!(slot < spool.slots(), "there is no worker {slot}");
        Self {
            spool: Arc::clone(spool),
            slot,
        }
    }

    /// Puts in the record that `write` appends to what it is given. Without room for it, `write` is not called. Never
    /// waits.
    pub(crate) fn put(&self, write: impl FnOnce(&mut Vec<u8>)) {
        let slot = &self.spool.slots[self.slot];
        let mut batch = slot.free();
        let was_half_full = self.spool.is_half_full(&batch);
        if self.spool.is_full(&batch) {
            slot.dropped.fetch_add(1, Relaxed);
            return;
        }
        batch.add(write);
        let is_half_full = self.spool.is_half_full(&batch);
        drop(batch);
        if is_half_full && !was_half_full {
            self.spool.wake();
        }
    }
}

/// The thread that empties a spool. Dropping it asks the thread to end after a last round, and does not wait.
#[derive(Debug)]
pub(crate) struct Drainer {
    spool: Arc<Spool>,
    ended: Mutex<mpsc::Receiver<()>>,
}

impl Drainer {
    /// Starts the thread with `run`, which returns when it has made a round after [`Spool::is_ending`].
    ///
    /// # Errors
    /// The system gives no thread.
    pub(crate) fn start(
        name: &str,
        spool: Arc<Spool>,
        run: impl FnOnce(&Spool) + Send + 'static,
    ) -> io::Result<Self> {
        let (end, ended) = mpsc::sync_channel(1);
        let own = Arc::clone(&spool);
        let thread = thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || {
                run(&own);
                let _ = end.send(());
            })?;
        let _ = spool.drainer.set(thread.thread().clone());
        Ok(Self {
            spool,
            ended: Mutex::new(ended),
        })
    }

    /// Wakes the thread.
    pub(crate) fn wake(&self) {
        self.spool.wake();
    }

    /// Lets the thread make its last round. To be called when the workers have ended. Whether it did within
    /// `deadline`; a thread that did not, since a disk or a peer hangs, is left behind.
    pub(crate) fn finish(self, deadline: Duration) -> bool {
        self.spool.end();
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        ended.recv_timeout(deadline).is_ok()
    }
}

impl Drop for Drainer {
    fn drop(&mut self) {
        self.spool.end();
    }
}

#[cfg(test)]
mod tests;
