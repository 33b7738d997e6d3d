//! Rules of the evidence step beyond the ranges of its numbers.

use crds::sluice::Evidence;

use crate::document::report::Report;

pub(super) fn evidence(evidence: &Evidence, path: &str, report: &mut Report<'_>) {
    let longest = evidence
        .max_duration
        .unwrap_or(Evidence::DEFAULT_MAX_DURATION);
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
