//! The outcomes as a Markdown table and as CSV.

use super::cell::Outcome;

/// A row for each cell.
pub(crate) fn table(outcomes: &[Outcome]) -> String {
    let mut table = "\
| cell | canaries | rolled back | median s | longest s | median failed | most failed | rps in fact | unexplained failures |
|---|---:|---:|---:|---:|---:|---:|---:|---:|
"
    .to_owned();
    for outcome in outcomes {
        let rolled_back = || outcome.trials.iter().filter(|trial| trial.rolled_back);
        let longest = rolled_back().map(|trial| trial.took.as_secs_f64());
        let most = rolled_back().map(|trial| trial.failed);
        let figures = match outcome.median() {
            Some((seconds, failed)) => format!(
                "{seconds:.2} | {:.2} | {failed} | {}",
                longest.fold(0.0, f64::max),
                most.fold(0, u64::max)
            ),
            None => "– | – | – | –".to_owned(),
        };
        table += &format!(
            "| {} | {} | {} | {figures} | {:.0} | {} |\n",
            outcome.cell.name(),
            outcome.trials.len(),
            outcome.rolled_back(),
            outcome.rate,
            outcome.unexplained
        );
    }
    table
}

/// A line for each canary.
pub(crate) fn csv(outcomes: &[Outcome]) -> String {
    let mut csv = "cell,rolled_back,seconds,canary_requests,failed\n".to_owned();
    for outcome in outcomes {
        let name = outcome.cell.name();
        for trial in &outcome.trials {
            csv += &format!(
                "\"{name}\",{},{:.3},{},{}\n",
                trial.rolled_back,
                trial.took.as_secs_f64(),
                trial.requests,
                trial.failed
            );
        }
    }
    csv
}

#[cfg(test)]
mod tests {
    use super::super::cell::{Cell, Trial};
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_cell_is_a_row_and_each_canary_a_line() {
        let trial = |millis, failed, rolled_back| Trial {
            took: Duration::from_millis(millis),
            requests: failed + 1,
            failed,
            rolled_back,
        };
        let outcomes = [Outcome {
            cell: Cell::bad(100.0, 5, 0.5, Duration::from_secs(9)),
            trials: vec![
                trial(250, 3, true),
                trial(1500, 5, true),
                trial(9000, 4, false),
                trial(300, 4, true),
            ],
            rate: 99.6,
            unexplained: 0,
        }];
        let last = table(&outcomes).lines().last().map(str::to_owned);
        assert_eq!(
            last.as_deref(),
            Some("| 100 rps, 5 %, canary 50 % | 4 | 3 | 0.30 | 1.50 | 4 | 5 | 100 | 0 |")
        );
        let csv = csv(&outcomes);
        assert_eq!(csv.lines().count(), 5);
        assert!(csv.contains("\"100 rps, 5 %, canary 50 %\",false,9.000,5,4\n"));
    }
}
