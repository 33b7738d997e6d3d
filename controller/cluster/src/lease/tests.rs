use super::{Decision, NoTiming, Observed, Record, Timing, decide};
use proptest::prelude::*;
use std::time::Duration;

const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn record(holder: &str, version: u64) -> Record {
    Record {
        holder: holder.into(),
        duration: s(15),
        version: version.to_string(),
    }
}

fn observed(holder: &str, at: Duration) -> Observed {
    Observed::after(None, record(holder, 1), at)
}

#[test]
fn a_lease_is_taken_when_nobody_holds_it() {
    let cases = [
        (None, Decision::Create),
        (Some(observed("", s(100))), Decision::Acquire),
        (Some(observed("me", s(1))), Decision::Renew),
        (Some(observed("other", s(100))), Decision::Wait(s(115))),
        (Some(observed("other", s(86))), Decision::Wait(s(101))),
        (Some(observed("other", s(85))), Decision::Acquire),
    ];
    for (lease, expected) in cases {
        assert_eq!(decide(lease.as_ref(), s(100), "me"), expected, "{lease:?}");
    }
}

#[test]
fn time_begins_again_with_every_renewal() {
    let first = Observed::after(None, record("other", 1), s(10));
    let same = Observed::after(Some(first.clone()), record("other", 1), s(20));
    assert_eq!(same, first, "nothing has changed since 10 s");
    let renewed = Observed::after(Some(same), record("other", 2), s(24));
    assert_eq!(decide(Some(&renewed), s(25), "me"), Decision::Wait(s(39)));
}

#[test]
fn only_timings_that_can_be_kept_pass() {
    let timing = |duration, renew_deadline, retry_period| {
        Timing {
            duration,
            renew_deadline,
            retry_period,
        }
        .check()
    };
    Timing::default().check().unwrap();
    timing(s(3), s(2), s(1)).unwrap();
    let half = Duration::from_millis(500);
    let cases = [
        (timing(s(0), s(2), s(1)), NoTiming::Duration(s(0))),
        (
            timing(s(3) + half, s(2), s(1)),
            NoTiming::Duration(s(3) + half),
        ),
        (timing(s(3), s(3), s(1)), NoTiming::Deadline(s(3), s(3))),
        (timing(s(3), s(2), s(0)), NoTiming::Retry(s(0), s(2))),
        (timing(s(3), s(2), s(2)), NoTiming::Retry(s(2), s(2))),
    ];
    for (found, expected) in cases {
        assert_eq!(found, Err(expected));
    }
}

proptest! {
    /// However late the holder's renewal is seen, and whenever others look: while it may write, nobody takes over.
    #[test]
    fn nobody_takes_over_while_the_holder_may_write(
        sent in 0u64..1_000_000, way in 0u64..100_000, look in 0u64..100_000, skew in 0u64..1_000_000,
    ) {
        let ms = Duration::from_millis;
        let timing = Timing::default();
        // The other machine's clock shows another time, and sees the renewal after it was sent.
        let seen_at = ms(sent + way + skew);
        let now = seen_at + ms(look);
        let lease = Observed::after(None, record("holder", 1), seen_at);
        let holder_may_write = ms(sent + way + look) < ms(sent) + timing.renew_deadline;
        if holder_may_write {
            prop_assert!(matches!(decide(Some(&lease), now, "me"), Decision::Wait(_)));
        }
    }
}
