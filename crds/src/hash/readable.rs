//! Pod templates without the quantities that nobody can read.

use std::fmt;

use serde_json::Value;

use super::field::{Fields, Kind};
use super::typed::quantity_of;
use super::types;
use crate::rollout::PodTemplate;

/// Kubernetes takes no template with these, and no part of the list where one entry is malformed.
const EPHEMERAL: &str = "ephemeralContainers";

/// A pod template without its malformed quantities.
#[derive(Clone, Debug, PartialEq)]
pub struct Readable {
    /// What is left.
    pub template: PodTemplate,
    /// What was left out.
    pub left_out: Vec<Malformed>,
}

/// What is no quantity, and is where one is to be.
#[derive(Clone, Debug, PartialEq)]
pub struct Malformed {
    /// Where in the template it is: `spec.containers[0].resources.limits.memory`.
    pub path: String,
    /// What is there.
    pub found: Value,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, found } = self;
        write!(f, "{path} (found {found})")
    }
}

/// `template` without its malformed quantities; `None` where it has none.
///
/// Argo Rollouts makes ReplicaSets of what its decoder could read before the first malformed quantity, and so without all that
/// comes behind it in the order of keys, a security context for example. Here nothing goes but the quantity itself, or the
/// whole list of ephemeral containers that it is in.
pub fn readable(template: &PodTemplate) -> Option<Readable> {
    let mut search = Search::default();
    let mut value = template.0.clone();
    search.clean(&types::POD_TEMPLATE, &mut value);
    (!search.left_out.is_empty()).then_some(Readable {
        template: PodTemplate(value),
        left_out: search.left_out,
    })
}

/// Where the search is, and what it has found.
#[derive(Debug, Default)]
struct Search {
    path: String,
    left_out: Vec<Malformed>,
}

impl Search {
    /// Takes what is malformed out of `value`. Whether `value` itself is.
    fn clean(&mut self, kind: &Kind, value: &mut Value) -> bool {
        match (kind, value) {
            (_, Value::Null) => {}
            (Kind::Quantity, value) => {
                let is_malformed = quantity_of(value).is_none();
                if is_malformed {
                    self.left_out.push(Malformed {
                        path: self.path.clone(),
                        found: value.take(),
                    });
                }
                return is_malformed;
            }
            (Kind::Struct(fields), Value::Object(found)) => self.clean_struct(fields, found),
            (Kind::Map(kind), Value::Object(entries)) => {
                entries.retain(|key, value| !self.within(&format!(".{key}"), kind, value));
            }
            (Kind::List(kind), Value::Array(items)) => {
                let mut index = 0..;
                items.retain_mut(|item| {
                    let at = format!("[{}]", index.next().unwrap_or_default());
                    !self.within(&at, kind, item)
                });
            }
            _ => {}
        }
        false
    }

    fn clean_struct(&mut self, fields: Fields, found: &mut serde_json::Map<String, Value>) {
        found.retain(|key, value| {
            let Some(field) = fields.iter().find(|field| field.name == key) else {
                return true;
            };
            let before = self.left_out.len();
            let is_malformed = self.within(&format!(".{key}"), &field.kind, value);
            !is_malformed && (key != EPHEMERAL || self.left_out.len() == before)
        });
    }

    /// As [`Self::clean`], of what is found by `step` from here.
    fn within(&mut self, step: &str, kind: &Kind, value: &mut Value) -> bool {
        let length = self.path.len();
        self.path
            .push_str(if length == 0 { &step[1..] } else { step });
        let is_malformed = self.clean(kind, value);
        self.path.truncate(length);
        is_malformed
    }
}
