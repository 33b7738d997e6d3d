//! JSON as the encoder of Go's standard library writes it.

use std::fmt::Write as _;

use serde_json::{Map, Number, Value};

/// Writes a text in quotes. What HTML could take for its own is escaped.
pub(super) fn text(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\0'..='\u{1f}' | '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            _ => out.push(c),
        }
    }
    out.push('"');
}

/// A number, as Go writes an `int64` or else a `float64`.
pub(super) fn number(number: &Number) -> String {
    if let Some(whole) = number.as_i64() {
        return whole.to_string();
    }
    let float = number.as_f64().unwrap_or_default();
    let size = float.abs();
    if size == 0.0 || (1e-6..1e21).contains(&size) {
        return float.to_string();
    }
    let text = format!("{float:e}");
    match text.split_once("e-") {
        Some(_) => text,
        None => text.replace('e', "e+"),
    }
}

/// Any JSON, its mappings sorted by their keys.
pub(super) fn value(value: &Value, out: &mut String) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(flag) => out.push_str(if *flag { "true" } else { "false" }),
        Value::Number(found) => out.push_str(&number(found)),
        Value::String(found) => text(found, out),
        Value::Array(items) => {
            let mut list = Sequence::begin('[', out);
            for item in items {
                self::value(item, list.next());
            }
            list.end(']');
        }
        Value::Object(fields) => {
            let mut mapping = Sequence::begin('{', out);
            for (key, field) in sorted(fields) {
                self::value(field, mapping.key(key));
            }
            mapping.end('}');
        }
    }
}

/// The fields of a mapping by their keys' bytes, as Go sorts them, whatever order they are kept in.
pub(super) fn sorted(fields: &Map<String, Value>) -> Vec<(&String, &Value)> {
    let mut sorted: Vec<_> = fields.iter().collect();
    sorted.sort_unstable_by_key(|(key, _)| *key);
    sorted
}

/// A list or a mapping that is being written.
pub(super) struct Sequence<'o> {
    out: &'o mut String,
    is_first: bool,
}

impl<'o> Sequence<'o> {
    pub(super) fn begin(bracket: char, out: &'o mut String) -> Self {
        out.push(bracket);
        Self {
            out,
            is_first: true,
        }
    }

    /// Where the next item is to be written.
    pub(super) fn next(&mut self) -> &mut String {
        if !self.is_first {
            self.out.push(',');
        }
        self.is_first = false;
        self.out
    }

    /// Where the value of the next field is to be written.
    pub(super) fn key(&mut self, key: &str) -> &mut String {
        let out = self.next();
        text(key, out);
        out.push(':');
        out
    }

    pub(super) fn end(self, bracket: char) {
        self.out.push(bracket);
    }
}
