//! Going back to an earlier version, which a ReplicaSet still has.

use crds::PodTemplate;
use crds::analysis::Metadata;
use serde_json::Value;

use super::defaults;
use crate::reconcile::names::{EPHEMERAL, POD_HASH, REVISION};

/// A version that a ReplicaSet has.
#[derive(Clone, Debug, PartialEq)]
pub struct Revision {
    /// Its number: later ones have larger ones.
    pub number: i64,
    /// Its pod template, as the Rollout had it.
    pub template: Value,
}

/// What going back means.
#[derive(Clone, Debug, PartialEq)]
pub enum Back {
    /// To have this version again.
    To(Revision),
    /// The Rollout has that version already, by its number.
    Already(i64),
}

impl Revision {
    /// The version of a ReplicaSet, as the API server tells of it; none where it bears no number.
    ///
    /// `current` is the Rollout's pod template: what it says is not taken for what an API server wrote.
    pub fn of(replica_set: &Value, current: &Value) -> Option<Self> {
        let annotations = &replica_set["metadata"]["annotations"];
        let number = annotations[REVISION].as_str()?.parse().ok()?;
        let mut template = replica_set["spec"]["template"].clone();
        let remembered = annotations[EPHEMERAL].as_str();
        let added = remembered.and_then(|text| serde_json::from_str::<Metadata>(text).ok());
        let added = added.unwrap_or_default();
        if let Some(metadata) = template.get_mut("metadata") {
            let labels = added.labels.keys().map(String::as_str);
            remove(metadata, "labels", labels.chain([POD_HASH]));
            let annotations = added.annotations.keys().map(String::as_str);
            remove(metadata, "annotations", annotations);
        }
        if let Some(spec) = template.get_mut("spec") {
            remove_affinity(spec);
        }
        let hash = replica_set["metadata"]["labels"][POD_HASH].as_str();
        let candidates = [current, &Value::Null].map(|kept| defaults::without(&template, kept));
        let as_written = candidates
            .into_iter()
            .find(|written| Some(&*hash_of(written)) == hash);
        Some(Self {
            number,
            template: as_written.unwrap_or(template),
        })
    }

    /// What it means that a Rollout with the pod template `current` goes back to the version `to` of those that there are:
    /// without one, or with 0, to the one before the newest.
    ///
    /// # Errors
    /// There is no such version; says which there are.
    pub fn back(mut all: Vec<Self>, current: &Value, to: Option<i64>) -> Result<Back, String> {
        all.sort_by_key(|revision| revision.number);
        let place = match to.filter(|to| *to != 0) {
            Some(to) => all.iter().position(|revision| revision.number == to),
            None => all.len().checked_sub(2),
        };
        let Some(place) = place else {
            return Err(missing(&all, to));
        };
        let revision = all.swap_remove(place);
        if is_same(&revision.template, current) {
            return Ok(Back::Already(revision.number));
        }
        Ok(Back::To(revision))
    }
}

fn missing(all: &[Revision], to: Option<i64>) -> String {
    let numbers: Vec<_> = all
        .iter()
        .map(|revision| revision.number.to_string())
        .collect();
    let what = match to.filter(|to| *to != 0) {
        Some(to) => format!("it has no revision {to}"),
        None => "it has no revision before the newest".to_owned(),
    };
    match numbers.as_slice() {
        [] => format!("{what}; there is none"),
        [one] => format!("{what}; there is {one}"),
        several => format!("{what}; there are {}", several.join(", ")),
    }
}

/// Whether two templates are one version.
fn is_same(one: &Value, other: &Value) -> bool {
    hash_of(one) == hash_of(other)
}

fn hash_of(template: &Value) -> String {
    crds::hash::pod_template(&PodTemplate(template.clone()), None)
}

/// Removes what a controller put into a mapping, and the mapping when nothing else was in it.
fn remove<'k>(parent: &mut Value, field: &str, keys: impl Iterator<Item = &'k str>) {
    let Some(entries) = parent.get_mut(field).and_then(Value::as_object_mut) else {
        return;
    };
    let before = entries.len();
    for key in keys {
        entries.remove(key);
    }
    if entries.len() < before {
        prune(parent, field);
    }
}

/// Removes the rule by which a controller kept the version's pods off the nodes of another.
fn remove_affinity(spec: &mut Value) {
    let Some(affinity) = spec.get_mut("affinity") else {
        return;
    };
    let Some(rules) = affinity.get_mut("podAntiAffinity") else {
        return;
    };
    let mut is_changed = false;
    for field in [
        "requiredDuringSchedulingIgnoredDuringExecution",
        "preferredDuringSchedulingIgnoredDuringExecution",
    ] {
        let Some(terms) = rules.get_mut(field).and_then(Value::as_array_mut) else {
            continue;
        };
        let before = terms.len();
        terms.retain(|term| !is_ours(term));
        if terms.len() < before {
            is_changed = true;
            prune(rules, field);
        }
    }
    if is_changed {
        prune(affinity, "podAntiAffinity");
        prune(spec, "affinity");
    }
}

/// Removes `field` when nothing is in it any more.
fn prune(parent: &mut Value, field: &str) {
    let is_empty = match parent.get(field) {
        Some(Value::Object(fields)) => fields.is_empty(),
        Some(Value::Array(items)) => items.is_empty(),
        _ => false,
    };
    if is_empty && let Some(fields) = parent.as_object_mut() {
        fields.remove(field);
    }
}

/// Only a controller names versions in a rule.
fn is_ours(term: &Value) -> bool {
    let term = term.get("podAffinityTerm").unwrap_or(term);
    let expressions = term["labelSelector"]["matchExpressions"].as_array();
    let mut expressions = expressions.into_iter().flatten();
    expressions.any(|expression| expression["key"] == POD_HASH)
}
