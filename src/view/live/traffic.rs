//! Where the requests go and how they fare.

use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::bar::bar;
use crate::api::{RolloutView, VersionView};
use crate::view::Palette;
use crate::view::format::{count, percent, percent_column, rate, seconds, short};

/// The canary's weight as set and as measured.
pub(super) fn weight(view: &RolloutView, palette: Palette, width: usize) -> Vec<Line<'static>> {
    if view.canary.is_none() {
        let revision = short(&view.stable.revision);
        return vec![Line::from(format!(
            "No canary: stable {revision} takes every request."
        ))];
    }
    let mut lines = vec![weight_line("weight set", Some(view.weight), palette, width)];
    lines.push(weight_line(
        "  measured",
        view.measured_share,
        palette,
        width,
    ));
    if !view.acknowledged {
        lines.push(Line::styled(
            "not every worker serves the new weight yet",
            palette.canary(),
        ));
    }
    lines
}

fn weight_line(label: &str, share: Option<f64>, palette: Palette, width: usize) -> Line<'static> {
    let value = share.map_or_else(|| "-".into(), percent_column);
    let text = format!("{label} {value:>8} ");
    let room = width.saturating_sub(text.chars().count()).min(50);
    Line::from(vec![
        Span::raw(text),
        Span::styled(bar(share.unwrap_or(0.0) / 100.0, room), palette.canary()),
    ])
}

/// A column: its heading, how wide it is, and how early it goes when there is no room (the lowest first).
struct Column {
    heading: &'static str,
    width: usize,
    importance: u8,
    cell: fn(&VersionView) -> String,
}

const COLUMNS: [Column; 9] = [
    Column {
        heading: "revision",
        width: 11,
        importance: 6,
        cell: |v| short(&v.revision),
    },
    Column {
        heading: "req/s",
        width: 8,
        importance: 8,
        cell: |v| rate(v.rps),
    },
    Column {
        heading: "failed",
        width: 9,
        importance: 9,
        cell: failed,
    },
    Column {
        heading: "p50",
        width: 8,
        importance: 4,
        cell: |v| latency(v, 0),
    },
    Column {
        heading: "p90",
        width: 8,
        importance: 5,
        cell: |v| latency(v, 1),
    },
    Column {
        heading: "p99",
        width: 8,
        importance: 7,
        cell: |v| latency(v, 2),
    },
    Column {
        heading: "in flight",
        width: 10,
        importance: 3,
        cell: |v| count(v.in_flight),
    },
    Column {
        heading: "requests",
        width: 10,
        importance: 2,
        cell: |v| count(v.requests),
    },
    Column {
        heading: "failures",
        width: 9,
        importance: 1,
        cell: |v| count(v.failures),
    },
];

/// Rate, failures and latency of both sides.
pub(super) fn table(view: &RolloutView, palette: Palette, width: usize) -> Vec<Line<'static>> {
    let columns = columns(width.saturating_sub(ROLE_WIDTH));
    let mut heading = format!("{:ROLE_WIDTH$}", "");
    for column in &columns {
        heading += &aligned(column, column.heading);
    }
    let mut lines = vec![Line::styled(heading, palette.faint())];
    lines.push(row(
        "stable",
        &view.stable,
        &columns,
        palette.stable(),
        palette,
    ));
    if let Some(canary) = &view.canary {
        lines.push(row("canary", canary, &columns, palette.canary(), palette));
    }
    lines
}

const ROLE_WIDTH: usize = 7;

fn columns(width: usize) -> Vec<&'static Column> {
    let mut columns: Vec<&Column> = COLUMNS.iter().collect();
    while columns.iter().map(|column| column.width).sum::<usize>() > width {
        let Some(least) = columns.iter().map(|column| column.importance).min() else {
            break;
        };
        columns.retain(|column| column.importance != least);
    }
    columns
}

fn row(
    role: &str,
    version: &VersionView,
    columns: &[&Column],
    style: Style,
    palette: Palette,
) -> Line<'static> {
    let mut line = Line::from(Span::styled(format!("{role:ROLE_WIDTH$}"), style));
    for column in columns {
        let failing = column.heading == "failed" && version.failure_percent.unwrap_or(0.0) >= 1.0;
        let style = if failing { palette.bad() } else { Style::new() };
        line.push_span(Span::styled(
            aligned(column, &(column.cell)(version)),
            style,
        ));
    }
    line
}

/// Words to the left, numbers to the right.
fn aligned(column: &Column, text: &str) -> String {
    let width = column.width;
    match column.heading {
        "revision" => format!("{text:<width$}"),
        _ => format!("{text:>width$}"),
    }
}

fn failed(version: &VersionView) -> String {
    version.failure_percent.map_or_else(|| "-".into(), percent)
}

fn latency(version: &VersionView, quantile: usize) -> String {
    version
        .latency
        .map_or_else(|| "-".into(), |latency| seconds(latency[quantile]))
}
