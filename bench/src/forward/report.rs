//! What was measured, as Markdown.

use super::{
    Measured, Plan,
    contender::{Kind, Start},
    cores::Cores,
};
use crate::spread::Spread;
use std::{fmt::Write as _, fs};

/// A contender's line.
#[derive(Debug)]
pub(crate) struct Row {
    kind: Kind,
    /// Nothing when it is not installed.
    version: Option<String>,
    pub(crate) rounds: Vec<Measured>,
}

impl Row {
    pub(crate) fn new(start: &Start) -> Self {
        Self {
            kind: start.kind(),
            version: match start {
                Start::Running(contender) => Some(contender.version.clone()),
                Start::Missing(_) => None,
            },
            rounds: Vec::new(),
        }
    }
}

impl Measured {
    /// Microseconds of CPU per request.
    fn per_request(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / self.requests as f64
    }

    fn user(&self) -> f64 {
        self.per_request() * self.user_share
    }

    fn system(&self) -> f64 {
        self.per_request() - self.user()
    }

    /// The share of its core that it used.
    fn busy(&self) -> f64 {
        self.cpu.as_secs_f64() / self.wall.as_secs_f64()
    }

    fn rate(&self) -> f64 {
        self.requests as f64 / self.wall.as_secs_f64()
    }
}

/// The machine in one line.
pub(crate) fn machine(cores: Option<&Cores>) -> String {
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpus
        .lines()
        .filter_map(|line| line.strip_prefix("model name"))
        .map(|rest| rest.trim_start_matches([' ', '\t', ':']))
        .next()
        .unwrap_or("unknown CPU");
    let count = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let pinned = match cores {
        Some(Cores { contenders, load }) => {
            format!("contenders on core {contenders}, load and origin on core {load}")
        }
        None => "ONE core for contender, load and origin together: not to be compared".to_owned(),
    };
    let build = if cfg!(debug_assertions) {
        " DEBUG BUILD: worth nothing."
    } else {
        ""
    };
    format!(
        "Linux {}, {model}, {count} cores; {pinned}.{build}\n",
        kernel.trim()
    )
}

pub(crate) fn heading(plan: &Plan, body: usize) -> String {
    let Plan {
        connections,
        rounds,
        span,
        ..
    } = plan;
    format!(
        "{connections} connections, body of {body} bytes, {rounds} interleaved rounds of {span:?} each:\n"
    )
}

/// Medians over the rounds; the spread and the ratios too, which are taken within each round.
pub(crate) fn table(rows: &[Row]) -> String {
    let mut text = "| | CPU µs per request | least to most | user | system | ratio to relay | ratio to HAProxy \
                    | core busy | requests/s |\n|---|---:|---:|---:|---:|---:|---:|---:|---:|\n"
        .to_owned();
    for row in rows {
        // Writing to a string cannot fail.
        let _ = match &row.version {
            Some(version) => writeln!(
                text,
                "| {} {version} | {}",
                row.kind.name(),
                cells(row, rows)
            ),
            None => writeln!(
                text,
                "| {} | not installed, not measured | | | | | | | |",
                row.kind.name()
            ),
        };
    }
    text
}

fn cells(row: &Row, rows: &[Row]) -> String {
    let median = |of: fn(&Measured) -> f64| {
        Spread::of(row.rounds.iter().map(of)).map_or(f64::NAN, |s| s.median)
    };
    let (least, most) = Spread::of(row.rounds.iter().map(Measured::per_request))
        .map_or((f64::NAN, f64::NAN), |s| (s.least, s.most));
    format!(
        "{:.1} | {least:.1} to {most:.1} | {:.1} | {:.1} | {} | {} | {:.0} % | {:.0} |",
        median(Measured::per_request),
        median(Measured::user),
        median(Measured::system),
        ratio(row, rows, Kind::Relay),
        ratio(row, rows, Kind::Haproxy),
        median(Measured::busy) * 100.0,
        median(Measured::rate),
    )
}

/// The CPU time of `row` in that of `to`, round by round.
fn ratio(row: &Row, rows: &[Row], to: Kind) -> String {
    let base = rows.iter().find(|base| base.kind == to);
    let ratios = base.and_then(|base| {
        let pairs = row.rounds.iter().zip(&base.rounds);
        Spread::of(pairs.map(|(a, b)| a.per_request() / b.per_request()))
    });
    ratios.map_or_else(
        || "-".to_owned(),
        |r| format!("{:.2} ({:.2} to {:.2})", r.median, r.least, r.most),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn row(kind: Kind, micros: &[u64]) -> Row {
        let measured = |&micros: &u64| Measured {
            requests: 1_000,
            wall: Duration::from_millis(100),
            cpu: Duration::from_millis(micros),
            user_share: 0.25,
        };
        Row {
            kind,
            version: Some("1.0".to_owned()),
            rounds: micros.iter().map(measured).collect(),
        }
    }

    #[test]
    fn ratios_are_taken_within_a_round() {
        // The machine was twice as slow in the second round, for both.
        let rows = [
            row(Kind::Relay, &[10, 20, 10]),
            row(Kind::Sluice, &[20, 40, 30]),
        ];
        assert_eq!(ratio(&rows[1], &rows, Kind::Relay), "2.00 (2.00 to 3.00)");
        assert_eq!(ratio(&rows[1], &rows, Kind::Haproxy), "-");
        assert_eq!(
            cells(&rows[1], &rows),
            "30.0 | 20.0 to 40.0 | 7.5 | 22.5 | 2.00 (2.00 to 3.00) | - | 30 % | 10000 |"
        );
    }

    #[test]
    fn what_is_not_installed_is_named() {
        let missing = Row::new(&Start::Missing(Kind::Nginx));
        assert!(table(&[missing]).contains("| nginx | not installed, not measured |"));
    }
}
