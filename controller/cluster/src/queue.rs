//! Which objects are due. Each is there once, however often it was woken, and with one worker at a time.
//!
//! Pure: the time, and what is random, come from outside.

mod backoff;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    hash::Hash,
    time::{Duration, Instant},
};

/// How a worker left an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Left {
    /// Nothing is left to do until it is woken, or until then.
    Done(Option<Instant>),
    /// It is to be tried again, the later the more often that was so.
    Failed,
}

/// What has been taken from the queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Taken<K> {
    /// Which object.
    pub(crate) key: K,
    /// For how long it was due.
    pub(crate) waited: Duration,
}

/// The queue.
#[derive(Debug)]
pub(crate) struct Queue<K> {
    /// Those that are due, the longest first, and since when.
    due: VecDeque<(K, Instant)>,
    /// Those that become due by themselves, the first first. Each is here once at most.
    timers: BTreeSet<(Instant, K)>,
    /// All that are due, have a timer, are being worked on, or failed the last time.
    known: HashMap<K, Entry>,
    /// How many are being worked on.
    taken: usize,
}

#[derive(Clone, Copy, Debug, Default)]
struct Entry {
    is_due: bool,
    is_taken: bool,
    /// Woken while it is being worked on.
    is_dirty: bool,
    timer: Option<Instant>,
    /// In a row.
    failures: u32,
}

impl Entry {
    fn is_idle(&self) -> bool {
        !self.is_due && !self.is_taken && self.timer.is_none() && self.failures == 0
    }
}

impl<K> Default for Queue<K> {
    fn default() -> Self {
        Self {
            due: VecDeque::new(),
            timers: BTreeSet::new(),
            known: HashMap::new(),
            taken: 0,
        }
    }
}

impl<K: Clone + Eq + Hash + Ord> Queue<K> {
    /// Makes `key` due now, or once more when it is being worked on. Says whether it was not so already.
    pub(crate) fn wake(&mut self, key: &K, now: Instant) -> bool {
        let entry = self.known.entry(key.clone()).or_default();
        if let Some(at) = entry.timer.take() {
            self.timers.remove(&(at, key.clone()));
        }
        let flag = match entry.is_taken {
            true => &mut entry.is_dirty,
            false => &mut entry.is_due,
        };
        if std::mem::replace(flag, true) {
            return false;
        }
        if !entry.is_taken {
            self.due.push_back((key.clone(), now));
        }
        true
    }

    /// Takes the object that is due for the longest. Whoever takes it gives it back with [`Queue::leave`].
    pub(crate) fn take(&mut self, now: Instant) -> Option<Taken<K>> {
        self.ring(now);
        let (key, since) = self.due.pop_front()?;
        let entry = self.known.entry(key.clone()).or_default();
        entry.is_due = false;
        entry.is_taken = true;
        self.taken += 1;
        Some(Taken {
            key,
            waited: now.saturating_duration_since(since),
        })
    }

    /// Gives an object back. `random` is evenly distributed in `0..=u32::MAX`, and spreads what failed together.
    pub(crate) fn leave(&mut self, key: &K, left: Left, now: Instant, random: u32) {
        let Some(entry) = self.known.get_mut(key).filter(|entry| entry.is_taken) else {
            return;
        };
        entry.is_taken = false;
        self.taken -= 1;
        let at = match left {
            Left::Done(at) => {
                entry.failures = 0;
                at
            }
            Left::Failed => {
                let delay = backoff::delay(entry.failures, random);
                entry.failures = entry.failures.saturating_add(1);
                now.checked_add(delay)
            }
        };
        if std::mem::take(&mut entry.is_dirty) {
            entry.is_due = true;
            self.due.push_back((key.clone(), now));
        } else if let Some(at) = at {
            entry.timer = Some(at);
            self.timers.insert((at, key.clone()));
        }
        if entry.is_idle() {
            self.known.remove(key);
        }
    }

    /// When the next object becomes due by itself. It may have become so already.
    pub(crate) fn next_timer(&self) -> Option<Instant> {
        self.timers.first().map(|(at, _)| *at)
    }

    /// How many objects are due.
    pub(crate) fn len(&self) -> usize {
        self.due.len()
    }

    /// Whether an object is due or being worked on.
    pub(crate) fn is_busy(&self) -> bool {
        self.taken > 0 || !self.due.is_empty()
    }

    /// Makes those due whose time has come.
    fn ring(&mut self, now: Instant) {
        while let Some((at, key)) = self.timers.first().cloned()
            && at <= now
        {
            self.timers.pop_first();
            let entry = self.known.entry(key.clone()).or_default();
            entry.timer = None;
            entry.is_due = true;
            self.due.push_back((key, at));
        }
    }
}
