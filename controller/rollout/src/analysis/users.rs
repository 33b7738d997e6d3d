//! The margin where users are kept on one version: what a canary's users met before it.
//!
//! A sticky split gives the canary a fixed set of users, and they may fail more than the others whatever version they
//! get: one with a broken account fails each time. The tests take outcomes to depend on the version alone, so they would
//! convict a good canary of its users. What can be done is to ask what the same users met while all of them were
//! stable's. Then `r`, the ratio of the failure ratios of those who are the canary's now and of the others, is what the
//! canary may be worse by, and the relative margin becomes
//!
//! ```text
//! rho' = rho * max(1, r * (1 + 2 * sqrt(1 / (E_c + 1) + 1 / (E_s + 1))))
//! ```
//!
//! where `E_c` and `E_s` are the failures that the two were counted with. The second factor is two standard deviations of
//! the logarithm of `r`, for failures that come as a Poisson process. A margin never gets narrower, as those who failed
//! less before may have been lucky.
//!
//! What this takes for granted is that users go on as they did. It is no proof as the tests are, which is why the numbers
//! are kept with each verdict.
//!
//! **Little is known** of a stable that has just begun, or has hardly any failures. Each side's ratio is taken as if half a
//! failure more had been seen, at the ratio of all: without any evidence `r` is 1, and `rho'` is `rho` times
//! `1 + 2 sqrt(2) = 3.83`. So sticky users are never judged as if they were known to be alike, and the margin stays finite.
//! It is bounded by evidence of the others' failures, too: at the failure ratio that they had, the canary may never fail
//! more than half of what lies between what its users failed and everything. A dead canary is convicted whoever its users
//! are.
//!
//! **The failure limit** asks whose fault it is that a canary is above it. A stable is well for these users only when
//! it is with the same allowance on what it fails of the others, and the canary worse only beyond it: `rho'` for a
//! `rho` of 1.
//!
//! **The harm bound** asks by how much the canary fails more because it is another version. An allowance would hide
//! harm there, and none would keep a good canary from ever going on whose users fail more, or let a bad one pass whose
//! users fail less. So what stable fails is taken for as much higher or lower for the canary's users as is *shown*: by
//! `r`, two standard deviations nearer to 1, which is not at all where they may be alike.
//!
//! **A weight within a sector** gives the canary a part of that sector's users, and nobody knows which. All of its
//! failures are taken for theirs, and none for the others', with the part of its requests that is theirs: so the margin is
//! rather too wide, by half at 1 % and by a seventh at most from 10 % on.

use super::block::Margin;
use serde::{Deserialize, Serialize};
use traffic::{SECTORS, SectorCounts, Weight};

/// The time in which what was seen loses half of its say, in seconds. Users change slowly, and broken ones are few.
const HALF_LIFE: f64 = 3600.0;
/// So much of a failure each side is taken to have had besides those that were seen.
const PRIOR_FAILURES: f64 = 0.5;
/// The ratio of all is pulled towards one failure in a thousand, as if ten requests had shown it.
const PRIOR: Tally = Tally {
    requests: 10.0,
    failures: 0.01,
};
/// No margin is wider: below this, the numbers of the tests stay exact.
const WIDEST: f64 = 1e6;
/// No side counts more: a million requests a second, for ever.
const MOST: f64 = 1e16;

/// What stable's users met while they were all stable's, sector by sector, faded by its age.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Users {
    /// By what they stand in their sectors.
    salt: u64,
    sectors: Sectors,
}

/// Requests and failures, faded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "(f64, f64)", into = "(f64, f64)")]
struct Tally {
    requests: f64,
    failures: f64,
}

impl From<(f64, f64)> for Tally {
    fn from((requests, failures): (f64, f64)) -> Self {
        Self { requests, failures }
    }
}

impl From<Tally> for (f64, f64) {
    fn from(tally: Tally) -> Self {
        (tally.requests, tally.failures)
    }
}

impl Tally {
    fn plus(self, more: Self) -> Self {
        Self {
            requests: self.requests + more.requests,
            failures: self.failures + more.failures,
        }
    }

    fn times(self, share: f64) -> Self {
        Self {
            requests: self.requests * share,
            failures: self.failures * share,
        }
    }

    fn is_sound(self) -> bool {
        (0.0..=MOST).contains(&self.requests) && (0.0..=self.requests).contains(&self.failures)
    }
}

/// One tally for each sector.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Vec<Tally>", into = "Vec<Tally>")]
struct Sectors(Box<[Tally; SECTORS]>);

impl Default for Sectors {
    fn default() -> Self {
        Self(Box::new([Tally::default(); SECTORS]))
    }
}

impl TryFrom<Vec<Tally>> for Sectors {
    type Error = String;

    fn try_from(tallies: Vec<Tally>) -> Result<Self, String> {
        let found = tallies.len();
        match <[Tally; SECTORS]>::try_from(tallies) {
            Ok(sectors) if sectors.iter().all(|tally| tally.is_sound()) => {
                Ok(Self(Box::new(sectors)))
            }
            Ok(_) => Err("found numbers out of their ranges in a sector".to_owned()),
            Err(_) => Err(format!("found {found} sectors, allowed are {SECTORS}")),
        }
    }
}

impl From<Sectors> for Vec<Tally> {
    fn from(sectors: Sectors) -> Self {
        sectors.0.to_vec()
    }
}

impl Users {
    /// Users who stand by `salt`, of whom nothing is known.
    pub(super) fn unknown(salt: u64) -> Self {
        Self {
            salt,
            sectors: Sectors::default(),
        }
    }

    /// By what they stand in their sectors.
    pub(super) fn salt(&self) -> u64 {
        self.salt
    }

    /// Adds what the users met in so many seconds, sector by sector.
    pub(super) fn learn(&mut self, seconds: f64, met: impl Iterator<Item = SectorCounts>) {
        let kept = (-seconds / HALF_LIFE).exp2();
        for (tally, SectorCounts { requests, failed }) in self.sectors.0.iter_mut().zip(met) {
            let more = Tally {
                requests: requests as f64,
                failures: failed.min(requests) as f64,
            };
            let sum = tally.times(kept).plus(more);
            *tally = Tally {
                requests: sum.requests.min(MOST),
                failures: sum.failures.min(MOST),
            };
        }
    }

    /// What those met whom `weight` gives to the canary, and those whom `left` leaves to stable. That is the same weight
    /// unless it leaves nobody.
    pub(super) fn before(&self, weight: Weight, left: Weight) -> PrePeriod {
        let (mut canary, mut stable) = (Tally::default(), Tally::default());
        for (sector, tally) in self.sectors.0.iter().enumerate() {
            // Of a sector that is cut, all failures are the canary's and none the others'.
            let part = |share: f64, has_failures: bool| Tally {
                requests: tally.requests * share,
                failures: if has_failures { tally.failures } else { 0.0 },
            };
            let admitted = share_below(sector, weight);
            canary = canary.plus(part(admitted, admitted > 0.0));
            let others = 1.0 - share_below(sector, left);
            stable = stable.plus(part(others, others == 1.0));
        }
        // Fewer requests than failures may be left of a sector that is cut.
        canary.requests = canary.requests.max(canary.failures);
        PrePeriod {
            weight,
            canary,
            stable,
        }
    }
}

/// The share of the sector's points that `weight` admits.
fn share_below(sector: usize, weight: Weight) -> f64 {
    let sectors_below =
        f64::from(weight.basis_points()) * SECTORS as f64 / f64::from(Weight::FULL.basis_points());
    (sectors_below - sector as f64).clamp(0.0, 1.0)
}

/// What the users of both versions met on stable before the canary, at one weight of it: four numbers, faded by their
/// age, of which the relative margin follows.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "Written", into = "Written")]
pub struct PrePeriod {
    weight: Weight,
    canary: Tally,
    stable: Tally,
}

/// As it is written.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Written {
    /// In basis points.
    #[serde(with = "crate::basis_points")]
    weight: Weight,
    canary_requests: f64,
    canary_failures: f64,
    stable_requests: f64,
    stable_failures: f64,
}

impl From<Written> for PrePeriod {
    fn from(written: Written) -> Self {
        let tally = |requests, failures| Tally { requests, failures };
        Self {
            weight: written.weight,
            canary: tally(written.canary_requests, written.canary_failures),
            stable: tally(written.stable_requests, written.stable_failures),
        }
    }
}

impl From<PrePeriod> for Written {
    fn from(known: PrePeriod) -> Self {
        Self {
            weight: known.weight,
            canary_requests: known.canary.requests,
            canary_failures: known.canary.failures,
            stable_requests: known.stable.requests,
            stable_failures: known.stable.failures,
        }
    }
}

impl PrePeriod {
    /// The canary's weight.
    pub fn weight(&self) -> Weight {
        self.weight
    }

    /// Requests and failures of those who are the canary's users at this weight.
    pub fn canary(&self) -> (f64, f64) {
        self.canary.into()
    }

    /// Requests and failures of those who are stable's. Where all are the canary's, of those who were stable's last.
    pub fn stable(&self) -> (f64, f64) {
        self.stable.into()
    }

    /// The relative margin for these users, where it is `relative` for users who are alike: not below that.
    pub fn relative(&self, relative: f64) -> f64 {
        let (canary, stable) = (self.ratio(self.canary), self.ratio(self.stable));
        let widened = relative * canary / stable * self.reach();
        widened.min(self.most()).clamp(relative, WIDEST)
    }

    /// How many times as much as the others these users are shown to fail whatever version they get, below 1 where they
    /// fail less: 1 as long as they may be alike.
    pub(super) fn shown(&self) -> f64 {
        let ratio = self.ratio(self.canary) / self.ratio(self.stable);
        let reach = self.reach();
        if ratio > reach {
            (ratio / reach).min(WIDEST)
        } else {
            (ratio * reach).clamp(1.0 / WIDEST, 1.0)
        }
    }

    /// Two standard deviations of the ratio's logarithm, as a factor.
    fn reach(&self) -> f64 {
        let variance = 1.0 / (self.canary.failures + 1.0) + 1.0 / (self.stable.failures + 1.0);
        1.0 + 2.0 * variance.sqrt()
    }

    /// The factor that leaves half of what lies between what the canary's users failed and everything.
    fn most(&self) -> f64 {
        (1.0 + self.ratio(self.canary)) / (2.0 * self.ratio(self.stable))
    }

    /// `margin` of the harm bound, for these users.
    pub(super) fn shift(&self, margin: Margin) -> Margin {
        let most = self.most().min(WIDEST).max(margin.relative);
        Margin {
            relative: (margin.relative * self.shown()).min(most),
            ..margin
        }
    }

    /// `margin`, for these users.
    pub(super) fn widen(&self, margin: Margin) -> Margin {
        Margin {
            relative: self.relative(margin.relative),
            ..margin
        }
    }

    /// The failure ratio of those who are stable's, above 0.
    pub(super) fn others(&self) -> f64 {
        self.ratio(self.stable)
    }

    /// A side's failure ratio, as if it had had half a failure more at the ratio of both.
    fn ratio(&self, side: Tally) -> f64 {
        let all = self.canary.plus(self.stable).plus(PRIOR);
        let prior = PRIOR_FAILURES * all.requests / all.failures;
        (side.failures + PRIOR_FAILURES) / (side.requests + prior)
    }

    /// Whether a guard may have written it.
    pub(super) fn is_sound(&self) -> bool {
        let sum = |tally: Tally| {
            tally.requests <= MOST * SECTORS as f64
                && tally.failures <= tally.requests
                && tally.failures >= 0.0
        };
        sum(self.canary) && sum(self.stable)
    }
}

#[cfg(test)]
mod tests;
