//! The ReplicaSet of the version that the spec asks for: made when it is missing, and numbered as the newest.

use std::collections::BTreeMap;
use std::sync::Arc;

use crds::{PodTemplate, Rollout, RolloutStatus};
use serde_json::{Value, json};

use super::metadata;
use super::names::{
    DESIRED_REPLICAS, EPHEMERAL, EXPERIMENT, NOT_COPIED, POD_HASH, REVISION, REVISION_HISTORY,
};
use super::status;
use super::work::{Work, labels};
use super::workload;
use super::{ReplicaSet, World, Write};

/// The hash of the version that the spec asks for by `template`: that of the ReplicaSet which has it, and which may have been
/// named by another hash. So it is where somebody goes back to a ReplicaSet's template as the API server completed it, and
/// where the controller before took its hashes in another way. Nothing where that is not to be told without their likeness.
pub(super) fn wanted(
    world: &World,
    status: &RolloutStatus,
    template: &PodTemplate,
) -> Option<String> {
    let hash = crds::hash::pod_template(template, status.collision_count);
    let is_version = |set: &&Arc<ReplicaSet>| !set.annotations.contains_key(EXPERIMENT);
    let sets = || world.replica_sets.iter().filter(is_version);
    let has = |hash: &str| sets().any(|set| set.hash() == Some(hash));
    if has(&hash) || sets().next().is_none() {
        return Some(hash);
    }
    // As long as nobody has written anything since, what was found then holds.
    let generation = world.rollout.metadata.generation;
    let is_decided = status.observed_generation == generation.map(|last| last.to_string())
        && status.workload_observed_generation == workload::generation(world);
    let known = status.current_pod_hash.as_ref();
    if let Some(known) = known.filter(|known| is_decided && has(known)) {
        return Some(known.clone());
    }
    // Most updates are of an image that is new, and templates with other images are not alike.
    let images = images(template);
    if !sets().any(|set| set.images == images) {
        return Some(hash);
    }
    let known = world.likeness.as_ref()?;
    let asked = crate::template::likeness(&template.0);
    let alike = sets().filter(|set| known.get(&set.name) == Some(&asked));
    let newest = alike.max_by_key(|set| set.revision());
    let known = newest.and_then(|set| set.hash()).map(str::to_owned);
    Some(known.unwrap_or(hash))
}

/// The images of a template's containers, in their order.
pub(super) fn images(template: &PodTemplate) -> Vec<String> {
    let containers = template.0["spec"]["containers"].as_array();
    let images = containers.into_iter().flatten().map(|container| {
        let image = container["image"].as_str();
        image.unwrap_or_default().to_owned()
    });
    images.collect()
}

impl Work<'_> {
    /// Takes out of the spec what is no quantity (`memory: much`): no ReplicaSet is made with it, and whoever reads Rollouts
    /// with typed clients, as `kubectl argo rollouts` does, cannot read any of a namespace as long as one says so. Whether
    /// there was such.
    fn mend_template(&mut self) -> bool {
        // Of a workload's template the API server itself has read all of it.
        let own = self.world.rollout.spec.template.as_ref();
        let own = own.filter(|_| self.world.rollout.spec.workload_ref.is_none());
        let Some((own, readable)) = own.and_then(|own| Some((own, crds::hash::readable(own)?)))
        else {
            return false;
        };
        let template = status::difference(&own.0, &readable.template.0);
        let patch = json!({"spec": {"template": template}});
        self.write(Write::PatchRollout { patch });
        let left_out: Vec<_> = readable.left_out.iter().map(ToString::to_string).collect();
        let message = format!(
            "What is no quantity was taken out of spec.template: {}",
            left_out.join(", ")
        );
        self.warn("MalformedTemplate", message);
        true
    }

    /// Makes the ReplicaSet of the version that the spec asks for, without pods: how many it is to have is seen ahead
    /// (`ahead.rs`), where it can be.
    pub(super) fn create(&mut self) {
        if self.mend_template() {
            return;
        }
        if self.status == RolloutStatus::default() {
            let message = format!("Rollout {} added to informer cache", self.key());
            self.tell("RolloutAddedToInformer", message);
        }
        let revision = self.next_revision();
        let name = format!("{}-{}", self.name(), self.hash);
        let object = self.replica_set(&name, revision);
        self.write(Write::CreateReplicaSet { object });
        self.number(revision);
        let message = format!("Created ReplicaSet {name} (revision {revision})");
        self.tell("NewReplicaSetCreated", message);
    }

    /// Numbers the new ReplicaSet as the newest, and the Rollout like it. Whether something was written.
    pub(super) fn sync_revision(&mut self) -> bool {
        let Some(new) = self.new else {
            return false;
        };
        let revision = self.next_revision();
        let set = &self.sets[new];
        let mut changes = copied(&self.world.rollout, &set.annotations);
        if set.revision() < revision {
            changes.push((REVISION.to_owned(), revision.to_string()));
        }
        if !changes.is_empty()
            && let Some(before) = set.annotations.get(REVISION)
        {
            let history = set.annotations.get(REVISION_HISTORY);
            let history = history.filter(|history| !history.is_empty());
            let history = history.map_or_else(|| before.clone(), |all| format!("{all},{before}"));
            changes.push((REVISION_HISTORY.to_owned(), history));
        }
        let differs = set.min_ready_seconds != self.spec.min_ready_seconds;
        let moves = self.keeps_off_another(set);
        if !changes.is_empty() || differs || moves {
            let annotations: BTreeMap<_, _> = changes.into_iter().collect();
            let mut patch = json!({"metadata": {"annotations": annotations}});
            if differs {
                patch["spec"] = json!({"minReadySeconds": self.spec.min_ready_seconds});
            }
            if moves {
                let affinity = self.affinity();
                patch["spec"]["template"] = json!({"spec": {"affinity": affinity}});
            }
            self.patch_set(new, patch);
            return true;
        }
        let revision = self.sets[new].revision();
        self.number(revision)
    }

    /// Writes the Rollout's revision. Whether it had another.
    fn number(&mut self, revision: i64) -> bool {
        let written = self.world.rollout.metadata.annotations.get(REVISION);
        let revision = revision.to_string();
        if written == Some(&revision) {
            return false;
        }
        let patch = json!({"metadata": {"annotations": {REVISION: revision.clone()}}});
        self.write(Write::PatchRollout { patch });
        self.tell(
            "RolloutUpdated",
            format!("Rollout updated to revision {revision}"),
        );
        true
    }

    /// One more than the newest of the sets that are not the new one.
    fn next_revision(&self) -> i64 {
        let older = self.sets.iter().enumerate();
        let older = older.filter(|(index, _)| Some(*index) != self.new);
        let newest = older.map(|(_, set)| set.revision()).max().unwrap_or(0);
        newest.saturating_add(1)
    }

    /// The revision that the Rollout bears; 0 when it bears none.
    pub(super) fn revision(&self) -> i64 {
        let written = self.world.rollout.metadata.annotations.get(REVISION);
        written.and_then(|text| text.parse().ok()).unwrap_or(0)
    }

    /// `namespace/name`.
    fn key(&self) -> String {
        format!(
            "{}/{}",
            self.world.rollout.metadata.namespace(),
            self.name()
        )
    }

    fn replica_set(&self, name: &str, revision: i64) -> Value {
        let rollout = &self.world.rollout;
        let mut labels = labels(self.spec.template);
        labels.insert(POD_HASH.to_owned(), self.hash.clone());
        let mut annotations: BTreeMap<_, _> =
            copied(rollout, &BTreeMap::new()).into_iter().collect();
        annotations.insert(REVISION.to_owned(), revision.to_string());
        annotations.insert(DESIRED_REPLICAS.to_owned(), self.spec.replicas.to_string());
        let mut template = self.spec.template.0.clone();
        template["metadata"]["labels"] = json!(labels);
        if let Some(affinity) = self.affinity() {
            template["spec"]["affinity"] = affinity;
        }
        if let Some(metadata) = self.wanted_metadata(None) {
            metadata::inject(&mut template["metadata"], metadata);
            annotations.insert(EPHEMERAL.to_owned(), metadata::written(metadata));
        }
        let mut selector = self.spec.selector.clone();
        selector
            .match_labels
            .insert(POD_HASH.to_owned(), self.hash.clone());
        json!({
            "apiVersion": "apps/v1",
            "kind": "ReplicaSet",
            "metadata": {
                "name": name,
                "labels": labels,
                "annotations": annotations,
                "ownerReferences": [{
                    "apiVersion": Rollout::API_VERSION,
                    "kind": Rollout::KIND,
                    "name": self.name(),
                    "uid": rollout.metadata.uid,
                    "controller": true,
                    "blockOwnerDeletion": true,
                }],
            },
            "spec": {
                "replicas": 0,
                "minReadySeconds": self.spec.min_ready_seconds,
                "selector": selector,
                "template": template,
            },
        })
    }
}

/// The Rollout's annotations that `known` lacks or has otherwise.
fn copied(rollout: &Rollout, known: &BTreeMap<String, String>) -> Vec<(String, String)> {
    let written = rollout.metadata.annotations.iter();
    written
        .filter(|(key, value)| {
            !NOT_COPIED.contains(&key.as_str()) && known.get(*key) != Some(value)
        })
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}
