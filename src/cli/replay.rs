//! `explain --replay`: stored verdicts are recomputed from the blocks of requests that they were made of.

use std::fs;
use std::io::{self, Read as _, Write};
use std::path::Path;

use jiff::Timestamp;
use rollout::analysis::record::{Replay, Replayed};
use rollout::analysis::{Reading, Record};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::view::{count, moment};

/// No file that `explain -o json` writes is longer: three records of eight tests have some hundred kilobytes.
const LONGEST: u64 = 64 << 20;

/// A rollout, of which only this is read.
#[derive(Debug, Deserialize)]
struct Rollout {
    at: Timestamp,
    evidence: Option<Reading>,
    record: Option<Record>,
    decisions: Vec<Decision>,
}

/// What is known of a canary on trial.
#[derive(Debug, Deserialize)]
struct Present {
    at: Timestamp,
    evidence: Reading,
    record: Record,
}

/// A decision, of which only this is read.
#[derive(Debug, Deserialize)]
struct Decision {
    at: Timestamp,
    decision: String,
    by: String,
    revision: String,
    evidence: Option<Reading>,
    record: Option<Record>,
}

/// What was said once, and that it was recomputed.
#[derive(Debug)]
pub(crate) struct Stored {
    title: String,
    replay: Replay,
}

/// Reads a rollout or one of its decisions, as `explain -o json` prints them, or what a controller of a cluster tells, and
/// recomputes each verdict of it.
///
/// # Errors
/// What is wrong with which field of the file.
pub(crate) fn read(path: &Path) -> Result<Vec<Stored>, String> {
    let in_file = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let mut text = String::new();
    fs::File::open(path)
        .and_then(|file| file.take(LONGEST + 1).read_to_string(&mut text))
        .map_err(|error| in_file(&error))?;
    if text.len() as u64 > LONGEST {
        return Err(in_file(&"is larger than 64 MiB, which no record is"));
    }
    parse(&text).map_err(|error| in_file(&error))
}

fn parse(text: &str) -> Result<Vec<Stored>, String> {
    let value: Value = serde_json::from_str(text).map_err(|error| format!("no JSON: {error}"))?;
    let has = |field| value.get(field).is_some();
    let all = if has("decisions") {
        let rollout: Rollout = typed(value)?;
        let decisions = rollout.decisions.into_iter().enumerate();
        let mut all = Vec::new();
        for (index, decision) in decisions {
            all.extend(decided(decision, &format!("decisions[{index}].record"))?);
        }
        if let (Some(record), Some(evidence)) = (rollout.record, rollout.evidence) {
            all.push(present(&Present {
                at: rollout.at,
                evidence,
                record,
            })?);
        }
        all
    } else if has("decision") {
        decided(typed(value)?, "record")?.into_iter().collect()
    } else if has("evidence") {
        vec![present(&typed(value)?)?]
    } else {
        return Err(
            "none of the fields decisions, decision and evidence is there: a rollout or one of its decisions is allowed, \
             as `sluice explain ROLLOUT -o json` prints them, and what a controller tells at /verdicts and /evidence"
                .to_owned(),
        );
    };
    if all.is_empty() {
        return Err(
            "no decision in it has a record. `sluice explain ROLLOUT -o json` prints those of the last verdicts; \
             `get` and the list have none"
                .to_owned(),
        );
    }
    Ok(all)
}

fn typed<T: DeserializeOwned>(value: Value) -> Result<T, String> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let path = error.path().to_string();
        match path.as_str() {
            "." => error.into_inner().to_string(),
            _ => format!("{path}: {}", error.inner()),
        }
    })
}

fn decided(decision: Decision, field: &str) -> Result<Option<Stored>, String> {
    let (Some(record), Some(reading)) = (decision.record, decision.evidence) else {
        return Ok(None);
    };
    let title = format!(
        "Revision {}, {} by the {} at {}",
        decision.revision,
        decision.decision.replace('-', " "),
        decision.by,
        moment(decision.at)
    );
    recomputed(title, &record, &reading, field).map(Some)
}

fn present(known: &Present) -> Result<Stored, String> {
    let title = format!("The evidence at {}", moment(known.at));
    recomputed(title, &known.record, &known.evidence, "record")
}

fn recomputed(
    title: String,
    record: &Record,
    reading: &Reading,
    field: &str,
) -> Result<Stored, String> {
    let replay = record
        .replay(reading)
        .map_err(|unsound| format!("{field}.{unsound}"))?;
    Ok(Stored { title, replay })
}

/// Prints each test as it was stored and as it was recomputed, and tells whether all agree.
///
/// # Errors
/// Those of `out`.
pub(crate) fn replay(stored: &[Stored], out: &mut impl Write) -> io::Result<bool> {
    let mut differences = Vec::new();
    for Stored { title, replay } in stored {
        writeln!(out, "{title}")?;
        writeln!(
            out,
            "  {:12} {:>7} {:>9} {:>13} {:>13} {:>8}",
            "", "windows", "requests", "ln E stored", "recomputed", "enough"
        )?;
        for test in &replay.tests {
            writeln!(out, "{}", row(test))?;
        }
        if let Some((test, found)) = replay.first_difference() {
            differences.push(format!("{title}: {test}: {found}"));
        }
        writeln!(out)?;
    }
    match differences.first() {
        None => writeln!(out, "All agree with what was stored.")?,
        Some(first) => writeln!(out, "NOT what was stored. {first}")?,
    }
    Ok(differences.is_empty())
}

fn row(test: &Replayed) -> String {
    let requests: u64 = test.windows.iter().map(|window| window.counts.canary).sum();
    format!(
        "  {:12} {:>7} {:>9} {:>13.6} {:>13.6} {:>8.3}{}",
        test.name,
        test.windows.len(),
        count(requests),
        test.stored,
        test.ln_e,
        test.ln_threshold,
        if test.difference.is_some() {
            "  DIFFERS"
        } else {
            ""
        }
    )
}

#[cfg(test)]
mod tests;
