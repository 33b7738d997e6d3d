//! Counters by exact status.

use super::rule::FailureRule;
use std::sync::{
    OnceLock,
    atomic::{AtomicU64, Ordering::Relaxed},
};

const FIRST: u16 = 100;
const IN_A_CLASS: usize = 100;
const CLASSES: usize = 5;
/// Statuses 100 to 599 have a cell each; whatever else a version invents shares the last. HTTP knows none below 100.
pub(super) const CELLS: usize = CLASSES * IN_A_CLASS + 1;
/// The number that the last cell is told under.
pub(super) const OTHER: u16 = 999;

/// The cell of `status`, 0 to [`CELLS`] - 1.
pub(super) const fn cell_of(status: u16) -> usize {
    match status.checked_sub(FIRST) {
        Some(cell) if (cell as usize) < CELLS - 1 => cell as usize,
        _ => CELLS - 1,
    }
}

/// The status that `cell` counts.
pub(super) const fn status_of(cell: usize) -> u16 {
    if cell == CELLS - 1 {
        OTHER
    } else {
        cell as u16 + FIRST
    }
}

/// One worker's counters by status. Those of a class (2xx) take their room when the first of it is counted, as few
/// versions answer with all of them.
#[derive(Debug, Default)]
pub(super) struct ByStatus {
    classes: [OnceLock<Box<Class>>; CLASSES],
    other: AtomicU64,
}

/// The counters of a class. Aligned as a shard is: the first of them, which counts 200, is the one that is written most.
#[derive(Debug)]
#[repr(align(128))]
struct Class([AtomicU64; IN_A_CLASS]);

impl Class {
    fn new() -> Box<Self> {
        Box::new(Self([const { AtomicU64::new(0) }; IN_A_CLASS]))
    }
}

impl ByStatus {
    /// Counts one of `status`.
    pub(super) fn count(&self, status: u16) {
        let cell = cell_of(status);
        let counter = match self.classes.get(cell / IN_A_CLASS) {
            Some(class) => &class.get_or_init(Class::new).0[cell % IN_A_CLASS],
            None => &self.other,
        };
        super::shard::add(counter, 1);
    }

    /// Calls `see` with every cell that may have counted something, and its count.
    fn each(&self, mut see: impl FnMut(usize, u64)) {
        for (class, counters) in self.classes.iter().enumerate() {
            let counters = counters.get().into_iter().flat_map(|class| &class.0);
            for (place, counter) in counters.enumerate() {
                see(class * IN_A_CLASS + place, counter.load(Relaxed));
            }
        }
        see(CELLS - 1, self.other.load(Relaxed));
    }

    /// How many were of a status that is a failure by `rule`.
    pub(super) fn failures(&self, rule: &FailureRule) -> u64 {
        let mut failures = 0;
        self.each(|cell, n| {
            if rule.has_cell(cell) {
                failures += n;
            }
        });
        failures
    }

    /// Adds all to `sums`.
    pub(super) fn add_to(&self, sums: &mut Sums) {
        self.each(|cell, n| sums.0[cell] += n);
    }
}

/// Requests by status while shards are added up.
pub(super) struct Sums(Vec<u64>);

impl Default for Sums {
    fn default() -> Self {
        Self(vec![0; CELLS])
    }
}

impl Sums {
    /// How many are failures by `rule`.
    pub(super) fn failures(&self, rule: &FailureRule) -> u64 {
        let cells = self.0.iter().enumerate();
        cells
            .filter(|(cell, _)| rule.has_cell(*cell))
            .map(|(_, n)| n)
            .sum()
    }

    /// Adds all of `other`.
    pub(super) fn merge(&mut self, other: &Self) {
        for (sum, n) in self.0.iter_mut().zip(&other.0) {
            *sum += n;
        }
    }

    /// Adds `n` of `status`.
    pub(super) fn add(&mut self, status: u16, n: u64) {
        self.0[cell_of(status)] += n;
    }

    /// The statuses that occurred, ascending.
    pub(super) fn occurred(&self) -> Vec<(u16, u64)> {
        let counted = self.0.iter().enumerate().filter(|(_, n)| **n > 0);
        counted.map(|(cell, n)| (status_of(cell), *n)).collect()
    }
}
