//! YAML (and JSON, which is a part of it) as a tree that knows where each node was written.
//!
//! The tree is built from the parser's events, because only there can hostile input be bounded:
//! a ready-made loader recurses as deep as the input nests and copies as much as aliases ask for.
//! Anchors and aliases are resolved, merge keys (`<<`) are merged, duplicate keys are refused.

use std::collections::{BTreeMap, HashMap};
use std::mem;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError, Span, StrInput, Tag};
use serde_json::Value;

use super::scalar;
use super::source::Position;

/// Pod templates nest about 15 deep.
const MAX_DEPTH: usize = 64;

/// How much anchors and aliases may copy in one file, in values and characters.
const MAX_COPIED: usize = 1_000_000;

/// Ten thousand Rollouts fit.
const MAX_BYTES: usize = 64 << 20;

/// The documents of a file, and what is wrong with its syntax.
#[derive(Default)]
pub(super) struct Stream {
    /// Documents in their order, without empty ones. Behind a syntax error nothing is read.
    pub(super) roots: Vec<Node>,
    pub(super) problems: Vec<Problem>,
}

pub(super) struct Problem {
    pub(super) at: Position,
    pub(super) message: String,
}

#[derive(Clone)]
pub(super) struct Node {
    pub(super) at: Position,
    pub(super) content: Content,
}

#[derive(Clone)]
pub(super) enum Content {
    Scalar(Value),
    List(Vec<Node>),
    Mapping(Vec<Entry>),
}

#[derive(Clone)]
pub(super) struct Entry {
    pub(super) key: String,
    /// Where the key is.
    pub(super) at: Position,
    pub(super) value: Node,
}

/// Reads all documents of a file.
pub(super) fn read(text: &str) -> Stream {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut builder = Builder::default();
    if let Err(problem) = check_text(text).and_then(|()| builder.read(text)) {
        builder.stream.problems.push(problem);
    }
    builder.stream
}

/// Refuses what the parser would take for the end of the text.
fn check_text(text: &str) -> Result<(), Problem> {
    if text.len() > MAX_BYTES {
        return Err(Problem {
            at: Position { line: 1, column: 1 },
            message: format!("found {} bytes, allowed at most {MAX_BYTES}", text.len()),
        });
    }
    let is_control = |c: char| c < ' ' && !matches!(c, '\t' | '\n' | '\r');
    let Some((before, control)) = text
        .char_indices()
        .find_map(|(index, c)| is_control(c).then(|| (text.get(..index).unwrap_or_default(), c)))
    else {
        return Ok(());
    };
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    Err(Problem {
        at: Position {
            line: before.matches('\n').count() + 1,
            column: before.chars().count()
                - before.get(..line_start).unwrap_or_default().chars().count()
                + 1,
        },
        message: format!(
            "found the control character U+{:04X}, allowed text",
            u32::from(control)
        ),
    })
}

/// A list or mapping that is not finished.
struct Open {
    at: Position,
    anchor: usize,
    inside: Inside,
}

enum Inside {
    List(Vec<Node>),
    Mapping(Fields),
}

#[derive(Default)]
struct Fields {
    entries: Vec<Entry>,
    /// On which line each key is.
    lines: HashMap<String, usize>,
    /// The key whose value comes next.
    key: Option<(Key, Position)>,
    /// Mappings to be merged, the first one first asked.
    merges: Vec<Node>,
}

enum Key {
    Name(String),
    Merge,
    /// A key that was refused; its value is dropped.
    Refused,
}

#[derive(Default)]
struct Builder {
    stream: Stream,
    open: Vec<Open>,
    anchors: BTreeMap<usize, Node>,
    copied: usize,
}

impl Builder {
    /// Reads until the end, or until a problem that leaves nothing to go on with.
    fn read(&mut self, text: &str) -> Result<(), Problem> {
        let mut parser: Parser<'_, StrInput<'_>> = Parser::new_from_str(text);
        while let Some(event) = parser.next_event() {
            let (event, span) = event.map_err(|error| syntax(&error))?;
            self.event(event, span)?;
        }
        Ok(())
    }

    fn event(&mut self, event: Event<'_>, span: Span) -> Result<(), Problem> {
        let at = position(span.start);
        match event {
            Event::DocumentStart(_) => self.anchors.clear(),
            Event::Scalar(text, style, anchor, tag) => {
                self.scalar(&text, style, anchor, tag.as_deref(), at)?;
            }
            Event::SequenceStart(anchor, tag) => {
                self.tell(at, scalar::check_collection_tag(tag.as_deref(), "seq"));
                self.begin(at, anchor, Inside::List(Vec::new()))?;
            }
            Event::MappingStart(anchor, tag) => {
                self.tell(at, scalar::check_collection_tag(tag.as_deref(), "map"));
                self.begin(at, anchor, Inside::Mapping(Fields::default()))?;
            }
            Event::SequenceEnd | Event::MappingEnd => self.end()?,
            Event::Alias(anchor) => self.alias(anchor, at)?,
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
        }
        Ok(())
    }

    fn scalar(
        &mut self,
        text: &str,
        style: ScalarStyle,
        anchor: usize,
        tag: Option<&Tag>,
        at: Position,
    ) -> Result<(), Problem> {
        if let Some(fields) = self.fields_without_key() {
            fields.key = Some(
                if style == ScalarStyle::Plain && text == "<<" && tag.is_none() {
                    (Key::Merge, at)
                } else {
                    (Key::Name(text.to_owned()), at)
                },
            );
            if anchor > 0 {
                let content = Content::Scalar(Value::from(text));
                self.remember(anchor, &Node { at, content })?;
            }
            return Ok(());
        }
        let value = scalar::resolve(text, style, tag);
        let value = self.tell(at, value).unwrap_or_default();
        self.finish(
            Node {
                at,
                content: Content::Scalar(value),
            },
            anchor,
        )
    }

    fn begin(&mut self, at: Position, anchor: usize, inside: Inside) -> Result<(), Problem> {
        if self.open.len() >= MAX_DEPTH {
            return Err(too_deep(at));
        }
        // A list or mapping where a key should be is built all the same, so that what comes
        // behind it is understood, and is refused when it is finished.
        self.open.push(Open { at, anchor, inside });
        Ok(())
    }

    fn end(&mut self) -> Result<(), Problem> {
        let Some(Open { at, anchor, inside }) = self.open.pop() else {
            return Ok(());
        };
        let content = match inside {
            Inside::List(items) => Content::List(items),
            Inside::Mapping(fields) => Content::Mapping(fields.merged()),
        };
        self.finish(Node { at, content }, anchor)
    }

    fn alias(&mut self, anchor: usize, at: Position) -> Result<(), Problem> {
        let Some(node) = self.anchors.get(&anchor) else {
            let message = "found an alias of something that is not finished before it".to_owned();
            return Err(Problem { at, message });
        };
        let size = node.size();
        if self.open.len() + size.depth > MAX_DEPTH {
            return Err(too_deep(at));
        }
        // The copy's fields stay where they were written; the copy itself is where the alias is.
        let mut node = node.clone();
        node.at = at;
        self.count_copy(size.cost, at)?;
        self.finish(node, 0)
    }

    /// Puts a finished node where it belongs.
    fn finish(&mut self, node: Node, anchor: usize) -> Result<(), Problem> {
        if anchor > 0 {
            self.remember(anchor, &node)?;
        }
        let placed = match self.open.last_mut().map(|open| &mut open.inside) {
            None => {
                if !matches!(node.content, Content::Scalar(Value::Null)) {
                    self.stream.roots.push(node);
                }
                Ok(())
            }
            Some(Inside::List(items)) => {
                items.push(node);
                Ok(())
            }
            Some(Inside::Mapping(fields)) => fields.place(node),
        };
        if let Err(problem) = placed {
            self.stream.problems.push(problem);
        }
        Ok(())
    }

    fn remember(&mut self, anchor: usize, node: &Node) -> Result<(), Problem> {
        self.count_copy(node.size().cost, node.at)?;
        self.anchors.insert(anchor, node.clone());
        Ok(())
    }

    fn count_copy(&mut self, cost: usize, at: Position) -> Result<(), Problem> {
        self.copied = self.copied.saturating_add(cost);
        if self.copied <= MAX_COPIED {
            return Ok(());
        }
        Err(Problem {
            at,
            message: format!(
                "anchors and aliases copy too much: allowed {MAX_COPIED} values and characters in a file"
            ),
        })
    }

    /// The innermost mapping, when a key is what comes next.
    fn fields_without_key(&mut self) -> Option<&mut Fields> {
        match &mut self.open.last_mut()?.inside {
            Inside::Mapping(fields) if fields.key.is_none() => Some(fields),
            _ => None,
        }
    }

    fn tell<T>(&mut self, at: Position, result: Result<T, String>) -> Option<T> {
        result
            .map_err(|message| self.stream.problems.push(Problem { at, message }))
            .ok()
    }
}

impl Fields {
    /// Takes a key or, when there is one, its value.
    fn place(&mut self, node: Node) -> Result<(), Problem> {
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
    fn merged(mut self) -> Vec<Entry> {
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

/// How large a node is.
#[derive(Clone, Copy)]
struct Size {
    /// Values and characters in it.
    cost: usize,
    /// How deep it nests; 0 for a scalar.
    depth: usize,
}

impl Node {
    fn size(&self) -> Size {
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

fn position(marker: Marker) -> Position {
    Position {
        line: marker.line(),
        column: marker.col() + 1,
    }
}

fn syntax(error: &ScanError) -> Problem {
    Problem {
        at: position(*error.marker()),
        message: format!("is not valid YAML: {}", error.info()),
    }
}

fn too_deep(at: Position) -> Problem {
    Problem {
        at,
        message: format!("found lists and mappings nested deeper than the allowed {MAX_DEPTH}"),
    }
}

#[cfg(test)]
mod tests;
