use serde_json::{Value, json};

use super::*;

/// The stored form is what a later version must still read, so it is written out here.
#[track_caller]
fn check(stored: Value, state: &State) {
    assert_eq!(serde_json::to_value(state).unwrap(), stored);
    assert_eq!(&serde_json::from_value::<State>(stored).unwrap(), state);
}

fn stable() -> Stable {
    Stable {
        revision: Revision::new("v1"),
        slot: Slot::Second,
        before: Vec::new(),
    }
}

#[test]
fn the_stored_form_is_stable() {
    let at: Timestamp = "2026-05-04T03:02:01.000000009Z".parse().unwrap();
    check(json!({"phase": "empty"}), &State::Empty);
    check(
        json!({
            "phase": "healthy",
            "stable": {"revision": "v1", "slot": "second"},
            "since": "2026-05-04T03:02:01.000000009Z",
            "outcome": "promotedInFull",
        }),
        &State::Healthy(Healthy {
            stable: stable(),
            since: at,
            outcome: Outcome::PromotedInFull,
        }),
    );
    check(
        json!({
            "phase": "paused",
            "stable": {"revision": "v1", "slot": "second"},
            "revision": "v2",
            "startedAt": "2026-05-04T03:02:01.000000009Z",
            "place": {"step": 3},
            "enteredAt": "2026-05-04T03:02:01.000000009Z",
            "share": {"weight": 2550, "headerRoutes": []},
            "reachable": true,
            "stepsHash": "abc",
            "full": false,
            "pause": "inconclusive",
        }),
        &State::Paused {
            canary: Canary {
                stable: stable(),
                revision: Revision::new("v2"),
                started_at: at,
                place: Place::Step(3),
                entered_at: at,
                share: Share {
                    weight: Weight::from_basis_points(2550).unwrap(),
                    header_routes: Vec::new(),
                    mirror_routes: Vec::new(),
                },
                reachable: true,
                steps_hash: "abc".to_owned(),
                full: false,
                late: false,
            },
            pause: Pause::Inconclusive,
        },
    );
    check(
        json!({
            "phase": "aborted",
            "stable": {"revision": "v1", "slot": "second"},
            "canary": "v2",
            "cause": {"verdict": {"why": "errors"}},
            "at": "2026-05-04T03:02:01.000000009Z",
            "place": "end",
            "weight": 10_000,
        }),
        &State::Aborted(Aborted {
            stable: stable(),
            canary: Revision::new("v2"),
            cause: Cause::Verdict {
                why: "errors".to_owned(),
            },
            at,
            place: Place::End,
            weight: Weight::FULL,
        }),
    );
}

#[test]
fn a_weight_out_of_range_is_refused_with_what_is_allowed() {
    let found = serde_json::from_value::<Share>(json!({"weight": 10_001, "headerRoutes": []}));
    assert_eq!(
        found.unwrap_err().to_string(),
        "found 10001 basis points, allowed 0 to 10000"
    );
}
