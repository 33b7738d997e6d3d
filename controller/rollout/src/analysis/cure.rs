//! Whether the canary is the cure: the stable is broken and the canary is not.
//!
//! Both versions' counts of the same last minute, taken while the canary had its present weight, decide it: so an outage
//! that both share speaks against both, and nothing that one of them did at another time is compared.

use super::{baseline::Health, reading::Judgement};
use serde::{Deserialize, Serialize};
use traffic::Weight;

/// Both versions since the canary came to its weight, a minute at most.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Cure {
    canary: Health,
    stable: Health,
}

impl Cure {
    /// The canary comes to another weight. With all the traffic on it, the stable is what it was before.
    pub(super) fn start_step(&mut self, weight: Weight) {
        self.canary = Health::default();
        if weight < Weight::FULL {
            self.stable = Health::default();
        }
    }

    /// Takes requests and failures of both that came in until `second`, counted from 1970.
    pub(super) fn take(&mut self, second: i64, canary: (u64, u64), stable: (u64, u64)) {
        self.canary.learn(second, canary.0, canary.1);
        self.stable.learn(second, stable.0, stable.1);
    }

    /// That the stable is shown to fail more than `allowed` and the canary to fail less.
    pub(super) fn judgement(&self, allowed: f64) -> Option<Judgement> {
        if !self.stable.is_unhealthy(allowed) || !self.canary.is_healthy(allowed) {
            return None;
        }
        let (canary_requests, canary_failures) = self.canary.counts();
        let (stable_requests, stable_failures) = self.stable.counts();
        Some(Judgement::RollForward {
            canary_requests,
            canary_failures,
            stable_requests,
            stable_failures,
            allowed,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_canary_cures_what_it_does_not_have_itself() {
        let check = |canary: (u64, u64), stable: (u64, u64), wanted: bool| {
            let mut cure = Cure::default();
            cure.take(0, canary, stable);
            let found = cure.judgement(0.05).is_some();
            assert_eq!(found, wanted, "{canary:?} {stable:?}");
        };
        check((200, 0), (1000, 500), true);
        check((200, 1), (1000, 100), true);
        // Too few requests to know.
        check((30, 0), (1000, 500), false);
        check((0, 0), (1000, 500), false);
        // Both are broken, or neither is.
        check((200, 100), (1000, 500), false);
        check((200, 0), (1000, 10), false);
    }
}
