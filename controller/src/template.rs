//! Pod templates as people write them, and as ReplicaSets have them. Pure.

use crds::PodTemplate;
use crds::analysis::Metadata;
use serde_json::Value;

use crate::reconcile::names::{EPHEMERAL, POD_HASH};

mod defaults;

pub(crate) use defaults::without as without_defaults;

/// The pod template of a ReplicaSet, as the API server tells of it, without what a controller put there: the version's label,
/// the labels and annotations of what it is at the moment, and the rule that keeps it off the nodes of another version.
pub(crate) fn of_set(replica_set: &Value) -> Value {
    let mut template = replica_set["spec"]["template"].clone();
    let remembered = replica_set["metadata"]["annotations"][EPHEMERAL].as_str();
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
    template
}

/// The hash by which versions are told apart, as long as none has collided.
pub(crate) fn hash(template: &Value) -> String {
    crds::hash::pod_template(&PodTemplate(template.clone()), None)
}

/// The same of two templates that differ in nothing but what an API server adds.
pub(crate) fn likeness(template: &Value) -> String {
    hash(&without_defaults(template, &Value::Null))
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
