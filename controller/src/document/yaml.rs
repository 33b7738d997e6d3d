//! YAML (and JSON, which is a part of it) as a tree that knows where each node was written.
//!
//! The tree is built from the parser's events, because only there can hostile input be bounded:
//! a ready-made loader recurses as deep as the input nests and copies as much as aliases ask for.
//! Anchors and aliases are resolved, merge keys (`<<`) are merged, duplicate keys are refused.

use std::collections::BTreeMap;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError, Span, StrInput, Tag};
use serde_json::Value;

use super::scalar;
use super::source::Position;

mod fields;
mod node;

use fields::{Fields, Key};
pub(super) use node::{Content, Node};

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

/// Reads all documents of a file.
pub(super) fn read(text: &str) -> Stream {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut builder = Builder::new(text);
    if let Err(problem) = check_text(text).and_then(|()| builder.read(text)) {
        builder.stream.problems.push(problem);
    }
    builder.stream
}

/// Refuses texts that are too large, and control characters, of which the parser takes U+0000 for
/// the end of the text.
fn check_text(text: &str) -> Result<(), Problem> {
    if text.len() > MAX_BYTES {
        return Err(Problem {
            at: Position { line: 1, column: 1 },
            message: format!("found {} bytes, allowed at most {MAX_BYTES}", text.len()),
        });
    }
    let is_control = |c: char| c < ' ' && !matches!(c, '\t' | '\n' | '\r');
    let Some((before, rest)) = text.find(is_control).map(|at| text.split_at(at)) else {
        return Ok(());
    };
    let code = rest.chars().next().map_or(0, u32::from);
    let line = before.rsplit('\n').next().unwrap_or_default();
    Err(Problem {
        at: Position {
            line: before.matches('\n').count() + 1,
            column: line.chars().count() + 1,
        },
        message: format!("found the control character U+{code:04X}, allowed text"),
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

struct Builder {
    /// Where the text ends.
    end: Position,
    stream: Stream,
    open: Vec<Open>,
    anchors: BTreeMap<usize, Node>,
    copied: usize,
}

impl Builder {
    fn new(text: &str) -> Self {
        Self {
            end: end(text),
            stream: Stream::default(),
            open: Vec::new(),
            anchors: BTreeMap::new(),
            copied: 0,
        }
    }

    /// Reads until the end, or until a problem that leaves nothing to go on with.
    fn read(&mut self, text: &str) -> Result<(), Problem> {
        let mut parser: Parser<'_, StrInput<'_>> = Parser::new_from_str(text);
        while let Some(event) = parser.next_event() {
            let (event, span) = event.map_err(|error| self.syntax(&error))?;
            self.event(event, span)?;
        }
        Ok(())
    }

    fn event(&mut self, event: Event<'_>, span: Span) -> Result<(), Problem> {
        let at = self.position(span.start);
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
        // A scalar that was refused counts as absent, so that the rest is checked all the same.
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

    /// The parser ends every text with a line break, and finds things on the line behind one that was not written.
    fn position(&self, marker: Marker) -> Position {
        let position = Position {
            line: marker.line(),
            column: marker.col() + 1,
        };
        position.min(self.end)
    }

    fn syntax(&self, error: &ScanError) -> Problem {
        Problem {
            at: self.position(*error.marker()),
            message: format!("is not valid YAML: {}", error.info()),
        }
    }

    fn tell<T>(&mut self, at: Position, result: Result<T, String>) -> Option<T> {
        result
            .map_err(|message| self.stream.problems.push(Problem { at, message }))
            .ok()
    }
}

/// The place behind the last character. Lines end with CR, LF or both (YAML 1.2.2 section 5.4).
fn end(text: &str) -> Position {
    let breaks = text.replace("\r\n", "\n");
    let last = breaks.rsplit(['\r', '\n']).next().unwrap_or_default();
    Position {
        line: breaks.matches(['\r', '\n']).count() + 1,
        column: last.chars().count() + 1,
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
