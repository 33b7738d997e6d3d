//! Numbers as people read them.

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// `12,345`.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `25%`, `0.5%`, `0.031%`: three places for small shares, where they matter, and none where they do not.
pub(crate) fn percent(value: f64) -> String {
    let size = value.abs();
    let text = match size {
        _ if size == 0.0 => "0".into(),
        _ if size < 0.001 => return "< 0.001%".into(),
        _ if size < 0.1 => format!("{value:.3}"),
        _ if size < 10.0 => format!("{value:.2}"),
        _ => format!("{value:.1}"),
    };
    format!("{}%", without_zeros(&text))
}

/// `25.00%`: always two places, for columns.
pub(super) fn percent_column(value: f64) -> String {
    format!("{value:.2}%")
}

/// `840 µs`, `12 ms`, `1.25 s`, `3 min 20 s`: a duration given in seconds.
pub(crate) fn seconds(value: f64) -> String {
    match value {
        _ if value < 0.000_95 => format!("{:.0} µs", value * 1e6),
        _ if value < 0.009_95 => format!("{} ms", without_zeros(&format!("{:.1}", value * 1e3))),
        _ if value < 0.999_5 => format!("{:.0} ms", value * 1e3),
        _ if value < 9.995 => format!("{} s", without_zeros(&format!("{value:.2}"))),
        _ if value < 59.95 => format!("{} s", without_zeros(&format!("{value:.1}"))),
        _ if value < 3_599.5 => {
            let whole = value.round() as u64;
            joined(whole / 60, "min", whole % 60, "s")
        }
        _ if value < 86_400.0 * 30.0 => {
            let minutes = (value / 60.0).round() as u64;
            joined(minutes / 60, "h", minutes % 60, "min")
        }
        _ => "more than a month".into(),
    }
}

fn joined(large: u64, large_unit: &str, small: u64, small_unit: &str) -> String {
    match small {
        0 => format!("{large} {large_unit}"),
        _ => format!("{large} {large_unit} {small} {small_unit}"),
    }
}

/// `1.25`, `25`, `0.5` of `1.250`, `25.0`, `0.500`.
fn without_zeros(text: &str) -> &str {
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.'),
        false => text,
    }
}

/// `380`, `38.2`, `0.4`: requests per second.
pub(super) fn rate(value: f64) -> String {
    match value {
        _ if value >= 99.95 => count(value.round() as u64),
        _ => format!("{value:.1}"),
    }
}

/// A number of any size in few places: `3.4`, `420`, `31,000`, `2.1e9`.
pub(super) fn magnitude(value: f64) -> String {
    match value {
        _ if value < 0.001 => format!("{value:.1e}"),
        _ if value < 0.095 => format!("{value:.3}"),
        _ if value < 9.95 => format!("{value:.1}"),
        _ if value < 999.5 => format!("{value:.0}"),
        _ if value < 999_500.0 => {
            // Two figures are all that evidence is good for.
            let unit = 10f64.powf(value.log10().floor() - 1.0);
            count(((value / unit).round() * unit) as u64)
        }
        _ => format!("{value:.1e}"),
    }
}

/// `1 request`, `2 requests`, `12,345 requests`.
pub(super) fn counted(number: u64, one: &str) -> String {
    match number {
        1 => format!("1 {one}"),
        _ => format!("{} {one}s", count(number)),
    }
}

/// `14:03:22` in the time zone of this machine.
pub(super) fn clock(at: Timestamp) -> String {
    at.to_zoned_datetime(zone())
        .strftime("%H:%M:%S")
        .to_string()
}

/// `2026-11-23 14:03:22.113 +00:00` in the time zone of this machine.
pub(crate) fn moment(at: Timestamp) -> String {
    at.to_zoned_datetime(zone())
        .strftime("%Y-%m-%d %H:%M:%S%.3f %:z")
        .to_string()
}

/// Tests must not depend on where they run.
fn zone() -> TimeZone {
    if cfg!(test) {
        TimeZone::UTC
    } else {
        TimeZone::system()
    }
}

/// `text` cut to `width` characters, with a mark where something is missing.
pub(super) fn clipped(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars()
        .take(width.saturating_sub(1))
        .chain(['…'])
        .take(width)
        .collect()
}

/// `text` in lines of at most `width` characters, broken at spaces; words longer than that are kept whole.
pub(super) fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// The first characters of a revision: as many as tell versions apart.
pub(super) fn short(revision: &str) -> String {
    revision.chars().take(10).collect()
}

#[cfg(test)]
mod tests;
