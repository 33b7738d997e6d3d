//! What holds for the whole way of a rollout, beside its steps.

use std::time::Duration;

/// What holds for the whole way of a rollout, beside its steps. The default is a canary that is promoted as soon as it
/// has all the traffic, goes through its steps whatever its revision is, and may take any time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// The strategy in whose words the rollout is told.
    pub strategy: Strategy,
    /// For how long the old version stays warm once the new one has all the traffic. So long the guard goes on, and
    /// the way back is one table; only then is the new version stable.
    pub watch: Duration,
    /// `spec.rollbackWindow.revisions`: a revision that was stable before goes past all steps when fewer revisions
    /// than this were stable between it and the present one. 0 is none.
    pub rollback_window: usize,
    /// The time in which a canary is to make progress.
    pub deadline: Deadline,
}

/// How one version replaces the other. It says how the rollout is told; what it does is in its steps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Strategy {
    /// By a growing share.
    #[default]
    Canary,
    /// All at once.
    BlueGreen,
}

/// How long a canary may wait for endpoints, or for the proxies to serve its weight.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Deadline {
    /// `spec.progressDeadlineSeconds`. Nothing is no deadline.
    pub after: Option<Duration>,
    /// `spec.progressDeadlineAbort`: whether the canary is then aborted, and not only told to be late.
    pub abort: bool,
}
