//! What outlives the process, as it is written to the state file.

use crate::view::DecisionView;
use rollout::{State, analysis::Judge};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use traffic::RolloutId;

/// The layout that is written. Another one is refused, never guessed at.
const LAYOUT: u32 = 1;

/// The state of all rollouts.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Saved {
    layout: u32,
    rollouts: Vec<Named>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Named {
    namespace: String,
    name: String,
    #[serde(flatten)]
    rollout: SavedRollout,
}

/// The state of one rollout.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SavedRollout {
    /// Where it is.
    pub state: State,
    /// The evidence that was gathered.
    pub judge: Judge,
    /// What was decided, newest last.
    pub decisions: Vec<DecisionView>,
}

/// Bytes that are no state.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// They are not the JSON that is written.
    #[error("is no state file of Sluice: {0}")]
    Json(#[from] serde_json::Error),
    /// They were written by another version.
    #[error("has layout {found}, and this version reads layout {LAYOUT}")]
    Layout {
        /// The layout that they claim.
        found: u32,
    },
}

impl Default for Saved {
    fn default() -> Self {
        Self {
            layout: LAYOUT,
            rollouts: Vec::new(),
        }
    }
}

impl Saved {
    pub(super) fn from_rollouts(rollouts: impl Iterator<Item = (RolloutId, SavedRollout)>) -> Self {
        let named = |(id, rollout): (RolloutId, SavedRollout)| Named {
            namespace: id.namespace.to_string(),
            name: id.name.to_string(),
            rollout,
        };
        Self {
            layout: LAYOUT,
            rollouts: rollouts.map(named).collect(),
        }
    }

    pub(super) fn into_rollouts(self) -> BTreeMap<RolloutId, SavedRollout> {
        self.rollouts
            .into_iter()
            .map(|named| (RolloutId::new(&named.namespace, &named.name), named.rollout))
            .collect()
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        // Maps have string keys and numbers are finite, so this cannot fail; an empty file would be refused at start.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Reads what a process wrote.
    ///
    /// # Errors
    /// The bytes are no state, or one of another layout.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Unreadable> {
        #[derive(Deserialize)]
        struct Layout {
            layout: u32,
        }
        let Layout { layout } = serde_json::from_slice(bytes)?;
        if layout != LAYOUT {
            return Err(Unreadable::Layout { found: layout });
        }
        Ok(serde_json::from_slice(bytes)?)
    }
}
