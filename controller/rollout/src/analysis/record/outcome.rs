//! What comes out when a record is judged again.

use crate::analysis::{blocks::Tally, reading::Test};
use std::fmt;

/// What came out when a record was judged again.
#[derive(Clone, Debug, PartialEq)]
pub struct Replay {
    /// Each test: the rollback tests in the order of the reading, what tells whose fault failures are, the evidence
    /// step's, the proxy's trip.
    pub tests: Vec<Replayed>,
    /// That the tests say something else than the judgement, if so.
    pub judgement: Option<Difference>,
}

impl Replay {
    /// The first number that is another one than was stored, and in which test; nothing when all agree.
    pub fn first_difference(&self) -> Option<(&str, &Difference)> {
        let of_tests = self.tests.iter();
        of_tests
            .filter_map(|test| Some((&*test.name, test.difference.as_ref()?)))
            .chain(self.judgement.iter().map(|found| ("judgement", found)))
            .next()
    }
}

/// One test that was judged again.
#[derive(Clone, Debug, PartialEq)]
pub struct Replayed {
    /// Its name.
    pub name: String,
    /// Which rollback test it is; nothing for the others.
    pub test: Option<Test>,
    /// What was judged before the record begins.
    pub before: Counts,
    /// The evidence `ln E` with which the record begins; 0 when it holds everything.
    pub ln_e_before: f64,
    /// The windows of the record, oldest first. The first may have begun before it.
    pub windows: Vec<Window>,
    /// The evidence `ln E` as it was stored.
    pub stored: f64,
    /// And as it is recomputed.
    pub ln_e: f64,
    /// The evidence that is enough, recomputed.
    pub ln_threshold: f64,
    /// The first number that is another one than was stored.
    pub difference: Option<Difference>,
}

/// Requests of both versions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// The canary's requests.
    pub canary: u64,
    /// Those of them that failed, or were slow.
    pub canary_bad: u64,
    /// The stable's requests.
    pub stable: u64,
    /// Those of them that failed, or were slow.
    pub stable_bad: u64,
}

impl Counts {
    pub(super) fn of((canary, stable): (Tally, Tally)) -> Self {
        Self {
            canary: canary.requests,
            canary_bad: canary.bad,
            stable: stable.requests,
            stable_bad: stable.bad,
        }
    }

    /// The sum of both.
    pub fn and(self, more: Self) -> Self {
        Self {
            canary: self.canary + more.canary,
            canary_bad: self.canary_bad + more.canary_bad,
            stable: self.stable + more.stable,
            stable_bad: self.stable_bad + more.stable_bad,
        }
    }

    pub(super) fn since(self, before: Self) -> Self {
        Self {
            canary: self.canary - before.canary,
            canary_bad: self.canary_bad - before.canary_bad,
            stable: self.stable - before.stable,
            stable_bad: self.stable_bad - before.stable_bad,
        }
    }

    pub(super) fn named(self) -> [(&'static str, u64); 4] {
        [
            ("canary requests", self.canary),
            ("bad canary requests", self.canary_bad),
            ("stable requests", self.stable),
            ("bad stable requests", self.stable_bad),
        ]
    }
}

/// What was judged in one burst window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Window {
    /// When its first block began, in seconds since the canary began (of `past errors`, since it had all traffic; of the
    /// proxy's trip, whose counts are one window, since it had its weight).
    pub start: f64,
    /// What was counted in it.
    pub counts: Counts,
    /// The evidence `ln E` at its end, recomputed.
    pub ln_e: f64,
}

/// A number that was stored, and what it is when it is recomputed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Which number.
    pub what: String,
    /// As it was stored.
    pub stored: String,
    /// As it is recomputed.
    pub recomputed: String,
}

impl Difference {
    pub(super) fn new(
        what: impl Into<String>,
        stored: &dyn ToString,
        recomputed: &dyn ToString,
    ) -> Self {
        Self {
            what: what.into(),
            stored: stored.to_string(),
            recomputed: recomputed.to_string(),
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            what,
            stored,
            recomputed,
        } = self;
        write!(f, "{what}: stored {stored}, recomputed {recomputed}")
    }
}
