//! What turns a plan of fixed pauses into one that goes on as soon as the evidence is there.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Unexpected, Visitor};
use serde::{Serialize, Serializer};

use super::OnInconclusive;
use crate::GoDuration;

/// The word that stands for [`PaceOptions`] with every default.
const EVIDENCE: &str = "evidence";

/// By what a plan's timed pauses are shortened. Written as `evidence`, or as a mapping of the options that differ from
/// their defaults.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pace(pub PaceOptions);

/// What each timed pause becomes that the canary spends with a part of the traffic: an evidence step that lasts at most
/// as long as the pause.
#[derive(Clone, Debug, Default, PartialEq, Serialize, serde::Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PaceOptions {
    /// The share of all traffic that may fail because of the canary. Absent means the guard's.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 0.5), extend("exclusiveMinimum" = 0))]
    pub harm_budget: Option<f64>,
    /// The chance of going on early although the canary does more harm than the budget allows. Absent means the guard's
    /// `beta`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 0.5), extend("exclusiveMinimum" = 0))]
    pub confidence: Option<f64>,
    /// Each lasts at least this long, or as long as the pause where that is shorter.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "0s", "x-min" = "0s", "x-max" = "168h"))]
    pub min_duration: Option<GoDuration>,
    /// What happens when a pause has passed without enough evidence. `promote` goes on then, as the pause itself would
    /// have.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "promote"))]
    pub on_inconclusive: Option<OnInconclusive>,
}

impl Serialize for Pace {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0 == PaceOptions::default() {
            serializer.serialize_str(EVIDENCE)
        } else {
            self.0.serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for Pace {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(WordOrOptions)
    }
}

impl JsonSchema for Pace {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Pace".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let options = generator.subschema_for::<PaceOptions>();
        json_schema!({"anyOf": [{"enum": [EVIDENCE]}, options]})
    }
}

struct WordOrOptions;

impl<'de> Visitor<'de> for WordOrOptions {
    type Value = Pace;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("evidence or a mapping")
    }

    fn visit_str<E: Error>(self, word: &str) -> Result<Pace, E> {
        if word == EVIDENCE {
            Ok(Pace::default())
        } else {
            Err(E::invalid_type(Unexpected::Str(word), &self))
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<Pace, A::Error> {
        PaceOptions::deserialize(MapAccessDeserializer::new(fields)).map(Pace)
    }
}
