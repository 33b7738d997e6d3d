//! Durations as Go writes them: `300ms`, `2s`, `5m`, `1h30m`.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Visitor};
use serde::{Serialize, Serializer};

const NANOSECONDS: [(&str, u64); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// A text that is no duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("found {found}, allowed {allowed}")]
pub struct ParseError {
    /// What was found, quoted where it is a text.
    pub found: String,
    /// What is allowed in its place.
    pub allowed: &'static str,
}

const ALLOWED: &str = "a duration such as 300ms, 2s, 5m or 1h30m";

/// Reads a duration by the rule of Go's `time.ParseDuration`: numbers, each with a unit out of
/// `ns us ms s m h`, one behind the other; a bare `0` needs no unit.
///
/// # Errors
/// When the text has another form, is negative, or is longer than 292 years (Go's own limit).
pub fn parse(text: &str) -> Result<Duration, ParseError> {
    nanoseconds(text)
        .map(Duration::from_nanos)
        .ok_or_else(|| ParseError {
            found: format!("{text:?}"),
            allowed: ALLOWED,
        })
}

fn nanoseconds(text: &str) -> Option<u64> {
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest == "0" {
        return Some(0);
    }
    let mut total = 0_u64;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let (part, after) = one_part(rest)?;
        total = total.checked_add(part)?;
        rest = after;
    }
    i64::try_from(total).ok().map(|_| total)
}

/// `1.5s…` is 1,500,000,000 ns, and what follows it.
fn one_part(text: &str) -> Option<(u64, &str)> {
    let (whole, rest) = digits(text);
    let (fraction, rest) = match rest.strip_prefix('.') {
        Some(rest) => digits(rest),
        None => ("", rest),
    };
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let end = rest
        .find(|c: char| c.is_ascii_digit() || c == '.')
        .unwrap_or(rest.len());
    let (unit, after) = rest.split_at(end);
    let (_, scale) = NANOSECONDS.iter().find(|(name, _)| *name == unit)?;
    let whole = if whole.is_empty() {
        0
    } else {
        whole.parse::<u64>().ok()?
    };
    let part = whole
        .checked_mul(*scale)?
        .checked_add(fraction_of(fraction, *scale))?;
    Some((part, after))
}

fn digits(text: &str) -> (&str, &str) {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    text.split_at(end)
}

/// `fraction` decimal digits of `scale`, rounded down to a nanosecond.
fn fraction_of(fraction: &str, scale: u64) -> u64 {
    // The longest unit has 13 decimal digits, so that digits further back cannot count.
    let used = fraction.get(..fraction.len().min(13)).unwrap_or_default();
    let Ok(numerator) = used.parse::<u128>() else {
        return 0;
    };
    let nanoseconds = numerator * u128::from(scale) / 10_u128.pow(used.len() as u32);
    u64::try_from(nanoseconds).unwrap_or(u64::MAX)
}

/// Writes a duration so that [`parse`] reads it back exactly, with the largest units that fit.
pub fn format(duration: Duration) -> String {
    let nanos = duration.as_nanos();
    if nanos == 0 {
        return "0s".to_owned();
    }
    let mut text = String::new();
    let mut rest = nanos;
    for (unit, scale) in NANOSECONDS.iter().rev() {
        let scale = u128::from(*scale);
        let count = rest / scale;
        if count > 0 {
            text.push_str(&format!("{count}{unit}"));
            rest -= count * scale;
        }
    }
    text
}

/// A duration in a document, such as `300ms`, `2s`, `5m` or `1h30m`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GoDuration(pub Duration);

impl GoDuration {
    /// So many seconds.
    pub const fn from_secs(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }
}

/// What [`parse`] reads, as a pattern for editors.
const PATTERN: &str = r"^\+?(0|(([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h))+)$";

impl JsonSchema for GoDuration {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        // JSON Schema's own format of that name is another one.
        json_schema!({"type": "string", "pattern": PATTERN, "x-type": "duration"})
    }
}

impl fmt::Display for GoDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&format(self.0))
    }
}

impl From<GoDuration> for Duration {
    fn from(duration: GoDuration) -> Self {
        duration.0
    }
}

impl Serialize for GoDuration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for GoDuration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Text)
    }
}

struct Text;

impl Visitor<'_> for Text {
    type Value = GoDuration;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(ALLOWED)
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<GoDuration, E> {
        parse(text).map(GoDuration).map_err(E::custom)
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<GoDuration, E> {
        match number {
            0 => Ok(GoDuration(Duration::ZERO)),
            _ => Err(E::invalid_type(
                serde::de::Unexpected::Unsigned(number),
                &self,
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_what_go_reads() {
        let cases = [
            ("0", 0),
            ("0s", 0),
            ("+5s", 5_000_000_000),
            ("300ms", 300_000_000),
            ("1h30m", 5_400_000_000_000),
            ("1.5s", 1_500_000_000),
            (".5s", 500_000_000),
            ("1.s", 1_000_000_000),
            ("1h0.5m", 3_630_000_000_000),
            ("7ns", 7),
            ("3us", 3_000),
            ("3µs", 3_000),
            ("0.3333333333333333333h", 1_199_999_999_999),
            ("9223372036854775807ns", 9_223_372_036_854_775_807),
        ];
        for (text, nanoseconds) in cases {
            assert_eq!(parse(text), Ok(Duration::from_nanos(nanoseconds)), "{text}");
        }
    }

    #[test]
    fn refuses_what_go_refuses_and_negative_durations() {
        for text in [
            "",
            "5",
            "-5s",
            "s",
            ".s",
            "1d",
            "1 s",
            "1h ",
            "1s2",
            "ten",
            "1e3s",
            "9223372036854775808ns",
            "3000000h",
            "+-5s",
            "--5s",
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert_eq!(
                error,
                format!("found {text:?}, allowed a duration such as 300ms, 2s, 5m or 1h30m")
            );
        }
    }

    #[test]
    fn is_written_with_the_largest_units_that_fit() {
        for text in [
            "300ms", "2s", "5m", "1h30m", "1m30s", "1s500ms", "0s", "24h",
        ] {
            assert_eq!(format(parse(text).unwrap()), text);
        }
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(nanoseconds in 0..=i64::MAX as u64) {
            let duration = Duration::from_nanos(nanoseconds);
            prop_assert_eq!(parse(&format(duration)), Ok(duration));
        }

        #[test]
        fn any_text_is_answered(text in any::<String>()) {
            let _ = parse(&text);
        }
    }
}
