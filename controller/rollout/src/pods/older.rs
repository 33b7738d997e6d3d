//! Versions that are neither stable nor canary, and have pods.

use super::{Budget, Pods};

/// What older versions are to have next, where pods are the traffic: nothing, as soon as availability allows. Pods that
/// are not available go first, as nobody misses them, and then version by version in the order given, which is to be the
/// newest first. `kept` counts those of all versions, stable and canary among them, as by [`Pods::kept`]: one that is going
/// already may still be counted as available.
pub fn retire(budget: Budget, kept: u32, older: &[Pods]) -> Vec<u32> {
    let mut spare = kept.saturating_sub(budget.least());
    let retired = older.iter().map(|version| {
        let healthy = version.kept();
        let goes = healthy.min(spare);
        spare -= goes;
        healthy - goes
    });
    retired.collect()
}
