//! What was measured, as Markdown.

use super::{
    Case, LOADS, Measured, Plan,
    closed::Busy,
    contender::{Contender, Kind},
    open::Latency,
};
use crate::{cores::Cores, spread::Spread};
use std::{fmt::Write as _, fs};

/// A contender's line.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) kind: Kind,
    /// Nothing when its program is missing.
    pub(crate) version: Option<String>,
    pub(crate) rounds: Vec<Measured>,
}

impl Row {
    pub(crate) fn new(kind: Kind, contender: Option<&Contender>) -> Self {
        Self {
            kind,
            version: contender.map(|contender| contender.version.clone()),
            rounds: Vec::new(),
        }
    }

    fn spread(&self, of: impl Fn(&Busy) -> f64) -> Option<Spread> {
        Spread::of(self.rounds.iter().map(|measured| of(&measured.busy)))
    }

    fn median(&self, of: impl Fn(&Busy) -> f64) -> f64 {
        self.spread(of).map_or(f64::NAN, |spread| spread.median)
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
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or("unknown");
    let pinned = match cores {
        Some(Cores { contenders, load }) => {
            format!("contenders on core {contenders}, load and origins on core {load}")
        }
        None => "ONE core for contender, load and origins together: not to be compared".to_owned(),
    };
    let build = if cfg!(debug_assertions) {
        " DEBUG BUILD: worth nothing."
    } else {
        ""
    };
    format!(
        "Linux {}, {model}, {count} cores, load average {load} before it began; {pinned}.{build}\n",
        kernel.trim()
    )
}

pub(crate) fn heading(case: &Case, plan: &Plan) -> String {
    let (name, title, rounds, span) = (case.name, case.title, plan.rounds, plan.span);
    format!("**{title}** (`{name}`), {rounds} interleaved rounds of {span:?} each:\n")
}

/// Medians over the rounds; the spread and the ratios too, which are taken within each round.
pub(crate) fn table(rows: &[Row]) -> String {
    let mut text = "| | CPU µs per request | least to most | user | system | ratio to floor | ratio to HAProxy \
                    | core busy | requests/s | RSS MB | added µs at 30 %: p50, p99, p99.9 | at 70 % |\n\
                    |---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n"
        .to_owned();
    for row in rows {
        let name = row.kind.name();
        // Writing to a string does not fail.
        let _ = match &row.version {
            Some(version) => writeln!(text, "| {name} {version} | {}", cells(row, rows)),
            None => writeln!(
                text,
                "| {name} | not installed, not measured | | | | | | | | | | |"
            ),
        };
    }
    text
}

fn cells(row: &Row, rows: &[Row]) -> String {
    let (least, most) = row
        .spread(Busy::per_request)
        .map_or((f64::NAN, f64::NAN), |spread| (spread.least, spread.most));
    let ratio = |to| {
        ratio(row, rows, to).map_or_else(
            || "-".to_owned(),
            |r| format!("{:.2} ({:.2} to {:.2})", r.median, r.least, r.most),
        )
    };
    let added: Vec<_> = (0..LOADS.len()).map(|load| added(row, load)).collect();
    format!(
        "{:.1} | {least:.1} to {most:.1} | {:.1} | {:.1} | {} | {} | {:.0} % | {:.0} | {:.1} | {} |",
        row.median(Busy::per_request),
        row.median(Busy::user),
        row.median(Busy::system),
        ratio(Kind::Relay),
        ratio(Kind::Haproxy),
        row.median(Busy::share) * 100.0,
        row.median(Busy::rate),
        row.median(|busy| busy.resident as f64) / 1e6,
        added.join(" | "),
    )
}

/// The CPU time of `row` in that of `to`, round by round.
fn ratio(row: &Row, rows: &[Row], to: Kind) -> Option<Spread> {
    let base = rows.iter().find(|base| base.kind == to)?;
    let pairs = row.rounds.iter().zip(&base.rounds);
    Spread::of(pairs.map(|(a, b)| a.busy.per_request() / b.busy.per_request()))
}

/// The medians of what is added at one of the loads.
fn added(row: &Row, load: usize) -> String {
    let measured: Vec<_> = row.rounds.iter().filter_map(|round| round.added).collect();
    let kept: Vec<Latency> = measured.iter().filter_map(|added| added[load]).collect();
    if measured.is_empty() {
        return "-".to_owned();
    }
    if kept.len() * 2 <= measured.len() {
        return "cannot keep up".to_owned();
    }
    let median = |of: fn(&Latency) -> f64| {
        Spread::of(kept.iter().map(of)).map_or(f64::NAN, |spread| spread.median)
    };
    format!(
        "{:.0}, {:.0}, {:.0}",
        median(|latency| latency.p50),
        median(|latency| latency.p99),
        median(|latency| latency.p999),
    )
}

/// All cases at a glance: CPU per request as a ratio to HAProxy's.
pub(crate) fn summary(results: &[(Case, Vec<Row>)]) -> String {
    let Some((_, first)) = results.first() else {
        return String::new();
    };
    let names: Vec<_> = first.iter().map(|row| row.kind.name()).collect();
    let mut text = format!(
        "CPU time per request as a ratio to HAProxy's, medians:\n\n| case | {} |\n|---|{}\n",
        names.join(" | "),
        "---:|".repeat(names.len())
    );
    for (case, rows) in results {
        let ratios: Vec<_> = rows
            .iter()
            .map(|row| match ratio(row, rows, Kind::Haproxy) {
                Some(ratio) => format!("{:.2}", ratio.median),
                None => "-".to_owned(),
            })
            .collect();
        let _ = writeln!(text, "| {} | {} |", case.title, ratios.join(" | "));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::CASES;
    use super::*;
    use std::time::Duration;

    fn row(kind: Kind, micros: &[u64], p99: &[Option<f64>]) -> Row {
        let measured = |(&micros, &p99): (&u64, &Option<f64>)| Measured {
            busy: Busy {
                requests: 1_000,
                wall: Duration::from_millis(100),
                cpu: Duration::from_millis(micros),
                user_share: 0.25,
                resident: 3_500_000,
            },
            added: Some([
                p99.map(|p99| Latency {
                    p50: 1.0,
                    p99,
                    p999: 90.0,
                }),
                None,
            ]),
        };
        Row {
            kind,
            version: Some("1.0".to_owned()),
            rounds: micros.iter().zip(p99).map(measured).collect(),
        }
    }

    #[test]
    fn ratios_are_taken_within_a_round() {
        // The machine was twice as slow in the second round, for both.
        let rows = [
            row(Kind::Relay, &[10, 20, 10], &[None; 3]),
            row(Kind::Sluice, &[20, 40, 30], &[Some(7.0), None, Some(9.0)]),
        ];
        assert_eq!(
            cells(&rows[1], &rows),
            "30.0 | 20.0 to 40.0 | 7.5 | 22.5 | 2.00 (2.00 to 3.00) | - | 30 % | 10000 | 3.5 | 1, 8, 90 \
             | cannot keep up |"
        );
    }

    #[test]
    fn all_cases_are_seen_at_a_glance() {
        let rows = vec![
            row(Kind::Haproxy, &[10, 20], &[None; 2]),
            row(Kind::Sluice, &[8, 18], &[None; 2]),
            Row::new(Kind::Envoy, None),
        ];
        let text = summary(&[(CASES[0], rows)]);
        let expected = "| 32 connections, 63-byte body | 1.00 | 0.85 | - |\n";
        assert!(text.ends_with(expected), "{text}");
    }

    #[test]
    fn what_is_not_installed_is_named() {
        let missing = Row::new(Kind::Nginx, None);
        assert!(table(&[missing]).contains("| nginx | not installed, not measured |"));
    }
}
