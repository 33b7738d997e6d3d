//! The outcomes as a Markdown table and as CSV.

use super::cell::{Outcome, Trial};
use rollout::sim::Loss;

/// A row for each cell.
pub(crate) fn table(outcomes: &[Outcome]) -> String {
    let mut table = "\
| cell | canaries | rolled back | median s | longest s | median failed | most failed | Argo | Flagger | rps in fact | unexplained failures |
|---|---:|---:|---:|---:|---:|---:|---|---|---:|---:|
"
    .to_owned();
    for outcome in outcomes {
        let losses = Losses::of(outcome, Trial::loss);
        let figures = match losses.medians() {
            Some(median) => format!(
                "{:.2} | {:.2} | {} | {}",
                median.took.as_secs_f64(),
                losses.longest(),
                median.failed,
                losses.most()
            ),
            None => "– | – | – | –".to_owned(),
        };
        table += &format!(
            "| {} | {} | {} | {figures} | {} | {} | {:.0} | {} |\n",
            outcome.cell.name(),
            outcome.trials.len(),
            outcome.rolled_back(),
            Losses::of(outcome, |trial| trial.rivals.argo).in_words(),
            Losses::of(outcome, |trial| trial.rivals.flagger).in_words(),
            outcome.rate,
            outcome.unexplained
        );
    }
    table
}

/// What the canaries of a cell cost that one of the rules rolled back.
struct Losses {
    canaries: usize,
    seconds: Vec<Loss>,
    failed: Vec<u64>,
}

impl Losses {
    fn of(outcome: &Outcome, rule: impl Fn(&Trial) -> Option<Loss>) -> Self {
        let mut seconds: Vec<_> = outcome.trials.iter().filter_map(rule).collect();
        let mut failed: Vec<_> = seconds.iter().map(|loss| loss.failed).collect();
        seconds.sort_by_key(|loss| loss.took);
        failed.sort_unstable();
        Self {
            canaries: outcome.trials.len(),
            seconds,
            failed,
        }
    }

    /// The median of both figures, each by itself. Nothing when no canary was rolled back.
    fn medians(&self) -> Option<Loss> {
        let middle = self.seconds.len() / 2;
        Some(Loss {
            took: self.seconds.get(middle)?.took,
            failed: *self.failed.get(middle)?,
        })
    }

    fn longest(&self) -> f64 {
        self.seconds
            .last()
            .map_or(0.0, |loss| loss.took.as_secs_f64())
    }

    fn most(&self) -> u64 {
        self.failed.last().copied().unwrap_or_default()
    }

    fn in_words(&self) -> String {
        let Some(Loss { took, failed }) = self.medians() else {
            return "none".to_owned();
        };
        let (rolled_back, seconds) = (self.seconds.len(), took.as_secs_f64());
        let medians = format!("{seconds:.0} s, {failed} failed");
        if rolled_back == self.canaries {
            medians
        } else {
            format!("{rolled_back} of {}: {medians}", self.canaries)
        }
    }
}

/// A line for each canary. What a rule did not roll back has nothing in its columns.
pub(crate) fn csv(outcomes: &[Outcome]) -> String {
    let mut csv =
        "cell,rolled_back,seconds,canary_requests,failed,argo_seconds,argo_failed,flagger_seconds,flagger_failed\n"
            .to_owned();
    for outcome in outcomes {
        let name = outcome.cell.name();
        for trial in &outcome.trials {
            csv += &format!(
                "\"{name}\",{},{:.3},{},{},{},{}\n",
                trial.rolled_back,
                trial.took.as_secs_f64(),
                trial.requests,
                trial.failed,
                columns(trial.rivals.argo),
                columns(trial.rivals.flagger)
            );
        }
    }
    csv
}

fn columns(loss: Option<Loss>) -> String {
    loss.map_or_else(
        || ",".to_owned(),
        |Loss { took, failed }| format!("{:.3},{failed}", took.as_secs_f64()),
    )
}

#[cfg(test)]
mod tests {
    use super::super::cell::Cell;
    use super::super::rivals::Rivals;
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_cell_is_a_row_and_each_canary_a_line() {
        let trial = |millis, failed, rolled_back, argo: Option<u64>| Trial {
            took: Duration::from_millis(millis),
            requests: failed + 1,
            failed,
            rolled_back,
            rivals: Rivals {
                argo: argo.map(|failed| Loss {
                    took: Duration::from_secs(195),
                    failed,
                }),
                flagger: None,
            },
        };
        let outcomes = [Outcome {
            cell: Cell::bad(100.0, 5, 0.5, Duration::from_secs(9)),
            trials: vec![
                trial(250, 3, true, Some(480)),
                trial(1500, 5, true, Some(490)),
                trial(9000, 4, false, None),
                trial(300, 4, true, Some(470)),
            ],
            rate: 99.6,
            unexplained: 0,
        }];
        let last = table(&outcomes).lines().last().map(str::to_owned);
        assert_eq!(
            last.as_deref(),
            Some(
                "| 100 rps, 5 %, canary 50 % | 4 | 3 | 0.30 | 1.50 | 4 | 5 | 3 of 4: 195 s, 480 failed | none | 100 | 0 |"
            )
        );
        let csv = csv(&outcomes);
        assert_eq!(csv.lines().count(), 5);
        assert!(csv.contains("\"100 rps, 5 %, canary 50 %\",false,9.000,5,4,,,,\n"));
        assert!(csv.contains("\"100 rps, 5 %, canary 50 %\",true,0.250,4,3,195.000,480,,\n"));
    }
}
