//! What was found, as a table and as JSON.

use super::{SimulateArgs, cases::Case, fly::Flown, load::Load};
use crate::view::{aligned, count, percent, seconds};
use controller::spec::RolloutSpec;
use rollout::sim::Ending;
use serde::Serialize;
use std::fmt;

/// What became of all versions.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Report {
    rollout: String,
    traffic: String,
    runs: u32,
    seed: u64,
    cases: Vec<Line>,
}

/// What became of one.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    version: String,
    promoted: usize,
    rolled_back: usize,
    /// Neither: without enough evidence, held, aborted by the plan, or not at an end in time.
    neither: usize,
    seconds: Quantiles,
    failed_requests: Quantiles,
}

/// Over all runs.
#[derive(Debug, Serialize)]
struct Quantiles {
    median: f64,
    p95: f64,
}

impl Report {
    pub(super) fn new(
        rollout: &RolloutSpec,
        load: &Load,
        args: &SimulateArgs,
        cases: &[Case],
        flown: &[Vec<Flown>],
    ) -> Self {
        Self {
            rollout: rollout.plan.rollout.to_string(),
            traffic: load.to_string(),
            runs: args.runs,
            seed: args.seed,
            cases: cases
                .iter()
                .zip(flown)
                .map(|(case, flown)| Line::new(case, flown))
                .collect(),
        }
    }
}

impl Line {
    fn new(case: &Case, flown: &[Flown]) -> Self {
        let ended = |ending| flown.iter().filter(|flown| flown.ending == ending).count();
        let (promoted, rolled_back) = (ended(Ending::Promoted), ended(Ending::RolledBack));
        Self {
            version: case.to_string(),
            promoted,
            rolled_back,
            neither: flown.len() - promoted - rolled_back,
            seconds: Quantiles::of(flown.iter().map(|flown| flown.seconds)),
            failed_requests: Quantiles::of(flown.iter().map(|flown| flown.failed as f64)),
        }
    }

    fn cells(&self) -> [String; 8] {
        let all = (self.promoted + self.rolled_back + self.neither).max(1) as f64;
        let share = |part: usize| percent(100.0 * part as f64 / all);
        [
            self.version.clone(),
            share(self.promoted),
            share(self.rolled_back),
            share(self.neither),
            seconds(self.seconds.median),
            seconds(self.seconds.p95),
            count(self.failed_requests.median as u64),
            count(self.failed_requests.p95 as u64),
        ]
    }
}

impl Quantiles {
    /// Those of `values`; 0 when there is none.
    fn of(values: impl Iterator<Item = f64>) -> Self {
        let mut values: Vec<_> = values.collect();
        values.sort_unstable_by(f64::total_cmp);
        let last = values.len().saturating_sub(1) as f64;
        let at = |share: f64| values.get((last * share).round() as usize).copied();
        Self {
            median: at(0.5).unwrap_or_default(),
            p95: at(0.95).unwrap_or_default(),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {}", self.rollout, self.traffic)?;
        writeln!(
            f,
            "each version shipped {} times, seed {}\n",
            self.runs, self.seed
        )?;
        let heading = [
            "VERSION",
            "PROMOTED",
            "ROLLED BACK",
            "NEITHER",
            "TIME",
            "P95",
            "FAILED",
            "P95",
        ];
        let lines = self.cases.iter().map(Line::cells);
        let rows: Vec<_> = [heading.map(str::to_owned)]
            .into_iter()
            .chain(lines)
            .collect();
        f.write_str(&aligned(&rows))?;
        writeln!(
            f,
            "\nTIME: median from the shipping to the end. FAILED: median of requests that the version failed until then.\n\
             ROLLED BACK of a version as stable is by mistake; of {} runs none means less than {} with 95 % confidence.",
            self.runs,
            percent(100.0 * none_means(self.runs)),
        )
    }
}

/// The chance below which something is, with 95 % confidence, that never happened in so many runs.
fn none_means(runs: u32) -> f64 {
    1.0 - 0.05f64.powf(1.0 / f64::from(runs))
}
