use super::Fence;
use std::time::Duration;

const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn it_ends_by_itself() {
    let fence = Fence::until(s(7));
    fence.extend(s(10));
    fence.extend(s(8));
    for (now, left) in [
        (s(0), Some(s(10))),
        (s(9), Some(s(1))),
        (s(10), None),
        (s(11), None),
    ] {
        assert_eq!(fence.left(now), left, "at {now:?}");
    }
}

#[test]
fn it_is_shared() {
    let fence = Fence::until(s(7));
    let other = fence.clone();
    fence.extend(s(10));
    assert_eq!(other.left(s(4)), Some(s(6)));
    fence.close();
    fence.extend(s(20));
    assert_eq!(
        other.left(s(4)),
        None,
        "what was taken away is not given back"
    );
}

#[test]
fn who_is_not_elected_always_may() {
    assert_eq!(Fence::open().left(s(u64::MAX)), Some(Duration::MAX));
}
