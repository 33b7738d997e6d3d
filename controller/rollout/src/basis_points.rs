//! Weights as they are stored: a number of basis points.

use serde::{Deserialize, Deserializer, Serializer, de::Error};
use traffic::Weight;

/// Writes it.
///
/// # Errors
/// Those of the serializer.
pub fn serialize<S: Serializer>(weight: &Weight, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_u16(weight.basis_points())
}

/// Reads it.
///
/// # Errors
/// What is not one: it says what was found and what is allowed.
pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Weight, D::Error> {
    let found = u16::deserialize(from)?;
    Weight::from_basis_points(found)
        .ok_or_else(|| D::Error::custom(format!("found {found} basis points, allowed 0 to 10000")))
}
