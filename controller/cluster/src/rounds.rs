//! The turns of one Rollout, one after the other, until nothing is left to write.

use crate::{
    TurnFn,
    announce::Announcer,
    api::{Failure, Server},
    instance::Instance,
    key::Key,
    shared::Shared,
    writes::{Next, Writer},
};
use controller::reconcile::Write;
use jiff::Timestamp;
use std::sync::Arc;

/// More turns in a row than any Rollout needs.
const ROUNDS: usize = 32;

/// What the Rollouts' turns need.
#[derive(Clone)]
pub(crate) struct Rounds {
    pub(crate) turn: TurnFn,
    pub(crate) server: Server,
    pub(crate) shared: Arc<Shared>,
    pub(crate) announcer: Announcer,
    pub(crate) instance: Instance,
}

/// Why a Rollout has to be tried again.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Trouble {
    /// A write failed.
    #[error("cannot {what}: {why}")]
    Write {
        /// What was to be written.
        what: String,
        /// Why it was not.
        why: Failure,
    },
    /// Its turns go on for ever.
    #[error("{ROUNDS} turns in a row had something to write")]
    Endless,
}

impl Rounds {
    /// Takes turns until nothing is left to write. Returns when to look again by itself.
    pub(crate) async fn take(&self, key: &Key) -> Result<Option<Timestamp>, Trouble> {
        for _ in 0..ROUNDS {
            let Some(scene) = self.shared.view().scene(key) else {
                return Ok(None);
            };
            let turn = (self.turn)(&scene.world, Timestamp::now());
            let mut writer = Writer::new(self, key, scene);
            let mut is_settled = true;
            for write in turn.writes {
                if let Write::Event(event) = write {
                    self.announcer.announce(writer.rollout(), event);
                    continue;
                }
                is_settled = false;
                if writer.write(write).await? == Next::TurnAgain {
                    break;
                }
            }
            if is_settled {
                return Ok(turn.wake_at);
            }
        }
        Err(Trouble::Endless)
    }
}
