//! What the machine is told about the world.

use traffic::Weight;

use crate::state::Trial;

/// What is known of a rollout's traffic at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Observation {
    /// The canary's weight that every live proxy serves; nothing while they differ.
    pub serving: Option<Weight>,
    /// How many endpoints the canary has. Without any it gets no traffic, and stays where it is.
    pub canary_endpoints: usize,
    /// How many endpoints stable has.
    pub stable_endpoints: usize,
    /// What is judged of the canary, if something is.
    pub verdict: Option<Verdict>,
}

/// What is judged of a canary.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// The trial that was judged, as [`State::trial`](crate::State::trial) gave it when judging began. A verdict on
    /// another trial is ignored, so that what an earlier canary did convicts no later one.
    pub trial: Trial,
    /// What the guard says.
    pub judgement: Judgement,
    /// What the evidence of the present step says; ignored, and may be missing, where the step asks for none.
    pub acceptance: Option<Acceptance>,
}

/// What the guard says of a canary.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Judgement {
    /// Nothing against it so far.
    #[default]
    Undecided,
    /// It is worse than stable.
    RollBack {
        /// The evidence in words.
        why: String,
    },
    /// It was so plainly dead that the proxy took its traffic away by itself.
    Tripped {
        /// The evidence in words.
        why: String,
    },
    /// Stable is broken and the canary is not: whatever waits for time or evidence is not to be waited for. What waits for
    /// a person is.
    RollForward {
        /// The evidence in words.
        why: String,
    },
    /// It cannot be told; the canary is to stay as it is, once it has come to its first step.
    Hold {
        /// The reason in words.
        why: String,
    },
}

/// What the evidence of a step says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Acceptance {
    /// Not enough yet.
    Pending,
    /// The next weight does less harm than the budget allows.
    Met,
}
