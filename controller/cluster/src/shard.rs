//! Which Rollouts are of which shard, where several processes lead at once, each its own.

#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};
use xxhash_rust::xxh3::xxh3_64;

/// Into how many shards the Rollouts are divided: 1 to [`Shards::MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u16", into = "u16")]
pub struct Shards(u16);

/// What is no number of shards.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "found `{0}`, allowed are whole numbers from 1 to {max}",
    max = Shards::MAX
)]
pub struct NoShards(String);

impl Shards {
    /// Beyond that, what each costs (watches of its own, that tell of all objects) is more than what it takes off others.
    pub const MAX: u16 = 32;
    /// All Rollouts are of one.
    pub const ONE: Self = Self(1);

    /// How many.
    pub fn count(self) -> u16 {
        self.0
    }

    /// All of them.
    pub(crate) fn all(self) -> impl Iterator<Item = Shard> {
        (0..self.0).map(move |index| Shard { index, of: self })
    }
}

impl Default for Shards {
    fn default() -> Self {
        Self::ONE
    }
}

impl fmt::Display for Shards {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl TryFrom<u16> for Shards {
    type Error = NoShards;

    fn try_from(count: u16) -> Result<Self, NoShards> {
        match count {
            1..=Self::MAX => Ok(Self(count)),
            _ => Err(NoShards(count.to_string())),
        }
    }
}

impl From<Shards> for u16 {
    fn from(shards: Shards) -> Self {
        shards.0
    }
}

impl FromStr for Shards {
    type Err = NoShards;

    fn from_str(written: &str) -> Result<Self, NoShards> {
        let count: u16 = written.parse().map_err(|_| NoShards(written.to_owned()))?;
        count.try_into()
    }
}

/// A part of the Rollouts, with all that belongs to them. The default is all of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shard {
    index: u16,
    of: Shards,
}

impl Shard {
    /// Which one, from 0.
    pub(crate) fn index(self) -> u16 {
        self.index
    }

    /// Whether a Rollout is of this shard.
    ///
    /// The hash is fixed for ever: processes of different builds must agree.
    pub(crate) fn has(self, namespace: &str, name: &str) -> bool {
        self.of == Shards::ONE
            || xxh3_64(format!("{namespace}/{name}").as_bytes()) % u64::from(self.of.0)
                == u64::from(self.index)
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.index, self.of)
    }
}
