//! What counts as a failure, as the rollout says it.

use super::*;
use traffic::{Failure, GrpcCode};

/// Client errors hold no canary.
const UNHELD: &str = "{guard: {clientErrors: off}}";
const LISTED: &str = "{guard: {failures: {statuses: [429]}}}";

/// A version that ends this share of its requests so, and answers the others with 200.
const fn ending(failures: f64, failure: Outcome) -> Behaviour {
    Behaviour {
        failures,
        failure,
        latency_ms: 20,
    }
}

/// A world in which revision 1 has been stable for a minute, and 2 is asked for.
fn shipped(options: &str, canary: Behaviour) -> World {
    let mut world = World::new(&documents("shop:1", PAUSES, options));
    world.run(60, |_| false);
    world.versions[1] = canary;
    world.reload(&documents("shop:2", PAUSES, options));
    world.run(5, |view| view.weight > 0.0);
    world
}

#[test]
fn a_canary_is_convicted_of_what_counts_as_a_failure() {
    let check = |options: &str, outcome: Outcome, is_failure: bool| {
        let mut world = shipped(options, ending(1.0, outcome));
        let view = world.run(120, |view| {
            view.phase != "Progressing" && view.phase != "Paused"
        });
        let phase = if is_failure { "Degraded" } else { "Healthy" };
        assert_eq!(view.phase, phase, "{options} {outcome:?}");
        let last = view.decisions.last().unwrap();
        assert_eq!(
            last.failed_requests > 0,
            is_failure,
            "{options} {outcome:?}"
        );
    };
    let answered = Outcome::Answered;
    check(UNHELD, answered(429), false);
    check(LISTED, answered(429), true);
    // The list stands in the place of the default.
    check(LISTED, answered(500), false);
    let no_endpoint = Outcome::Failed {
        status: 503,
        reason: Failure::NoEndpoint,
    };
    for options in ["{}", LISTED, "{guard: {failures: {statuses: []}}}"] {
        check(options, no_endpoint, true);
    }
    check(
        "{guard: {failures: {statuses: [4xx]}}}",
        Outcome::Cancelled,
        false,
    );
    let code = "{guard: {failures: {grpcCodes: [NOT_FOUND]}}}";
    check(UNHELD, Outcome::Called(GrpcCode::NotFound), false);
    check(code, Outcome::Called(GrpcCode::NotFound), true);
    check(code, Outcome::Called(GrpcCode::Unavailable), false);
}

#[test]
fn a_canary_that_refuses_its_clients_is_held() {
    let check = |options: &str, outcome: Outcome, wanted: &str| {
        let mut world = shipped(options, ending(0.5, outcome));
        let view = world.run(120, |view| {
            matches!(view.phase.as_str(), "Healthy" | "Degraded")
        });
        let last = view.decisions.last().unwrap();
        let found = match view.phase.as_str() {
            "Healthy" => "promoted",
            "Degraded" if last.why.starts_with("4xx ratio: ") => "rolled back",
            _ if view.weight > 0.0 && view.waits_for.contains("client error (4xx)") => "held",
            _ => "something else",
        };
        assert_eq!(found, wanted, "{options} {outcome:?}: {}", view.waits_for);
    };
    let missing = Outcome::Answered(404);
    check("{}", missing, "held");
    check("{}", Outcome::Called(GrpcCode::Unauthenticated), "held");
    check(
        "{guard: {clientErrors: {then: rollBack}}}",
        missing,
        "rolled back",
    );
    check(UNHELD, missing, "promoted");
    // Clients may differ.
    check("{sticky: [{header: x-user}]}", missing, "promoted");
}

#[test]
fn another_rule_waits_for_the_next_canary() {
    let mut world = shipped(UNHELD, ending(0.5, Outcome::Answered(429)));
    world.run(5, |_| false);
    world.reload(&documents("shop:2", PAUSES, LISTED));
    let view = world.run(10, |view| {
        view.phase != "Paused" || view.canary.as_ref().is_none_or(|c| c.failures > 0)
    });
    let canary = view.canary.unwrap();
    assert_eq!((view.phase.as_str(), canary.failures), ("Paused", 0));
    assert!(canary.requests > 0);
    assert_eq!(
        view.evidence.unwrap().failure_rule,
        traffic::FailureRule::DEFAULT
    );

    world.reload(&documents("shop:3", PAUSES, LISTED));
    let view = world.run(20, |view| view.phase == "Degraded");
    assert_eq!(view.phase, "Degraded");
    let last = view.decisions.last().unwrap();
    assert!(last.failed_requests >= 3, "{last:?}");
    let evidence = last.evidence.as_ref().unwrap();
    assert_eq!(
        evidence.failure_rule.to_string().split(", ").next(),
        Some("status 429")
    );
    assert_eq!(evidence.canary.failures, last.failed_requests);
}

/// What stable did before is no jump of its failures when it begins to count, and no failure of the canary's.
#[test]
fn another_rule_makes_no_failures_of_the_past() {
    let missing = ending(0.03, Outcome::Answered(404));
    let mut world = World::new(&documents("shop:1", PAUSES, "{}"));
    world.versions = [missing, missing];
    world.run(120, |_| false);
    let options = "{guard: {failures: {statuses: [404, 5xx]}}}";
    for (image, seconds) in [("shop:1", 5), ("shop:2", 100)] {
        world.reload(&documents(image, PAUSES, options));
        let view = world.run(seconds, |view| view.phase == "Degraded");
        assert_eq!(view.phase, "Healthy", "{:?}", view.decisions.last());
        let stable = view.stable;
        let ratio = stable.failures as f64 / stable.requests as f64;
        assert!((0.02..0.04).contains(&ratio), "{stable:?}");
    }
    // And back: what counted counts no more.
    world.reload(&documents("shop:2", PAUSES, "{}"));
    let view = world.run(5, |_| false);
    assert_eq!((view.phase.as_str(), view.stable.failures), ("Healthy", 0));
}
