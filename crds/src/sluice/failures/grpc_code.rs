//! gRPC codes as a person lists them.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Error, Unexpected, Visitor};
use serde::{Serialize, Serializer};

/// The names of all codes, by number.
const NAMES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];
const ALLOWED: &str = "the name of a gRPC code such as UNAVAILABLE, or its number, 2 to 16";
const OK: u8 = 0;
const CANCELLED: u8 = 1;

/// A gRPC code that may be a failure: any but OK and CANCELLED. Written as its name or its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GrpcCode(u8);

impl GrpcCode {
    /// The code's number, 2 to 16.
    pub fn number(self) -> u8 {
        self.0
    }

    /// The name that gRPC gives it.
    pub fn name(self) -> &'static str {
        NAMES.get(usize::from(self.0)).copied().unwrap_or_default()
    }
}

impl Serialize for GrpcCode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for GrpcCode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NameOrNumber)
    }
}

impl JsonSchema for GrpcCode {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "GrpcCode".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"anyOf": [
            {"type": "integer", "minimum": 2, "maximum": 16},
            {"enum": NAMES[2..]},
        ]})
    }
}

struct NameOrNumber;

impl Visitor<'_> for NameOrNumber {
    type Value = GrpcCode;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(ALLOWED)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<GrpcCode, E> {
        match u8::try_from(number) {
            Ok(code) if usize::from(code) < NAMES.len() => counted(code),
            _ => Err(E::invalid_value(Unexpected::Unsigned(number), &self)),
        }
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<GrpcCode, E> {
        match (0..).zip(NAMES).find(|(_, name)| *name == text) {
            Some((code, _)) => counted(code),
            None => Err(E::invalid_value(Unexpected::Str(text), &self)),
        }
    }
}

/// Refuses what can never count, so that nobody relies on it.
fn counted<E: Error>(code: u8) -> Result<GrpcCode, E> {
    match code {
        OK => Err(E::custom(
            "found OK, allowed any other gRPC code: it is success",
        )),
        CANCELLED => Err(E::custom(
            "found CANCELLED, allowed any other gRPC code: it stands for a client that gave the call up, which never \
             counts against a version",
        )),
        _ => Ok(GrpcCode(code)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn a_code_is_a_name_or_a_number() {
        let check = |value: Value, expected: Result<(u8, &str), &str>| {
            let read = crate::read::<GrpcCode>(&value);
            let found = read.value.map(|code| (code.number(), code.name()));
            let fault = read.faults.first().map_or("", |fault| &fault.message);
            assert_eq!(found.ok_or(fault), expected, "{value}");
        };
        check(json!("UNAVAILABLE"), Ok((14, "UNAVAILABLE")));
        check(json!(14), Ok((14, "UNAVAILABLE")));
        check(json!(16), Ok((16, "UNAUTHENTICATED")));
        let told = |found| format!("found {found}, allowed {ALLOWED}");
        check(json!("unavailable"), Err(&told("\"unavailable\"")));
        check(json!("14"), Err(&told("\"14\"")));
        check(json!(17), Err(&told("17")));
        check(json!(-1), Err(&told("-1")));
        let ok = "found OK, allowed any other gRPC code: it is success";
        check(json!(0), Err(ok));
        check(json!("OK"), Err(ok));
        for cancelled in [json!(1), json!("CANCELLED")] {
            let faults = crate::read::<GrpcCode>(&cancelled).faults;
            assert!(faults[0].message.contains("never counts against a version"));
        }
    }
}
