//! Labels and annotations that pods have for what their version is at the moment, such as `role: canary`.
//!
//! First the ReplicaSet's template gets them, for pods to come, then the pods that there are, and last the ReplicaSet
//! remembers what they got: whoever goes on after an interruption finds what was not done yet.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use crds::analysis::Metadata;
use serde_json::{Map, Value, json};

use super::names::EPHEMERAL;
use super::work::Work;
use super::{ReplicaSet, Write};

impl<'w> Work<'w> {
    /// Gives every version's pods what is theirs now. Breaks when that must be gone on with before anything else.
    pub(super) fn sync_metadata(&mut self) -> ControlFlow<()> {
        for index in 0..self.sets.len() {
            let wanted = self
                .wanted_metadata(Some(index))
                .cloned()
                .unwrap_or_default();
            let known = remembered(&self.sets[index]);
            if wanted == known {
                continue;
            }
            if let Some(patch) = template_patch(&self.sets[index], &known, &wanted) {
                self.patch_set(index, json!({"spec": {"template": {"metadata": patch}}}));
                return ControlFlow::Break(());
            }
            if self.sets[index].replicas > 0 || self.sets[index].wanted > 0 {
                self.patch_pods(index, &known, &wanted)?;
            }
            let is_none = wanted == Metadata::default();
            let value = (!is_none).then(|| written(&wanted));
            self.annotate(index, &[(EPHEMERAL, value)]);
        }
        ControlFlow::Continue(())
    }

    fn patch_pods(&mut self, index: usize, known: &Metadata, wanted: &Metadata) -> ControlFlow<()> {
        let Some(pods) = self.pods() else {
            return ControlFlow::Break(());
        };
        let uid = self.sets[index].uid.clone();
        for pod in pods.iter().filter(|pod| pod.set == uid) {
            let change = difference((&pod.labels, &pod.annotations), known, wanted);
            if let Some(metadata) = change {
                self.write(Write::PatchPod {
                    name: pod.name.clone(),
                    patch: json!({"metadata": metadata}),
                });
            }
        }
        ControlFlow::Continue(())
    }

    /// What the pods of a set are to have now; without an index, those of the set that is to be made.
    pub(super) fn wanted_metadata(&self, index: Option<usize>) -> Option<&'w Metadata> {
        let metadata = self.spec.metadata;
        let is_alone = self.stable.is_none() || self.stable == self.new;
        if index == self.new {
            if is_alone {
                metadata.stable
            } else {
                metadata.new
            }
        } else if index.is_some() && index == self.stable {
            metadata.stable
        } else {
            None
        }
    }
}

/// What the pods of a set got last.
fn remembered(set: &ReplicaSet) -> Metadata {
    let written = set.annotations.get(EPHEMERAL);
    written
        .and_then(|text| serde_json::from_str(text).ok())
        .unwrap_or_default()
}

/// `metadata` as the ReplicaSet remembers it.
pub(super) fn written(metadata: &Metadata) -> String {
    serde_json::to_string(metadata).unwrap_or_default()
}

/// Puts `metadata` into the metadata of a template.
pub(super) fn inject(target: &mut Value, metadata: &Metadata) {
    for (key, value) in &metadata.labels {
        target["labels"][key] = json!(value);
    }
    for (key, value) in &metadata.annotations {
        target["annotations"][key] = json!(value);
    }
}

/// What the template's metadata lack, or have too much.
fn template_patch(set: &ReplicaSet, known: &Metadata, wanted: &Metadata) -> Option<Value> {
    difference((&set.pod_labels, &set.pod_annotations), known, wanted)
}

type Texts = BTreeMap<String, String>;

/// The patch of labels and annotations from what was `known` to be ours to what is `wanted`; what others wrote stays.
fn difference(has: (&Texts, &Texts), known: &Metadata, wanted: &Metadata) -> Option<Value> {
    let mut patch = Map::new();
    for (field, has, known, wanted) in [
        ("labels", has.0, &known.labels, &wanted.labels),
        (
            "annotations",
            has.1,
            &known.annotations,
            &wanted.annotations,
        ),
    ] {
        let gained = wanted
            .iter()
            .filter(|(key, value)| has.get(*key) != Some(value));
        let lost = known
            .keys()
            .filter(|key| !wanted.contains_key(*key) && has.contains_key(*key));
        let changes: Map<_, _> = gained
            .map(|(key, value)| (key.clone(), json!(value)))
            .chain(lost.map(|key| (key.clone(), Value::Null)))
            .collect();
        if !changes.is_empty() {
            patch.insert(field.to_owned(), Value::Object(changes));
        }
    }
    (!patch.is_empty()).then_some(Value::Object(patch))
}
