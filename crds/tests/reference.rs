//! The reference pages and the schemas for editors are what the types say. `UPDATE_REFERENCE=1` writes them anew.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, its own functions too"
)]

use crds::schema::{self, Node};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// A page: a title, words before the tables, and what the tables are of.
struct Page {
    title: &'static str,
    intro: &'static str,
    parts: Vec<Part>,
}

/// The settings below one place of a document.
struct Part {
    place: &'static str,
    schema: &'static Value,
}

const INTRO_PROXY: &str = "\
Every setting of a `Proxy` document. This page is made from the types that documents are read into; \
[proxy.schema.json](proxy.schema.json) is the same for editors, and [everything.yaml](../examples/everything.yaml) \
shows each of them once. Files are relative to the document's folder. Durations are written as `300ms`, `2s`, `5m` or \
`1h30m`. `services` and `routes` take effect as soon as the file changes, everything else when the process starts anew.";

const INTRO_OPTIONS: &str = "\
What Sluice adds to a Rollout: the options of the traffic routing plugin `sluice/proxy` and of the step plugin \
`sluice/evidence`. This page is made from the types that they are read into; \
[proxy-options.schema.json](proxy-options.schema.json) and [evidence.schema.json](evidence.schema.json) are the same \
for editors, and [everything.yaml](../examples/everything.yaml) shows each of them once.";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/reference")
}

/// The file is as it is to be, or is made so.
fn check_file(name: &str, expected: &str) {
    let path = folder().join(name);
    if std::env::var_os("UPDATE_REFERENCE").is_some() {
        std::fs::create_dir_all(folder()).unwrap();
        std::fs::write(&path, expected).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == expected,
        "{} is not what the types say; UPDATE_REFERENCE=1 cargo test -p crds --test reference writes it anew",
        path.display()
    );
}

#[test]
fn the_pages_are_what_the_types_say() {
    let proxy = Part {
        place: "",
        schema: schema::proxy(),
    };
    let options = Part {
        place: "trafficRouting.plugins[\"sluice/proxy\"]",
        schema: schema::proxy_options(),
    };
    let evidence = Part {
        place: "steps[].plugin.config",
        schema: schema::evidence(),
    };
    check_file(
        "proxy.md",
        &page(&Page {
            title: "Proxy: every setting",
            intro: INTRO_PROXY,
            parts: vec![proxy],
        }),
    );
    check_file(
        "rollout-options.md",
        &page(&Page {
            title: "Rollout: the options of Sluice",
            intro: INTRO_OPTIONS,
            parts: vec![options, evidence],
        }),
    );
}

#[test]
fn the_schemas_are_what_the_types_say() {
    for (name, schema) in [
        ("proxy.schema.json", schema::proxy()),
        ("proxy-options.schema.json", schema::proxy_options()),
        ("evidence.schema.json", schema::evidence()),
    ] {
        let text = serde_json::to_string_pretty(schema).unwrap();
        check_file(name, &format!("{text}\n"));
    }
}

fn page(page: &Page) -> String {
    let mut text = format!("# {}\n\n{}\n", page.title, page.intro);
    for part in &page.parts {
        let mut seen = BTreeSet::new();
        section(Node::root(part.schema), part.place, &mut seen, &mut text);
    }
    text
}

/// Of an object's metadata only name and namespace mean something to a process without Kubernetes.
const METADATA: &str = "metadata";

/// What the words mean that fields may have.
fn words(fields: &[(&str, Node<'_>)], text: &mut String) {
    let mut lines = String::new();
    for (name, field) in fields {
        for choice in choices(*field).into_iter().flat_map(Node::alternatives) {
            let word = choice.word("const").and_then(Value::as_str);
            let meaning = choice.word("description").and_then(Value::as_str);
            if let (Some(word), Some(meaning)) = (word, meaning) {
                let _ = writeln!(lines, "- `{name}: {word}`: {}", one_line(meaning));
            }
        }
    }
    if !lines.is_empty() {
        let _ = write!(text, "\n{lines}");
    }
}

/// The table of a mapping and of those in it. A type that was described already is not described again.
fn section<'s>(schema: Node<'s>, place: &str, seen: &mut BTreeSet<&'s str>, text: &mut String) {
    let mut inner = Vec::new();
    for mapping in schema.alternatives() {
        let mut fields: Vec<_> = mapping.fields().collect();
        if fields.is_empty() {
            continue;
        }
        fields.sort_by_key(|(name, _)| !mapping.requires(name));
        let heading = match place {
            "" => "The document".to_owned(),
            _ => format!("`{place}`"),
        };
        let _ = write!(text, "\n## {heading}\n\n");
        if let Some(words) = mapping.word("description").and_then(Value::as_str) {
            let _ = write!(text, "{}\n\n", one_line(words));
        }
        text.push_str("| field | type | default | range | meaning |\n|---|---|---|---|---|\n");
        for (name, field) in &fields {
            text.push_str(&row(name, *field, mapping.requires(name)));
        }
        words(&fields, text);
        for (name, field) in fields {
            if place.is_empty() && name == METADATA {
                continue;
            }
            let at = match place {
                "" => name.to_owned(),
                _ => format!("{place}.{name}"),
            };
            inner.push((at, field));
        }
    }
    for (at, field) in inner {
        for (at, mapping) in mappings(&at, field) {
            if definition(mapping).is_none_or(|name| seen.insert(name)) {
                section(mapping, &at, seen, text);
            }
        }
    }
}

/// The mappings directly in a field, with their places: itself, or its items.
fn mappings<'s>(at: &str, field: Node<'s>) -> Vec<(String, Node<'s>)> {
    let mut found = Vec::new();
    for choice in choices(field) {
        if let Some(items) = choice.items() {
            found.extend(mappings(&format!("{at}[]"), items));
        } else if choice
            .alternatives()
            .iter()
            .any(|a| a.fields().next().is_some())
        {
            found.push((at.to_owned(), choice));
        }
    }
    found
}

/// The choices that a schema offers, without looking definitions up.
fn choices(schema: Node<'_>) -> Vec<Node<'_>> {
    let either = schema.choices();
    if either.is_empty() {
        vec![schema]
    } else {
        either
    }
}

/// The name of the type of a field, where it has one.
fn definition<'s>(field: Node<'s>) -> Option<&'s str> {
    choices(field).iter().find_map(|choice| choice.name())
}

fn row(name: &str, field: Node<'_>, is_required: bool) -> String {
    let default = match field.word("default") {
        _ if is_required => "required".to_owned(),
        None => String::new(),
        Some(Value::Array(items)) if items.is_empty() => String::new(),
        Some(Value::Object(_) | Value::Null) => String::new(),
        Some(Value::String(word)) => format!("`{word}`"),
        Some(value) => match value.as_f64() {
            Some(number) => format!("`{number}`"),
            None => format!("`{value}`"),
        },
    };
    let meaning = field.word("description").and_then(Value::as_str);
    format!(
        "| `{name}` | {} | {default} | {} | {} |\n",
        type_of(field),
        range(field).replace('|', "\\|"),
        one_line(meaning.unwrap_or_default()).replace('|', "\\|"),
    )
}

/// What kind of value it is, and in which unit.
fn type_of(field: Node<'_>) -> String {
    let mut kinds: Vec<String> = Vec::new();
    for choice in choices(field) {
        for schema in choice.alternatives() {
            let kind = kind_of(schema);
            if !kinds.contains(&kind) {
                kinds.push(kind);
            }
        }
    }
    if let Some(unit) = field.word("x-unit").and_then(Value::as_str) {
        return format!("{}, {unit}", kinds.join(" or "));
    }
    if field.word("x-file").is_some() {
        return "file".to_owned();
    }
    kinds.join(" or ")
}

fn kind_of(schema: Node<'_>) -> String {
    if let Some(items) = schema.items() {
        return format!("list of {}", plural(&type_of(items)));
    }
    let words = schema.word("enum").and_then(Value::as_array);
    let word = schema.word("const");
    if words.is_some_and(|words| words.iter().any(Value::is_string)) || word.is_some() {
        return "word".to_owned();
    }
    if schema.word("x-type").and_then(Value::as_str) == Some("duration") {
        return "duration".to_owned();
    }
    let of_type = |name: &str| match name {
        "boolean" => "true or false",
        "integer" => "whole number",
        "number" => "number",
        "string" => "text",
        "array" => "list",
        _ => "mapping",
    };
    match schema.word("type") {
        Some(Value::String(name)) => of_type(name).to_owned(),
        Some(Value::Array(names)) => {
            let names = names.iter().filter_map(Value::as_str);
            names.filter(|name| *name != "null").map(of_type).collect()
        }
        _ => "mapping".to_owned(),
    }
}

fn plural(kind: &str) -> String {
    let kinds: Vec<_> = kind.split(" or ").map(|kind| format!("{kind}s")).collect();
    kinds.join(" or ")
}

/// What is allowed: words, or from where to where.
fn range(field: Node<'_>) -> String {
    let schemas: Vec<_> = choices(field)
        .into_iter()
        .flat_map(Node::alternatives)
        .collect();
    let mut words: Vec<String> = Vec::new();
    for schema in &schemas {
        let listed = schema.word("enum").and_then(Value::as_array);
        let single = schema.word("const");
        let texts = listed.into_iter().flatten().chain(single);
        words.extend(
            texts
                .filter(|word| !word.is_null() && !word.is_boolean())
                .map(word_of),
        );
    }
    // What lists its values needs no bounds.
    if field.word("enum").is_none() {
        let count = std::iter::once(field)
            .chain(schemas.clone())
            .find_map(|schema| span(schema, ["minItems", "maxItems"]));
        words.extend(count.map(|count| format!("{count} of them")));
        let items = schemas.iter().filter_map(|schema| schema.items());
        let each = items.flat_map(Node::alternatives).find_map(bounds);
        words.extend(each.map(|range| format!("each {range}")));
        words.extend(std::iter::once(field).chain(schemas).find_map(bounds));
    }
    words.dedup();
    words.join(", ")
}

fn word_of(value: &Value) -> String {
    match value {
        Value::String(word) => format!("`{word}`"),
        _ => format!("`{value}`"),
    }
}

/// From where to where a number or a duration may be.
fn bounds(schema: Node<'_>) -> Option<String> {
    let above = bound(schema, "exclusiveMinimum");
    match (above, bound(schema, "maximum")) {
        (Some(above), Some(most)) => Some(format!("above {above}, at most {most}")),
        (Some(above), None) => Some(format!("above {above}")),
        (None, _) => {
            span(schema, ["x-min", "x-max"]).or_else(|| span(schema, ["minimum", "maximum"]))
        }
    }
}

fn span(schema: Node<'_>, [least, most]: [&str; 2]) -> Option<String> {
    match (bound(schema, least), bound(schema, most)) {
        (Some(least), Some(most)) => Some(format!("{least} to {most}")),
        (Some(least), None) => Some(format!("at least {least}")),
        (None, Some(most)) => Some(format!("at most {most}")),
        (None, None) => None,
    }
}

fn bound(schema: Node<'_>, word: &str) -> Option<String> {
    match schema.word(word)? {
        Value::String(text) => Some(text.clone()),
        value => value.as_f64().map(|number| number.to_string()),
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Every field has a meaning; every number and every duration has a range or says what is counted without one.
#[test]
fn every_field_says_what_it_means() {
    for schema in [schema::proxy(), schema::proxy_options(), schema::evidence()] {
        let mut places = Vec::new();
        Node::root(schema).visit("", &mut |place, field| {
            if field.word("description").is_none() {
                places.push(place.to_owned());
            }
            let is_duration = type_of(field) == "duration";
            assert!(
                !is_duration || field.word("x-min").is_some(),
                "{place} has no range"
            );
        });
        assert_eq!(places, Vec::<String>::new());
    }
}

/// The document that the types are tested with has every field.
#[test]
fn every_field_is_in_the_documents_of_the_tests() {
    for (schema, text) in [
        (schema::proxy(), include_str!("fields/proxy.json")),
        (schema::proxy_options(), include_str!("fields/options.json")),
        (schema::evidence(), include_str!("fields/evidence.json")),
    ] {
        let value = serde_json::from_str(text).unwrap();
        let mut missing = Node::root(schema).unused(&[&value]);
        missing.retain(|place| !place.starts_with("metadata."));
        assert_eq!(missing, Vec::<String>::new());
    }
}
