//! One Rollout of a cluster: what is seen of it goes in, and what is to be written comes out.
//!
//! A [`World`] is a Rollout with the objects around it, as they were last seen. What is to be written is a list of
//! [`Write`]s in the order in which they are to be made. Whoever makes them shows the world with their results again, until
//! nothing is left to write; then nothing happens until the world changes or the time comes that the turn asked for.
//!
//! All state is in the objects, so that whoever comes next goes on from there.

use std::collections::BTreeMap;
use std::sync::Arc;

use crds::{LabelSelector, PodTemplate, Rollout};
use jiff::Timestamp;
use rollout::{Acceptance, Judgement};
use serde_json::Value;

use crate::fleet::Split;

mod affinity;
mod ahead;
mod blue_green;
mod canary;
mod conditions;
mod duration;
mod invalid;
mod joined;
mod lint;
mod metadata;
pub(crate) mod names;
mod older;
mod pause;
mod phase;
mod progress;
mod restart;
mod revision;
mod routed;
mod selector;
mod services;
mod spec;
mod status;
mod work;
mod workload;

#[cfg(test)]
mod tests;

pub use lint::{held, lint};
pub use routed::judging;
pub use services::released;

use spec::Strategy;
use work::Work;

/// A Rollout and the objects around it, as they were last seen.
#[derive(Clone, Debug)]
pub struct World {
    /// The Rollout, with its status.
    pub rollout: Arc<Rollout>,
    /// The ReplicaSets that it controls, in any order.
    pub replica_sets: Vec<Arc<ReplicaSet>>,
    /// The Services that its spec names and those that [say](managed_by) they are its, as far as they exist, by name.
    pub services: BTreeMap<String, Arc<Service>>,
    /// The workload of `spec.workloadRef`, if there is one.
    pub workload: Option<Arc<Workload>>,
    /// The pods of the ReplicaSets, once a turn has asked for them by [`Turn::needs_pods`].
    pub pods: Option<Vec<Pod>>,
    /// By the names of the ReplicaSets their [`likeness`], once a turn has asked for it by [`Turn::needs_likeness`].
    pub likeness: Option<BTreeMap<String, String>>,
    /// What is known of the requests, where proxies split them.
    pub traffic: Traffic,
}

/// What is known of the requests that proxies split.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Traffic {
    /// How many proxies are live.
    pub proxies: usize,
    /// The splits that they serve, each once; none while one of them cannot be asked or serves none.
    pub served: Vec<Split>,
    /// What is found about the canary, once something is.
    pub finding: Option<Finding>,
}

impl Traffic {
    /// The split that all proxies serve; nothing while they differ, or one of them cannot be asked, or there is none.
    pub fn serving(&self) -> Option<&Split> {
        match &self.served[..] {
            [split] => Some(split),
            _ => None,
        }
    }

    /// Whether all proxies are known to serve splits that are as `condition` says.
    pub(crate) fn is_all(&self, condition: impl Fn(&Split) -> bool) -> bool {
        !self.served.is_empty() && self.served.iter().all(condition)
    }
}

/// What the guard finds about a canary by the requests of all proxies.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// The canary's pod template hash: about another version it says nothing.
    pub canary: String,
    /// What the guard says.
    pub judgement: Judgement,
    /// What the evidence says, where the present step asks for some: the step's index, and whether it may be passed.
    pub evidence: Option<(usize, Acceptance)>,
}

/// What a Rollout's turn needs to know of a pod.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pod {
    /// `metadata.name`.
    pub name: String,
    /// `metadata.uid` of the ReplicaSet that controls it.
    pub set: String,
    /// `metadata.creationTimestamp`.
    pub created: Timestamp,
    /// Whether it has a `metadata.deletionTimestamp`.
    pub is_going: bool,
    /// Since when it is ready, if it is.
    pub ready_since: Option<Timestamp>,
    /// `metadata.labels`.
    pub labels: BTreeMap<String, String>,
    /// `metadata.annotations`.
    pub annotations: BTreeMap<String, String>,
}

/// What a Rollout's turn needs to know of the workload that its pod template comes from.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Workload {
    /// `metadata.generation`.
    pub generation: i64,
    /// The pod template.
    pub template: PodTemplate,
    /// `spec.selector`, where its kind has one.
    pub selector: Option<LabelSelector>,
    /// `spec.replicas` of a Deployment.
    pub replicas: Option<u32>,
}

/// What a Rollout's turn needs to know of a ReplicaSet.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ReplicaSet {
    /// `metadata.name`.
    pub name: String,
    /// `metadata.uid`.
    pub uid: String,
    /// `metadata.labels`.
    pub labels: BTreeMap<String, String>,
    /// `metadata.annotations`.
    pub annotations: BTreeMap<String, String>,
    /// `metadata.creationTimestamp`.
    pub created: Timestamp,
    /// Whether it has a `metadata.deletionTimestamp`.
    pub is_going: bool,
    /// `metadata.generation`.
    pub generation: i64,
    /// `spec.replicas`: how many pods it is to have.
    pub wanted: u32,
    /// `spec.minReadySeconds`.
    pub min_ready_seconds: i32,
    /// `status.observedGeneration`.
    pub observed_generation: i64,
    /// `status.replicas`: how many pods there are.
    pub replicas: u32,
    /// `status.readyReplicas`.
    pub ready: u32,
    /// `status.availableReplicas`: how many are ready for as long as `minReadySeconds` says.
    pub available: u32,
    /// The condition `ReplicaFailure`, when it is there: why pods cannot be made or deleted.
    pub failure: Option<Failure>,
    /// `spec.template.metadata.labels`.
    pub pod_labels: BTreeMap<String, String>,
    /// `spec.template.metadata.annotations`.
    pub pod_annotations: BTreeMap<String, String>,
    /// `image` of each of `spec.template.spec.containers`.
    pub images: Vec<String>,
    /// The hash of the version whose nodes its pods keep off: the value for `rollouts-pod-template-hash` in a term of
    /// `spec.template.spec.affinity.podAntiAffinity`.
    pub apart_from: Option<String>,
}

/// The condition `ReplicaFailure` of a ReplicaSet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Whether it holds: `True`, `False` or `Unknown`.
    pub status: String,
    /// In one word.
    pub reason: String,
    /// In words.
    pub message: String,
    /// Since when.
    pub since: Timestamp,
}

/// What a Rollout's turn needs to know of a Service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Service {
    /// `metadata.annotations`.
    pub annotations: BTreeMap<String, String>,
    /// `spec.selector`.
    pub selector: BTreeMap<String, String>,
}

/// What follows from a [`World`] and a time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Turn {
    /// What is to be written, in this order. A write that fails is the last one of its turn.
    pub writes: Vec<Write>,
    /// When to look again if nothing changes before.
    pub wake_at: Option<Timestamp>,
    /// The turn cannot go on without the pods of the ReplicaSets. It is to be made again with them: after its writes where
    /// it has some, and else instead of this one.
    pub needs_pods: bool,
    /// The turn cannot begin without knowing whether a ReplicaSet has the version that the spec asks for, though not by its
    /// hash. It is to be made again with the [`likeness`] of all of them.
    pub needs_likeness: bool,
}

/// One write. Patches are JSON merge patches (RFC 7386).
#[derive(Clone, Debug, PartialEq)]
pub enum Write {
    /// Creates a ReplicaSet. When there is one of that name which the Rollout controls, it is as good; when another
    /// controls it, [`collided`] is to be written instead.
    CreateReplicaSet {
        /// The whole object, without namespace.
        object: Value,
    },
    /// Changes a ReplicaSet.
    PatchReplicaSet {
        /// Its name.
        name: String,
        /// The patch.
        patch: Value,
    },
    /// Deletes a ReplicaSet, if it is still the same object.
    DeleteReplicaSet {
        /// Its name.
        name: String,
        /// Its identity.
        uid: String,
    },
    /// Changes a Service.
    PatchService {
        /// Its name.
        name: String,
        /// The patch.
        patch: Value,
    },
    /// Changes a pod. One that is gone is as good.
    PatchPod {
        /// Its name.
        name: String,
        /// The patch.
        patch: Value,
    },
    /// Asks for a pod to be evicted. A PodDisruptionBudget may refuse that, which is no failure: the turn has said when to
    /// look again, and what follows from it is not to be looked for before.
    EvictPod {
        /// Its name.
        name: String,
    },
    /// Scales the Deployment of `spec.workloadRef`.
    ScaleWorkload {
        /// `spec.replicas`.
        replicas: u32,
    },
    /// Changes the Rollout, if it is still as it was seen.
    PatchRollout {
        /// The patch.
        patch: Value,
    },
    /// Changes the Rollout's status, if the Rollout is still as it was seen.
    PatchStatus {
        /// The patch, of the whole object.
        patch: Value,
    },
    /// Tells people. Nothing depends on it, so one that cannot be written stops nothing.
    Event(Event),
}

/// Something that happened to a Rollout, for people and their tools.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Whether somebody should look.
    pub warns: bool,
    /// In one word: those of Argo Rollouts (`utils/conditions`), as tools wait for them.
    pub reason: &'static str,
    /// In words.
    pub message: String,
}

/// The names of the Services that a Rollout's spec names, each once.
pub fn services(rollout: &Rollout) -> Vec<&str> {
    let (canary, blue_green) = spec::strategies(rollout);
    let ping_pong = canary.and_then(|canary| canary.ping_pong.as_ref());
    let mut names: Vec<&str> = [
        canary.and_then(|canary| canary.canary_service.as_deref()),
        canary.and_then(|canary| canary.stable_service.as_deref()),
        ping_pong.map(|slots| slots.ping_service.as_str()),
        ping_pong.map(|slots| slots.pong_service.as_str()),
        blue_green.map(|blue_green| blue_green.active_service.as_str()),
        blue_green.and_then(|blue_green| blue_green.preview_service.as_deref()),
    ]
    .into_iter()
    .flatten()
    .filter(|name| !name.is_empty())
    .collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// What the pod template of a ReplicaSet, as the API server tells of it, is like: the same for templates that differ in
/// nothing but what an API server or a controller has added.
pub fn likeness(replica_set: &Value) -> String {
    crate::template::likeness(&crate::template::of_set(replica_set))
}

/// Whether proxies of Sluice split the requests of a Rollout, by what its spec asks for.
pub fn is_split(rollout: &Rollout) -> bool {
    let (canary, _) = spec::strategies(rollout);
    let routing = canary.and_then(|canary| canary.traffic_routing.as_ref());
    routing.is_some_and(|routing| routing.plugins.contains_key(crds::sluice::PROXY))
}

/// The Rollout that writes the selector of a Service with these annotations, by name.
pub fn managed_by(annotations: &BTreeMap<String, String>) -> Option<&str> {
    annotations.get(names::MANAGED_BY).map(String::as_str)
}

/// The writes that follow when the API server refuses to make the new ReplicaSet of `world`'s Rollout: `why` is told where
/// people look. It is tried again all the same, as what is against it (a quota, say) may go.
pub fn not_created(world: &World, why: &str, now: Timestamp) -> Vec<Write> {
    let seen = work::status(world);
    let message = format!("Failed to create new replica set: {why}");
    let status = crds::status::ConditionStatus::False;
    let reason = "ReplicaSetCreateError";
    let condition = conditions::new(conditions::PROGRESSING, status, reason, &*message, now);
    let mut next = seen.clone();
    if !conditions::set(&mut next.conditions, condition) {
        return Vec::new();
    }
    let write = status::write(&seen, &next);
    let event = Event {
        warns: true,
        reason,
        message,
    };
    write.into_iter().chain([Write::Event(event)]).collect()
}

/// The write that follows when the name of a new ReplicaSet is taken by one that the Rollout does not control: the next
/// hash differs.
pub fn collided(rollout: &Rollout) -> Write {
    let collisions = rollout
        .status
        .as_ref()
        .and_then(|status| status["collisionCount"].as_i64())
        .unwrap_or(0);
    Write::PatchStatus {
        patch: serde_json::json!({"status": {"collisionCount": collisions + 1}}),
    }
}

/// What is to be written for `world`'s Rollout at `now`, and when to look again.
///
/// It is a function of its arguments only, and has an answer for every Rollout: one whose spec is wrong, or asks for what
/// does not act, is told so in its status and otherwise left as it is. Shown the results of its writes, it comes to rest.
///
/// What only the status has to be written for, such as the end of one step and the pause after it, is one write, and a
/// ReplicaSet is made with the pods that it is to have.
pub fn turn(world: &World, now: Timestamp) -> Turn {
    ahead::turn(world, now, |world, now| joined::turn(world, now, single))
}

fn single(world: &World, now: Timestamp) -> Turn {
    let rollout = &world.rollout;
    if rollout.metadata.deletion_timestamp.is_some() {
        return Turn::default();
    }
    let spec = match spec::read(world) {
        Ok(spec) => spec,
        Err(why) => return invalid::turn(world, &why, now),
    };
    if rollout.spec.replicas.is_none() {
        // Autoscalers cannot scale what says nothing.
        let patch = serde_json::json!({"spec": {"replicas": spec.replicas}});
        return Turn {
            writes: vec![Write::PatchRollout { patch }],
            ..Turn::default()
        };
    }
    let status = work::status(world);
    let Some(hash) = revision::wanted(world, &status, spec.template) else {
        return Turn {
            needs_likeness: true,
            ..Turn::default()
        };
    };
    let mut work = Work::begin(world, spec, status, hash, now);
    act(&mut work);
    work.end()
}

fn act(work: &mut Work<'_>) {
    if work.new.is_none() {
        return work.create();
    }
    if work.is_promoted() && work.status.stable_rs.is_some() && work.is_aborted() {
        work.pauses.remove_abort = true;
    }
    if work.stops_at_once()
        && let Strategy::Canary(canary) = work.spec.strategy.clone()
    {
        return work.finish_canary(&canary);
    }
    if work.follow_workload() || work.follow_pauses() || work.sync_revision() {
        return;
    }
    if work.restart().is_break() || work.sync_metadata().is_break() {
        return;
    }
    work.release_services();
    let is_scaled = work.was_scaled();
    match work.spec.strategy.clone() {
        Strategy::Canary(canary) if is_scaled => work.scale_canary(&canary),
        Strategy::Canary(canary) => work.canary(&canary),
        Strategy::BlueGreen(blue_green) if is_scaled => work.scale_blue_green(&blue_green),
        Strategy::BlueGreen(blue_green) => work.blue_green(&blue_green),
    }
}
