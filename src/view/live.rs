//! The live view of one rollout: what a person looks at while a version goes out.
//!
//! It is made of sections of lines. When the terminal is too low, the gaps between them go first, then lines of the
//! sections that matter least ([`fit()`]); when it is too narrow, lines are wrapped or lose columns.

mod bar;
mod evidence;
mod fit;
mod traffic;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::Widget;

use self::fit::{Section, fit};
use super::Palette;
use super::format::{clipped, clock, percent, seconds, wrapped};
use crate::api::{DecisionView, RolloutView, StepProgress};

/// The live view, as a widget that fills its area.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Live<'a> {
    /// What is shown.
    pub(crate) view: &'a RolloutView,
    /// With colours or without.
    pub(crate) palette: Palette,
    /// Lines above everything else.
    pub(crate) caption: &'a [String],
    /// A line for what is wrong with the view itself, such as a lost connection.
    pub(crate) notice: Option<&'a str>,
}

impl Widget for &Live<'_> {
    fn render(self, area: Rect, buffer: &mut Buffer) {
        let footer = self.notice.map_or_else(
            || Line::styled("q quits", self.palette.faint()),
            |notice| Line::styled(clipped(notice, usize::from(area.width)), self.palette.bad()),
        );
        let room = area.height.saturating_sub(1);
        let lines = fit(self.sections(usize::from(area.width)), usize::from(room));
        for (line, y) in lines.iter().zip(area.y..area.y.saturating_add(room)) {
            buffer.set_line(area.x, y, line, area.width);
        }
        if area.height > 0 {
            buffer.set_line(area.x, area.y + room, &footer, area.width);
        }
    }
}

/// The same as text, for a person who looks once.
pub(crate) fn text(view: &RolloutView) -> String {
    const WIDTH: usize = 100;
    let live = Live {
        view,
        palette: Palette::PLAIN,
        caption: &[],
        notice: None,
    };
    let mut text = String::new();
    for line in fit(live.sections(WIDTH), usize::MAX) {
        let content: String = line
            .spans
            .iter()
            .map(|span| span.content.as_ref())
            .collect();
        text += content.trim_end();
        text.push('\n');
    }
    text
}

impl Live<'_> {
    fn sections(&self, width: usize) -> Vec<Section> {
        let (view, palette) = (self.view, self.palette);
        let caption = self.caption.iter();
        let caption = caption.map(|line| Line::styled(clipped(line, width), palette.strong()));
        vec![
            Section {
                lines: caption.collect(),
                least: 1,
                importance: 3,
            },
            Section {
                lines: standing(view, palette, width),
                least: 1,
                importance: 9,
            },
            Section {
                lines: steps(view, palette, width),
                least: 1,
                importance: 5,
            },
            Section {
                lines: traffic::weight(view, palette, width),
                least: 1,
                importance: 7,
            },
            Section {
                lines: traffic::table(view, palette, width),
                least: 3,
                importance: 8,
            },
            Section {
                lines: evidence::against(view, palette, width),
                least: 2,
                importance: 6,
            },
            Section {
                lines: evidence::to_go_on(view, palette, width),
                least: 1,
                importance: 4,
            },
            Section {
                lines: decisions(view, palette, width),
                least: 2,
                importance: 2,
            },
        ]
    }
}

/// Which rollout it is, its phase, and what it waits for.
fn standing(view: &RolloutView, palette: Palette, width: usize) -> Vec<Line<'static>> {
    let name = format!("{}/{}", view.namespace, view.name);
    let time = clock(view.at);
    let used = name.chars().count() + 2 + view.phase.chars().count();
    let gap = width.saturating_sub(used + time.len());
    let mut lines = vec![Line::from(vec![
        Span::styled(name, palette.strong()),
        Span::raw("  "),
        Span::styled(view.phase.clone(), palette.phase(&view.phase)),
        Span::styled(format!("{:gap$}{time}", ""), palette.faint()),
    ])];
    for text in [&view.message, &view.waits_for] {
        lines.extend(wrapped(text, width).into_iter().map(Line::from));
    }
    lines
}

/// All steps in a row, or the rows around the current one when there are many.
fn steps(view: &RolloutView, palette: Palette, width: usize) -> Vec<Line<'static>> {
    const ROWS: usize = 3;
    let mut rows: Vec<Line<'static>> = Vec::new();
    let mut used = width;
    let mut current = 0;
    for step in &view.steps {
        let (mark, style) = match step.progress {
            StepProgress::Done => ("✓", palette.good()),
            StepProgress::Current => ("▸", palette.strong()),
            StepProgress::Ahead => ("·", palette.faint()),
        };
        let text = clipped(&format!("{mark} {}", step.title), width);
        let length = text.chars().count();
        if used + 3 + length > width {
            rows.push(Line::default());
            used = 0;
        }
        let Some(row) = rows.last_mut() else { continue };
        if used > 0 {
            row.push_span(Span::raw("   "));
            used += 3;
        }
        row.push_span(Span::styled(text, style));
        used += length;
        if step.progress != StepProgress::Ahead {
            current = rows.len() - 1;
        }
    }
    let first = (current + 2)
        .saturating_sub(ROWS)
        .min(rows.len().saturating_sub(ROWS));
    rows.into_iter().skip(first).take(ROWS).collect()
}

/// The latest decisions, the newest first.
fn decisions(view: &RolloutView, palette: Palette, width: usize) -> Vec<Line<'static>> {
    const SHOWN: usize = 5;
    if view.decisions.is_empty() {
        return Vec::new();
    }
    let mut lines = vec![Line::styled("Decisions", palette.strong())];
    for decision in view.decisions.iter().rev().take(SHOWN) {
        let style = match decision.decision.as_str() {
            "rolled-back" | "aborted" | "undone" => palette.bad(),
            "promoted" => palette.good(),
            _ => ratatui::style::Style::new(),
        };
        let time = format!("{}  ", clock(decision.at));
        let room = width.saturating_sub(time.len());
        lines.push(Line::from(vec![
            Span::styled(time, palette.faint()),
            Span::styled(clipped(&decided(decision), room), style),
        ]));
    }
    lines
}

fn decided(decision: &DecisionView) -> String {
    let (before, after) = decision.weight;
    let mut text = decision.decision.replace('-', " ");
    if before != after {
        text += &format!(" {} -> {}", percent(before), percent(after));
    }
    if let Some(served) = decision.served_after_ms {
        text += &format!(", served {} later", seconds(served / 1e3));
    }
    if !decision.why.is_empty() {
        text += &format!(": {}", decision.why);
    }
    text
}

#[cfg(test)]
mod tests;
