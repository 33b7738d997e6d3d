//! What became of all versions and their users, in words.

use super::{ship::Shipped, users::Damage, version::End};
use std::{fmt, time::Duration};

/// What became of them.
pub(super) struct Report {
    /// How many versions came to an end, and how many of them by a promotion.
    ended: usize,
    promoted: usize,
    convicted: usize,
    retried: usize,
    requests: u32,
    unaware: u32,
    unreached: u32,
    /// What bad versions did at each try, and which.
    damage: Vec<(String, Damage)>,
}

impl Report {
    pub(super) fn of(all: &[Shipped]) -> Self {
        let versions = || all.iter().flat_map(|shipped| &shipped.versions);
        let told = || all.iter().filter_map(|shipped| shipped.told.as_ref());
        let damage = all.iter().flat_map(|shipped| {
            let tries = shipped.told.iter().flat_map(|told| &told.damage);
            tries.map(|((version, _), damage)| (format!("{} {version}", shipped.name), *damage))
        });
        Self {
            ended: versions().count(),
            promoted: versions().filter(|one| one.is_promoted()).count(),
            convicted: versions().filter(|one| one.end == End::Convicted).count(),
            retried: versions().filter(|one| one.is_retried).count(),
            requests: told().map(|told| told.requests).sum(),
            unaware: told().map(|told| told.unaware).sum(),
            unreached: told().map(|told| told.unreached).sum(),
            damage: damage.collect(),
        }
    }

    /// In words, what users got.
    pub(super) fn users(&self) -> String {
        let failed = self.damage.iter().map(|(_, damage)| damage.failed);
        let failed: Vec<u32> = failed.collect();
        let lasted = |(which, damage): &(String, Damage)| {
            let lasted: Duration = damage.last.duration_since(damage.first);
            (lasted, which.clone())
        };
        let lasted: Vec<(Duration, String)> = self.damage.iter().map(lasted).collect();
        let (failures, tries) = (failed.iter().sum::<u32>(), failed.len());
        let (median, most) = median_and_most(failed);
        let ((usually, _), (longest, which)) = median_and_most(lasted);
        format!(
            "users: {} requests, of which {failures} failed, all of them by versions that are made to; {} were answered by a \
             version that was over, and {} beside these by nobody, at proxies that could not know that yet; {tries} times a bad version got requests: \
             {median} of them failed in the median and {most} at most, within {usually:.1?} and {longest:.1?} ({which})",
            self.requests, self.unaware, self.unreached
        )
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            ended,
            promoted,
            convicted,
            retried,
            ..
        } = self;
        let aborted = ended - promoted;
        write!(
            f,
            "{ended} rollouts ended as they must, {aborted} of them aborted, of which {convicted} by a verdict; {retried} were \
             tried again"
        )
    }
}

fn median_and_most<T: Clone + Ord + Default>(mut all: Vec<T>) -> (T, T) {
    all.sort_unstable();
    let median = all.get(all.len() / 2).cloned();
    (median.unwrap_or_default(), all.pop().unwrap_or_default())
}
