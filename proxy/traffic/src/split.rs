//! Which version a request goes to.

use crate::{
    Backend, Head, RolloutId, Sticky, Weight,
    action::Mirror,
    matches::{CopyMatch, FieldMatch},
    stats::{Armed, Counted, Stake, Tickets},
    sticky::NewBucket,
};
use std::sync::Arc;

/// The two sides of a split.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The version that users had before.
    Stable,
    /// The version under judgement.
    Canary,
}

/// A rule that comes before the weight (an A/B test, a header route of a step).
#[derive(Clone, Debug)]
pub struct SplitRule {
    /// The rule's name, for people.
    pub name: Box<str>,
    /// The conditions, of which one must hold.
    pub matches: Vec<FieldMatch>,
    /// Where a request goes that meets one.
    pub to: Side,
}

/// A rule by which the canary gets copies of stable's requests (a mirror route of a step).
#[derive(Clone, Debug)]
pub struct CopyRule {
    /// The conditions, of which one must hold.
    pub matches: Vec<CopyMatch>,
    /// Where the copies go, how many there are, and how large they may be.
    pub mirror: Mirror,
}

/// How one rollout's requests are shared between its versions. Both weights sum to 10,000 by construction: only the
/// canary's is kept.
#[derive(Clone, Debug)]
pub struct Split {
    /// The rollout.
    pub rollout: RolloutId,
    /// The stable version.
    pub stable: Backend,
    /// The canary. A rollout with nothing to judge has none; then all requests go to stable.
    pub canary: Option<Backend>,
    /// The canary's weight.
    pub weight: Weight,
    /// The rules that come before the weight; the first that a request meets decides.
    pub rules: Vec<SplitRule>,
    /// By what the canary gets copies of requests that go to stable; the first that a request meets decides.
    pub copies: Vec<CopyRule>,
    /// How users are kept on one version; none splits every request by itself.
    pub sticky: Option<Sticky>,
    /// The workers' places in the sequence that splits requests without a key.
    pub tickets: Arc<Tickets>,
    /// Whether an idempotent request that the canary failed is repeated on stable. It counts as the canary's failure
    /// all the same.
    pub rescue: bool,
    /// What tells that the proxy tripped the canary. Then all requests go to stable, also those of a rule. Nothing where
    /// it is left to the controller.
    pub armed: Option<Armed>,
    /// By what stable's requests are counted while there is no canary, so that it is known then what a canary's users met
    /// before. Nothing where requests are split by themselves, or need not be counted.
    pub counted: Option<Counted>,
}

/// What a split decided for a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice<'a> {
    /// The side.
    pub side: Side,
    /// Whether the weight decided, and not a rule.
    pub by_weight: bool,
    /// The cookie that the response must set.
    pub new_bucket: Option<NewBucket<'a>>,
    /// By what the request is counted when it ends.
    pub stake: Option<Stake>,
}

impl Choice<'_> {
    /// Stable, as there is nothing to choose.
    const STABLE: Self = Self {
        side: Side::Stable,
        by_weight: true,
        new_bucket: None,
        stake: None,
    };
}

impl Split {
    /// The side for `head`: rules first, then the user's point, then the worker's next ticket. `worker` must be the
    /// calling worker; `random` is drawn only for a new cookie.
    pub fn choose(
        &self,
        head: &Head<'_>,
        worker: usize,
        random: impl FnOnce() -> u64,
    ) -> Choice<'_> {
        if self.canary.is_none() {
            return self.choose_stable(head, worker, random);
        }
        if self.has_tripped() {
            return Choice::STABLE;
        }
        if let Some(rule) = self
            .rules
            .iter()
            .find(|rule| rule.matches.iter().any(|m| m.admits(head)))
        {
            return Choice {
                side: rule.to,
                by_weight: false,
                ..Choice::STABLE
            };
        }
        let (point, new_bucket) = self.point(head, worker, random);
        let (side, stake) = if self.weight.admits(point) {
            let stake = self.armed.as_ref().map(|armed| armed.stake(point));
            (Side::Canary, stake)
        } else {
            (Side::Stable, None)
        };
        Choice {
            side,
            by_weight: true,
            new_bucket,
            stake,
        }
    }

    /// Where a copy of `head`, which goes to stable, is to be sent. A canary that was tripped gets none.
    pub fn copy_of(&self, head: &Head<'_>) -> Option<&Mirror> {
        let mut rules = self.copies.iter();
        let rule = rules.find(|rule| rule.matches.iter().any(|m| m.admits(head)))?;
        (!self.has_tripped()).then_some(&rule.mirror)
    }

    /// Stable, as there is nothing else. The user's point is asked for all the same where users are counted, in the same
    /// way as a canary's weight would ask for it: a cookie is set too, as who gets it then is counted nowhere now.
    fn choose_stable(
        &self,
        head: &Head<'_>,
        worker: usize,
        random: impl FnOnce() -> u64,
    ) -> Choice<'_> {
        let Some(counted) = self.counted else {
            return Choice::STABLE;
        };
        let (point, new_bucket) = self.point(head, worker, random);
        Choice {
            new_bucket,
            stake: Some(counted.stake(point)),
            ..Choice::STABLE
        }
    }

    /// The point of `head`'s user, or the worker's next ticket for a request without a key.
    fn point(
        &self,
        head: &Head<'_>,
        worker: usize,
        random: impl FnOnce() -> u64,
    ) -> (u64, Option<NewBucket<'_>>) {
        self.sticky
            .as_ref()
            .and_then(|sticky| sticky.point(head, random))
            .unwrap_or_else(|| (self.tickets.next(worker), None))
    }

    /// Whether the proxy took the canary's traffic away by itself.
    pub fn has_tripped(&self) -> bool {
        self.armed.as_ref().is_some_and(Armed::has_tripped)
    }

    /// The version on `side`; stable where there is no canary.
    pub fn backend(&self, side: Side) -> &Backend {
        match (side, &self.canary) {
            (Side::Canary, Some(canary)) => canary,
            _ => &self.stable,
        }
    }
}

#[cfg(test)]
mod tests;
