//! Statuses as a person lists them.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Error, Unexpected, Visitor};
use serde::{Serialize, Serializer};

/// One or more statuses from 200 on: `429`, `5xx` or `400-409`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatusRange {
    /// One status, 200 to 599 and not 499.
    One(u16),
    /// All of a class, 2 to 5.
    Class(u16),
    /// From the first to the last, both included.
    Range(u16, u16),
}

const STATUSES: &str = "a status from 200 to 599, a class such as 5xx or a range such as 400-409";
const STATUS_PATTERN: &str = "^([2-5]xx|[2-5][0-9]{2}(-[2-5][0-9]{2})?)$";
/// What a client that went away is counted under.
const CLIENT_CLOSED_REQUEST: u16 = 499;

impl StatusRange {
    /// The first and the last status. The class 5xx ends with 999, as clients take what is above 599 for one of it.
    pub fn bounds(self) -> (u16, u16) {
        match self {
            Self::One(status) => (status, status),
            Self::Class(5) => (500, 999),
            Self::Class(class) => (class * 100, class * 100 + 99),
            Self::Range(first, last) => (first, last),
        }
    }

    fn one(status: u16) -> Option<Self> {
        (200..=599).contains(&status).then_some(Self::One(status))
    }

    fn parse(text: &str) -> Option<Self> {
        let status = |text: &str| match text.len() {
            3 => text
                .parse()
                .ok()
                .filter(|status| Self::one(*status).is_some()),
            _ => None,
        };
        if let Some(class) = text.strip_suffix("xx") {
            let class = class.parse().ok().filter(|class| (2..=5).contains(class));
            return class.filter(|_| text.len() == 3).map(Self::Class);
        }
        match text.split_once('-') {
            None => status(text).map(Self::One),
            Some((first, last)) => {
                let (first, last) = (status(first)?, status(last)?);
                (first <= last).then_some(Self::Range(first, last))
            }
        }
    }
}

impl fmt::Display for StatusRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One(status) => write!(f, "{status}"),
            Self::Class(class) => write!(f, "{class}xx"),
            Self::Range(first, last) => write!(f, "{first}-{last}"),
        }
    }
}

impl Serialize for StatusRange {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::One(status) => serializer.serialize_u16(*status),
            _ => serializer.collect_str(self),
        }
    }
}

impl<'de> Deserialize<'de> for StatusRange {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Statuses)
    }
}

impl JsonSchema for StatusRange {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "StatusRange".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"anyOf": [
            {"type": "integer", "minimum": 200, "maximum": 599},
            {"type": "string", "pattern": STATUS_PATTERN},
        ]})
    }
}

struct Statuses;

impl Visitor<'_> for Statuses {
    type Value = StatusRange;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(STATUSES)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<StatusRange, E> {
        let range = u16::try_from(number).ok().and_then(StatusRange::one);
        counted(range.ok_or_else(|| E::invalid_value(Unexpected::Unsigned(number), &self))?)
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<StatusRange, E> {
        match u64::try_from(number) {
            Ok(number) => self.visit_u64(number),
            Err(_) => Err(E::invalid_value(Unexpected::Signed(number), &self)),
        }
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<StatusRange, E> {
        let range = StatusRange::parse(text);
        counted(range.ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))?)
    }
}

/// Refuses what can never count, so that nobody relies on it.
fn counted<E: Error>(range: StatusRange) -> Result<StatusRange, E> {
    match range {
        StatusRange::One(CLIENT_CLOSED_REQUEST) => Err(E::custom(
            "found 499, allowed any other status: it stands for a client that went away, which never counts against a version",
        )),
        _ => Ok(range),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn ranges_read_as_they_are_written() {
        let check = |value: Value, range, bounds| {
            let read: StatusRange = serde_json::from_value(value.clone()).unwrap();
            assert_eq!((read, read.bounds()), (range, bounds), "{value}");
            let again = serde_json::to_value(read).unwrap();
            assert_eq!(serde_json::from_value::<StatusRange>(again).unwrap(), range);
        };
        check(json!(429), StatusRange::One(429), (429, 429));
        check(json!("429"), StatusRange::One(429), (429, 429));
        check(json!("4xx"), StatusRange::Class(4), (400, 499));
        check(json!("5xx"), StatusRange::Class(5), (500, 999));
        check(json!("400-409"), StatusRange::Range(400, 409), (400, 409));
        check(json!("599-599"), StatusRange::Range(599, 599), (599, 599));
    }

    #[test]
    fn what_is_no_range_is_told() {
        for (value, found) in [
            (json!(199), "199"),
            (json!(600), "600"),
            (json!(-5), "-5"),
            (json!(65_536 + 500), "66036"),
            (json!("1xx"), "\"1xx\""),
            (json!("5XX"), "\"5XX\""),
            (json!("05xx"), "\"05xx\""),
            (json!("+50"), "\"+50\""),
            (json!("500-"), "\"500-\""),
            (json!("503-500"), "\"503-500\""),
            (json!("500-600"), "\"500-600\""),
            (json!(""), "\"\""),
            (json!(true), "true"),
        ] {
            let faults = crate::read::<StatusRange>(&value).faults;
            assert_eq!(
                faults[0].message,
                format!("found {found}, allowed {STATUSES}")
            );
        }
        for value in [json!(499), json!("499")] {
            let faults = crate::read::<StatusRange>(&value).faults;
            assert!(
                faults[0].message.contains("a client that went away"),
                "{faults:?}"
            );
        }
    }
}
