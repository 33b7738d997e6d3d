use super::*;
use proptest::prelude::*;

/// A real rollback, as `explain -o json` printed it.
const EXAMPLE: &str = include_str!("../../../docs/verdict.json");

fn example() -> Value {
    serde_json::from_str(EXAMPLE).unwrap()
}

/// What is printed for `text`, or why it cannot be read.
fn said(text: &str) -> Result<(bool, String), String> {
    let stored = parse(text)?;
    let mut out = Vec::new();
    let agrees = replay(&stored, &mut out).unwrap();
    Ok((agrees, String::from_utf8(out).unwrap()))
}

#[test]
fn a_rollout_and_one_decision_of_it_are_recomputed() {
    let (agrees, whole) = said(EXAMPLE).unwrap();
    assert!(
        agrees && whole.ends_with("All agree with what was stored.\n"),
        "{whole}"
    );
    assert!(whole.contains(", rolled back by the guard at "), "{whole}");
    assert!(
        whole.lines().all(|line| line.chars().count() <= 80),
        "{whole}"
    );
    let decisions = example()["decisions"].take();
    let last = decisions.as_array().unwrap().last().unwrap().to_string();
    assert_eq!(said(&last).unwrap(), (true, whole));
}

#[test]
fn the_evidence_of_a_canary_on_trial_is_recomputed() {
    let example = example();
    let decision = example["decisions"].as_array().unwrap().last().unwrap();
    let page = serde_json::json!({
        "at": decision["at"], "revision": "5f6c", "evidence": decision["evidence"], "record": decision["record"],
    });
    let (agrees, text) = said(&page.to_string()).unwrap();
    assert!(agrees && text.starts_with("The evidence at "), "{text}");
}

#[test]
fn what_does_not_agree_is_named_with_both_numbers() {
    let check = |pointer: &str, value: Value, wanted: &str| {
        let mut changed = example();
        let last = changed["decisions"].as_array().unwrap().len() - 1;
        *changed
            .pointer_mut(&format!("/decisions/{last}/{pointer}"))
            .unwrap() = value;
        let (agrees, text) = said(&changed.to_string()).unwrap();
        assert!(
            !agrees && text.contains(wanted),
            "{wanted} is not in:\n{text}"
        );
    };
    check(
        "evidence/tests/0/ln_e",
        7.5.into(),
        "error ratio: ln E: stored 7.5, recomputed ",
    );
    check(
        "evidence/tests/0/ln_threshold",
        3.0.into(),
        "error ratio: ln threshold: stored 3, recomputed 5.29",
    );
    check(
        "evidence/tests/0/canary_requests",
        1.into(),
        "error ratio: canary requests: stored 1, recomputed ",
    );
    check(
        "record/parameters/alpha",
        0.5.into(),
        "error ratio: ln threshold: stored 5.29",
    );
}

#[test]
fn what_cannot_be_read_is_named() {
    let check = |text: &str, wanted: &str| {
        let error = said(text).unwrap_err();
        assert!(error.starts_with(wanted), "{error}");
    };
    check("", "no JSON: EOF");
    check(
        "[]",
        "none of the fields decisions, decision and evidence is there",
    );
    check("{\"decisions\": 7}", "decisions: invalid type: integer `7`");
    check("{\"decisions\": []}", "missing field `at`");
    check(
        "{\"at\": \"2026-11-25T00:00:00Z\", \"decisions\": []}",
        "no decision in it has a record",
    );
    let within = |pointer: &str, value: Value| {
        let mut changed = example();
        *changed.pointer_mut(pointer).unwrap() = value;
        changed.to_string()
    };
    let last = example()["decisions"].as_array().unwrap().len() - 1;
    let record = format!("/decisions/{last}/record");
    check(
        &within(&format!("{record}/tests/0/test"), 7.into()),
        &format!("decisions[{last}].record"),
    );
    check(
        &within(&format!("{record}/parameters/alpha"), 7.into()),
        &format!("decisions[{last}].record"),
    );
    check(
        &within(
            &format!("{record}/tests/0/log/checkpoint/mixture/base"),
            vec![0.0].into(),
        ),
        &format!(
            "decisions[{last}].record.tests[0].log.checkpoint: found numbers out of their ranges"
        ),
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn a_file_with_a_hole_or_a_splinter_never_panics(
        at in 0usize..100_000, hole in 0usize..40, splinter in "[-0-9a-z\\[\\]{}\",:.]{0,6}",
    ) {
        let at = at % EXAMPLE.len();
        let end = (at + hole).min(EXAMPLE.len());
        let text = format!("{}{splinter}{}", &EXAMPLE[..at], &EXAMPLE[end..]);
        // Whatever comes out, it comes out.
        let out = said(&text);
        prop_assert!(out.is_ok() || !out.unwrap_err().is_empty());
    }
}
