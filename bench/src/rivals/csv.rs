//! Every single measurement, for programs.

use super::{Added, Case, LOADS, open::Latency, report::Row};
use std::fmt::Write as _;

/// The names of the columns. Times are in microseconds, memory is in bytes; latencies are those that are added, and are
/// empty where they were not measured or the contender could not keep up.
pub(crate) const HEAD: &str = "case,contender,version,round,requests,seconds,cpu,user,system,resident,\
                               added_p50_at_30,added_p99_at_30,added_p999_at_30,\
                               added_p50_at_70,added_p99_at_70,added_p999_at_70\n";

pub(crate) fn lines(case: &Case, rows: &[Row]) -> String {
    let mut text = String::new();
    for row in rows {
        for (round, measured) in row.rounds.iter().enumerate() {
            let busy = &measured.busy;
            // Writing to a string does not fail.
            let _ = writeln!(
                text,
                "{},{},{},{round},{},{:.3},{:.3},{:.3},{:.3},{}{}",
                case.name,
                row.kind.name(),
                row.version.as_deref().unwrap_or_default(),
                busy.requests,
                busy.wall.as_secs_f64(),
                busy.per_request(),
                busy.user(),
                busy.system(),
                busy.resident,
                latencies(measured.added.unwrap_or([None; LOADS.len()])),
            );
        }
    }
    text
}

fn latencies(added: Added) -> String {
    added
        .into_iter()
        .map(|latency| match latency {
            Some(Latency { p50, p99, p999 }) => format!(",{p50:.1},{p99:.1},{p999:.1}"),
            None => ",,,".to_owned(),
        })
        .collect()
}
