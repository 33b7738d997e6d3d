//! The revisions of a Rollout, their ReplicaSets and pods, as a tree.

use super::age::age;
use super::{role_spans, word};
use crate::cluster_cli::{Pod, Seen, Set, SetState};
use crate::view::Palette;
use jiff::Timestamp;
use ratatui::text::{Line, Span};

/// A line of the tree, before its columns are aligned.
struct Row {
    name: String,
    status: Span<'static>,
    age: String,
    info: Vec<Span<'static>>,
}

/// The tree, with a heading.
pub(super) fn lines(seen: &Seen, now: Timestamp, palette: Palette) -> Vec<Line<'static>> {
    let meta = &seen.rollout.metadata;
    let created = meta.creation_timestamp.as_deref();
    let created = created.and_then(|text| text.parse().ok()).unwrap_or(now);
    let phase = word(&seen.standing);
    let style = palette.phase(&phase);
    let mut rows = vec![
        Row {
            name: "NAME".to_owned(),
            status: Span::raw("STATUS"),
            age: "AGE".to_owned(),
            info: vec![Span::raw("INFO")],
        },
        Row {
            name: meta.name.clone().unwrap_or_default(),
            status: Span::styled(phase, style),
            age: age(created, now),
            info: Vec::new(),
        },
    ];
    let revisions: Vec<&[Set]> = seen
        .sets
        .chunk_by(|a, b| a.revision == b.revision)
        .collect();
    for (place, sets) in revisions.iter().enumerate() {
        let (own, below) = branch("", place + 1 == revisions.len());
        let number = sets.first().map_or(0, |set| set.revision);
        rows.push(Row {
            name: format!("{own}revision {number}"),
            status: Span::default(),
            age: String::new(),
            info: Vec::new(),
        });
        for (place, set) in sets.iter().enumerate() {
            let (own, below) = branch(&below, place + 1 == sets.len());
            rows.push(set_row(set, &own, now, palette));
            for (place, pod) in set.pods.iter().enumerate() {
                let (own, _) = branch(&below, place + 1 == set.pods.len());
                rows.push(pod_row(pod, &own, now, palette));
            }
        }
    }
    aligned(rows)
}

/// What stands before a branch, and before what is below it.
fn branch(above: &str, is_last: bool) -> (String, String) {
    match is_last {
        true => (format!("{above}└─ "), format!("{above}   ")),
        false => (format!("{above}├─ "), format!("{above}│  ")),
    }
}

fn set_row(set: &Set, before: &str, now: Timestamp, palette: Palette) -> Row {
    let (word, style) = match set.state {
        SetState::Healthy => ("Healthy", palette.good()),
        SetState::Progressing => ("Progressing", palette.canary()),
        SetState::ScaledDown => ("ScaledDown", palette.faint()),
        SetState::Failing => ("ReplicaFailure", palette.bad()),
    };
    let mut info = role_spans(&set.roles, palette);
    if let Some(deadline) = set.deadline {
        let separator = if info.is_empty() { "" } else { ", " };
        let left = match deadline <= now {
            true => "goes now".to_owned(),
            false => format!("goes in {}", age(now, deadline)),
        };
        info.push(Span::raw(format!("{separator}{left}")));
    }
    Row {
        name: format!("{before}{}", set.name),
        status: Span::styled(word, style),
        age: age(set.created, now),
        info,
    }
}

fn pod_row(pod: &Pod, before: &str, now: Timestamp, palette: Palette) -> Row {
    let style = match (pod.is_well(), pod.is_failing()) {
        (true, _) => palette.good(),
        (false, true) => palette.bad(),
        (false, false) => palette.canary(),
    };
    let (ready, containers) = pod.ready;
    let mut info = format!("ready {ready}/{containers}");
    if pod.restarts > 0 {
        info += &format!(", restarts {}", pod.restarts);
    }
    Row {
        name: format!("{before}{}", pod.name),
        status: Span::styled(pod.state.clone(), style),
        age: age(pod.created, now),
        info: vec![Span::raw(info)],
    }
}

/// Columns as wide as their widest cell, two spaces apart.
fn aligned(rows: Vec<Row>) -> Vec<Line<'static>> {
    let widest = |width: fn(&Row) -> usize| rows.iter().map(width).max().unwrap_or(0);
    let name = widest(|row| row.name.chars().count());
    let status = widest(|row| row.status.content.chars().count());
    let age = widest(|row| row.age.chars().count());
    let line = |row: Row| {
        let padding = status - row.status.content.chars().count();
        let tail = format!("{:padding$}  {:<age$}  ", "", row.age);
        let mut spans = vec![Span::raw(format!("{:<name$}  ", row.name)), row.status];
        spans.push(Span::raw(tail));
        spans.extend(row.info);
        trimmed(spans)
    };
    rows.into_iter().map(line).collect()
}

/// Without spaces at the end.
fn trimmed(mut spans: Vec<Span<'static>>) -> Line<'static> {
    while let Some(last) = spans.pop() {
        let text = last.content.trim_end().to_owned();
        if !text.is_empty() {
            spans.push(Span::styled(text, last.style));
            break;
        }
    }
    Line::from(spans)
}
