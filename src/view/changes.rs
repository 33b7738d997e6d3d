//! Lines for logs: one for each change, none for mere traffic.

use jiff::Timestamp;

use super::format::{counted, percent, seconds};
use crate::api::{DecisionView, RolloutView};

/// Tells what changed from one view of a rollout to the next.
#[derive(Clone, Debug)]
pub(crate) struct Changes {
    start: Timestamp,
    last: Option<Seen>,
}

/// What has been told.
#[derive(Clone, Debug)]
struct Seen {
    phase: String,
    message: String,
    /// The newest decision that was told, and whether the time it took to be served was told too.
    decision: Option<(Timestamp, String, bool)>,
}

impl Changes {
    /// Times count from `start`.
    pub(crate) fn since(start: Timestamp) -> Self {
        Self { start, last: None }
    }

    /// A line for each thing that changed with `view`; at first, one for how the rollout stands.
    pub(crate) fn lines(&mut self, view: &RolloutView) -> Vec<String> {
        let Some(last) = &self.last else {
            self.last = Some(Seen::all_of(view));
            return vec![self.line(view.at, view, &standing(view))];
        };
        let mut lines = Vec::new();
        let (told, rest) = split_at(&view.decisions, last.decision.as_ref());
        if let Some((_, _, false)) = last.decision
            && let Some(text) = told.and_then(served)
        {
            lines.push(self.line(view.at, view, &text));
        }
        for decision in rest {
            lines.push(self.line(decision.at, view, &decided(decision)));
            if let Some(text) = served(decision) {
                lines.push(self.line(view.at, view, &text));
            }
        }
        // A decision says more than the phase that it leads to.
        if rest.is_empty() && (last.phase != view.phase || last.message != view.message) {
            lines.push(self.line(view.at, view, &standing(view)));
        }
        self.last = Some(Seen::all_of(view));
        lines
    }

    /// `text` about `view`, in front of it the time and the rollout's name.
    fn line(&self, at: Timestamp, view: &RolloutView, text: &str) -> String {
        format!("{} {} {text}", stamp(self.start, at), view.name)
    }
}

/// `+12.3s`: how long after `start` something was.
pub(crate) fn stamp(start: Timestamp, at: Timestamp) -> String {
    format!("+{:.1}s", at.duration_since(start).as_secs_f64().max(0.0))
}

impl Seen {
    fn all_of(view: &RolloutView) -> Self {
        let decision = view.decisions.last().map(|decision| {
            (
                decision.at,
                decision.decision.clone(),
                served(decision).is_some(),
            )
        });
        Self {
            phase: view.phase.clone(),
            message: view.message.clone(),
            decision,
        }
    }
}

/// The decision that was told last, as it is now, and those after it.
fn split_at<'a>(
    decisions: &'a [DecisionView],
    told: Option<&(Timestamp, String, bool)>,
) -> (Option<&'a DecisionView>, &'a [DecisionView]) {
    let Some((at, word, _)) = told else {
        return (None, decisions);
    };
    match decisions
        .iter()
        .rposition(|decision| decision.at == *at && decision.decision == *word)
    {
        Some(place) => (decisions.get(place), &decisions[place + 1..]),
        // It is so old that it is no longer kept.
        None => {
            let newer = decisions.partition_point(|decision| decision.at <= *at);
            (None, &decisions[newer..])
        }
    }
}

fn standing(view: &RolloutView) -> String {
    let mut text = view.phase.clone();
    if view.canary.is_some() {
        text += &format!(", canary weight {}", percent(view.weight));
    }
    if !view.message.is_empty() {
        text += &format!(": {}", view.message);
    }
    text
}

fn decided(decision: &DecisionView) -> String {
    let (before, after) = decision.weight;
    let mut text = format!(
        "{} by the {}",
        decision.decision.replace('-', " "),
        decision.by
    );
    if before != after {
        text += &format!(", weight {} -> {}", percent(before), percent(after));
    }
    if !decision.why.is_empty() {
        text += &format!(": {}", decision.why);
    }
    if decision.decision == "rolled-back" || decision.decision == "aborted" {
        text += &format!(
            " ({} failed on it)",
            counted(decision.failed_requests, "request")
        );
    }
    text
}

/// When every worker served a decision's weight, once that is known.
fn served(decision: &DecisionView) -> Option<String> {
    let took = decision.served_after_ms? / 1e3;
    Some(format!(
        "weight {} served by every worker {} after the decision",
        percent(decision.weight.1),
        seconds(took)
    ))
}

#[cfg(test)]
mod tests;
