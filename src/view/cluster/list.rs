//! Rollouts as a table that can grow by a line for each change.

use super::word;
use crate::cluster_cli::{Seen, key};
use std::collections::BTreeMap;

const HEADING: [&str; 10] = [
    "NAMESPACE",
    "NAME",
    "STRATEGY",
    "STATUS",
    "STEP",
    "SET-WEIGHT",
    "READY",
    "DESIRED",
    "UP-TO-DATE",
    "AVAILABLE",
];

/// A row of the table.
type Row = [String; HEADING.len()];

/// The table, and what was last told of each Rollout.
pub(crate) struct Table {
    widths: [usize; HEADING.len()],
    with_namespace: bool,
    told: BTreeMap<String, Row>,
}

impl Table {
    /// A table of `all`, as wide as they need.
    pub(crate) fn new(all: &[Seen], with_namespace: bool) -> Self {
        let told: BTreeMap<_, _> = all
            .iter()
            .map(|seen| (key(&seen.rollout), row(seen)))
            .collect();
        let mut widths = HEADING.map(str::len);
        // The longest word, so that lines to come stay in their columns.
        widths[3] = "Progressing".len();
        for row in told.values() {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        Self {
            widths,
            with_namespace,
            told,
        }
    }

    /// The whole table, with a heading.
    pub(crate) fn text(&self) -> String {
        let heading = HEADING.map(str::to_owned);
        let rows = std::iter::once(&heading).chain(self.told.values());
        rows.map(|row| self.line(row) + "\n").collect()
    }

    /// A line for each Rollout that is not as it was told last. One that is gone is forgotten.
    pub(crate) fn changes(&mut self, all: &[Seen]) -> Vec<String> {
        let rows: BTreeMap<_, _> = all
            .iter()
            .map(|seen| (key(&seen.rollout), row(seen)))
            .collect();
        let changed = rows.iter();
        let changed = changed.filter(|(key, row)| self.told.get(*key) != Some(row));
        let lines = changed.map(|(_, row)| self.line(row)).collect();
        self.told = rows;
        lines
    }

    fn line(&self, row: &Row) -> String {
        let cells = row.iter().zip(self.widths);
        let cells = cells.skip(usize::from(!self.with_namespace));
        let cells: Vec<_> = cells
            .map(|(cell, width)| format!("{cell:<width$}"))
            .collect();
        cells.join("  ").trim_end().to_owned()
    }
}

fn row(seen: &Seen) -> Row {
    let (meta, status) = (&seen.rollout.metadata, &seen.status);
    let or_none = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    let count = |count: Option<i32>| count.unwrap_or(0).to_string();
    [
        meta.namespace().to_owned(),
        meta.name.clone().unwrap_or_default(),
        seen.strategy().to_owned(),
        word(&seen.standing),
        or_none(seen.step().map(|(step, steps)| format!("{step}/{steps}"))),
        or_none(seen.set_weight().map(|weight| weight.to_string())),
        format!(
            "{}/{}",
            count(status.ready_replicas),
            count(status.replicas)
        ),
        seen.rollout.spec.replicas.unwrap_or(1).to_string(),
        count(status.updated_replicas),
        count(status.available_replicas),
    ]
}
