use super::*;
use serde_json::json;

/// A Rollout with this status, of the one version that it ships.
fn rollout(status: Value) -> Rollout {
    let metadata = ObjectMeta {
        generation: Some(1),
        ..ObjectMeta::default()
    };
    let mut status = status;
    status["observedGeneration"] = json!("1");
    status["currentPodHash"] = json!("new");
    Rollout::of(&json!({ "status": status }), &metadata)
}

#[test]
fn what_was_aborted_stays_so_until_somebody_retries() {
    let check = |before: Value, now: Value, is_retried: Option<bool>, expected: Option<&str>| {
        let told = format!("{before} {now} {is_retried:?}");
        let (before, now, mut is_due) = (rollout(before), rollout(now), is_retried);
        let wrong = follows(Some(&before), &now, is_due.as_mut());
        let is_expected = match expected {
            Some(expected) => wrong.as_ref().is_some_and(|wrong| wrong.contains(expected)),
            None => wrong.is_none(),
        };
        assert!(is_expected, "{told}: {wrong:?}");
        // Once only.
        if before.is_aborted && !now.is_aborted && is_retried.is_some() {
            assert_eq!(is_due, Some(false), "{told}");
        }
    };
    let aborted = || json!({"abort": true, "phase": "Degraded"});
    let goes_on = || json!({"phase": "Progressing", "currentStepIndex": 0});
    check(aborted(), aborted(), None, None);
    check(aborted(), goes_on(), None, Some("nobody retried"));
    check(aborted(), goes_on(), Some(false), Some("nobody retried"));
    check(aborted(), goes_on(), Some(true), None);
    let further = || json!({"phase": "Progressing", "currentStepIndex": 2});
    check(goes_on(), further(), None, None);
    check(further(), goes_on(), None, Some("went back to a step"));
    check(further(), aborted(), None, None);
    let healthy =
        |stable: &str| json!({"phase": "Healthy", "currentStepIndex": 4, "stableRS": stable});
    check(further(), healthy("new"), None, None);
    check(
        further(),
        healthy("old"),
        None,
        Some("not with what it ships"),
    );
}

#[test]
fn requests_are_shared_as_a_whole_and_not_with_what_was_aborted() {
    let check = |canary: i64, stable: i64, rest: Value, expected: Option<&str>| {
        let weight = |weight: i64| json!({ "weight": weight });
        let mut status = rest;
        status["canary"] = json!({"weights": {"canary": weight(canary), "stable": weight(stable)}});
        let wrong = is_split_whole(&rollout(status.clone()));
        assert_eq!(wrong.is_some(), expected.is_some(), "{status}: {wrong:?}");
        assert!(
            wrong.is_none_or(|wrong| wrong.contains(expected.unwrap_or_default())),
            "{status}"
        );
    };
    check(20, 80, json!({}), None);
    check(0, 100, json!({"abort": true, "phase": "Degraded"}), None);
    check(20, 70, json!({}), Some("not 100 together"));
    check(110, -10, json!({}), Some("not 100 together"));
    // A person has just said so.
    check(20, 80, json!({"abort": true, "phase": "Paused"}), None);
    check(
        20,
        80,
        json!({"abort": true, "phase": "Degraded"}),
        Some("has traffic"),
    );
    assert_eq!(is_split_whole(&rollout(json!({}))), None);
}

#[test]
fn a_version_is_promoted_for_its_merit() {
    let check = |image: &str, was_retried: bool, may_be_stable: bool| {
        let set = Set {
            owner: "routed-1".to_owned(),
            hash: "new".to_owned(),
            image: image.to_owned(),
            ..Set::default()
        };
        let sets = BTreeMap::from([("set".to_owned(), set)]);
        let rollout = rollout(json!({"stableRS": "new"}));
        let wrong = is_stable_good("routed-1", &rollout, &sets, |_| was_retried);
        assert_eq!(
            wrong.is_none(),
            may_be_stable,
            "{image} {was_retried}: {wrong:?}"
        );
    };
    check("sluice/good-2/demo:good-2", false, true);
    check("sluice/retried-2/demo:retried-2", true, true);
    check("sluice/retried-2/demo:retried-2", false, false);
    for image in [
        "sluice/aborted-2:1",
        "sluice/late-2:missing",
        "sluice/convicted-2/demo:convicted-2",
    ] {
        check(image, false, false);
        check(image, true, false);
    }
}
