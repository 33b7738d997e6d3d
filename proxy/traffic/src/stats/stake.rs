//! What a request carries to its version, to be counted by when it ends.

use std::num::NonZeroU64;

/// By what a request is counted when it ends, besides its version's own counters: the one that the weight sent to a canary
/// by the canary's tripwire, the one that went to a stable without a canary by the counters of its users.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stake {
    counter: NonZeroU64,
    point: u64,
}

impl Stake {
    /// For the counter with this number of the version's series, by a request at `point` of the split.
    pub(super) fn new(counter: NonZeroU64, point: u64) -> Self {
        Self { counter, point }
    }

    /// Whether it is for the counter with this number. A request may end when there is another one.
    pub(super) fn is_for(self, counter: NonZeroU64) -> bool {
        self.counter == counter
    }

    /// The request's point of the split: the user's, where users are split.
    pub(super) fn point(self) -> u64 {
        self.point
    }
}
