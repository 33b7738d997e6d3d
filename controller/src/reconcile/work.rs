//! One turn under way: what was seen, what the turn has decided so far, and what is to be written.

use std::collections::BTreeMap;
use std::time::Duration;

use crds::status::{PauseReason, RolloutStatus};
use crds::{PodTemplate, Rollout, Time};
use jiff::{SignedDuration, Timestamp};
use rollout::pods::Pods;
use serde::Deserialize as _;
use serde_json::{Value, json};

use super::names::{DESIRED_REPLICAS, POD_HASH, REVISION, SCALE_DOWN_DEADLINE};
use super::routed::Wait;
use super::spec::Spec;
use super::{Event, Pod, ReplicaSet, Turn, World, Write};

/// One turn under way.
pub(super) struct Work<'w> {
    pub(super) world: &'w World,
    pub(super) spec: Spec<'w>,
    pub(super) now: Timestamp,
    /// The status as it was seen.
    pub(super) status: RolloutStatus,
    /// The ReplicaSets, as they will be after what was written so far.
    pub(super) sets: Vec<ReplicaSet>,
    /// The hash of the version that the spec asks for.
    pub(super) hash: String,
    /// Which of the sets has that template.
    pub(super) new: Option<usize>,
    /// Which of the sets is stable; it may be the new one.
    pub(super) stable: Option<usize>,
    pub(super) pauses: Pauses,
    /// `restartAt`, once no pod is older.
    pub(super) restarted: Option<Time>,
    /// What a canary waits for whose traffic the proxies split.
    pub(super) wait: Option<Wait>,
    turn: Turn,
}

/// What a turn changes of pauses and of the abort.
#[derive(Debug, Default)]
pub(super) struct Pauses {
    pub(super) add: Vec<PauseReason>,
    pub(super) remove: Vec<PauseReason>,
    pub(super) clear: bool,
    pub(super) abort: Option<String>,
    pub(super) remove_abort: bool,
}

impl<'w> Work<'w> {
    pub(super) fn begin(
        world: &'w World,
        spec: Spec<'w>,
        status: RolloutStatus,
        hash: String,
        now: Timestamp,
    ) -> Self {
        let sets: Vec<_> = world
            .replica_sets
            .iter()
            .map(|set| (**set).clone())
            .collect();
        let with = |hash: &str| sets.iter().position(|set| set.hash() == Some(hash));
        Self {
            new: with(&hash),
            stable: status.stable_rs.as_deref().and_then(with),
            world,
            spec,
            now,
            status,
            sets,
            hash,
            pauses: Pauses::default(),
            restarted: None,
            wait: None,
            turn: Turn::default(),
        }
    }

    pub(super) fn end(self) -> Turn {
        self.turn
    }

    /// The Rollout's name.
    pub(super) fn name(&self) -> &'w str {
        self.world
            .rollout
            .metadata
            .name
            .as_deref()
            .unwrap_or_default()
    }

    /// The ReplicaSet with the template that the spec asks for.
    pub(super) fn new_set(&self) -> Option<&ReplicaSet> {
        self.new.and_then(|index| self.sets.get(index))
    }

    /// The stable ReplicaSet.
    pub(super) fn stable_set(&self) -> Option<&ReplicaSet> {
        self.stable.and_then(|index| self.sets.get(index))
    }

    /// The stable ReplicaSet, unless it is the new one.
    pub(super) fn stable_beside(&self) -> Option<usize> {
        self.stable.filter(|stable| Some(*stable) != self.new)
    }

    /// The sets that are neither new nor stable.
    pub(super) fn others(&self) -> Vec<usize> {
        let known = [self.new, self.stable];
        (0..self.sets.len())
            .filter(|index| !known.contains(&Some(*index)))
            .collect()
    }

    /// The stable version is the one that the spec asks for. What was seen, not what the turn made of it.
    pub(super) fn is_promoted(&self) -> bool {
        self.status.stable_rs == self.status.current_pod_hash
    }

    /// Whether the update is aborted, by what was seen and by this turn.
    pub(super) fn is_aborted(&self) -> bool {
        let seen = self.status.abort == Some(true);
        !self.pauses.remove_abort && (self.pauses.abort.is_some() || seen)
    }

    /// How many pods of all sets are available.
    pub(super) fn available(&self) -> u32 {
        self.sets.iter().map(|set| set.available).sum()
    }

    /// The `spec.replicas` that the sets bear is another: the Rollout was scaled.
    pub(super) fn was_scaled(&self) -> bool {
        let sets = [self.new_set(), self.stable_set()];
        sets.into_iter()
            .flatten()
            .filter(|set| set.wanted > 0)
            .filter_map(|set| set.annotations.get(DESIRED_REPLICAS)?.parse::<u32>().ok())
            .any(|desired| desired != self.spec.replicas)
    }

    pub(super) fn write(&mut self, write: Write) {
        self.turn.writes.push(write);
    }

    pub(super) fn tell(&mut self, reason: &'static str, message: String) {
        self.event(false, reason, message);
    }

    pub(super) fn warn(&mut self, reason: &'static str, message: String) {
        self.event(true, reason, message);
    }

    fn event(&mut self, warns: bool, reason: &'static str, message: String) {
        self.write(Write::Event(Event {
            warns,
            reason,
            message,
        }));
    }

    /// Asks for a turn at `time`, unless one comes before.
    pub(super) fn wake_at(&mut self, time: Timestamp) {
        let earliest = self.turn.wake_at.map_or(time, |known| known.min(time));
        self.turn.wake_at = Some(earliest);
    }

    /// The pods of the sets; nothing when they were not looked at yet, and then the turn asks for them.
    pub(super) fn pods(&mut self) -> Option<&'w [Pod]> {
        self.turn.needs_pods = self.world.pods.is_none();
        self.world.pods.as_deref()
    }

    /// Changes annotations of a ReplicaSet; nothing removes one.
    pub(super) fn annotate(&mut self, index: usize, changes: &[(&str, Option<String>)]) {
        let patch: BTreeMap<_, _> = changes.iter().cloned().collect();
        self.patch_set(index, json!({"metadata": {"annotations": patch}}));
        let set = &mut self.sets[index];
        for (key, value) in changes {
            match value {
                Some(value) => set.annotations.insert((*key).to_owned(), value.clone()),
                None => set.annotations.remove(*key),
            };
        }
    }

    pub(super) fn patch_set(&mut self, index: usize, patch: Value) {
        let name = self.sets[index].name.clone();
        self.write(Write::PatchReplicaSet { name, patch });
    }

    /// Gives a ReplicaSet `wanted` pods, and says there for which `spec.replicas`. Whether its size changed.
    pub(super) fn scale(&mut self, index: usize, wanted: u32) -> bool {
        let desired = self.spec.replicas.to_string();
        let set = &self.sets[index];
        let from = set.wanted;
        let has_deadline = set.annotations.contains_key(SCALE_DOWN_DEADLINE);
        let bears = set.annotations.get(DESIRED_REPLICAS) == Some(&desired);
        let forgets = wanted == 0 && has_deadline && !self.delays_abort();
        if from == wanted && bears && !(forgets && from > 0) {
            return false;
        }
        let mut annotations = json!({DESIRED_REPLICAS: desired.clone()});
        if forgets {
            annotations[SCALE_DOWN_DEADLINE] = Value::Null;
        }
        let mut patch = json!({"metadata": {"annotations": annotations}});
        if from != wanted {
            patch["spec"] = json!({"replicas": wanted});
        }
        self.patch_set(index, patch);
        let set = &mut self.sets[index];
        set.wanted = wanted;
        set.annotations.insert(DESIRED_REPLICAS.to_owned(), desired);
        if forgets {
            set.annotations.remove(SCALE_DOWN_DEADLINE);
        }
        if from == wanted {
            return false;
        }
        let set = &self.sets[index];
        let way = if wanted > from { "up" } else { "down" };
        let message = format!(
            "Scaled {way} ReplicaSet {} (revision {}) from {from} to {wanted}",
            set.name,
            set.revision()
        );
        self.tell("ScalingReplicaSet", message);
        true
    }
}

impl ReplicaSet {
    /// The hash of its pod template.
    pub(super) fn hash(&self) -> Option<&str> {
        self.labels.get(POD_HASH).map(String::as_str)
    }

    /// Its revision; 0 when it bears none.
    pub(super) fn revision(&self) -> i64 {
        let written = self.annotations.get(REVISION);
        written.and_then(|text| text.parse().ok()).unwrap_or(0)
    }

    pub(super) fn pods(&self) -> Pods {
        Pods {
            wanted: self.wanted,
            available: self.available,
        }
    }

    /// When it is to be scaled down, if it waits for that.
    pub(super) fn deadline(&self) -> Option<Timestamp> {
        let written = self.annotations.get(SCALE_DOWN_DEADLINE)?;
        written.parse::<Time>().ok().map(Timestamp::from)
    }
}

/// The status of `world`'s Rollout; nothing where it cannot be read, as if there were none yet.
pub(super) fn status(world: &World) -> RolloutStatus {
    status_of(&world.rollout)
}

/// The status of `rollout`; nothing where it cannot be read.
pub(super) fn status_of(rollout: &Rollout) -> RolloutStatus {
    let written = rollout.status.as_ref();
    written
        .and_then(|status| RolloutStatus::deserialize(status).ok())
        .unwrap_or_default()
}

/// The labels of a pod template.
pub(super) fn labels(template: &PodTemplate) -> BTreeMap<String, String> {
    let written = template.0["metadata"]["labels"].clone();
    serde_json::from_value(written).unwrap_or_default()
}

/// `time` and so long after it.
pub(super) fn after(time: Timestamp, duration: Duration) -> Timestamp {
    let duration = SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX);
    time.saturating_add(duration).unwrap_or(Timestamp::MAX)
}
