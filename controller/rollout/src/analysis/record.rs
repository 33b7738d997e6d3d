//! The whole record of a judgement: what each test was given, block by block, so that anybody can add it up again,
//! on another machine too, and see whether the evidence is what was said.

mod margins;
mod outcome;
mod replay;
mod sound;
mod tripped;

pub use outcome::{Counts, Difference, Replay, Replayed, Window};
pub use sound::Unsound;
pub use tripped::Tripped;

use super::{
    acceptance::AcceptanceTest,
    config::Config,
    journal::Log,
    reading::{Reading, Test},
    shortfall::Ever,
    users::PrePeriod,
    watch::Watch,
};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::sync::Arc;

/// All that a [`Reading`] was made of, as far back as it is kept. Cheap to clone.
///
/// Its JSON is for [`Record::replay`], and for people who check a verdict by hand.
#[derive(Clone, Debug, PartialEq)]
pub struct Record(Arc<Parts>);

#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Parts {
    /// What the guard was asked to do.
    pub(super) parameters: Config,
    /// The rollback tests of blocks, in the order of the reading.
    pub(super) tests: Vec<Tested>,
    /// Whose fault it is that a canary is above the failure limit, where there is one.
    pub(super) attribution: Option<Attribution>,
    /// The test of the request rate, where that may convict.
    #[serde(default)]
    pub(super) rate: Option<Log<Ever>>,
    /// The test of the evidence step, if there was one.
    pub(super) acceptance: Option<Log<AcceptanceTest>>,
    /// What the users of both versions met before, for each weight so far, where users are split.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) pre_periods: Vec<PrePeriod>,
    /// The stable's requests and failures that the limit is made of while the canary has all the traffic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) history: Option<(f64, f64)>,
    /// That the proxy took the canary's traffic away by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) trip: Option<Tripped>,
}

/// One rollback test.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Tested {
    pub(super) test: Test,
    pub(super) log: Log<Watch>,
}

/// What tells whose fault failures are.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Attribution {
    /// The stable's requests of the last minute.
    pub(super) stable_requests: u64,
    /// Those of them that failed.
    pub(super) stable_failures: u64,
    /// The evidence that the canary is worse than the stable at all.
    pub(super) ln_e: f64,
    pub(super) log: Log<Watch>,
}

impl Record {
    pub(super) fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }

    /// Judges all blocks again, as the guard did, and compares what follows with what `reading` says of each test.
    ///
    /// # Errors
    /// The record is none that a guard would write: a number is out of its range.
    pub fn replay(&self, reading: &Reading) -> Result<Replay, Unsound> {
        sound::check(&self.0)?;
        Ok(replay::replay(&self.0, reading))
    }
}

impl Serialize for Record {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Record {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Parts::deserialize(deserializer).map(Self::new)
    }
}

#[cfg(test)]
mod tests;
