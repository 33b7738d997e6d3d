use super::{Told, summary};
use crate::demo::drive::Ended;
use crate::demo::load::{Outcomes, Totals};
use crate::demo::scenario::{Ending, Name};
use crate::view::fixtures::at;

fn told(ending: Ending, shipped: f64, ended: f64) -> Told {
    Told {
        ended: Ended {
            ending,
            shipped: at(shipped),
            at: at(ended),
            why: String::new(),
            served_after_ms: Some(1.8),
            failed_requests: 17,
        },
        first_request: Some(at(shipped + 0.4)),
    }
}

fn totals() -> Totals {
    let versions = [
        (
            "v2".to_owned(),
            Outcomes {
                ok: 9_990,
                failed: 10,
            },
        ),
        ("v3".to_owned(), Outcomes { ok: 60, failed: 17 }),
    ];
    Totals {
        due: 20_010,
        ok: 19_960,
        failed: 40,
        versions: versions.into(),
        ..Totals::default()
    }
}

#[test]
fn a_good_end_is_told_with_its_price() {
    let mut bad = told(Ending::RolledBack, 33.0, 36.5);
    bad.ended.why = "error ratio: 17 of 77 canary requests failed".into();
    let told = [told(Ending::Promoted, 4.0, 28.0), bad];
    let (text, as_expected) = summary(&Name::Default.scenario(), &told, &totals(), 41.2);
    let expected = "\
Scenario default, 41.2 s: every rollout ended as it should.

  v2  promoted, 24 s after it was shipped
      it answered 10,000 requests of users, 10 of them with a failure

  v3  rolled back, 3.5 s after it was shipped
      error ratio: 17 of 77 canary requests failed
      3.1 s from its first request to the rollback, served by every worker 1.8 ms later
      it answered 77 requests of users, 17 of them with a failure
      the process counted 17 failed requests at the decision

  Users sent 20,000 requests in all; 40 failed (0.2%).
";
    assert_eq!(text, expected);
    assert!(as_expected);
}

#[test]
fn a_wrong_end_is_no_success() {
    let check = |told: &[Told], expected: &str| {
        let (text, as_expected) = summary(&Name::Default.scenario(), told, &totals(), 41.2);
        assert!(!as_expected);
        assert!(
            text.starts_with("Scenario default, 41.2 s: NOT every rollout ended as it should."),
            "{text}"
        );
        assert!(text.contains(expected), "{text}");
    };
    check(
        &[
            told(Ending::Promoted, 4.0, 28.0),
            told(Ending::Promoted, 33.0, 60.0),
        ],
        "  v3  promoted, 27 s after it was shipped (it should have been rolled back)\n",
    );
    check(
        &[told(Ending::Promoted, 4.0, 28.0)],
        "  v3  did not end (it should have been rolled back)\n",
    );
}
