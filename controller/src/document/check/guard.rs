//! The ranges of the guard's options and of the evidence step's.

use std::fmt;
use std::time::Duration;

use crds::GoDuration;
use crds::sluice::{Evidence, Guard, LatencyOptions, Switch};

use super::duration;
use crate::document::report::Report;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// How long an evidence step lasts at most when nothing else is said.
const LONGEST_EVIDENCE: GoDuration = GoDuration(Duration::from_secs(15 * 60));

/// From where a number may be, and up to where, which is included.
#[derive(Clone, Copy)]
enum Range {
    Above(f64, f64),
    From(f64, f64),
}

/// A chance of error: a test that errs more often than not is none.
const CHANCE: Range = Range::Above(0.0, 0.5);
/// A share of the traffic that may fail.
const BUDGET: Range = Range::Above(0.0, 0.5);

impl Range {
    fn contains(self, number: f64) -> bool {
        match self {
            Self::Above(least, most) => number > least && number <= most,
            Self::From(least, most) => number >= least && number <= most,
        }
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Above(least, most) => write!(f, "a number above {least}, at most {most}"),
            Self::From(least, most) => write!(f, "{least} to {most}"),
        }
    }
}

fn number(written: Option<f64>, path: String, range: Range, report: &mut Report<'_>) {
    if let Some(number) = written
        && !range.contains(number)
    {
        report.error(path, format!("found {number}, allowed {range}"));
    }
}

pub(super) fn guard(guard: &Guard, path: &str, report: &mut Report<'_>) {
    let Switch::On(options) = guard else { return };
    let numbers = [
        ("alpha", options.alpha, CHANCE),
        ("beta", options.beta, CHANCE),
        (
            "relativeMargin",
            options.relative_margin,
            Range::From(1.0, 10.0),
        ),
        (
            "absoluteMargin",
            options.absolute_margin,
            Range::From(0.0, 0.5),
        ),
        ("harmBudget", options.harm_budget, BUDGET),
        ("harmSlack", options.harm_slack, Range::From(0.0, 1.0)),
        ("fastPath", options.fast_path, Range::Above(0.0, 1.0)),
        (
            "baselineUnhealthyAbove",
            options.baseline_unhealthy_above,
            Range::From(0.0001, 0.99),
        ),
    ];
    for (field, written, range) in numbers {
        number(written, format!("{path}.{field}"), range, report);
    }
    if let Some(failures) = options.min_canary_failures
        && !(1..=1000).contains(&failures)
    {
        let path = format!("{path}.minCanaryFailures");
        report.error(path, format!("found {failures}, allowed 1 to 1000"));
    }
    let durations = [
        ("horizon", options.horizon, (SECOND, 30 * DAY)),
        ("warmUp", options.warm_up, (Duration::ZERO, HOUR)),
        (
            "burstWindow",
            options.burst_window,
            (Duration::from_millis(100), MINUTE),
        ),
        ("dwell", options.dwell, (Duration::ZERO, DAY)),
        ("stableHalfLife", options.stable_half_life, (SECOND, DAY)),
    ];
    for (field, written, range) in durations {
        duration(written, format!("{path}.{field}"), range, report);
    }
    if let Some(Switch::On(options)) = &options.latency {
        latency(options, &format!("{path}.latency"), report);
    }
}

fn latency(options: &LatencyOptions, path: &str, report: &mut Report<'_>) {
    number(
        options.increase,
        format!("{path}.increase"),
        Range::From(0.01, 100.0),
        report,
    );
    duration(
        options.negligible,
        format!("{path}.negligible"),
        (Duration::ZERO, MINUTE),
        report,
    );
    let Some(quantiles) = &options.quantiles else {
        return;
    };
    let path = format!("{path}.quantiles");
    if !(1..=8).contains(&quantiles.len()) {
        report.error(
            &path,
            format!("found {} of them, allowed 1 to 8", quantiles.len()),
        );
    }
    for (index, quantile) in quantiles.iter().enumerate() {
        let path = format!("{path}[{index}]");
        number(Some(*quantile), path, Range::From(0.01, 0.9999), report);
    }
}

pub(super) fn evidence(evidence: &Evidence, path: &str, report: &mut Report<'_>) {
    number(
        evidence.harm_budget,
        format!("{path}.harmBudget"),
        BUDGET,
        report,
    );
    number(
        evidence.confidence,
        format!("{path}.confidence"),
        CHANCE,
        report,
    );
    duration(
        evidence.min_duration,
        format!("{path}.minDuration"),
        (Duration::ZERO, 7 * DAY),
        report,
    );
    duration(
        evidence.max_duration,
        format!("{path}.maxDuration"),
        (SECOND, 7 * DAY),
        report,
    );
    let longest = evidence.max_duration.unwrap_or(LONGEST_EVIDENCE);
    if let Some(least) = evidence.min_duration
        && least > longest
    {
        let path = format!("{path}.minDuration");
        report.error(
            path,
            format!("found {least}, allowed at most maxDuration, which is {longest}"),
        );
    }
}
