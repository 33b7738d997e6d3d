//! Reading what the API's own reader accepts although the schema says otherwise.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, Visitor};

/// A field set to null counts as absent. Helm charts write `steps:` with nothing behind it.
pub(crate) fn or_default<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: Deserialize<'de> + Default,
    D: Deserializer<'de>,
{
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// `true` and `false`, and the words YAML 1.1 has for them, which `kubectl` takes for booleans.
pub(crate) fn flag<'de, D>(deserializer: D) -> Result<Option<bool>, D::Error>
where
    D: Deserializer<'de>,
{
    deserializer.deserialize_any(Flag)
}

/// What `word` means where a boolean is wanted. YAML 1.1 knows three spellings of each word.
pub(crate) fn truth(word: &str) -> Option<bool> {
    match word {
        "true" | "True" | "TRUE" | "on" | "On" | "ON" | "yes" | "Yes" | "YES" | "y" | "Y" => {
            Some(true)
        }
        "false" | "False" | "FALSE" | "off" | "Off" | "OFF" | "no" | "No" | "NO" | "n" | "N" => {
            Some(false)
        }
        _ => None,
    }
}

struct Flag;

impl Visitor<'_> for Flag {
    type Value = Option<bool>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("true or false")
    }

    fn visit_bool<E: Error>(self, flag: bool) -> Result<Self::Value, E> {
        Ok(Some(flag))
    }

    fn visit_str<E: Error>(self, word: &str) -> Result<Self::Value, E> {
        truth(word)
            .map(Some)
            .ok_or_else(|| E::invalid_type(serde::de::Unexpected::Str(word), &self))
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }
}
