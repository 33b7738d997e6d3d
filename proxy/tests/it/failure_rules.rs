//! What is counted lets the reader say what a failure is.

use crate::support::{
    origin,
    world::{self, World},
};
use std::time::Duration;
use traffic::{FailureRule, RolloutId};

/// Stable's failures by `rule`, when no request is under way.
pub(crate) fn failed(world: &World, rule: &FailureRule) -> u64 {
    let by_totals = world.stable().failed_by(rule);
    let rollout = RolloutId::new("default", "shop");
    let snapshot = world.stats.snapshot(&rollout, None, Duration::ZERO, rule);
    assert_eq!(snapshot.stable.failed, by_totals, "{rule}");
    by_totals
}

#[test]
fn statuses_are_judged_by_the_rule_and_lost_answers_always() {
    let busy = origin::http().status(429).run();
    let unavailable = origin::http().status(503).run();
    let cut = origin::after_head(|wire| {
        wire.send("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf");
    });
    let too_many = FailureRule::BROKEN.with_statuses(429, 429);
    let not_503 = FailureRule::BROKEN
        .with_statuses(500, 502)
        .with_statuses(504, 999);
    for (endpoints, status, judged) in [
        (
            vec![busy.address],
            429,
            [(FailureRule::DEFAULT, 0), (too_many, 1)],
        ),
        (
            vec![unavailable.address],
            503,
            [(FailureRule::DEFAULT, 1), (not_503, 0)],
        ),
        // The client sees 503 and 502 here too, but these are no answers of the version.
        (vec![], 503, [(not_503, 1), (too_many, 1)]),
        (
            vec![origin::refusing(); 4],
            502,
            [(too_many, 1), (FailureRule::BROKEN, 1)],
        ),
        (
            vec![cut.address],
            200,
            [(FailureRule::DEFAULT, 1), (FailureRule::BROKEN, 1)],
        ),
    ] {
        let world = world::start();
        world.serve(&endpoints);
        assert_eq!(world.connect().get("/", "").status(), status);
        for (rule, expected) in judged {
            assert_eq!(failed(&world, &rule), expected, "{status}: {rule}");
        }
    }
}
