//! The tree that documents are read into.

use serde_json::Value;

use crate::document::source::Position;

#[derive(Clone)]
pub(in crate::document) struct Node {
    pub(in crate::document) at: Position,
    pub(in crate::document) content: Content,
}

#[derive(Clone)]
pub(in crate::document) enum Content {
    Scalar(Value),
    List(Vec<Node>),
    Mapping(Vec<Entry>),
}

#[derive(Clone)]
pub(in crate::document) struct Entry {
    pub(in crate::document) key: String,
    /// Where the key is.
    pub(in crate::document) at: Position,
    pub(in crate::document) value: Node,
}

/// How large a node is.
#[derive(Clone, Copy)]
pub(super) struct Size {
    /// Values and characters in it.
    pub(super) cost: usize,
    /// How deep it nests; 0 for a scalar.
    pub(super) depth: usize,
}

impl Node {
    pub(super) fn size(&self) -> Size {
        let inside = |sizes: &mut dyn Iterator<Item = Size>| {
            sizes.fold(Size { cost: 1, depth: 1 }, |all, size| Size {
                cost: all.cost + size.cost,
                depth: all.depth.max(size.depth + 1),
            })
        };
        match &self.content {
            Content::Scalar(Value::String(text)) => Size {
                cost: 1 + text.len(),
                depth: 0,
            },
            Content::Scalar(_) => Size { cost: 1, depth: 0 },
            Content::List(items) => inside(&mut items.iter().map(Self::size)),
            Content::Mapping(entries) => inside(&mut entries.iter().map(|entry| {
                let size = entry.value.size();
                Size {
                    cost: size.cost + entry.key.len(),
                    ..size
                }
            })),
        }
    }
}
