//! The explanation of a verdict, as a person would want it: what was decided and why, what was compared, the evidence,
//! and what happens next.

mod compared;
mod evidence;
mod next;
mod record;

use rollout::analysis::Reading;

use super::format::{counted, moment, percent, seconds, short, wrapped};
use crate::api::{DecisionView, RolloutView};

/// How wide the explanation may be.
const WIDTH: usize = 96;

/// Explains where the rollout is, the last verdict on it, and what its step needs to go on.
pub(crate) fn explain(view: &RolloutView) -> String {
    let mut page = Page::default();
    let verdict = verdict(view);
    standing(view, verdict, &mut page);
    if let Some(decision) = verdict {
        decided(decision, &mut page);
    }
    let reading = verdict
        .and_then(|decision| decision.evidence.as_ref())
        .or(view.evidence.as_ref());
    match reading {
        Some(reading) if !reading.tests.is_empty() => {
            compared::compared(view, verdict, reading, &mut page);
            evidence::against(reading, &mut page);
            let record = match verdict {
                Some(decision) => decision.record.as_ref(),
                None => view.record.as_ref(),
            };
            record::counted(record, reading, &mut page);
            going_on(view, reading, &mut page);
        }
        _ if !view.guard => {
            page.heading("Evidence");
            page.text("None: the guard is off for this rollout, so no version is judged.");
        }
        _ => nothing_compared(view, &mut page),
    }
    history(view, &mut page);
    next::next(view, &mut page);
    page.finish()
}

/// The decision that ended the last canary, when none is under way.
fn verdict(view: &RolloutView) -> Option<&DecisionView> {
    let ended = view.decisions.iter().rfind(|decision| {
        matches!(
            decision.decision.as_str(),
            "rolled-back" | "aborted" | "undone" | "promoted" | "started" | "retried"
        )
    })?;
    let is_end = matches!(
        ended.decision.as_str(),
        "rolled-back" | "aborted" | "undone" | "promoted"
    );
    is_end.then_some(ended)
}

fn standing(view: &RolloutView, verdict: Option<&DecisionView>, page: &mut Page) {
    let mut text = format!("{}/{} is {}", view.namespace, view.name, view.phase);
    if view.canary.is_some() && view.weight > 0.0 {
        text += &format!(
            " with {} of the traffic on the canary",
            percent(view.weight)
        );
    }
    // What the verdict says in full need not be said twice.
    let told = verdict
        .is_some_and(|decision| !decision.why.is_empty() && view.message.contains(&decision.why));
    if !view.message.is_empty() && !told {
        text += &format!(": {}", view.message);
    }
    page.text(&text);
    if !view.waits_for.is_empty() {
        page.text(&format!("Waits for: {}", view.waits_for));
    }
}

fn decided(decision: &DecisionView, page: &mut Page) {
    page.heading("Verdict");
    let done = match decision.decision.as_str() {
        "rolled-back" => "rolled back",
        other => other,
    };
    let (before, after) = decision.weight;
    page.text(&format!(
        "Revision {} was {done} by the {} at {}, weight {} -> {}.",
        short(&decision.revision),
        who(decision),
        moment(decision.at),
        percent(before),
        percent(after),
    ));
    if !decision.why.is_empty() {
        page.text(&format!("Why: {}", decision.why));
    }
    if let Some(milliseconds) = decision.served_after_ms {
        page.text(&format!(
            "Every worker served the new weight {} after the decision.",
            seconds(milliseconds / 1e3)
        ));
    }
    page.text(&format!(
        "{} of users failed on this revision.",
        counted(decision.failed_requests, "request")
    ));
}

/// `guard`, `operator (promote --full)`.
fn who(decision: &DecisionView) -> String {
    match &decision.verb {
        Some(verb) => format!("{} ({verb})", decision.by),
        None => decision.by.clone(),
    }
}

/// The evidence step and the hold, which only a canary under way has.
fn going_on(view: &RolloutView, reading: &Reading, page: &mut Page) {
    if view.canary.is_some() && verdict(view).is_none() {
        evidence::hold(reading, page);
        if let Some(acceptance) = &reading.acceptance {
            evidence::to_go_on(acceptance, page);
        }
    }
}

fn nothing_compared(view: &RolloutView, page: &mut Page) {
    page.heading("Compared");
    if view.canary.is_some() {
        page.text("Nothing yet: no request has reached the canary.");
        return;
    }
    let stable = &view.stable;
    page.text(&format!(
        "Nothing: there is no canary. Stable {} on {} takes every request: {}, of which {} failed.",
        short(&stable.revision),
        stable.service,
        counted(stable.requests, "request"),
        super::count(stable.failures),
    ));
}

/// What was decided since the rollout began, oldest first.
fn history(view: &RolloutView, page: &mut Page) {
    const SHOWN: usize = 12;
    let begin = view
        .decisions
        .iter()
        .rposition(|decision| decision.decision == "started")
        .unwrap_or(0);
    let since = &view.decisions[begin..];
    if since.is_empty() {
        return;
    }
    page.heading("Decided");
    for decision in &since[since.len().saturating_sub(SHOWN)..] {
        let (before, after) = decision.weight;
        let mut text = format!(
            "{}  {}",
            super::format::clock(decision.at),
            decision.decision.replace('-', " ")
        );
        if before != after {
            text += &format!(", weight {} -> {}", percent(before), percent(after));
        }
        text += &format!(", by the {}", who(decision));
        page.line(&text);
    }
}

/// Text in wrapped paragraphs under headings.
#[derive(Debug, Default)]
struct Page(String);

impl Page {
    fn heading(&mut self, text: &str) {
        self.0 += &format!("\n{text}\n");
    }

    /// A sentence or several, wrapped; indented once there is a heading.
    fn text(&mut self, text: &str) {
        let indent = if self.0.contains("\n\n") { "  " } else { "" };
        for line in wrapped(text, WIDTH - indent.len()) {
            self.0 += &format!("{indent}{line}\n");
        }
    }

    /// A name and what there is to say of it, in columns.
    fn item(&mut self, name: &str, text: &str) {
        const NAME: usize = 13;
        for (index, line) in wrapped(text, WIDTH - 2 - NAME).iter().enumerate() {
            let name = if index == 0 { name } else { "" };
            self.line(&format!("{name:NAME$}{line}"));
        }
    }

    /// A line as it stands.
    fn line(&mut self, text: &str) {
        self.0 += &format!("  {}\n", text.trim_end());
    }

    fn finish(self) -> String {
        self.0
    }
}

#[cfg(test)]
mod tests;
