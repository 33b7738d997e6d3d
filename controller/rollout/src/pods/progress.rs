//! When a version has the pods that its step waits for.

use super::Pods;

/// `replicaProgressThreshold`: how many of a canary's pods must be available for its step to be passed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Threshold {
    /// All of them, and none that is to go.
    #[default]
    All,
    /// So many per cent.
    Percent(u32),
    /// So many pods.
    Pods(u32),
}

/// Whether `pods` are there as a step that wants `wanted` of them asks.
pub fn is_available(threshold: Threshold, pods: Pods, wanted: u32) -> bool {
    let available = u64::from(pods.available);
    match threshold {
        Threshold::All => pods.wanted == wanted && pods.available == wanted,
        Threshold::Percent(percent) => available * 100 >= u64::from(percent) * u64::from(wanted),
        Threshold::Pods(least) => pods.available >= least,
    }
}
