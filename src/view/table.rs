//! The list of rollouts.

use super::format::{percent, rate};
use crate::api::RolloutView;

/// A table of all rollouts, one per line, with a heading; says so when there is none.
pub(crate) fn list(views: &[RolloutView]) -> String {
    if views.is_empty() {
        return "no rollouts\n".into();
    }
    let heading = [
        "NAMESPACE",
        "NAME",
        "PHASE",
        "WEIGHT",
        "REQ/S",
        "FAILED",
        "MESSAGE",
    ];
    let mut rows = vec![heading.map(str::to_owned)];
    rows.extend(views.iter().map(row));
    aligned(&rows)
}

fn row(view: &RolloutView) -> [String; 7] {
    let rps = view.stable.rps + view.canary.as_ref().map_or(0.0, |canary| canary.rps);
    let failed = view.canary.as_ref().unwrap_or(&view.stable).failure_percent;
    [
        view.namespace.clone(),
        view.name.clone(),
        view.phase.clone(),
        view.canary
            .as_ref()
            .map_or_else(|| "-".into(), |_| percent(view.weight)),
        rate(rps),
        failed.map_or_else(|| "-".into(), percent),
        view.message.clone(),
    ]
}

/// Columns as wide as their widest cell, two spaces apart.
pub(crate) fn aligned<const N: usize>(rows: &[[String; N]]) -> String {
    let mut widths = [0; N];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for row in rows {
        let cells: Vec<String> = row
            .iter()
            .zip(widths)
            .map(|(cell, width)| format!("{cell:<width$}"))
            .collect();
        text += cells.join("  ").trim_end();
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests;
