//! What the demo says at its end.

use jiff::Timestamp;

use super::drive::Ended;
use super::load::{Outcomes, Totals};
use super::scenario::{Ending, Scenario};
use crate::view::{count, percent, seconds};

/// A rollout of the story, with what its users saw.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Told {
    /// How it ended.
    pub(crate) ended: Ended,
    /// When its version got its first request, if it got any.
    pub(crate) first_request: Option<Timestamp>,
}

/// The end of the story: the text, and whether everything ended as it should.
pub(crate) fn summary(
    scenario: &Scenario,
    told: &[Told],
    totals: &Totals,
    took: f64,
) -> (String, bool) {
    let mut text = String::new();
    let mut as_expected = told.len() == scenario.releases.len();
    for (release, told) in scenario.releases.iter().zip(told) {
        let ended = &told.ended;
        let right = ended.ending == release.ending;
        as_expected &= right;
        text += &format!(
            "  {}  {}, {} after it was shipped",
            release.version,
            ended.ending,
            seconds(ended.at.duration_since(ended.shipped).as_secs_f64()),
        );
        if !right {
            text += &format!(" (it should have been {})", release.ending);
        }
        text.push('\n');
        text += &details(release.version, told, totals);
    }
    for release in scenario.releases.iter().skip(told.len()) {
        text += &format!(
            "  {}  did not end (it should have been {})\n\n",
            release.version, release.ending
        );
    }
    text += &format!(
        "  Users sent {} requests in all; {} failed ({}).\n",
        count(totals.ok + totals.failed),
        count(totals.failed),
        percent(100.0 * totals.failed as f64 / (totals.ok + totals.failed).max(1) as f64),
    );
    if totals.unsent > 0 {
        text += &format!(
            "  {} of these were never sent, because too many others were waiting for an answer.\n",
            count(totals.unsent)
        );
    }
    let heading = match as_expected {
        true => "every rollout ended as it should",
        false => "NOT every rollout ended as it should",
    };
    (
        format!(
            "Scenario {}, {}: {heading}.\n\n{text}",
            scenario.name,
            seconds(took)
        ),
        as_expected,
    )
}

fn details(
    version: &str,
    Told {
        ended,
        first_request,
    }: &Told,
    totals: &Totals,
) -> String {
    let indent = " ".repeat(version.len() + 4);
    let Outcomes { ok, failed } = totals.versions.get(version).copied().unwrap_or_default();
    let mut text = String::new();
    if !ended.why.is_empty() {
        text += &format!("{indent}{}\n", ended.why);
    }
    if let (Ending::RolledBack, Some(first)) = (ended.ending, first_request) {
        let mut line = format!(
            "{} from its first request to the rollback",
            seconds(ended.at.duration_since(*first).as_secs_f64().max(0.0))
        );
        if let Some(milliseconds) = ended.served_after_ms {
            line += &format!(
                ", served by every worker {} later",
                seconds(milliseconds / 1e3)
            );
        }
        text += &format!("{indent}{line}\n");
    }
    text += &format!(
        "{indent}it answered {} requests of users, {} of them with a failure\n",
        count(ok + failed),
        count(failed),
    );
    if matches!(ended.ending, Ending::RolledBack | Ending::Aborted) {
        text += &format!(
            "{indent}the process counted {} failed requests at the decision\n",
            count(ended.failed_requests),
        );
    }
    text + "\n"
}

#[cfg(test)]
mod tests;
