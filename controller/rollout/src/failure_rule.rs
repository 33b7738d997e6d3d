//! Rules of what a failure is as they are stored: ranges of statuses, both ends included, and numbers of gRPC codes.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};
use traffic::{FailureRule, GrpcCode};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    statuses: Vec<(u16, u16)>,
    grpc_codes: Vec<u8>,
}

/// Writes it.
///
/// # Errors
/// Those of the serializer.
pub fn serialize<S: Serializer>(rule: &FailureRule, to: S) -> Result<S::Ok, S::Error> {
    let stored = Stored {
        statuses: rule.statuses(),
        grpc_codes: rule.codes().map(GrpcCode::number).collect(),
    };
    stored.serialize(to)
}

/// Reads it.
///
/// # Errors
/// What is not one: it says what was found and what is allowed.
pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<FailureRule, D::Error> {
    let stored = Stored::deserialize(from)?;
    let mut rule = FailureRule::BROKEN;
    for (first, last) in stored.statuses {
        rule = rule.with_statuses(first, last);
    }
    for number in stored.grpc_codes {
        let code = GrpcCode::from_number(number.into()).ok_or_else(|| {
            D::Error::custom(format!("found {number}, allowed a gRPC code from 0 to 16"))
        })?;
        rule = rule.with_code(code);
    }
    Ok(rule)
}
