//! What people see of a rollout: the live view, lines for logs, a table, an explanation.
//!
//! Everything here is a pure function of a [`RolloutView`], apart from [`Screen`], which holds the terminal.

mod changes;
pub(crate) mod cluster;
mod explain;
mod format;
mod live;
mod palette;
mod screen;
mod table;

#[cfg(test)]
pub(crate) mod fixtures;

pub(crate) use self::changes::{Changes, stamp};
pub(crate) use self::explain::explain;
pub(crate) use self::format::{count, moment, percent, seconds};
pub(crate) use self::live::{Live, text};
pub(crate) use self::palette::Palette;
pub(crate) use self::screen::{Key, Screen};
pub(crate) use self::table::{aligned, list};

use crate::api::RolloutView;

/// The rollout's standing in one line: `default/checkout: Progressing, weight 25%: step 3 of 6`.
pub(crate) fn headline(view: &RolloutView) -> String {
    let mut line = format!("{}/{}: {}", view.namespace, view.name, view.phase);
    if view.canary.is_some() {
        line += &format!(", canary weight {}", percent(view.weight));
    }
    if !view.message.is_empty() {
        line += &format!(": {}", view.message);
    }
    line
}
