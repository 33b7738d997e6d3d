//! The API as JSON Schema, made from the types.
//!
//! Beside the standard's words, fields bear `x-min` and `x-max` (the range of a duration), `x-unit`
//! (what a number counts), `x-type` (a text that is a duration) and `x-file` (a name of a file,
//! relative to the document's folder).

use std::collections::BTreeSet;
use std::sync::LazyLock;

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, transform};
use serde_json::{Value, json};

use crate::Proxy;
use crate::sluice::{Evidence, ProxyOptions};

/// The schema of [`Proxy`].
pub fn proxy() -> &'static Value {
    static SCHEMA: LazyLock<Value> = LazyLock::new(of::<Proxy>);
    &SCHEMA
}

/// The schema of [`ProxyOptions`].
pub fn proxy_options() -> &'static Value {
    static SCHEMA: LazyLock<Value> = LazyLock::new(of::<ProxyOptions>);
    &SCHEMA
}

/// The schema of [`Evidence`].
pub fn evidence() -> &'static Value {
    static SCHEMA: LazyLock<Value> = LazyLock::new(of::<Evidence>);
    &SCHEMA
}

fn of<T: JsonSchema>() -> Value {
    let settings = SchemaSettings::draft2020_12().with_transform(transform::RecursiveTransform(
        |schema: &mut schemars::Schema| {
            // What is no field is told, so that an editor may tell it too.
            if schema.get("properties").is_some() {
                schema.insert("additionalProperties".to_owned(), json!(false));
            }
        },
    ));
    settings.into_generator().into_root_schema_for::<T>().into()
}

/// A part of a schema, with the definitions that it refers to.
#[derive(Clone, Copy, Debug)]
pub struct Node<'s> {
    root: &'s Value,
    here: &'s Value,
}

impl<'s> Node<'s> {
    /// The whole of `schema`.
    pub fn root(schema: &'s Value) -> Self {
        Self {
            root: schema,
            here: schema,
        }
    }

    fn at(self, here: &'s Value) -> Self {
        Self { here, ..self }
    }

    /// What the schema says itself under `word`, such as `default`.
    pub fn word(self, word: &str) -> Option<&'s Value> {
        self.here.get(word)
    }

    /// The name of the definition that it refers to, where it does.
    pub fn name(self) -> Option<&'s str> {
        let target = self.here.get("$ref")?.as_str()?;
        target.strip_prefix("#/$defs/")
    }

    /// The choices that it offers, definitions not looked up; none where it offers none. Null, which stands for what is
    /// absent, is no choice.
    pub fn choices(self) -> Vec<Self> {
        let either = ["anyOf", "oneOf"]
            .iter()
            .find_map(|word| self.here.get(word)?.as_array());
        let is_something = |option: &&Value| option.get("type") != Some(&json!("null"));
        let either = either.into_iter().flatten();
        either
            .filter(is_something)
            .map(|option| self.at(option))
            .collect()
    }

    /// The alternatives of which a value is one, definitions looked up. Most schemas have one.
    pub fn alternatives(self) -> Vec<Self> {
        if let Some(name) = self.name() {
            let definition = self
                .root
                .get("$defs")
                .and_then(|definitions| definitions.get(name));
            return definition.map_or_else(Vec::new, |here| self.at(here).alternatives());
        }
        match self.choices().as_slice() {
            [] => vec![self],
            choices => choices
                .iter()
                .flat_map(|choice| choice.alternatives())
                .collect(),
        }
    }

    /// The fields of a mapping, by name.
    pub fn fields(self) -> impl Iterator<Item = (&'s str, Self)> {
        let fields = self.here.get("properties").and_then(Value::as_object);
        fields
            .into_iter()
            .flatten()
            .map(move |(name, field)| (name.as_str(), self.at(field)))
    }

    /// The items of a list.
    pub fn items(self) -> Option<Self> {
        self.here.get("items").map(|items| self.at(items))
    }

    /// Whether the field `name` must be there.
    pub fn requires(self, name: &str) -> bool {
        let required = self.here.get("required").and_then(Value::as_array);
        required.is_some_and(|names| names.iter().any(|required| required == name))
    }

    /// Shows every field below to `see`, with its place, such as `spec.routes[].name`, below `place`.
    pub fn visit(self, place: &str, see: &mut impl FnMut(&str, Self)) {
        for schema in self.alternatives() {
            if let Some(items) = schema.items() {
                items.visit(&format!("{place}[]"), see);
            }
            for (name, field) in schema.fields() {
                let place = match place {
                    "" => name.to_owned(),
                    _ => format!("{place}.{name}"),
                };
                see(&place, field);
                field.visit(&place, see);
            }
        }
    }

    /// The places of fields that none of `documents` has.
    pub fn unused(self, documents: &[&Value]) -> Vec<String> {
        let mut used = BTreeSet::new();
        for document in documents {
            places(document, "", &mut used);
        }
        let mut unused = Vec::new();
        self.visit("", &mut |place, _| {
            if !used.contains(place) {
                unused.push(place.to_owned());
            }
        });
        unused
    }
}

/// Adds the places of all fields in `value`, which is at `place`, to `found`.
fn places(value: &Value, place: &str, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                let place = match place {
                    "" => name.clone(),
                    _ => format!("{place}.{name}"),
                };
                places(field, &place, found);
                found.insert(place);
            }
        }
        Value::Array(items) => {
            for item in items {
                places(item, &format!("{place}[]"), found);
            }
        }
        _ => {}
    }
}
