//! The measurement of verdicts that the bench makes, shortened to one canary of each kind: counts only, as seconds say
//! nothing here.

use bench::verdicts::{Cell, Plan, Rivals, measure};
use std::time::Duration;

#[test]
fn a_dead_canary_costs_a_handful_of_requests_and_a_good_one_is_left_alone() {
    let seconds = Duration::from_secs;
    let cells = [
        Cell::bad(100.0, 10, 1.0, seconds(30)),
        Cell::bad(100.0, 10, 0.001, seconds(5)),
    ];
    let plan = Plan {
        sluice: env!("CARGO_BIN_EXE_sluice").into(),
        repeats: 1,
        budget: seconds(60),
        warm_up: seconds(3),
        options: "{}".to_owned(),
    };
    let outcomes = measure(&cells, &plan).unwrap();
    let [dead, good] = &outcomes[..] else {
        panic!("{outcomes:?}");
    };
    assert_eq!(dead.rolled_back(), 1, "{dead:?}");
    let [canary] = &dead.trials[..] else {
        panic!("{dead:?}");
    };
    // Fewer cannot convict; with more than a few seconds' worth of them, the guard would not be worth its name.
    assert!((3..=100).contains(&canary.failed), "{canary:?}");
    assert_eq!(good.rolled_back(), 0, "{good:?}");
    // With the rules of other tools, the same canary's requests would have failed for minutes, ten each second.
    for (rule, seconds, rival) in [
        ("Argo", 195, canary.rivals.argo),
        ("Flagger", 315, canary.rivals.flagger),
    ] {
        let loss = rival.unwrap_or_else(|| panic!("{rule}: {canary:?}"));
        assert!(
            (seconds..=seconds + 5).contains(&loss.took.as_secs()),
            "{rule}: {loss:?}"
        );
        assert!(
            (8 * seconds..=12 * seconds).contains(&loss.failed),
            "{rule}: {loss:?}"
        );
    }
    for trial in &good.trials {
        assert_eq!(trial.rivals, Rivals::default(), "{trial:?}");
    }
    for outcome in &outcomes {
        assert_eq!(outcome.unexplained, 0, "{outcome:?}");
    }
}
