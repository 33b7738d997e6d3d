//! Where each field of a document was written.

use std::collections::BTreeMap;
use std::sync::Arc;

use crds::{FieldPath, Segment};
use serde_json::Value;

use super::Location;
use super::yaml::{Content, Node};

/// A line and a column, both counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Position {
    pub(super) line: usize,
    pub(super) column: usize,
}

/// Where a document and its fields were written.
#[derive(Clone, Debug)]
pub struct Source {
    file: Arc<str>,
    root: Spot,
}

/// A field's place, and the places of what is inside it.
#[derive(Clone, Debug)]
struct Spot {
    at: Position,
    inside: Inside,
}

#[derive(Clone, Debug)]
enum Inside {
    Nothing,
    Items(Vec<Spot>),
    Fields(BTreeMap<String, Spot>),
}

impl Source {
    /// The place of an object that was not read from a file.
    pub(super) fn nowhere() -> Self {
        Self {
            file: "".into(),
            root: Spot {
                at: Position { line: 1, column: 1 },
                inside: Inside::Nothing,
            },
        }
    }

    /// The file's name.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// Where a field such as `spec.strategy.canary.steps[2].pause.duration` is: the place of its
    /// key, or of the item of a list. For a field that is not there, the place of the innermost
    /// field around it that is; for the empty path, of the document.
    pub fn locate(&self, path: &str) -> Location {
        let mut spot = &self.root;
        for segment in FieldPath::parse(path).segments() {
            let inner = match (&spot.inside, segment) {
                (Inside::Items(items), Segment::Index(index)) => items.get(*index),
                (Inside::Fields(fields), Segment::Key(key)) => fields.get(key),
                _ => None,
            };
            match inner {
                Some(inner) => spot = inner,
                None => break,
            }
        }
        Location::new(&self.file, spot.at)
    }
}

/// Takes a document's tree apart into what it says and where it says it.
pub(super) fn split(file: Arc<str>, root: Node) -> (Value, Source) {
    let at = root.at;
    let (value, root) = split_node(root, at);
    (value, Source { file, root })
}

fn split_node(node: Node, at: Position) -> (Value, Spot) {
    let (value, inside) = match node.content {
        Content::Scalar(value) => (value, Inside::Nothing),
        Content::List(items) => {
            let (values, spots) = items
                .into_iter()
                .map(|item| {
                    let at = item.at;
                    split_node(item, at)
                })
                .unzip();
            (Value::Array(values), Inside::Items(spots))
        }
        Content::Mapping(entries) => {
            let mut fields = serde_json::Map::new();
            let mut spots = BTreeMap::new();
            for entry in entries {
                let (value, spot) = split_node(entry.value, entry.at);
                fields.insert(entry.key.clone(), value);
                spots.insert(entry.key, spot);
            }
            (Value::Object(fields), Inside::Fields(spots))
        }
    };
    (value, Spot { at, inside })
}
