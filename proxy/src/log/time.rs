//! Points of time as text.

use std::{cell::Cell, time::Duration};

/// A day in seconds.
const DAY: u64 = 24 * 60 * 60;

/// The text of the second that was written last: most lines of a busy worker share it.
#[derive(Debug, Default)]
pub(super) struct SecondCache(Cell<Option<(u64, [u8; 19])>>);

impl SecondCache {
    /// Appends `time` (since 1970) in UTC, such as `2026-11-25T02:30:00.000001Z` (RFC 3339).
    pub(super) fn write(&self, line: &mut Vec<u8>, time: Duration) {
        let second = time.as_secs();
        let text = match self.0.get() {
            Some((cached, text)) if cached == second => text,
            _ => {
                let text = second_text(second);
                self.0.set(Some((second, text)));
                text
            }
        };
        let mut fraction = *b".000000Z";
        digits(&mut fraction[1..7], time.subsec_micros().into());
        line.extend_from_slice(&text);
        line.extend_from_slice(&fraction);
    }
}

/// `seconds` since 1970 as `YYYY-MM-DDThh:mm:ss`; the end of the year 9999 for what is later.
fn second_text(seconds: u64) -> [u8; 19] {
    const LAST: u64 = 253_402_300_799;
    let seconds = seconds.min(LAST);
    let (year, month, day) = date(seconds / DAY);
    let of_day = seconds % DAY;
    let mut text = *b"0000-00-00T00:00:00";
    digits(&mut text[0..4], year);
    digits(&mut text[5..7], month);
    digits(&mut text[8..10], day);
    digits(&mut text[11..13], of_day / 3600);
    digits(&mut text[14..16], of_day / 60 % 60);
    digits(&mut text[17..19], of_day % 60);
    text
}

fn digits(place: &mut [u8], mut number: u64) {
    for digit in place.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

/// Year, month and day of the Gregorian calendar, `days` after 1 January 1970. Years are counted from March on, so that
/// the leap day is the last of its year; 400 of them always have the same length.
const fn date(days: u64) -> (u64, u64, u64) {
    const DAYS_OF_400_YEARS: u64 = 146_097;
    // 1 March 0000 was 719,468 days before 1970.
    let days = days + 719_468;
    let (era, of_era) = (days / DAYS_OF_400_YEARS, days % DAYS_OF_400_YEARS);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    // Five months from March have 153 days, and so have the five after them.
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let year = 400 * era + year;
    if month < 10 {
        (year, month + 3, day)
    } else {
        (year + 1, month - 9, day)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(time: Duration) -> String {
        let mut line = Vec::new();
        SecondCache::default().write(&mut line, time);
        String::from_utf8(line).unwrap()
    }

    #[test]
    fn times_are_written_as_rfc_3339() {
        for (seconds, expected) in [
            (0, "1970-01-01T00:00:00.000001Z"),
            (951_782_399, "2000-02-28T23:59:59.000001Z"),
            (951_782_400, "2000-02-29T00:00:00.000001Z"),
            (1_709_164_800, "2024-02-29T00:00:00.000001Z"),
            (1_735_689_599, "2024-12-31T23:59:59.000001Z"),
            (1_795_573_800, "2026-11-25T02:30:00.000001Z"),
            (4_107_542_400, "2100-03-01T00:00:00.000001Z"),
            (u64::MAX, "9999-12-31T23:59:59.000001Z"),
        ] {
            assert_eq!(text(Duration::new(seconds, 1999)), expected);
        }
    }

    #[test]
    fn every_day_follows_the_one_before() {
        let (mut year, mut month, mut day) = (1970, 1, 1);
        for days in 0..200_000 {
            assert_eq!(date(days), (year, month, day), "{days}");
            let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            let last = match month {
                2 if is_leap => 29,
                2 => 28,
                4 | 6 | 9 | 11 => 30,
                _ => 31,
            };
            (year, month, day) = match (month, day) {
                (12, 31) => (year + 1, 1, 1),
                (_, day) if day == last => (year, month + 1, 1),
                _ => (year, month, day + 1),
            };
        }
    }

    #[test]
    fn the_cache_follows_the_time() {
        let cache = SecondCache::default();
        for (time, expected) in [
            (1.5, "01.500000Z"),
            (1.75, "01.750000Z"),
            (0.5, "00.500000Z"),
        ] {
            let mut line = Vec::new();
            cache.write(&mut line, Duration::from_secs_f64(time));
            assert!(line.ends_with(expected.as_bytes()));
        }
    }
}
