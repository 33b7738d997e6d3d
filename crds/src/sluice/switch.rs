//! A thing that is off, on, or on with options.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Unexpected, Visitor};
use serde::{Serialize, Serializer};

use crate::lenient;

/// Off, or on with options. Written as `off`, `on`, or a mapping of the options that differ from
/// their defaults.
#[derive(Clone, Debug, PartialEq)]
pub enum Switch<T> {
    /// Off.
    Off,
    /// On, with these options.
    On(T),
}

impl<T: Default> Default for Switch<T> {
    fn default() -> Self {
        Self::On(T::default())
    }
}

impl<T: Serialize + Default + PartialEq> Serialize for Switch<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Off => serializer.serialize_str("off"),
            Self::On(options) if *options == T::default() => serializer.serialize_str("on"),
            Self::On(options) => options.serialize(serializer),
        }
    }
}

impl<'de, T: Deserialize<'de> + Default> Deserialize<'de> for Switch<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OffOrOn(PhantomData))
    }
}

impl<T: JsonSchema> JsonSchema for Switch<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("SwitchOf{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let options = generator.subschema_for::<T>();
        json_schema!({"anyOf": [{"enum": ["off", "on", false, true]}, options]})
    }
}

struct OffOrOn<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de> + Default> Visitor<'de> for OffOrOn<T> {
    type Value = Switch<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("off, on or a mapping")
    }

    fn visit_bool<E: Error>(self, on: bool) -> Result<Switch<T>, E> {
        Ok(if on { Switch::default() } else { Switch::Off })
    }

    fn visit_str<E: Error>(self, word: &str) -> Result<Switch<T>, E> {
        match lenient::truth(word) {
            Some(on) => self.visit_bool(on),
            None => Err(E::invalid_type(Unexpected::Str(word), &self)),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<Switch<T>, A::Error> {
        T::deserialize(MapAccessDeserializer::new(fields)).map(Switch::On)
    }
}
