use super::{Change, Mirror, Source};
use crate::{key::Key, objects::Seen};
use proptest::prelude::*;
use std::collections::BTreeMap;

/// A piece of news of the object `a/NAME`.
#[derive(Clone, Copy, Debug)]
enum News {
    List,
    EndList,
    Listed(&'static str, &'static str, u64),
    Watched(&'static str, &'static str, u64),
    Answered(&'static str, &'static str, u64),
    Gone(&'static str, &'static str, u64),
    Deleted(&'static str, &'static str),
}

/// Names and versions.
type Known = &'static [(&'static str, u64)];

fn seen<T>(name: &str, uid: &str, version: u64, value: T) -> Seen<T> {
    Seen {
        key: Key::new("a", name),
        uid: uid.into(),
        version,
        value,
    }
}

fn tell(mirror: &mut Mirror<u64>, news: News) -> Vec<Change<u64>> {
    let see = |mirror: &mut Mirror<u64>, name, uid, version, source| {
        let is_own = source == Source::Answer;
        if !is_own && mirror.knows(&seen(name, uid, version, ()), source) {
            return Vec::new();
        }
        mirror
            .see(seen(name, uid, version, version), source)
            .into_iter()
            .collect()
    };
    match news {
        News::List => {
            mirror.begin_list();
            Vec::new()
        }
        News::EndList => mirror.end_list(),
        News::Listed(name, uid, version) => see(mirror, name, uid, version, Source::List),
        News::Watched(name, uid, version) => see(mirror, name, uid, version, Source::Watch),
        News::Answered(name, uid, version) => see(mirror, name, uid, version, Source::Answer),
        News::Gone(name, uid, version) => mirror
            .gone(&seen(name, uid, version, ()))
            .into_iter()
            .collect(),
        News::Deleted(name, uid) => mirror
            .deleted(&Key::new("a", name), &uid.into())
            .into_iter()
            .collect(),
    }
}

fn check(news: &[News], expected: &[(&str, u64)]) {
    let mut mirror = Mirror::default();
    for news in news {
        tell(&mut mirror, *news);
    }
    let found: BTreeMap<String, u64> = mirror
        .iter()
        .map(|(key, held)| (key.name.to_string(), held.value))
        .collect();
    let expected = expected
        .iter()
        .map(|(name, version)| ((*name).to_owned(), *version))
        .collect();
    assert_eq!(found, expected, "after {news:?}");
}

#[test]
fn the_latest_state_is_known() {
    use News::{Answered, Deleted, EndList, Gone, List, Listed, Watched};
    let cases: &[(&[News], Known)] = &[
        (&[Watched("x", "1", 5), Watched("x", "1", 7)], &[("x", 7)]),
        // The answer comes before the watch tells the same, and what was before.
        (
            &[
                Watched("x", "1", 5),
                Answered("x", "1", 9),
                Watched("x", "1", 7),
            ],
            &[("x", 9)],
        ),
        (&[Answered("x", "1", 9), Watched("x", "1", 9)], &[("x", 9)]),
        // Made again under the same name.
        (
            &[
                Watched("x", "1", 5),
                Answered("x", "2", 9),
                Gone("x", "1", 8),
            ],
            &[("x", 9)],
        ),
        (&[Watched("x", "2", 9), Watched("x", "1", 5)], &[("x", 9)]),
        (&[Watched("x", "1", 5), Gone("x", "2", 9)], &[]),
        // Deleted here: the watch goes through what was before.
        (
            &[
                Watched("x", "1", 5),
                Deleted("x", "1"),
                Watched("x", "1", 6),
            ],
            &[],
        ),
        (
            &[
                Watched("x", "1", 5),
                Deleted("x", "1"),
                Gone("x", "1", 7),
                Watched("x", "2", 8),
            ],
            &[("x", 8)],
        ),
        (&[Watched("x", "2", 9), Deleted("x", "1")], &[("x", 9)]),
        // The answer to a write comes after the watch told of the end.
        (
            &[
                Watched("x", "1", 5),
                Gone("x", "1", 7),
                Answered("x", "1", 6),
            ],
            &[],
        ),
        // Lists.
        (
            &[Watched("x", "1", 5), List, Listed("y", "2", 3), EndList],
            &[("y", 3)],
        ),
        (
            &[Watched("x", "1", 5), List, Listed("x", "1", 5), EndList],
            &[("x", 5)],
        ),
        (&[List, Answered("x", "1", 5), EndList], &[("x", 5)]),
        (
            &[
                Watched("x", "1", 5),
                List,
                Deleted("x", "1"),
                Listed("x", "1", 5),
                EndList,
            ],
            &[],
        ),
        (
            &[
                Watched("x", "1", 5),
                List,
                List,
                Listed("y", "2", 6),
                EndList,
            ],
            &[("y", 6)],
        ),
    ];
    for (news, expected) in cases {
        check(news, expected);
    }
}

#[test]
fn only_changes_are_told() {
    let mut mirror = Mirror::default();
    let see = |mirror: &mut Mirror<u64>, version, value| {
        mirror.see(seen("x", "1", version, value), Source::Watch)
    };
    let key = Key::new("a", "x");
    let expected = Change {
        key: key.clone(),
        before: None,
        after: Some(1),
    };
    assert_eq!(see(&mut mirror, 5, 1), Some(expected));
    assert_eq!(see(&mut mirror, 6, 1), None, "nothing that is kept of it");
    assert_eq!(mirror.get(&key).unwrap().version, 6);
    let expected = Change {
        key,
        before: Some(1),
        after: Some(2),
    };
    assert_eq!(see(&mut mirror, 7, 2), Some(expected));
}

#[test]
fn it_is_complete_once_all_were_listed() {
    let mut mirror = Mirror::<u64>::default();
    mirror.end_list();
    assert!(!mirror.is_complete(), "no list had begun");
    mirror.begin_list();
    assert!(!mirror.is_complete());
    mirror.end_list();
    assert!(mirror.is_complete());
}

proptest! {
    /// However the answers to writes fall between the news of the watch, what is known in the end is what is there.
    #[test]
    fn answers_and_watch_agree_in_the_end(
        lives in proptest::collection::vec((1u64..6, any::<bool>()), 1..6),
        order in proptest::collection::vec(any::<prop::sample::Index>(), 0..40),
    ) {
        let history = history(&lives);
        let mut mirror = Mirror::default();
        let mut answers: Vec<Seen<u64>> = Vec::new();
        let mut order = order.iter();
        for (state, is_gone) in &history {
            match is_gone {
                true => { mirror.gone(&seen("x", &state.uid, state.version, ())); }
                false => {
                    // Each of them may have been a write of our own, whose answer comes now or at any later time.
                    answers.push(state.clone());
                    mirror.see(state.clone(), Source::Watch);
                }
            }
            if let Some(index) = order.next() && !answers.is_empty() {
                let answer = answers.swap_remove(index.index(answers.len()));
                mirror.see(answer, Source::Answer);
            }
        }
        for answer in answers {
            mirror.see(answer, Source::Answer);
        }
        let (last, is_gone) = history.last().unwrap();
        let expected = (!is_gone).then_some(last.value);
        prop_assert_eq!(mirror.get(&last.key).map(|held| held.value), expected);
    }
}

/// The lives of an object under one name: how many states each has, and whether it ends.
fn history(lives: &[(u64, bool)]) -> Vec<(Seen<u64>, bool)> {
    let mut version = 0;
    let mut history = Vec::new();
    for (life, (states, ends)) in lives.iter().enumerate() {
        let uid = life.to_string();
        for _ in 0..*states {
            version += 1;
            history.push((seen("x", &uid, version, version), false));
        }
        if *ends || life + 1 < lives.len() {
            version += 1;
            history.push((seen("x", &uid, version, version), true));
        }
    }
    history
}
