//! Values as Go's decoder puts them into a typed struct, and as its encoder writes that struct.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;

use super::field::{Field, Fields, Kind, Presence};
use super::json::{self, Sequence};
use super::quantity;

/// What stands in a variable of one [`Kind`].
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Typed<'v> {
    /// The zero value, which a value of a wrong type leaves as it is.
    Zero,
    Text(&'v str),
    Bool(bool),
    Int(i64),
    Quantity(String),
    Time(Timestamp),
    Raw(&'v Value),
    /// As many as the struct has fields; `None` for those that are absent.
    Struct(Vec<Option<Self>>),
    List(Vec<Self>),
    Map(BTreeMap<&'v str, Self>),
}

/// Reads like Go's decoder. What has a wrong type counts for its zero value. What a type with a reader of its own
/// refuses (a quantity, a time, a number or text) ends the reading: nothing behind it is read, in the order of keys.
#[derive(Debug, Default)]
pub(super) struct Reader {
    has_ended: bool,
}

impl Reader {
    /// Reads `value` as a `kind`; `None` for null.
    pub(super) fn read<'v>(&mut self, kind: &Kind, value: &'v Value) -> Option<Typed<'v>> {
        let typed = match (kind, value) {
            (_, Value::Null) => return None,
            (Kind::Text, Value::String(text)) => Typed::Text(text),
            (Kind::Bool, Value::Bool(flag)) => Typed::Bool(*flag),
            (Kind::Int32, Value::Number(_)) => int32(value).map_or(Typed::Zero, Typed::Int),
            (Kind::Int64, Value::Number(_)) => int64(value).map_or(Typed::Zero, Typed::Int),
            (Kind::Raw, _) => Typed::Raw(value),
            (Kind::Quantity, _) => self.or_end(quantity_of(value).map(Typed::Quantity)),
            (Kind::Time, _) => self.or_end(time_of(value).map(Typed::Time)),
            (Kind::IntOrString, Value::String(text)) => Typed::Text(text),
            (Kind::IntOrString, _) => self.or_end(int32(value).map(Typed::Int)),
            (Kind::Struct(fields), Value::Object(found)) => self.read_struct(fields, found),
            (Kind::List(kind), Value::Array(items)) => self.read_list(kind, items),
            (Kind::Map(kind), Value::Object(entries)) => self.read_map(kind, entries),
            _ => Typed::Zero,
        };
        Some(typed)
    }

    fn or_end<'v>(&mut self, typed: Option<Typed<'v>>) -> Typed<'v> {
        self.has_ended = typed.is_none();
        typed.unwrap_or(Typed::Zero)
    }

    fn read_struct<'v>(
        &mut self,
        fields: Fields,
        found: &'v serde_json::Map<String, Value>,
    ) -> Typed<'v> {
        let mut slots = vec![None; fields.len()];
        for (key, value) in json::sorted(found) {
            if self.has_ended {
                break;
            }
            let named = fields.iter().zip(&mut slots);
            if let Some((field, slot)) = named.into_iter().find(|(field, _)| field.name == key) {
                *slot = self.read(&field.kind, value);
            }
        }
        Typed::Struct(slots)
    }

    fn read_list<'v>(&mut self, kind: &Kind, items: &'v [Value]) -> Typed<'v> {
        let mut list = Vec::with_capacity(items.len());
        for item in items {
            if self.has_ended {
                break;
            }
            list.push(self.read(kind, item).unwrap_or(Typed::Zero));
        }
        Typed::List(list)
    }

    /// An entry at which the reading ends does not come into the mapping.
    fn read_map<'v>(
        &mut self,
        kind: &Kind,
        entries: &'v serde_json::Map<String, Value>,
    ) -> Typed<'v> {
        let mut map = BTreeMap::new();
        for (key, value) in json::sorted(entries) {
            let entry = self.read(kind, value).unwrap_or(Typed::Zero);
            if self.has_ended {
                break;
            }
            map.insert(key.as_str(), entry);
        }
        Typed::Map(map)
    }
}

fn int64(value: &Value) -> Option<i64> {
    let whole =
        |float: f64| (float.fract() == 0.0 && float.abs() < 2_f64.powi(53)).then_some(float as i64);
    value.as_i64().or_else(|| whole(value.as_f64()?))
}

fn int32(value: &Value) -> Option<i64> {
    int64(value).filter(|number| i32::try_from(*number).is_ok())
}

/// The quantity that `value` is, in its canonical form.
pub(super) fn quantity_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => quantity::canonical(text.trim_matches(' ')),
        Value::Number(number) => quantity::canonical(&json::number(number)),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

fn time_of(value: &Value) -> Option<Timestamp> {
    value.as_str()?.parse().ok()
}

/// Writes `value` like Go's encoder.
pub(super) fn write(kind: &Kind, value: &Typed<'_>, out: &mut String) {
    match value {
        Typed::Zero => write_zero(kind, out),
        Typed::Text(text) => json::text(text, out),
        Typed::Quantity(text) => json::text(text, out),
        Typed::Bool(flag) => out.push_str(if *flag { "true" } else { "false" }),
        Typed::Int(number) => out.push_str(&number.to_string()),
        Typed::Time(time) => json::text(&time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(), out),
        Typed::Raw(value) => json::value(value, out),
        Typed::Struct(slots) => {
            if let Kind::Struct(fields) = kind {
                write_struct(fields, slots, out);
            }
        }
        Typed::List(items) => {
            if let Kind::List(kind) = kind {
                let mut list = Sequence::begin('[', out);
                items.iter().for_each(|item| write(kind, item, list.next()));
                list.end(']');
            }
        }
        Typed::Map(entries) => {
            if let Kind::Map(kind) = kind {
                let mut mapping = Sequence::begin('{', out);
                for (key, entry) in entries {
                    write(kind, entry, mapping.key(key));
                }
                mapping.end('}');
            }
        }
    }
}

fn write_zero(kind: &Kind, out: &mut String) {
    match kind {
        Kind::Text => out.push_str("\"\""),
        Kind::Bool => out.push_str("false"),
        Kind::Int32 | Kind::Int64 | Kind::IntOrString => out.push('0'),
        Kind::Quantity => out.push_str("\"0\""),
        Kind::Time | Kind::Raw | Kind::List(_) | Kind::Map(_) => out.push_str("null"),
        Kind::Struct(fields) => write_struct(fields, &vec![None; fields.len()], out),
    }
}

fn write_struct(fields: Fields, slots: &[Option<Typed<'_>>], out: &mut String) {
    let mut mapping = Sequence::begin('{', out);
    for (field, slot) in fields.iter().zip(slots) {
        write_field(field, slot.as_ref(), &mut mapping);
    }
    mapping.end('}');
}

fn write_field(field: &Field, slot: Option<&Typed<'_>>, mapping: &mut Sequence<'_>) {
    match (field.presence, slot) {
        (Presence::Optional | Presence::NonZero, None) => {}
        (Presence::NonZero, Some(value)) if is_zero(value) => {}
        // Argo writes and reads it once more before it hashes it; a zero time is then written as null, and absent.
        (Presence::Optional, Some(Typed::Zero)) if matches!(field.kind, Kind::Time) => {}
        (Presence::Nullable, None) => mapping.key(field.name).push_str("null"),
        (Presence::Always, None) => write_zero(&field.kind, mapping.key(field.name)),
        (_, Some(value)) => write(&field.kind, value, mapping.key(field.name)),
    }
}

/// Whether Go's `omitempty` leaves the value out.
fn is_zero(value: &Typed<'_>) -> bool {
    match value {
        Typed::Zero | Typed::Text("") | Typed::Bool(false) | Typed::Int(0) => true,
        Typed::List(items) => items.is_empty(),
        Typed::Map(entries) => entries.is_empty(),
        Typed::Text(_)
        | Typed::Bool(_)
        | Typed::Int(_)
        | Typed::Quantity(_)
        | Typed::Time(_)
        | Typed::Raw(_)
        | Typed::Struct(_) => false,
    }
}
