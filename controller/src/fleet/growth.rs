//! What one process counted between two readings of its counters.

use super::{RolloutReport, side::Side};
use serde::{Deserialize, Serialize};
use traffic::{Counting, FailureRule, SECTORS, SectorCounts, Snapshot, UserCounts};

/// What was counted of both versions in some time, and what was under way at its end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Growth {
    pub(super) stable: Side,
    pub(super) canary: Side,
    users: Option<Met>,
}

/// What sticky users met who stand by `salt`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Met {
    salt: u64,
    /// Sector, requests and failures; sectors without requests are left out.
    sectors: Vec<(usize, u64, u64)>,
}

impl Growth {
    /// What was counted between the reports `before` and `after` of one process, which read by the same rule.
    pub(super) fn between(before: &RolloutReport, after: &RolloutReport) -> Self {
        let users = after.users.as_ref().map(|after| {
            let before = before.users.as_ref();
            let before = before.filter(|before| before.salt == after.salt);
            // Others begin with this reading.
            let sectors = before.map_or(&after.sectors, |before| &before.sectors);
            let met = after.sectors.iter().zip(sectors).enumerate();
            let met = met.map(|(sector, (after, before))| {
                let requests = after.0.saturating_sub(before.0);
                (sector, requests, after.1.saturating_sub(before.1))
            });
            Met {
                salt: after.salt,
                sectors: met.filter(|met| (met.1, met.2) != (0, 0)).collect(),
            }
        });
        Self {
            stable: after.stable.since(&before.stable),
            canary: after.canary.since(&before.canary),
            users,
        }
    }

    /// What was counted in this time and the `later` one after it.
    pub(super) fn then(&self, later: &Self) -> Self {
        Self {
            stable: self.stable.then(&later.stable),
            canary: self.canary.then(&later.canary),
            users: later.users.as_ref().map(|later| match &self.users {
                Some(met) if met.salt == later.salt => met.then(later),
                _ => later.clone(),
            }),
        }
    }

    /// Adds it to `total`, but for what is under way. It was read by `rule`.
    pub(super) fn add_to(&self, total: &mut Snapshot, rule: FailureRule) {
        self.stable.add_to(&mut total.stable);
        self.canary.add_to(&mut total.canary);
        let known = total.users.take();
        total.users = self.users.as_ref().map(|met| met.after(known, rule));
    }
}

impl Met {
    fn then(&self, later: &Self) -> Self {
        let mut sums = [(0_u64, 0_u64); SECTORS];
        for (sector, requests, failed) in self.sectors.iter().chain(&later.sectors) {
            if let Some(sum) = sums.get_mut(*sector) {
                *sum = (
                    sum.0.saturating_add(*requests),
                    sum.1.saturating_add(*failed),
                );
            }
        }
        let sums = sums.into_iter().enumerate();
        let sums = sums.filter(|(_, sum)| *sum != (0, 0));
        Self {
            salt: self.salt,
            sectors: sums.map(|(sector, (n, e))| (sector, n, e)).collect(),
        }
    }

    /// With what is `known`. Users stand where they do by one salt: with another one, all begins anew.
    fn after(&self, known: Option<UserCounts>, rule: FailureRule) -> UserCounts {
        let counting = Counting {
            salt: self.salt,
            rule,
        };
        let known = known.filter(|known| known.counting == counting);
        let mut sum = known.unwrap_or_else(|| UserCounts {
            counting,
            sectors: Box::new([SectorCounts::default(); SECTORS]),
        });
        for (sector, requests, failed) in &self.sectors {
            if let Some(sum) = sum.sectors.get_mut(*sector) {
                sum.requests += requests;
                sum.failed += failed;
            }
        }
        sum
    }
}
