//! The tables that the process publishes, and the proxy's view of them.

use crate::{Effects, Revision, sim::TICK};
use std::time::Duration;

/// How often the process looks while a table is on its way to the proxy.
const TICK_UNSETTLED: Duration = Duration::from_millis(2);
/// For how long after a publish; a proxy that takes longer is stuck, and no reason to hurry.
const UNSETTLED_FOR: Duration = Duration::from_secs(1);

/// What a table says.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Table {
    pub(super) effects: Effects,
    pub(super) canary: Option<Revision>,
}

/// The proxy's view of the tables.
#[derive(Debug, Default)]
pub(super) struct Proxy {
    pub(super) serves: Option<Table>,
    pub(super) coming: Option<Coming>,
}

/// A table that is on its way.
#[derive(Debug)]
pub(super) struct Coming {
    pub(super) table: Table,
    pub(super) published: Duration,
    pub(super) arrives: Duration,
}

impl Proxy {
    /// The table that was published last.
    pub(super) fn published(&self) -> Option<&Table> {
        match &self.coming {
            Some(coming) => Some(&coming.table),
            None => self.serves.as_ref(),
        }
    }

    /// The table that is served, when it is the one that was published last.
    pub(super) fn settled(&self) -> Option<&Table> {
        self.serves.as_ref().filter(|_| self.coming.is_none())
    }

    /// How long the process waits for the next turn: not long while another weight is on its way.
    pub(super) fn pause(&self, now: Duration) -> Duration {
        let weight = |table: &Table| table.effects.weight;
        let is_awaited = self.coming.as_ref().is_some_and(|coming| {
            self.serves.as_ref().map(weight) != Some(weight(&coming.table))
                && now.saturating_sub(coming.published) < UNSETTLED_FOR
        });
        if is_awaited { TICK_UNSETTLED } else { TICK }
    }
}
