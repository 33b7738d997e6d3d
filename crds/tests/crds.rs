//! The definitions for API servers (`crds/*.yaml`) are what the types say. `UPDATE_CRDS=1` writes them anew.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, its own functions too"
)]

use crds::schema::Node;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::path::Path;

#[test]
fn the_files_are_what_the_types_say() {
    for definition in crds::crd::all() {
        let name = definition["spec"]["names"]["singular"].as_str().unwrap();
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("{name}.yaml"));
        let expected = document(&definition);
        if std::env::var_os("UPDATE_CRDS").is_some() {
            std::fs::write(&path, &expected).unwrap();
        }
        let found = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            found == expected,
            "{} is not what the types say; UPDATE_CRDS=1 cargo test -p crds --test crds writes it anew",
            path.display()
        );
    }
}

fn document(definition: &Value) -> String {
    let mut text =
        "# Made from the types of this crate by tests/crds.rs; not to be changed by hand.\n"
            .to_owned();
    mapping(definition, "", &mut text);
    text
}

/// Writes the fields of a mapping, each on lines of its own that begin with `indent`.
fn mapping(value: &Value, indent: &str, text: &mut String) {
    for (key, field) in value.as_object().unwrap() {
        let key = scalar(&Value::from(key.as_str()));
        match field {
            Value::Object(fields) if !fields.is_empty() => {
                let _ = writeln!(text, "{indent}{key}:");
                mapping(field, &format!("{indent}  "), text);
            }
            Value::Array(items) if items.iter().any(Value::is_object) => {
                let _ = writeln!(text, "{indent}{key}:");
                for item in items {
                    let mut inner = String::new();
                    mapping(item, &format!("{indent}  "), &mut inner);
                    let _ = write!(
                        text,
                        "{indent}- {}",
                        inner.strip_prefix(&format!("{indent}  ")).unwrap()
                    );
                }
            }
            _ => {
                let _ = writeln!(text, "{indent}{key}: {}", scalar(field));
            }
        }
    }
}

/// A value on one line. JSON is YAML; a text that can be nothing else needs no quotes.
fn scalar(value: &Value) -> String {
    let is_plain = |text: &str| {
        let words = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"];
        text.starts_with(|c: char| c.is_ascii_alphabetic())
            && text
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || " .,-/()_".contains(c))
            && !text.ends_with(' ')
            && !words.contains(&text.to_ascii_lowercase().as_str())
    };
    match value {
        Value::String(text) if is_plain(text) => text.clone(),
        _ => value.to_string(),
    }
}

/// The schema and its place, for every place in it.
fn visit(schema: &Value, place: &str, see: &mut impl FnMut(&str, &Value)) {
    see(place, schema);
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        visit(field, &format!("{place}.{name}"), see);
    }
    for (word, suffix) in [("items", "[]"), ("additionalProperties", "{}")] {
        if let Some(inner) = schema.get(word) {
            visit(inner, &format!("{place}{suffix}"), see);
        }
    }
}

fn schema(definition: &Value) -> &Value {
    &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
}

/// What an API server asks of a schema before it takes the definition.
#[test]
fn the_schemas_are_structural() {
    const WORDS: [&str; 14] = [
        "additionalProperties",
        "default",
        "description",
        "enum",
        "format",
        "items",
        "properties",
        "required",
        "type",
        "x-kubernetes-int-or-string",
        "x-kubernetes-list-map-keys",
        "x-kubernetes-list-type",
        "x-kubernetes-preserve-unknown-fields",
        "x-kubernetes-validations",
    ];
    for definition in crds::crd::all() {
        visit(schema(&definition), "", &mut |place, schema| {
            let words: Vec<_> = schema.as_object().unwrap().keys().collect();
            assert!(
                words.iter().all(|word| WORDS.contains(&word.as_str())),
                "{place}: {words:?}"
            );
            let is_either = schema.get("x-kubernetes-int-or-string").is_some();
            assert_ne!(schema["type"].is_string(), is_either, "{place}");
            let has_both =
                schema.get("properties").is_some() && schema.get("additionalProperties").is_some();
            assert!(!has_both, "{place}");
            for required in schema["required"].as_array().into_iter().flatten() {
                assert!(
                    schema["properties"]
                        .get(required.as_str().unwrap())
                        .is_some(),
                    "{place}: {required}"
                );
            }
            // A list is merged by fields that every item has.
            for key in schema["x-kubernetes-list-map-keys"]
                .as_array()
                .into_iter()
                .flatten()
            {
                let item = &schema["items"];
                let field = &item["properties"][key.as_str().unwrap()];
                let is_required = item["required"]
                    .as_array()
                    .is_some_and(|names| names.contains(key));
                assert!(
                    is_required || field.get("default").is_some(),
                    "{place}: {key}"
                );
            }
        });
    }
}

/// Names, scope and subresources are those that clients know from Argo Rollouts.
#[test]
fn kinds_are_served_as_clients_know_them() {
    let scale = json!({
        "labelSelectorPath": ".status.selector",
        "specReplicasPath": ".spec.replicas",
        "statusReplicasPath": ".status.HPAReplicas",
    });
    let expected = [
        (
            "rollouts",
            "ro",
            "Namespaced",
            json!({"scale": scale, "status": {}}),
        ),
        ("analysistemplates", "at", "Namespaced", json!({})),
        ("clusteranalysistemplates", "cat", "Cluster", json!({})),
        ("analysisruns", "ar", "Namespaced", json!({})),
        ("experiments", "exp", "Namespaced", json!({})),
    ];
    let definitions = crds::crd::all();
    assert_eq!(definitions.len(), expected.len());
    for (definition, (plural, short_name, scope, subresources)) in definitions.iter().zip(expected)
    {
        let spec = &definition["spec"];
        assert_eq!(
            definition["metadata"]["name"],
            format!("{plural}.argoproj.io")
        );
        assert_eq!(spec["names"]["shortNames"], json!([short_name]));
        assert_eq!(spec["scope"], scope);
        assert_eq!(spec["versions"][0]["name"], "v1alpha1");
        assert_eq!(spec["versions"][0]["subresources"], subresources);
    }
}

/// The documents that the types are tested with have every field. What a Rollout's spec repeats at many places, its
/// documents have at one of them.
#[test]
fn every_field_is_in_the_documents_of_the_tests() {
    let parse = |text| serde_json::from_str::<Value>(text).unwrap();
    let template = parse(include_str!("fields/analysis-template.json"));
    let documents = [
        json!({"status": parse(include_str!("fields/status.json"))}),
        template.clone(),
        template,
        parse(include_str!("fields/analysis-run.json")),
        parse(include_str!("fields/experiment.json")),
    ];
    for (definition, document) in crds::crd::all().iter().zip(&documents) {
        let mut missing = Node::root(schema(definition)).unused(&[document]);
        let is_left_out = |place: &str| {
            document["spec"].is_null() && !place.starts_with("status.")
                || [".template.", ".job.spec."]
                    .iter()
                    .any(|free| place.contains(free))
        };
        missing.retain(|place| !is_left_out(place));
        assert_eq!(missing, Vec::<String>::new());
    }
}

/// `kubectl apply` keeps the whole object in an annotation, which may have 256 KiB.
#[test]
fn definitions_are_small_enough_to_be_applied() {
    for definition in crds::crd::all() {
        assert!(
            definition.to_string().len() < 200_000,
            "{}",
            definition["metadata"]["name"]
        );
    }
}
