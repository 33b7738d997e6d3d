//! What people see of a Rollout of a cluster.
//!
//! Everything here is a pure function of what was [seen](Seen) and of the time.

mod age;
mod list;
mod tree;

#[cfg(test)]
mod tests;

pub(crate) use list::Table;

use super::Palette;
use super::format::wrapped;
use crate::cluster_cli::{Role, Seen};
use controller::verbs::Standing;
use jiff::Timestamp;
use ratatui::{
    backend::IntoCrossterm as _,
    crossterm::style::ContentStyle,
    text::{Line, Span},
};
use std::io::{self, Write};

/// The widest that lines are made, where they can be broken.
const WIDTH: usize = 100;
/// Where values begin.
const LABEL: usize = 17;

/// `Paused - CanaryPauseStep`.
pub(crate) fn standing(standing: &Standing) -> String {
    let phase = word(standing);
    match standing.message.as_str() {
        "" => phase,
        message => format!("{phase} - {message}"),
    }
}

/// A Rollout in one line: `prod/shop: Paused, step 1/2, weight 50: CanaryPauseStep`.
pub(crate) fn headline(seen: &Seen) -> String {
    let key = crate::cluster_cli::key(&seen.rollout);
    let mut line = format!("{key}: {}", word(&seen.standing));
    if let Some((step, steps)) = seen.step() {
        line += &format!(", step {step}/{steps}");
    }
    if let Some(weight) = seen.actual_weight() {
        line += &format!(", weight {weight}");
    }
    if !seen.standing.message.is_empty() {
        line += &format!(": {}", seen.standing.message);
    }
    line
}

/// A Rollout with its revisions, ReplicaSets and pods.
pub(crate) fn rollout(seen: &Seen, now: Timestamp, palette: Palette) -> Vec<Line<'static>> {
    let meta = &seen.rollout.metadata;
    let phase = word(&seen.standing);
    let style = palette.phase(&phase);
    let mut lines = vec![
        field("Name:", meta.name.clone().unwrap_or_default()),
        field("Namespace:", meta.namespace().to_owned()),
        field("Status:", Span::styled(phase, style)),
    ];
    let message = wrapped(&seen.standing.message, WIDTH - LABEL).into_iter();
    lines.extend(labelled("Message:", message.map(Span::raw)));
    lines.push(field("Strategy:", seen.strategy()));
    if let Some((step, steps)) = seen.step() {
        lines.push(field("  Step:", format!("{step}/{steps}")));
    }
    if let (Some(set), Some(actual)) = (seen.set_weight(), seen.actual_weight()) {
        lines.push(field("  SetWeight:", set.to_string()));
        lines.push(field("  ActualWeight:", actual.to_string()));
    }
    let images = seen.images().into_iter();
    let images = images.map(|(image, roles)| image_line(image, &roles, palette));
    lines.extend(labelled_lines("Images:", images));
    lines.push(Line::raw("Replicas:"));
    let status = &seen.status;
    for (label, count) in [
        ("  Desired:", Some(seen.rollout.spec.replicas.unwrap_or(1))),
        ("  Current:", status.replicas),
        ("  Updated:", status.updated_replicas),
        ("  Ready:", status.ready_replicas),
        ("  Available:", status.available_replicas),
    ] {
        lines.push(field(label, count.unwrap_or(0).to_string()));
    }
    lines.push(Line::default());
    lines.extend(tree::lines(seen, now, palette));
    lines
}

/// Writes lines, with their styles where `styled` says so.
pub(crate) fn print(lines: &[Line<'_>], styled: bool, out: &mut impl Write) -> io::Result<()> {
    for line in lines {
        for span in &line.spans {
            let style: ContentStyle = span.style.into_crossterm();
            match styled && style != ContentStyle::default() {
                true => write!(out, "{}", style.apply(&*span.content))?,
                false => write!(out, "{}", span.content)?,
            }
        }
        writeln!(out)?;
    }
    Ok(())
}

fn word(standing: &Standing) -> String {
    let phase = serde_json::to_value(&standing.phase).unwrap_or_default();
    phase.as_str().unwrap_or_default().to_owned()
}

fn field(label: &str, value: impl Into<Span<'static>>) -> Line<'static> {
    Line::from(vec![Span::raw(format!("{label:<LABEL$}")), value.into()])
}

fn labelled(
    label: &'static str,
    values: impl Iterator<Item = Span<'static>>,
) -> impl Iterator<Item = Line<'static>> {
    labelled_lines(label, values.map(|value| vec![value]))
}

/// The label before the first of the values, the others below it.
fn labelled_lines(
    label: &'static str,
    values: impl Iterator<Item = Vec<Span<'static>>>,
) -> impl Iterator<Item = Line<'static>> {
    let labels = std::iter::once(label).chain(std::iter::repeat(""));
    labels.zip(values).map(|(label, values)| {
        let label = Span::raw(format!("{label:<LABEL$}"));
        Line::from_iter(std::iter::once(label).chain(values))
    })
}

/// `shop:2 (canary)`.
fn image_line(image: &str, roles: &[Role], palette: Palette) -> Vec<Span<'static>> {
    let mut spans = vec![Span::raw(image.to_owned())];
    if !roles.is_empty() {
        spans.push(Span::raw(" ("));
        spans.extend(role_spans(roles, palette));
        spans.push(Span::raw(")"));
    }
    spans
}

fn role_spans(roles: &[Role], palette: Palette) -> Vec<Span<'static>> {
    let mut spans = Vec::new();
    for role in roles {
        if !spans.is_empty() {
            spans.push(Span::raw(", "));
        }
        let style = match role {
            Role::Stable | Role::Active => palette.stable(),
            Role::Canary | Role::Preview => palette.canary(),
            Role::Ping | Role::Pong => palette.faint(),
        };
        spans.push(Span::styled(role.word(), style));
    }
    spans
}
