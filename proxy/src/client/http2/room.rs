//! Room on a connection for bodies that move beside bodies that stall.
//!
//! What nobody reads of a body stays in its stream's window and in the connection's, which all streams share: enough of
//! them that stall would hold up all others, and a window that is large enough for all of them would be so much memory
//! for each connection. So a connection's window grows by what stalls on it, out of a purse that all connections of the
//! worker share. When the purse is empty, or the process short of memory, windows stay as they are.

use std::{cell::Cell, rc::Rc};

/// The largest window (RFC 9113 section 6.9.1).
const LARGEST: u64 = (1 << 31) - 1;

/// The most that all workers together take in beyond the windows of connections, in bytes, and the part of the memory
/// that the process may hold which that is at most.
const MOST: u64 = 256 << 20;
const PART: u64 = 4;

/// What one worker may take in beyond the windows of its connections, in bytes.
#[derive(Debug)]
pub(crate) struct Purse(Cell<u64>);

impl Purse {
    /// The purse of each of `workers` workers of a process that may hold `memory` bytes.
    pub(crate) fn new(memory: Option<u64>, workers: usize) -> Self {
        let most = memory.map_or(MOST, |memory| MOST.min(memory / PART));
        Self(Cell::new(most / workers.max(1) as u64))
    }

    /// Takes up to `wanted` bytes out.
    fn take(&self, wanted: u64) -> u64 {
        let taken = wanted.min(self.0.get());
        self.0.set(self.0.get() - taken);
        taken
    }

    fn give_back(&self, bytes: u64) {
        self.0.set(self.0.get() + bytes);
    }
}

/// A connection's window, as it grows and shrinks.
#[derive(Debug)]
pub(super) struct Room {
    window: Window,
    purse: Rc<Purse>,
}

impl Room {
    /// That of a connection which begins with a window of `base` bytes.
    pub(super) fn new(base: u32, purse: Rc<Purse>) -> Self {
        Self {
            window: Window::new(base),
            purse,
        }
    }

    /// The size that the window is to have from now on, if another one, when so many bytes of bodies `came` and so many of these
    /// are `held`, as nobody has read them. `may_grow` unless memory is short. To be asked after bytes were read from the
    /// connection, and before more are: what the client may send is told in between, and must not be more than is paid for.
    pub(super) fn resize(&mut self, came: u64, held: u64, may_grow: bool) -> Option<u32> {
        if !self.window.is_due(came) {
            return None;
        }
        self.window.resize(came, held, may_grow, &self.purse)
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.purse.give_back(self.window.granted);
    }
}

/// A window. All in bytes.
#[derive(Debug)]
struct Window {
    /// How large it is as long as little stalls.
    base: u64,
    /// How large it is.
    size: u64,
    /// What was taken out of the purse for it.
    granted: u64,
    /// What had come when this was looked at last.
    came: u64,
}

impl Window {
    fn new(base: u32) -> Self {
        let base = u64::from(base);
        Self {
            base,
            size: base,
            granted: 0,
            came: 0,
        }
    }

    /// Whether it is worth looking at what is held: so much has come that the window may be closing, or it is larger than
    /// it may have to be.
    fn is_due(&self, came: u64) -> bool {
        self.granted > 0 || came - self.came >= self.base / 8
    }

    /// Keeps half of what it is at first open beside the `held` bytes that were not read of all that `came`.
    fn resize(&mut self, came: u64, held: u64, may_grow: bool, purse: &Purse) -> Option<u32> {
        self.came = came;
        let needed = held.saturating_sub(self.base / 2);
        if needed < self.granted {
            purse.give_back(self.granted - needed);
            self.granted = needed;
        } else if may_grow {
            self.granted += purse.take(needed - self.granted);
        }
        let size = (self.base + self.granted).min(LARGEST);
        let is_new = size != std::mem::replace(&mut self.size, size);
        u32::try_from(size).ok().filter(|_| is_new)
    }
}

#[cfg(test)]
mod tests;
