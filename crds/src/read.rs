//! Reading a JSON value into a type, and telling everything that is wrong with it at once.

use std::collections::{BTreeMap, BTreeSet};

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::path::{FieldPath, Segment};

mod strict;
mod words;

use strict::Strict;

/// A document with more faults than this is not helped by one more of them.
const MAX_FAULTS: usize = 100;

/// What came out of reading a value.
#[derive(Clone, Debug)]
pub struct Read<T> {
    /// The typed value; `None` when there are faults.
    pub value: Option<T>,
    /// Fields whose value has the wrong type or that are missing.
    pub faults: Vec<Fault>,
    /// Fields the type does not know. Free-form parts (templates, labels, plugin options) have none.
    pub unknown: Vec<FieldPath>,
}

/// One field that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Which field.
    pub path: FieldPath,
    /// What was found there and what is allowed, such as `found "ten", allowed a whole number`.
    pub message: String,
}

/// Reads `value` as a `T`.
///
/// serde stops at the first fault. To tell all of them, a faulty field is taken out of a copy of
/// the value and reading starts again, until it succeeds or nothing is left to take out.
pub fn read<T: DeserializeOwned>(value: &Value) -> Read<T> {
    let mut rest = Remainder::new(value.clone());
    let mut faults = Vec::new();
    let mut unknown = BTreeSet::new();
    let value = loop {
        let attempt = attempt(&rest.value, |path| {
            unknown.insert(rest.original(&path));
        });
        match attempt {
            Ok(value) => break faults.is_empty().then_some(value),
            Err(failure) => {
                faults.extend(rest.fault(&failure));
                if faults.len() >= MAX_FAULTS || !rest.take_out(&failure.path) {
                    break None;
                }
            }
        }
    };
    Read {
        value,
        faults,
        unknown: unknown.into_iter().collect(),
    }
}

struct Failure {
    path: FieldPath,
    message: String,
}

fn attempt<T: DeserializeOwned>(
    value: &Value,
    mut unknown: impl FnMut(FieldPath),
) -> Result<T, Failure> {
    let mut on_ignored = |path: serde_ignored::Path<'_>| unknown(from_ignored(&path));
    let ignoring = serde_ignored::Deserializer::new(Strict(value), &mut on_ignored);
    serde_path_to_error::deserialize(ignoring).map_err(|error| Failure {
        path: from_tracked(error.path()),
        message: error.inner().to_string(),
    })
}

/// The value without the faulty fields that were taken out of it.
struct Remainder {
    value: Value,
    /// Which items were taken out of which list, by the original indices. Later indices of the
    /// same list have moved down by as many.
    gaps: BTreeMap<FieldPath, BTreeSet<usize>>,
    taken: BTreeSet<FieldPath>,
}

impl Remainder {
    fn new(value: Value) -> Self {
        Self {
            value,
            gaps: BTreeMap::new(),
            taken: BTreeSet::new(),
        }
    }

    /// What to tell of a failure; nothing when it is only that a field was taken out.
    fn fault(&self, failure: &Failure) -> Option<Fault> {
        let path = self.original(&failure.path);
        let Some(missing) = words::missing_field(&failure.message) else {
            return Some(Fault {
                path,
                message: words::rewrite(&failure.message),
            });
        };
        let path = path.key(missing);
        (!self.taken.contains(&path)).then(|| Fault {
            path,
            message: "is missing".to_owned(),
        })
    }

    /// Takes a field out. `false` when there is nothing to take out.
    fn take_out(&mut self, path: &FieldPath) -> bool {
        let Some((parent, last)) = path.split_last() else {
            return false;
        };
        self.taken.insert(self.original(path));
        let list = self.original(&parent);
        match (follow(&mut self.value, &parent), last) {
            (Some(Value::Object(fields)), Segment::Key(key)) => fields.remove(key).is_some(),
            (Some(Value::Array(items)), Segment::Index(index)) if *index < items.len() => {
                items.remove(*index);
                let original = self.shifted(&list, *index);
                self.gaps.entry(list).or_default().insert(original);
                true
            }
            _ => false,
        }
    }

    /// Where a field of the remainder was in the whole.
    fn original(&self, path: &FieldPath) -> FieldPath {
        let mut original = FieldPath::root();
        for segment in path.segments() {
            original = match segment {
                Segment::Key(key) => original.key(key),
                Segment::Index(index) => original.index(self.shifted(&original, *index)),
            };
        }
        original
    }

    fn shifted(&self, list: &FieldPath, mut index: usize) -> usize {
        for gap in self.gaps.get(list).into_iter().flatten() {
            if *gap <= index {
                index += 1;
            }
        }
        index
    }
}

fn follow<'v>(value: &'v mut Value, path: &FieldPath) -> Option<&'v mut Value> {
    path.segments()
        .iter()
        .try_fold(value, |value, segment| match segment {
            Segment::Key(key) => value.get_mut(key),
            Segment::Index(index) => value.get_mut(index),
        })
}

fn from_tracked(path: &serde_path_to_error::Path) -> FieldPath {
    path.iter()
        .filter_map(|segment| match segment {
            serde_path_to_error::Segment::Seq { index } => Some(Segment::Index(*index)),
            serde_path_to_error::Segment::Map { key } => Some(Segment::Key(key.clone())),
            serde_path_to_error::Segment::Enum { variant } => Some(Segment::Key(variant.clone())),
            serde_path_to_error::Segment::Unknown => None,
        })
        .collect()
}

fn from_ignored(path: &serde_ignored::Path<'_>) -> FieldPath {
    use serde_ignored::Path;
    match path {
        Path::Root => FieldPath::root(),
        Path::Seq { parent, index } => from_ignored(parent).index(*index),
        Path::Map { parent, key } => from_ignored(parent).key(key),
        Path::Some { parent }
        | Path::NewtypeStruct { parent }
        | Path::NewtypeVariant { parent } => from_ignored(parent),
    }
}

#[cfg(test)]
mod tests;
