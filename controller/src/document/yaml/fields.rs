//! A mapping while it is read: keys, values, and what is merged into it.

use std::collections::HashMap;
use std::mem;

use serde_json::Value;

use super::Problem;
use super::node::{Content, Entry, Node};
use crate::document::source::Position;

#[derive(Default)]
pub(super) struct Fields {
    entries: Vec<Entry>,
    /// On which line each key is.
    lines: HashMap<String, usize>,
    /// The key whose value comes next.
    pub(super) key: Option<(Key, Position)>,
    /// Mappings to be merged, the first one first asked.
    merges: Vec<Node>,
}

pub(super) enum Key {
    Name(String),
    Merge,
    /// A key that was refused; its value is dropped.
    Refused,
}

impl Fields {
    /// Takes a key or, when there is one, its value.
    pub(super) fn place(&mut self, node: Node) -> Result<(), Problem> {
        match self.key.take() {
            None => self.place_key(node),
            Some((Key::Name(key), at)) => self.place_value(key, at, node),
            Some((Key::Merge, at)) => self.place_merge(at, node),
            Some((Key::Refused, _)) => Ok(()),
        }
    }

    /// A key that is no scalar of its own: an alias, or a list or mapping, which is refused.
    fn place_key(&mut self, node: Node) -> Result<(), Problem> {
        let found = match node.content {
            Content::Scalar(value) => {
                let name = match value {
                    Value::String(text) => text,
                    other => other.to_string(),
                };
                self.key = Some((Key::Name(name), node.at));
                return Ok(());
            }
            Content::List(_) => "a list",
            Content::Mapping(_) => "a mapping",
        };
        self.key = Some((Key::Refused, node.at));
        Err(Problem {
            at: node.at,
            message: format!("found {found} as a key, allowed a string"),
        })
    }

    fn place_value(&mut self, key: String, at: Position, value: Node) -> Result<(), Problem> {
        if let Some(line) = self.lines.get(&key) {
            let message = format!("found the key {key:?} again, which line {line} has already");
            return Err(Problem { at, message });
        }
        self.lines.insert(key.clone(), at.line);
        self.entries.push(Entry { key, at, value });
        Ok(())
    }

    fn place_merge(&mut self, at: Position, value: Node) -> Result<(), Problem> {
        let is_mapping = |node: &Node| matches!(node.content, Content::Mapping(_));
        match value.content {
            Content::Mapping(_) => self.merges.push(value),
            Content::List(items) if items.iter().all(is_mapping) => self.merges.extend(items),
            _ => {
                return Err(Problem {
                    at,
                    message: "allowed a mapping or a list of mappings behind <<".to_owned(),
                });
            }
        }
        Ok(())
    }

    /// The entries, with those of merged mappings whose keys are not given here.
    pub(super) fn merged(mut self) -> Vec<Entry> {
        for merge in mem::take(&mut self.merges) {
            let Content::Mapping(entries) = merge.content else {
                continue;
            };
            for entry in entries {
                if !self.lines.contains_key(&entry.key) {
                    self.lines.insert(entry.key.clone(), entry.at.line);
                    self.entries.push(entry);
                }
            }
        }
        self.entries
    }
}
