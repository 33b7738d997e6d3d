//! What follows from the making of a ReplicaSet is seen ahead, by the rules that hold once it is there: so it is made with the
//! pods that it is to have, where it would be made without any and scaled by the next write but one.
//!
//! What cannot be seen ahead comes after the writes, as ever: what pods are asked for, and what changes other ReplicaSets.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;

use super::joined::{after, apply, join};
use super::revision::images;
use super::{ReplicaSet, Turn, World, Write};
use crds::PodTemplate;

/// More than follow from the making of a ReplicaSet before one has to look again.
const TURNS: usize = 8;

/// What follows from `world` by `turn`, and where that makes a ReplicaSet, what follows from this, too.
pub(super) fn turn(
    world: &World,
    now: Timestamp,
    turn: impl Fn(&World, Timestamp) -> Turn,
) -> Turn {
    let first = turn(world, now);
    if !first.writes.iter().any(makes) {
        return first;
    }
    let mut ahead = Ahead {
        world: world.clone(),
        now,
        writes: Vec::new(),
        status: None,
    };
    let wake_at = first.wake_at;
    let mut next = first;
    for _ in 0..TURNS {
        if next.writes.is_empty() || !ahead.sees(&next) {
            break;
        }
        for write in next.writes {
            ahead.follow(write);
        }
        next = turn(&ahead.world, now);
    }
    ahead.flush();
    Turn {
        writes: ahead.writes,
        wake_at,
        ..Turn::default()
    }
}

fn makes(write: &Write) -> bool {
    matches!(write, Write::CreateReplicaSet { .. })
}

/// Turns that are taken ahead.
struct Ahead {
    /// As it will be after what was decided so far.
    world: World,
    now: Timestamp,
    /// What was decided so far.
    writes: Vec<Write>,
    /// The patch of the status that comes next, behind all that is told: what it says may become more.
    status: Option<Value>,
}

impl Ahead {
    /// Whether the world after `turn` is known.
    fn sees(&self, turn: &Turn) -> bool {
        let sizes = |write: &Write| matches!(write, Write::PatchReplicaSet { .. });
        let sizes = turn.writes.iter().any(sizes);
        let sees = |write: &Write| match write {
            Write::Event(_) | Write::PatchStatus { .. } => true,
            Write::CreateReplicaSet { .. } | Write::DeleteReplicaSet { .. } => true,
            // Where it leads to a version before that has pods, it is not to have them earlier (`services.rs`).
            Write::PatchService { .. } => !sizes,
            Write::PatchRollout { patch } => patch["spec"].is_null(),
            Write::PatchReplicaSet { name, .. } => self.made() == Some(name),
            Write::PatchPod { .. } | Write::EvictPod { .. } | Write::ScaleWorkload { .. } => false,
        };
        !turn.needs_pods && !turn.needs_likeness && turn.writes.iter().all(sees)
    }

    /// The name of the ReplicaSet that is made.
    fn made(&self) -> Option<&str> {
        self.writes.iter().find_map(|write| match write {
            Write::CreateReplicaSet { object } => object["metadata"]["name"].as_str(),
            _ => None,
        })
    }

    fn follow(&mut self, write: Write) {
        match &write {
            Write::Event(_) => return self.writes.push(write),
            Write::PatchReplicaSet { patch, .. } => return self.make_with(patch),
            Write::PatchStatus { patch } => return self.patch_status(patch),
            Write::CreateReplicaSet { object } => {
                let made = Arc::new(replica_set(object, &self.world, self.now));
                self.world.replica_sets.push(made);
            }
            Write::DeleteReplicaSet { name, .. } => {
                self.world.replica_sets.retain(|set| set.name != *name);
            }
            Write::PatchRollout { patch } => {
                let rollout = Arc::make_mut(&mut self.world.rollout);
                write_texts(
                    &mut rollout.metadata.annotations,
                    &patch["metadata"]["annotations"],
                );
            }
            Write::PatchService { name, patch } => {
                if let Some(service) = self.world.services.get_mut(name) {
                    let service = Arc::make_mut(service);
                    write_texts(&mut service.selector, &patch["spec"]["selector"]);
                    write_texts(&mut service.annotations, &patch["metadata"]["annotations"]);
                }
            }
            Write::PatchPod { .. } | Write::EvictPod { .. } | Write::ScaleWorkload { .. } => {}
        }
        self.flush();
        self.writes.push(write);
    }

    /// The ReplicaSet that is made is made with `patch`.
    fn make_with(&mut self, patch: &Value) {
        for write in &mut self.writes {
            if let Write::CreateReplicaSet { object } = write {
                apply(object, patch);
                self.world.replica_sets.pop();
                let made = Arc::new(replica_set(object, &self.world, self.now));
                self.world.replica_sets.push(made);
            }
        }
    }

    fn patch_status(&mut self, patch: &Value) {
        self.world.rollout = Arc::new(after(&self.world.rollout, patch));
        match self.status.as_ref().map(|before| join(before, patch)) {
            Some(Some(both)) => self.status = Some(both),
            Some(None) => {
                self.flush();
                self.status = Some(patch.clone());
            }
            None => self.status = Some(patch.clone()),
        }
    }

    /// Nothing more is added to the next patch of the status.
    fn flush(&mut self) {
        let patch = self.status.take();
        self.writes
            .extend(patch.map(|patch| Write::PatchStatus { patch }));
    }
}

/// What a turn needs to know of a ReplicaSet that was just made of `object`, and has no pods yet.
fn replica_set(object: &Value, world: &World, now: Timestamp) -> ReplicaSet {
    let (meta, spec) = (&object["metadata"], &object["spec"]);
    let pods = &spec["template"]["metadata"];
    // The API server's clock may be ahead of this one, and a version that comes after another is never older.
    let others = world.replica_sets.iter().map(|set| set.created);
    ReplicaSet {
        name: meta["name"].as_str().unwrap_or_default().to_owned(),
        labels: texts(&meta["labels"]),
        annotations: texts(&meta["annotations"]),
        created: others.max().map_or(now, |newest| newest.max(now)),
        generation: 1,
        wanted: number(&spec["replicas"]),
        min_ready_seconds: number(&spec["minReadySeconds"]),
        pod_labels: texts(&pods["labels"]),
        pod_annotations: texts(&pods["annotations"]),
        images: images(&PodTemplate(spec["template"].clone())),
        ..ReplicaSet::default()
    }
}

fn number<N: TryFrom<i64> + Default>(written: &Value) -> N {
    let number = written.as_i64().and_then(|number| number.try_into().ok());
    number.unwrap_or_default()
}

fn texts(written: &Value) -> BTreeMap<String, String> {
    let mut texts = BTreeMap::new();
    write_texts(&mut texts, written);
    texts
}

/// Applies a JSON merge patch (RFC 7386) of labels or annotations.
fn write_texts(target: &mut BTreeMap<String, String>, patch: &Value) {
    for (key, change) in patch.as_object().into_iter().flatten() {
        match change.as_str() {
            Some(text) => target.insert(key.clone(), text.to_owned()),
            None => target.remove(key),
        };
    }
}
