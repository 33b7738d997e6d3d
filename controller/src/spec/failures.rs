//! What counts as a failure of a version.

use crds::sluice::{self, Failures};
use traffic::{FailureRule, GrpcCode};

/// The rule that `written` asks for. Each of its two lists stands in the place of the default one.
pub(super) fn failure_rule(written: &Failures) -> FailureRule {
    let statuses = match &written.statuses {
        None => FailureRule::DEFAULT.statuses(),
        Some(ranges) => ranges.iter().map(|range| range.bounds()).collect(),
    };
    let codes: Vec<_> = match &written.grpc_codes {
        None => FailureRule::DEFAULT.codes().collect(),
        Some(codes) => codes.iter().filter_map(counted).collect(),
    };
    let rule = statuses
        .into_iter()
        .fold(FailureRule::BROKEN, |rule, (first, last)| {
            rule.with_statuses(first, last)
        });
    codes.into_iter().fold(rule, FailureRule::with_code)
}

fn counted(code: &sluice::GrpcCode) -> Option<GrpcCode> {
    GrpcCode::from_number(code.number().into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn a_list_of_failures_stands_in_the_place_of_the_default() {
        let check = |written: Value, expected: &str| {
            let rule = failure_rule(&serde_json::from_value(written.clone()).unwrap());
            assert_eq!(rule.to_string(), expected, "{written}");
        };
        let codes =
            "gRPC code UNKNOWN, DEADLINE_EXCEEDED, UNIMPLEMENTED, INTERNAL, UNAVAILABLE, DATA_LOSS";
        check(json!({}), &format!("status 5xx, {codes}"));
        check(
            json!({"statuses": [429, "400-403"]}),
            &format!("status 400-403, 429, {codes}"),
        );
        check(
            json!({"statuses": ["4xx", "500-599"]}),
            &format!("status 4xx, 500-599, {codes}"),
        );
        check(
            json!({"grpcCodes": ["NOT_FOUND", 8]}),
            "status 5xx, gRPC code NOT_FOUND, RESOURCE_EXHAUSTED",
        );
        check(json!({"statuses": [], "grpcCodes": []}), "");
    }

    #[test]
    fn codes_have_one_name_in_documents_and_in_counters() {
        for code in GrpcCode::ALL.into_iter().skip(2) {
            let named: sluice::GrpcCode = serde_json::from_value(json!(code.number())).unwrap();
            assert_eq!(named.name(), code.as_str());
        }
    }
}
