//! A point in time as the API writes it.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use jiff::{Timestamp, Unit};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Error};
use serde::{Serialize, Serializer};

/// A point in time, in whole seconds, such as `2026-11-29T01:02:03Z`.
///
/// It is read from any RFC 3339 time and written in UTC, as Kubernetes does; parts of a second are cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(Timestamp);

/// A text that is no time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("found {found:?}, allowed a time such as 2026-11-29T01:02:03Z")]
pub struct NoTime {
    /// What was found.
    pub found: String,
}

impl From<Timestamp> for Time {
    fn from(time: Timestamp) -> Self {
        let rounding = jiff::TimestampRound::new()
            .smallest(Unit::Second)
            .mode(jiff::RoundMode::Floor);
        // Only what lies beyond the years -9999 to 9999 cannot be rounded.
        Self(time.round(rounding).unwrap_or(time))
    }
}

impl From<Time> for Timestamp {
    fn from(time: Time) -> Self {
        time.0
    }
}

impl FromStr for Time {
    type Err = NoTime;

    fn from_str(text: &str) -> Result<Self, NoTime> {
        text.parse::<Timestamp>()
            .map(Self::from)
            .map_err(|_| NoTime {
                found: text.to_owned(),
            })
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.strftime("%Y-%m-%dT%H:%M:%SZ"))
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

impl JsonSchema for Time {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Time".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "format": "date-time"})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_written_in_whole_seconds_of_utc() {
        for (read, written) in [
            ("2026-11-29T01:02:03Z", "2026-11-29T01:02:03Z"),
            ("2026-11-29T01:02:03.999999999Z", "2026-11-29T01:02:03Z"),
            ("2026-11-29T01:02:03+02:00", "2026-11-28T23:02:03Z"),
            ("1969-12-31T23:59:59.5Z", "1969-12-31T23:59:59Z"),
        ] {
            assert_eq!(read.parse::<Time>().unwrap().to_string(), written, "{read}");
        }
        for refused in [
            "",
            "soon",
            "2026-11-29",
            "2026-11-29T01:02:03",
            "1764378123",
        ] {
            let error = refused.parse::<Time>().unwrap_err().to_string();
            assert_eq!(
                error,
                format!("found {refused:?}, allowed a time such as 2026-11-29T01:02:03Z")
            );
        }
    }
}
