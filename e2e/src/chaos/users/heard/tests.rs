use super::{Answer, Asked, GRACE, MOST, Told};
use std::time::Duration;
use tokio::time::Instant;

/// What is found of answers that one proxy gives a second apart, each with how long the proxy has known all, if it has. The
/// version `old` is barred after the first.
fn check(answers: &[(Answer, Option<u64>)], wrong: &[Option<&str>]) {
    let begun = Instant::now();
    let mut told = Told::default();
    let mut found = Vec::new();
    for ((answer, knows), second) in answers.iter().zip(1..) {
        let at = begun + Duration::from_secs(second);
        let knows_since = knows.map(|seconds| at - Duration::from_secs(seconds));
        let asked = Asked {
            proxy: 0,
            at,
            knows_since,
        };
        found.push(told.take(asked, answer.clone(), at));
        told.bar("old", begun + Duration::from_secs(1));
    }
    let is_as_expected = found.iter().zip(wrong).all(|pair| match pair {
        (Some(found), Some(wrong)) => found.contains(wrong),
        (None, None) => true,
        _ => false,
    });
    assert!(
        is_as_expected && found.len() == wrong.len(),
        "{answers:?}: {found:?}"
    );
}

fn of(version: &str, status: u16) -> Answer {
    Answer::Of(version.to_owned(), status)
}

#[test]
fn answers_are_by_versions_that_may_fail_or_do_not() {
    let lost = || Answer::None("reset".to_owned());
    let none = || Answer::Proxy(503, "no endpoint".to_owned());
    // Nothing is said of a Rollout that is not there yet.
    check(
        &[(none(), None), (lost(), None), (of("good-1", 200), None)],
        &[None, None, None],
    );
    check(
        &[(of("good-1", 200), None), (none(), None)],
        &[None, Some("503")],
    );
    check(
        &[(of("good-1", 200), None), (lost(), None)],
        &[None, Some("reset")],
    );
    // Who has been cut off looks for pods where they were.
    let refused = |knows| (Answer::Proxy(502, "refused".to_owned()), knows);
    let answers = [None, Some(1), Some(GRACE.as_secs() + 1)].map(refused);
    check(
        &[&[(of("good-1", 200), None)], &answers[..]].concat(),
        &[None, None, None, Some("502")],
    );
    check(
        &[(of("good-1", 500), None), (of("convicted-2", 500), None)],
        &[Some("good-1 answered 500"), None],
    );
}

#[test]
fn a_version_that_is_over_gets_nothing_where_that_is_known() {
    let grace = GRACE.as_secs();
    let old = |knows| (of("old", 200), knows);
    // Every second for as long as it takes, by a proxy that knew all from the beginning, or nothing, or what was just now.
    let all = |knows| vec![old(knows); grace as usize + 3];
    let mut expected = vec![None; grace as usize + 1];
    expected.extend([Some("nobody is to get"); 2]);
    check(&all(Some(100)), &expected);
    check(&all(None), &vec![None; grace as usize + 3]);
    check(&all(Some(grace)), &vec![None; grace as usize + 3]);
}

#[test]
fn a_bad_version_fails_so_many_requests_at_one_try_and_no_more() {
    let most = MOST as usize;
    let bad = (of("convicted-2", 500), None);
    let mut expected = vec![None; most];
    expected.push(Some("failed at one try"));
    check(&vec![bad; most + 1], &expected);
}
