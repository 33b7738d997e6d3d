//! The counts that the evidence was made of, window by window.

use rollout::analysis::record::{Counts, Replay, Replayed, Window};
use rollout::analysis::{Judgement, Reading, Record, Test};

use super::Page;
use crate::view::format::{count, magnitude};

/// How many windows are shown of a test.
const SHOWN: usize = 8;

/// The windows of the test that decided, or of the error test, and of the evidence step if there is one.
pub(super) fn counted(record: Option<&Record>, reading: &Reading, page: &mut Page) {
    let Some(record) = record else {
        return;
    };
    page.heading("Counted");
    let replay = match record.replay(reading) {
        Ok(replay) => replay,
        Err(unsound) => return page.text(&format!("The record cannot be judged again: {unsound}")),
    };
    let decided = match reading.judgement {
        Judgement::RollBack { test } => test,
        Judgement::Undecided
        | Judgement::Hold { .. }
        | Judgement::TooLittle(_)
        | Judgement::RollForward { .. }
        | Judgement::Unattributed { .. } => Test::Errors,
        Judgement::ClientErrors { .. } => Test::ClientErrors,
    };
    let rollback = |test: &&Replayed| test.test == Some(decided);
    let step = |test: &&Replayed| reading.acceptance.is_some() && test.name == "to go on";
    let is_shown = |test: &&Replayed| rollback(test) || step(test);
    for test in replay.tests.iter().filter(is_shown) {
        windows(test, page);
    }
    page.text(&agreement(&replay));
}

fn agreement(replay: &Replay) -> String {
    match replay.first_difference() {
        None => "Judged again here, these counts lead to the same evidence. All tests, block by block, are in \
                 `-o json`, which `sluice explain --replay FILE` judges again anywhere."
            .to_owned(),
        Some((test, found)) => format!(
            "Judged again here, the counts do NOT lead to the evidence that was told. {test}: {found}"
        ),
    }
}

fn windows(test: &Replayed, page: &mut Page) {
    page.line(&format!(
        "{:14} {:>8} {:>7}  {:>9} {:>7}  {:>8} {:>8}",
        test.name, "canary", "bad", "stable", "bad", "E", "ln E"
    ));
    let hidden = test.windows.len().saturating_sub(SHOWN);
    if test.before != Counts::default() || hidden > 0 {
        let (counts, ln_e) = until(test, hidden);
        page.line(&row("before", counts, ln_e));
    }
    for Window {
        start,
        counts,
        ln_e,
    } in &test.windows[hidden..]
    {
        page.line(&row(&format!("from {start:.1} s"), *counts, *ln_e));
    }
}

/// What was counted until the window at `index` opened, and the evidence then.
fn until(test: &Replayed, index: usize) -> (Counts, f64) {
    let hidden = &test.windows[..index];
    let counts = hidden
        .iter()
        .fold(test.before, |sum, window| sum.and(window.counts));
    (
        counts,
        hidden.last().map_or(test.ln_e_before, |last| last.ln_e),
    )
}

fn row(name: &str, counts: Counts, ln_e: f64) -> String {
    format!(
        "{name:14} {:>8} {:>7}  {:>9} {:>7}  {:>8} {ln_e:>8.2}",
        count(counts.canary),
        count(counts.canary_bad),
        count(counts.stable),
        count(counts.stable_bad),
        magnitude(ln_e.exp()),
    )
}
