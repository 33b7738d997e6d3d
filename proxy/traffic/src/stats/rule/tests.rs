use super::*;
use crate::{Failure, Role, RolloutId, Series, Stats};
use proptest::prelude::*;
use std::{sync::Arc, time::Duration};

/// A rule of so many ranges of statuses, and codes by their numbers.
fn rule(statuses: &[(u16, u16)], codes: &[u16]) -> FailureRule {
    let ranges = statuses.iter().copied();
    let rule = ranges.fold(FailureRule::BROKEN, |rule, (first, last)| {
        rule.with_statuses(first, last)
    });
    codes.iter().fold(rule, |rule, code| {
        rule.with_code(GrpcCode::from_number(*code).unwrap())
    })
}

fn series() -> Arc<Series> {
    Stats::new(2).series(&RolloutId::new("default", "shop"), Role::Canary)
}

fn count(series: &Series, outcomes: &[Outcome]) {
    for (i, outcome) in outcomes.iter().enumerate() {
        let shard = series.shard(i % 2);
        shard.begin(Duration::ZERO, true);
        shard.end(Duration::ZERO, Duration::from_millis(1), *outcome);
    }
}

const fn broken(status: u16, reason: Failure) -> Outcome {
    Outcome::Failed { status, reason }
}

/// One of each kind.
const OUTCOMES: [Outcome; 12] = [
    Outcome::Answered(200),
    Outcome::Answered(404),
    Outcome::Answered(429),
    Outcome::Answered(499),
    Outcome::Answered(503),
    Outcome::Answered(700),
    Outcome::Called(GrpcCode::Ok),
    Outcome::Called(GrpcCode::Cancelled),
    Outcome::Called(GrpcCode::NotFound),
    Outcome::Called(GrpcCode::Unavailable),
    broken(503, Failure::NoEndpoint),
    Outcome::Cancelled,
];

#[test]
fn the_rule_says_what_a_failure_is() {
    const NO_ENDPOINT: Outcome = OUTCOMES[10];
    let check = |rule: FailureRule, failures: &[Outcome]| {
        let series = series();
        count(&series, &OUTCOMES);
        let found: Vec<_> = OUTCOMES
            .into_iter()
            .filter(|outcome| rule.is_failure(*outcome))
            .collect();
        assert_eq!(found, failures, "{rule}");
        let failed = failures.len() as u64;
        assert_eq!(
            series.counts(Duration::ZERO, &rule).failed,
            failed,
            "{rule}"
        );
        assert_eq!(series.totals().failed_by(&rule), failed, "{rule}");
    };
    let answered = Outcome::Answered;
    let (not_found, unavailable) = (
        Outcome::Called(GrpcCode::NotFound),
        Outcome::Called(GrpcCode::Unavailable),
    );
    check(
        FailureRule::DEFAULT,
        &[answered(503), answered(700), unavailable, NO_ENDPOINT],
    );
    // Excusing the status 503 excuses no version that has no endpoint.
    check(FailureRule::BROKEN, &[NO_ENDPOINT]);
    check(rule(&[(429, 429)], &[]), &[answered(429), NO_ENDPOINT]);
    // What clients give up is no failure, and neither is what a version answers under its status.
    check(
        rule(&[(400, 499)], &[0, 1]),
        &[answered(404), answered(429), NO_ENDPOINT],
    );
    check(rule(&[(500, 599)], &[]), &[answered(503), NO_ENDPOINT]);
    check(
        rule(&[(600, 999)], &[5]),
        &[answered(700), not_found, NO_ENDPOINT],
    );
    // A call is judged by its code, not by its status.
    check(rule(&[(200, 200)], &[]), &[answered(200), NO_ENDPOINT]);
}

#[test]
fn an_answer_that_breaks_off_fails_whatever_its_status() {
    for status in [200, 404, 503] {
        let series = series();
        count(&series, &[broken(status, Failure::BodyCut)]);
        for rule in [
            FailureRule::BROKEN,
            FailureRule::DEFAULT,
            rule(&[(200, 999)], &[]),
        ] {
            let counts = series.counts(Duration::ZERO, &rule);
            assert_eq!(
                (counts.dispatched, counts.failed),
                (1, 1),
                "{status} {rule}"
            );
        }
        assert_eq!(series.totals().statuses, [(status, 1)]);
    }
}

#[test]
fn a_rule_is_told_as_it_is_written() {
    let check = |rule: FailureRule, text: &str, ranges: &[(u16, u16)]| {
        assert_eq!(rule.to_string(), text);
        assert_eq!(rule.statuses(), ranges, "{text}");
        let again = ranges
            .iter()
            .fold(FailureRule::BROKEN, |rule, (first, last)| {
                rule.with_statuses(*first, *last)
            });
        let again = rule.codes().fold(again, FailureRule::with_code);
        assert_eq!(again, rule, "{text}");
    };
    check(FailureRule::BROKEN, "", &[]);
    check(
        FailureRule::DEFAULT,
        "status 5xx, gRPC code UNKNOWN, DEADLINE_EXCEEDED, UNIMPLEMENTED, INTERNAL, UNAVAILABLE, DATA_LOSS",
        &[(500, 999)],
    );
    check(
        rule(&[(429, 429), (400, 403), (503, 503), (504, 504)], &[]),
        "status 400-403, 429, 503-504",
        &[(400, 403), (429, 429), (503, 504)],
    );
    check(
        rule(&[(400, 499), (500, 599)], &[]),
        "status 4xx, 500-599",
        &[(400, 498), (500, 599)],
    );
    check(rule(&[], &[5]), "gRPC code NOT_FOUND", &[]);
}

fn any_rule() -> impl Strategy<Value = FailureRule> {
    let range = (100u16..1000, 0u16..300).prop_map(|(first, n)| (first, first.saturating_add(n)));
    let ranges = proptest::collection::vec(range, 0..4);
    (ranges, proptest::collection::vec(0u16..17, 0..6))
        .prop_map(|(ranges, codes)| rule(&ranges, &codes))
}

fn any_outcome() -> impl Strategy<Value = Outcome> {
    let reason = proptest::sample::select(vec![
        Failure::NoEndpoint,
        Failure::Connect,
        Failure::BodyCut,
        Failure::IdleTimeout,
    ]);
    prop_oneof![
        (100u16..1000).prop_map(Outcome::Answered),
        proptest::sample::select(GrpcCode::ALL.to_vec()).prop_map(Outcome::Called),
        (100u16..1000, reason).prop_map(|(status, reason)| broken(status, reason)),
        Just(Outcome::Cancelled),
    ]
}

proptest! {
    /// Counting is the same as judging each outcome, and what was counted only grows.
    #[test]
    fn failures_are_some_of_the_requests_and_only_grow(
        rule in any_rule(),
        outcomes in proptest::collection::vec(any_outcome(), 1..60),
    ) {
        let series = series();
        let mut failed = 0;
        for (i, outcome) in outcomes.iter().enumerate() {
            count(&series, &[*outcome]);
            failed += u64::from(rule.is_failure(*outcome));
            let counts = series.counts(Duration::ZERO, &rule);
            prop_assert_eq!((counts.dispatched, counts.failed), (i as u64 + 1, failed));
        }
        let totals = series.totals();
        prop_assert_eq!(totals.failed_by(&rule), failed);
        prop_assert_eq!(totals.failed, totals.failures.iter().sum::<u64>());
        let ended: u64 = totals.statuses.iter().map(|(_, n)| n).sum();
        prop_assert_eq!(ended, outcomes.len() as u64);
    }
}
