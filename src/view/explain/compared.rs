//! Which requests were compared, and how both sides fared.

use rollout::analysis::{Reading, Side};
use traffic::FailureRule;

use super::Page;
use crate::api::{DecisionView, RolloutView};
use crate::view::format::{clock, count, percent, seconds, short};

/// A table of both sides since the canary began.
pub(super) fn compared(
    view: &RolloutView,
    verdict: Option<&DecisionView>,
    reading: &Reading,
    page: &mut Page,
) {
    let begun = view.decisions.iter().rfind(|decision| {
        matches!(decision.decision.as_str(), "started" | "retried") && decision.at <= reading.at
    });
    page.heading("Compared");
    let revision = match (verdict, &view.canary) {
        (Some(decision), _) => short(&decision.revision),
        (None, Some(canary)) => short(&canary.revision),
        (None, None) => "the last canary".into(),
    };
    let from = begun.map_or_else(String::new, |begun| format!(" from {}", clock(begun.at)));
    page.text(&format!(
        "Canary {revision} with the version that was stable at the same time, on the requests that passed through here{from} to {}:",
        clock(reading.at),
    ));
    page.line(&format!(
        "{:8} {:>9} {:>8}  {:26} {:>7} {:>8} {:>8}",
        "", "requests", "failed", "failure ratio (95%)", "p50", "p90", "p99"
    ));
    page.line(&row("canary", &reading.canary));
    page.line(&row("stable", &reading.stable));
    counted_as_failed(&reading.failure_rule, page);
}

/// What a failure is, where that is not the usual.
fn counted_as_failed(rule: &FailureRule, page: &mut Page) {
    if *rule == FailureRule::BROKEN {
        page.text("As failed count only requests that got no whole answer.");
    } else if *rule != FailureRule::DEFAULT {
        page.text(&format!(
            "As failed count {rule}, and requests that got no whole answer."
        ));
    }
}

fn row(role: &str, side: &Side) -> String {
    let ratio = match side.requests {
        0 => "-".into(),
        requests => {
            let (low, high) = side.failure_ratio;
            let measured = side.failures as f64 / requests as f64;
            format!(
                "{} ({} to {})",
                percent(measured * 100.0),
                percent(low * 100.0),
                percent(high * 100.0)
            )
        }
    };
    let latency = |value: Option<f64>| value.map_or_else(|| "-".into(), seconds);
    format!(
        "{role:8} {:>9} {:>8}  {ratio:26} {:>7} {:>8} {:>8}",
        count(side.requests),
        count(side.failures),
        latency(side.p50),
        latency(side.p90),
        latency(side.p99),
    )
}
