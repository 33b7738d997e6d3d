//! A JSON Schema made structural, as API servers want it.

use serde_json::{Map, Value, json};

use super::PRESERVE;

/// What a structural schema may say of a value, besides what this module writes itself.
const KEPT: [&str; 6] = [
    "description",
    "type",
    "format",
    "required",
    "x-kubernetes-int-or-string",
    "x-kubernetes-validations",
];
/// Of the formats of numbers, API servers know these.
const FORMATS: [&str; 3] = ["int32", "int64", "date-time"];

/// Makes `schema`, which refers to nothing, structural.
///
/// Null is not told of, as API servers take a null for an absent field. Words of the types are texts unless they are in
/// `x-words`, and defaults of the types are dropped unless they are in `x-default`: what a newer version writes into a
/// status must not be refused.
pub(super) fn from(schema: Value) -> Value {
    let mut fields = match schema {
        Value::Object(fields) => fields,
        // Anything at all.
        _ => return json!({PRESERVE: true}),
    };
    if let Some(choice) = only_choice(&mut fields) {
        return from(choice);
    }
    if let Some(Value::Array(kinds)) = fields.get("type") {
        let kind = kinds.iter().find(|kind| *kind != "null").cloned();
        fields.insert("type".to_owned(), kind.unwrap_or_default());
    }
    // It is structural as it is.
    if fields.contains_key(PRESERVE) {
        return Value::Object(fields);
    }
    let is_known = |format: &Value| FORMATS.iter().any(|known| format == known);
    if !fields.get("format").is_some_and(is_known) {
        fields.remove("format");
    }
    let mut out = Map::new();
    let renamed = [("x-default", "default"), ("x-words", "enum")];
    for (word, kept) in KEPT.map(|word| (word, word)).into_iter().chain(renamed) {
        if let Some(value) = fields.remove(word) {
            out.insert(kept.to_owned(), value);
        }
    }
    nested(fields, &mut out);
    Value::Object(out)
}

/// What is inside: fields, items, entries.
fn nested(mut fields: Map<String, Value>, out: &mut Map<String, Value>) {
    if let Some(Value::Object(properties)) = fields.remove("properties") {
        let properties = properties.into_iter();
        let properties: Map<_, _> = properties
            .map(|(name, field)| (name, from(field)))
            .collect();
        out.insert("properties".to_owned(), properties.into());
    }
    if let Some(items) = fields.remove("items") {
        out.insert("items".to_owned(), from(items));
    }
    match fields.remove("additionalProperties") {
        Some(Value::Bool(true)) => {
            out.insert(PRESERVE.to_owned(), json!(true));
        }
        Some(entries @ Value::Object(_)) => {
            out.insert("additionalProperties".to_owned(), from(entries));
        }
        _ => {}
    }
}

/// Where a schema offers one choice and null, that choice, with what is said beside it; where it offers words, a text.
fn only_choice(fields: &mut Map<String, Value>) -> Option<Value> {
    let choices = ["anyOf", "oneOf"]
        .iter()
        .find_map(|word| fields.remove(*word))?;
    let Value::Array(mut choices) = choices else {
        return None;
    };
    choices.retain(|choice| choice["type"] != "null");
    let is_word = |choice: &Value| choice["type"] == "string" || choice.get("const").is_some();
    let mut choice = match choices.len() {
        1 => choices.pop()?,
        _ if choices.iter().all(is_word) => json!({"type": "string"}),
        _ => json!({PRESERVE: true}),
    };
    if let Value::Object(choice) = &mut choice {
        choice.append(fields);
    }
    Some(choice)
}
