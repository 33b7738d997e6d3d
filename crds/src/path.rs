//! The path of a field in a document, as people write it: `spec.strategy.canary.steps[2].pause`.

use std::fmt;

/// One step from a value to a value inside it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Segment {
    /// An entry of a mapping.
    Key(String),
    /// An item of a list, counted from 0.
    Index(usize),
}

/// Where a field is. The empty path is the document itself.
///
/// Written with dots and brackets; a key that is not a plain word stands quoted in brackets, as in
/// `plugins["sluice/proxy"].guard`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct FieldPath(Vec<Segment>);

impl FieldPath {
    /// The document itself.
    pub fn root() -> Self {
        Self::default()
    }

    /// This path and one mapping key more.
    pub fn key(&self, key: impl Into<String>) -> Self {
        self.with(Segment::Key(key.into()))
    }

    /// This path and one list index more.
    pub fn index(&self, index: usize) -> Self {
        self.with(Segment::Index(index))
    }

    /// This path with one segment more.
    pub fn with(&self, segment: Segment) -> Self {
        let mut path = self.clone();
        path.0.push(segment);
        path
    }

    /// This path with all of `tail` behind it.
    pub fn join(&self, tail: &Self) -> Self {
        Self(self.0.iter().chain(&tail.0).cloned().collect())
    }

    /// The path of what holds this field, and the last step. `None` for the document itself.
    pub fn split_last(&self) -> Option<(Self, &Segment)> {
        let (last, parent) = self.0.split_last()?;
        Some((Self(parent.to_vec()), last))
    }

    /// The steps from the document to the field.
    pub fn segments(&self) -> &[Segment] {
        &self.0
    }

    /// Reads the written form. Total: where the text is no path, what was read until there counts,
    /// which is what looking for the nearest known position needs.
    pub fn parse(text: &str) -> Self {
        let mut segments = Vec::new();
        let mut rest = text;
        while let Some((segment, after)) = next_segment(rest) {
            segments.push(segment);
            rest = after;
        }
        Self(segments)
    }
}

impl FromIterator<Segment> for FieldPath {
    fn from_iter<I: IntoIterator<Item = Segment>>(segments: I) -> Self {
        Self(segments.into_iter().collect())
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, segment) in self.0.iter().enumerate() {
            match segment {
                Segment::Index(index) => write!(f, "[{index}]")?,
                Segment::Key(key) if !is_word(key) => write!(f, "[{key:?}]")?,
                Segment::Key(key) if place == 0 => f.write_str(key)?,
                Segment::Key(key) => write!(f, ".{key}")?,
            }
        }
        Ok(())
    }
}

fn is_word(key: &str) -> bool {
    !key.is_empty()
        && key
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

fn next_segment(text: &str) -> Option<(Segment, &str)> {
    if let Some(quoted) = text.strip_prefix("[\"") {
        return quoted_key(quoted);
    }
    if let Some(bracket) = text.strip_prefix('[') {
        let (digits, after) = bracket.split_once(']')?;
        return Some((Segment::Index(digits.parse().ok()?), after));
    }
    let text = text.strip_prefix('.').unwrap_or(text);
    let end = text.find(['.', '[']).unwrap_or(text.len());
    let (key, after) = text.split_at(end);
    (!key.is_empty()).then(|| (Segment::Key(key.to_owned()), after))
}

/// Reads up to the closing `"]`; a backslash keeps the character behind it from closing.
fn quoted_key(text: &str) -> Option<(Segment, &str)> {
    let mut key = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => key.push(chars.next()?.1),
            '"' => {
                let after = text.get(at + 1..)?.strip_prefix(']')?;
                return Some((Segment::Key(key), after));
            }
            _ => key.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn is_written_as_people_write_it() {
        let path = FieldPath::root()
            .key("spec")
            .key("plugins")
            .key("sluice/proxy")
            .key("rules")
            .index(2);
        assert_eq!(path.to_string(), r#"spec.plugins["sluice/proxy"].rules[2]"#);
        assert_eq!(FieldPath::root().to_string(), "");
    }

    #[test]
    fn what_is_no_path_counts_until_there() {
        let spec = FieldPath::root().key("spec");
        for text in [
            "spec[",
            "spec[x]",
            "spec..",
            "spec[\"a",
            "spec[\"a\"",
            "spec[-1]",
        ] {
            assert_eq!(FieldPath::parse(text), spec, "{text}");
        }
    }

    proptest! {
        #[test]
        fn the_written_form_reads_back(
            keys in prop::collection::vec(r#"[a-zA-Z0-9./_"\\\[\] -]{1,8}"#, 0..5),
            index in 0_usize..100,
        ) {
            let mut path = FieldPath::root();
            for key in keys {
                path = path.key(key).index(index);
            }
            prop_assert_eq!(FieldPath::parse(&path.to_string()), path);
        }

        #[test]
        fn any_text_reads_as_some_path(text in any::<String>()) {
            FieldPath::parse(&text);
        }
    }
}
