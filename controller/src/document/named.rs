//! The files that a Proxy names.

use crds::Proxy;
use crds::schema::{self, Node};
use serde_json::Value;

/// A file that a Proxy names and that must be there before it can be acted on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedFile {
    /// Where it is named, such as `spec.listeners[0].tls.client.caFile`.
    pub path: String,
    /// Its name as it is written: relative to the folder of the document.
    pub file: String,
}

/// Files that the process itself makes.
const MADE: [&str; 2] = ["spec.stateFile", "spec.accessLog.file"];

/// The files that `proxy` names and that must be there.
pub fn named_files(proxy: &Proxy) -> Vec<NamedFile> {
    // That cannot fail for a document that was read from JSON.
    let document = serde_json::to_value(proxy).unwrap_or_default();
    let mut files = Vec::new();
    collect(&document, Node::root(schema::proxy()), "", &mut files);
    files.retain(|named| !MADE.contains(&named.path.as_str()));
    files
}

fn collect(value: &Value, schema: Node<'_>, path: &str, files: &mut Vec<NamedFile>) {
    match value {
        Value::String(file) if schema.word("x-file").is_some() => files.push(NamedFile {
            path: path.to_owned(),
            file: file.clone(),
        }),
        Value::Object(fields) => {
            for (name, schema) in schema
                .alternatives()
                .iter()
                .flat_map(|schema| schema.fields())
            {
                if let Some(field) = fields.get(name) {
                    let path = match path {
                        "" => name.to_owned(),
                        _ => format!("{path}.{name}"),
                    };
                    collect(field, schema, &path, files);
                }
            }
        }
        Value::Array(items) => {
            let alternatives = schema.alternatives();
            let Some(schema) = alternatives.iter().find_map(|schema| schema.items()) else {
                return;
            };
            for (index, item) in items.iter().enumerate() {
                collect(item, schema, &format!("{path}[{index}]"), files);
            }
        }
        _ => {}
    }
}
