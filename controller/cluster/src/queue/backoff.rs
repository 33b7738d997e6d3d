//! How long what failed is left alone.

use std::time::Duration;

/// After the first failure.
const FIRST: Duration = Duration::from_millis(5);
/// However often it failed.
const LONGEST: Duration = Duration::from_secs(10);

/// How long to wait after it failed `before` times and now once more: twice as long each time, of which the half is
/// left to chance.
pub(super) fn delay(before: u32, random: u32) -> Duration {
    let whole = FIRST
        .saturating_mul(1u32.checked_shl(before).unwrap_or(u32::MAX))
        .min(LONGEST);
    let half = whole / 2;
    half + half.mul_f64(f64::from(random) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::delay;

    #[test]
    fn waits_double_up_to_ten_seconds() {
        let cases = [
            (0, 5),
            (1, 10),
            (5, 160),
            (10, 5120),
            (11, 10_000),
            (12, 10_000),
            (31, 10_000),
            (4_000_000, 10_000),
        ];
        for (before, whole) in cases {
            assert_eq!(
                delay(before, u32::MAX).as_millis(),
                whole,
                "the longest after {before}"
            );
            assert_eq!(
                delay(before, 0).as_micros(),
                whole * 500,
                "the shortest after {before}"
            );
        }
    }
}
