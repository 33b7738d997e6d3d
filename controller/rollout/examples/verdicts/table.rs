//! The figures of a cell, as a row of a table.

use crate::cell::{Cell, Kind, Run};
use rollout::sim::Loss;
use std::fmt;

/// The table's first lines.
pub(crate) const HEADING: &str = "\
| cell | runs | Sluice | Argo | Flagger |
|---|---:|---:|---:|---:|";

/// The first line of the file with every figure.
pub(crate) const CSV_HEADING: &str =
    "cell,runs,judge,rolled_back,share,low,high,median_s,p95_s,median_failed\n";

/// What one judge did in a cell's runs.
#[derive(Clone, Copy, Debug)]
struct Judged {
    runs: usize,
    rolled_back: usize,
    /// Seconds until the rollback, of a middle run and of one of twenty; infinite where there is none.
    median: f64,
    p95: f64,
    /// Failed requests by then, of a middle run.
    failed: u64,
}

/// One cell of the table.
#[derive(Debug)]
pub(crate) struct Row {
    name: String,
    kind: Kind,
    judges: [(&'static str, Judged); 3],
}

impl Row {
    pub(crate) fn of(cell: &Cell, runs: &[Run]) -> Self {
        let judged = |which: fn(&Run) -> Option<Loss>| Judged::of(runs, which);
        Self {
            name: cell.name(),
            kind: cell.kind,
            judges: [
                ("sluice", judged(|run| run.sluice)),
                ("argo", judged(|run| run.argo)),
                ("flagger", judged(|run| run.flagger)),
            ],
        }
    }

    pub(crate) fn csv(&self) -> String {
        let line = |(judge, judged): &(&str, Judged)| {
            let Judged {
                runs,
                rolled_back,
                median,
                p95,
                failed,
            } = judged;
            let (low, high) = judged.interval();
            let (name, share) = (&self.name, judged.share());
            format!(
                "\"{name}\",{runs},{judge},{rolled_back},{share},{low},{high},{median},{p95},{failed}\n"
            )
        };
        self.judges.iter().map(line).collect()
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [(_, first), ..] = &self.judges;
        write!(f, "| {} | {}", self.name, first.runs)?;
        for (_, judged) in &self.judges {
            match self.kind {
                Kind::Alike => {
                    let (low, high) = judged.interval();
                    let percent = 100.0 * judged.share();
                    let (low, high) = (100.0 * low, 100.0 * high);
                    write!(f, " | {percent:.2} % ({low:.2} to {high:.2})")?;
                }
                Kind::Bad if judged.median.is_finite() => {
                    let Judged { median, failed, .. } = judged;
                    write!(f, " | {median:.1} s, ")?;
                    if judged.p95.is_finite() {
                        write!(f, "p95 {:.1} s, ", judged.p95)?;
                    }
                    write!(f, "{failed} failed")?;
                }
                Kind::Bad => write!(f, " |")?,
            }
            if self.kind == Kind::Bad && judged.rolled_back < judged.runs {
                write!(f, " ({:.0} % found)", 100.0 * judged.share())?;
            }
        }
        write!(f, " |")
    }
}

impl Judged {
    fn of(runs: &[Run], which: impl Fn(&Run) -> Option<Loss>) -> Self {
        let mut ends: Vec<_> = runs.iter().map(which).collect();
        let rolled_back = ends.iter().flatten().count();
        // Those that were never rolled back come last.
        ends.sort_by(|a, b| match (a, b) {
            (Some(a), Some(b)) => a.took.cmp(&b.took),
            _ => b.is_some().cmp(&a.is_some()),
        });
        let seconds = |quantile: f64| {
            let at = (quantile * ends.len().saturating_sub(1) as f64).round() as usize;
            ends.get(at)
                .copied()
                .flatten()
                .map_or(f64::INFINITY, |end| end.took.as_secs_f64())
        };
        let mut failed: Vec<_> = ends.iter().flatten().map(|end| end.failed).collect();
        failed.sort_unstable();
        Self {
            runs: ends.len(),
            rolled_back,
            median: seconds(0.5),
            p95: seconds(0.95),
            failed: failed.get(failed.len() / 2).copied().unwrap_or_default(),
        }
    }

    fn share(&self) -> f64 {
        self.rolled_back as f64 / self.runs.max(1) as f64
    }

    /// Wilson's interval at 95 % for the share (E. B. Wilson, 1927).
    fn interval(&self) -> (f64, f64) {
        const Z: f64 = 1.959_964;
        let (n, p) = (self.runs.max(1) as f64, self.share());
        let middle = p + Z * Z / (2.0 * n);
        let reach = Z * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt();
        let scale = 1.0 + Z * Z / n;
        (
            ((middle - reach) / scale).max(0.0),
            ((middle + reach) / scale).min(1.0),
        )
    }
}
