use super::{Left, Queue};
use proptest::prelude::*;
use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

#[derive(Clone, Debug)]
enum Act {
    /// Wakes a key.
    Wake(char),
    /// Takes what is due, which must be this.
    Take(Option<char>),
    /// Leaves a key as done, to be woken after so many milliseconds.
    Done(char, Option<u64>),
    Failed(char),
    /// Time passes, in milliseconds.
    Pass(u64),
    /// The next timer must ring after so many milliseconds.
    Timer(Option<u64>),
}

fn check(acts: &[Act]) {
    let mut queue = Queue::default();
    let mut now = Instant::now();
    for (index, act) in acts.iter().enumerate() {
        match *act {
            Act::Wake(key) => {
                queue.wake(&key, now);
            }
            Act::Take(expected) => {
                let taken = queue.take(now).map(|taken| taken.key);
                assert_eq!(taken, expected, "act {index} of {acts:?}");
            }
            Act::Done(key, after) => {
                let at = after.map(|ms| now + Duration::from_millis(ms));
                queue.leave(&key, Left::Done(at), now, 0);
            }
            Act::Failed(key) => queue.leave(&key, Left::Failed, now, u32::MAX),
            Act::Pass(ms) => now += Duration::from_millis(ms),
            Act::Timer(expected) => {
                let timer = queue
                    .next_timer()
                    .map(|at| at.saturating_duration_since(now).as_millis());
                assert_eq!(timer, expected.map(u128::from), "act {index} of {acts:?}");
            }
        }
    }
}

#[test]
fn each_is_taken_when_it_is_due() {
    use Act::{Done, Failed, Pass, Take, Timer, Wake};
    let cases: &[&[Act]] = &[
        // In the order in which they were woken, once each.
        &[
            Wake('a'),
            Wake('b'),
            Wake('a'),
            Take(Some('a')),
            Take(Some('b')),
            Take(None),
        ],
        // By one at a time; once more when it was woken meanwhile, however often.
        &[
            Wake('a'),
            Take(Some('a')),
            Wake('a'),
            Wake('a'),
            Take(None),
            Done('a', None),
            Take(Some('a')),
            Done('a', None),
            Take(None),
        ],
        // By itself.
        &[
            Wake('a'),
            Take(Some('a')),
            Done('a', Some(50)),
            Timer(Some(50)),
            Pass(49),
            Take(None),
            Pass(1),
            Take(Some('a')),
            Timer(None),
        ],
        // The first first.
        &[
            Wake('a'),
            Wake('b'),
            Take(Some('a')),
            Take(Some('b')),
            Done('a', Some(50)),
            Done('b', Some(20)),
            Timer(Some(20)),
            Pass(60),
            Take(Some('b')),
            Take(Some('a')),
            Take(None),
        ],
        // What wakes it also ends its timer: whoever takes it says anew when to look again.
        &[
            Wake('a'),
            Take(Some('a')),
            Done('a', Some(50)),
            Wake('a'),
            Timer(None),
            Take(Some('a')),
            Done('a', None),
            Pass(60),
            Take(None),
        ],
        &[
            Wake('a'),
            Take(Some('a')),
            Wake('a'),
            Done('a', Some(50)),
            Timer(None),
            Take(Some('a')),
        ],
        // What fails comes again, ever later; what succeeds begins anew.
        &[
            Wake('a'),
            Take(Some('a')),
            Failed('a'),
            Timer(Some(5)),
            Pass(5),
            Take(Some('a')),
            Failed('a'),
            Timer(Some(10)),
            Pass(10),
            Take(Some('a')),
            Done('a', None),
            Timer(None),
            Wake('a'),
            Take(Some('a')),
            Failed('a'),
            Timer(Some(5)),
        ],
        // Nobody waits for what failed, and a change is looked at at once.
        &[
            Wake('a'),
            Take(Some('a')),
            Failed('a'),
            Wake('b'),
            Take(Some('b')),
            Wake('a'),
            Take(Some('a')),
            Failed('a'),
            Timer(Some(10)),
        ],
        // Left by nobody who had taken it.
        &[
            Done('a', Some(5)),
            Timer(None),
            Wake('a'),
            Failed('a'),
            Take(Some('a')),
        ],
    ];
    for acts in cases {
        check(acts);
    }
}

#[test]
fn it_tells_for_how_long_something_was_due() {
    let mut queue = Queue::default();
    let now = Instant::now();
    queue.wake(&'a', now);
    let taken = queue.take(now + Duration::from_secs(3)).unwrap();
    assert_eq!(taken.waited, Duration::from_secs(3));
    queue.leave(
        &'a',
        Left::Done(Some(now + Duration::from_secs(10))),
        now,
        0,
    );
    let taken = queue.take(now + Duration::from_secs(12)).unwrap();
    assert_eq!(taken.waited, Duration::from_secs(2), "since its timer rang");
}

proptest! {
    /// Whatever happens in whatever order: nothing is worked on twice at a time, no wake-up is lost, and what is idle
    /// takes no room.
    #[test]
    fn no_wake_up_is_lost(acts in proptest::collection::vec((0u8..5, 0u8..4, 0u64..20_000), 0..200)) {
        let mut queue = Queue::default();
        let mut now = Instant::now();
        let mut taken = BTreeSet::new();
        // By when each must be taken again, if nobody has it.
        let mut owed: BTreeMap<u8, Instant> = BTreeMap::new();
        for (act, key, ms) in acts {
            match act {
                0 => { queue.wake(&key, now); owed.insert(key, now); }
                1 => if let Some(found) = queue.take(now) {
                    prop_assert!(taken.insert(found.key), "taken by two");
                    let since = owed.remove(&found.key);
                    prop_assert!(since.is_some_and(|since| since <= now), "nobody woke it");
                },
                2 => if taken.remove(&key) {
                    let at = now + Duration::from_millis(ms);
                    queue.leave(&key, Left::Done(Some(at)), now, 0);
                    owed.entry(key).or_insert(at);
                },
                3 => if taken.remove(&key) {
                    queue.leave(&key, Left::Failed, now, 0);
                    owed.entry(key).or_insert(now);
                },
                _ => now += Duration::from_millis(ms),
            }
            prop_assert_eq!(queue.is_busy(), !taken.is_empty() || queue.len() > 0);
        }
        for key in taken {
            queue.leave(&key, Left::Done(None), now, 0);
        }
        now += Duration::from_secs(60);
        while let Some(found) = queue.take(now) {
            prop_assert!(owed.remove(&found.key).is_some());
            queue.leave(&found.key, Left::Done(None), now, 0);
        }
        prop_assert!(owed.is_empty(), "lost: {owed:?}");
        prop_assert!(queue.known.is_empty(), "kept: {:?}", queue.known);
        prop_assert!(!queue.is_busy() && queue.next_timer().is_none());
    }
}
