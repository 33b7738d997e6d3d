use super::*;
use crate::action::RateKey;
use proptest::prelude::*;
use std::num::NonZeroU32;

fn pace(per_second: f64, burst: u32) -> Pace {
    Pace::of(&RateLimit {
        per_second,
        burst: NonZeroU32::new(burst).unwrap(),
        key: RateKey::Route,
    })
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

#[test]
fn a_bucket_gives_its_burst_and_then_its_rate() {
    let bucket = Bucket::default();
    let pace = pace(10.0, 3);
    for (now, expected) in [
        (0, Ok(())),
        (0, Ok(())),
        (0, Ok(())),
        (0, Err(ms(100))),
        (40, Err(ms(60))),
        (100, Ok(())),
        (100, Err(ms(100))),
        (1000, Ok(())),
        (1000, Ok(())),
        (1000, Ok(())),
        (1000, Err(ms(100))),
    ] {
        assert_eq!(bucket.take(pace, ms(now)), expected, "at {now} ms");
    }
}

#[test]
fn no_rate_and_no_time_breaks_the_arithmetic() {
    for per_second in [
        0.0,
        -1.0,
        f64::NAN,
        f64::INFINITY,
        f64::MIN_POSITIVE,
        f64::MAX,
    ] {
        for now in [Duration::ZERO, Duration::MAX] {
            let bucket = Bucket::default();
            let _ = bucket.take(pace(per_second, u32::MAX), now);
            let _ = bucket.take(pace(per_second, 1), now);
        }
    }
}

#[test]
fn keys_have_buckets_of_their_own() {
    let buckets = Buckets::default();
    let pace = pace(1.0, 1);
    assert_eq!(buckets.take("a", pace, ms(0)), Ok(()));
    assert_eq!(buckets.take("b", pace, ms(0)), Ok(()));
    assert_eq!(buckets.take("a", pace, ms(400)), Err(ms(600)));
    assert_eq!(buckets.take("a", pace, ms(1000)), Ok(()));
}

#[test]
fn a_flood_of_keys_does_not_free_one_that_has_spent_its_tokens() {
    let buckets = Buckets::default();
    let pace = pace(0.1, 5);
    for _ in 0..5 {
        assert_eq!(buckets.take("spent", pace, ms(0)), Ok(()));
    }
    for key in 0..4 * BUCKETS {
        assert_eq!(buckets.take(key, pace, ms(1)), Ok(()));
    }
    assert!(buckets.take("spent", pace, ms(2)).is_err());
}

proptest! {
    /// In no window are more tokens given than the burst and what the rate makes of the window.
    #[test]
    fn a_rate_is_never_exceeded(
        per_second in 0.5f64..2000.0,
        burst in 1u32..20,
        steps in prop::collection::vec(0u64..5_000_000, 1..300),
    ) {
        let pace = pace(per_second, burst);
        let bucket = Bucket::default();
        let mut now = Duration::ZERO;
        let mut given = Vec::new();
        for step in steps {
            now += Duration::from_micros(step / 50);
            match bucket.take(pace, now) {
                Ok(()) => given.push(now),
                Err(wait) => prop_assert!(bucket.take(pace, now + wait - Duration::from_nanos(1)).is_err()),
            }
        }
        for (i, from) in given.iter().enumerate() {
            for (j, to) in given.iter().enumerate().skip(i) {
                let allowed = f64::from(burst) + (*to - *from).as_secs_f64() * per_second;
                prop_assert!((j - i + 1) as f64 <= allowed + 1e-6, "{} in {:?}", j - i + 1, *to - *from);
            }
        }
    }

    /// Whoever waits as long as he is told to gets a token, if nobody else takes it.
    #[test]
    fn a_wait_is_long_enough(per_second in 0.01f64..1e6, burst in 1u32..100, now in 0u64..1 << 40) {
        let (pace, bucket) = (pace(per_second, burst), Bucket::default());
        let mut now = Duration::from_nanos(now);
        for _ in 0..=burst + 5 {
            if let Err(wait) = bucket.take(pace, now) {
                now += wait;
                prop_assert_eq!(bucket.take(pace, now), Ok(()));
            }
        }
    }
}
