//! Recorded traffic: a CSV file with a heading, and a line for each moment.

use super::{load::Steady, number};
use crate::cli;
use rollout::sim::Behaviour;
use std::time::Duration;

/// The columns that there must be.
const NEEDED: [&str; 4] = ["time", "rps", "errors", "p50"];
/// The 99th percentile of the standard normal distribution.
const Z99: f64 = 2.326;

/// Traffic as it was from one moment to the next.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Record {
    /// Each with the time at which it begins; the first begins at 0. Never empty.
    parts: Vec<(Duration, Steady)>,
    period: Duration,
}

impl Record {
    /// Reads what is described in `docs/simulate.md`.
    ///
    /// # Errors
    /// The first line that is wrong, and what is wrong with it, as `3: rps: found …, allowed …`.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        let mut lines = text
            .lines()
            .enumerate()
            .filter(|(_, line)| !line.trim().is_empty());
        let (_, heading) = lines
            .next()
            .ok_or("1: found nothing, allowed a heading and lines")?;
        let columns: Vec<_> = heading.split(',').map(str::trim).collect();
        if let Some(missing) = NEEDED.iter().find(|name| !columns.contains(name)) {
            return Err(format!(
                "1: found no column {missing}, needed are {}",
                NEEDED.join(", ")
            ));
        }
        let mut rows: Vec<(Duration, Steady)> = Vec::new();
        for (index, line) in lines {
            let row = row(&columns, line).map_err(|error| format!("{}: {error}", index + 1))?;
            if rows.last().is_some_and(|(before, _)| *before >= row.0) {
                return Err(format!("{}: time: is not after the line before", index + 1));
            }
            rows.push(row);
        }
        let [(start, _), .., (before, _), (end, _)] = rows.as_slice() else {
            return Err("2: found fewer than three lines, allowed three or more".to_owned());
        };
        // The last lasts as long as the one before it.
        let (start, period) = (*start, *end - *start + (*end - *before));
        for (time, _) in &mut rows {
            *time -= start;
        }
        Ok(Self {
            parts: rows,
            period,
        })
    }

    /// How long it is.
    pub(super) fn period(&self) -> Duration {
        self.period
    }

    /// The traffic at `time`; after its end it begins again.
    pub(super) fn at(&self, time: Duration) -> Steady {
        let within = time.as_secs_f64() % self.period.as_secs_f64();
        let after = self
            .parts
            .partition_point(|(begin, _)| begin.as_secs_f64() <= within);
        self.parts[after.max(1) - 1].1
    }
}

fn row(columns: &[&str], line: &str) -> Result<(Duration, Steady), String> {
    let cells: Vec<_> = line.split(',').map(str::trim).collect();
    let cell = |name| {
        let place = columns.iter().position(|column| *column == name)?;
        cells.get(place).copied().filter(|cell| !cell.is_empty())
    };
    let needed = |name| cell(name).ok_or_else(|| format!("{name}: is missing"));
    let named = |name: &'static str| move |error: String| format!("{name}: {error}");
    let time = needed("time")?;
    let time = number::number(time)
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .ok_or_else(|| format!("time: found `{time}`, allowed is a number of seconds"))?;
    let p50 = cli::duration(needed("p50")?).map_err(named("p50"))?;
    let p99 = cell("p99")
        .map(cli::duration)
        .transpose()
        .map_err(named("p99"))?;
    let mut stable = Behaviour {
        failure_ratio: number::share(needed("errors")?).map_err(named("errors"))?,
        latency: p50,
        ..Behaviour::default()
    };
    if let Some(p99) = p99 {
        if p50.is_zero() || p99 < p50 {
            return Err("p99: is below p50, or p50 is 0".to_owned());
        }
        stable.spread = (p99.as_secs_f64() / p50.as_secs_f64()).ln() / Z99;
    }
    let rps = number::rate(needed("rps")?).map_err(named("rps"))?;
    Ok((time, Steady { rps, stable }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_goes_as_it_went_and_begins_again() {
        let text = "time, rps, errors, p50, p99\n100,10,1%,10ms,100ms\n110,20,0.02,20ms,\n\n130,30,0,30ms,30ms\n";
        let record = Record::read(text).unwrap();
        assert_eq!(record.period(), Duration::from_secs(50));
        for (second, rps, ratio, milliseconds, spread) in [
            (0, 10.0, 0.01, 10, 10f64.ln() / 2.326),
            (9, 10.0, 0.01, 10, 10f64.ln() / 2.326),
            (10, 20.0, 0.02, 20, 0.5),
            (30, 30.0, 0.0, 30, 0.0),
            (49, 30.0, 0.0, 30, 0.0),
            (50, 10.0, 0.01, 10, 10f64.ln() / 2.326),
            (62, 20.0, 0.02, 20, 0.5),
        ] {
            let found = record.at(Duration::from_secs(second));
            assert_eq!(found.rps, rps, "{second}");
            assert_eq!(found.stable.failure_ratio, ratio, "{second}");
            assert_eq!(found.stable.latency.as_millis(), milliseconds, "{second}");
            assert!((found.stable.spread - spread).abs() < 1e-9, "{second}");
        }
    }

    #[test]
    fn a_wrong_record_is_refused_with_its_line() {
        let heading = "time,rps,errors,p50,p99";
        let cases = [
            (String::new(), "1: found nothing"),
            ("time,rps,p50\n".to_owned(), "1: found no column errors"),
            (
                format!("{heading}\n0,1,0,1ms\n1,1,0,1ms\n"),
                "2: found fewer than three lines",
            ),
            (
                format!("{heading}\n0,1,0,1ms\n0,1,0,1ms\n"),
                "3: time: is not after",
            ),
            (format!("{heading}\n0,0,0,1ms\n"), "2: rps: found `0`"),
            (format!("{heading}\n0,1,2,1ms\n"), "2: errors: found `2`"),
            (format!("{heading}\n0,1,0,soon\n"), "2: p50: found `soon`"),
            (
                format!("{heading}\n0,1,0,2ms,1ms\n"),
                "2: p99: is below p50",
            ),
            (
                format!("{heading}\n-1,1,0,2ms,1ms\n"),
                "2: time: found `-1`",
            ),
            (format!("{heading}\n0,1,0\n"), "2: p50: is missing"),
        ];
        for (text, expected) in cases {
            let error = Record::read(&text).unwrap_err();
            assert!(error.starts_with(expected), "{text:?}: {error}");
        }
    }
}
