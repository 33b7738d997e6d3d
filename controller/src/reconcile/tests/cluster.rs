//! As much of a cluster as a Rollout meets: what is written is kept, and ReplicaSets have their pods after a while.

use std::collections::BTreeMap;
use std::sync::Arc;

use crds::{Rollout, RolloutStatus};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::proxies::Proxies;
use crate::reconcile::{Pod, ReplicaSet, Service, Turn, Workload, World, Write, likeness, turn};

/// How long a pod takes until it is available.
const STARTS_IN: i64 = 2;

pub(super) struct Cluster {
    pub(super) rollout: Value,
    pub(super) sets: Vec<Set>,
    pub(super) services: BTreeMap<String, Service>,
    pub(super) now: Timestamp,
    /// Reasons of events, in their order.
    pub(super) events: Vec<String>,
    /// Images whose pods never become available.
    pub(super) bad: Vec<String>,
    pub(super) wake_at: Option<Timestamp>,
    pub(super) workload: Option<Workload>,
    pub(super) proxies: Proxies,
    /// What was written that requests depend on, in its order.
    pub(super) trace: Vec<String>,
    /// How often what was written.
    pub(super) writes: BTreeMap<&'static str, u32>,
    /// Whether a PodDisruptionBudget refuses evictions.
    pub(super) refuses: bool,
    /// What follows from the world.
    pub(super) turn: fn(&World, Timestamp) -> Turn,
    created: u32,
}

/// A ReplicaSet and its pods.
pub(super) struct Set {
    pub(super) object: ReplicaSet,
    pub(super) image: String,
    pub(super) template: Value,
    /// `ready_since` may be in the future.
    pub(super) pods: Vec<Pod>,
}

impl Cluster {
    /// A cluster with a Rollout that has `spec` beside the template, which runs `image`.
    pub(super) fn new(spec: &Value, image: &str) -> Self {
        let mut rollout = json!({
            "apiVersion": Rollout::API_VERSION,
            "kind": Rollout::KIND,
            "metadata": {"name": "shop", "namespace": "prod", "uid": "rollout", "generation": 1},
            "spec": {
                "selector": {"matchLabels": {"app": "shop"}},
                "template": template(image),
            },
        });
        merge(&mut rollout["spec"], spec);
        Self {
            rollout,
            sets: Vec::new(),
            services: BTreeMap::new(),
            now: Timestamp::from_second(1_800_000_000).unwrap(),
            events: Vec::new(),
            bad: Vec::new(),
            wake_at: None,
            workload: None,
            proxies: Proxies::default(),
            trace: Vec::new(),
            writes: BTreeMap::new(),
            refuses: false,
            turn,
            created: 0,
        }
    }

    pub(super) fn with_services(mut self, names: &[&str]) -> Self {
        for name in names {
            let service = Service {
                selector: [("app".to_owned(), "shop".to_owned())].into(),
                ..Service::default()
            };
            self.services.insert((*name).to_owned(), service);
        }
        self
    }

    pub(super) fn world(&self) -> World {
        let services = self.services.iter();
        World {
            rollout: Arc::new(serde_json::from_value(self.rollout.clone()).unwrap()),
            replica_sets: self
                .sets
                .iter()
                .map(|set| Arc::new(set.object.clone()))
                .collect(),
            services: services
                .map(|(name, service)| (name.clone(), Arc::new(service.clone())))
                .collect(),
            workload: self.workload.clone().map(Arc::new),
            pods: None,
            likeness: None,
            traffic: self.proxies.traffic(),
        }
    }

    pub(super) fn status(&self) -> RolloutStatus {
        let status = self
            .rollout
            .get("status")
            .cloned()
            .unwrap_or_else(|| json!({}));
        serde_json::from_value(status).unwrap()
    }

    /// `Phase` or `Phase: message`.
    pub(super) fn phase(&self) -> String {
        let status = &self.rollout["status"];
        let phase = status["phase"].as_str().unwrap_or("none");
        match status["message"].as_str() {
            Some(message) => format!("{phase}: {message}"),
            None => phase.to_owned(),
        }
    }

    /// The pods that each image is to have, where it is to have some.
    pub(super) fn wanted(&self) -> Vec<(&str, u32)> {
        let sets = self.sets.iter();
        let sets = sets.map(|set| (set.image.as_str(), set.object.wanted));
        let mut wanted: Vec<_> = sets.filter(|(_, wanted)| *wanted > 0).collect();
        wanted.sort_unstable();
        wanted
    }

    /// The image of the version that a Service leads to.
    pub(super) fn leads_to(&self, service: &str) -> Option<&str> {
        let hash = self.services[service]
            .selector
            .get("rollouts-pod-template-hash")?;
        let mut sets = self.sets.iter();
        let set = sets.find(|set| set.object.labels["rollouts-pod-template-hash"] == *hash);
        set.map(|set| set.image.as_str())
    }

    /// What a person or tool does to the Rollout's spec.
    pub(super) fn edit(&mut self, spec: &Value) {
        self.write_spec(spec);
        self.settle();
    }

    /// The same, before the controller looks.
    pub(super) fn write_spec(&mut self, spec: &Value) {
        let before = self.rollout["spec"].clone();
        merge(&mut self.rollout["spec"], spec);
        if self.rollout["spec"] != before {
            let generation = self.rollout["metadata"]["generation"].as_i64().unwrap();
            self.rollout["metadata"]["generation"] = json!(generation + 1);
        }
    }

    pub(super) fn ship(&mut self, image: &str) {
        let template = template(image);
        self.edit(&json!({"template": template}));
    }

    /// What a person or tool does to the Rollout's status.
    pub(super) fn patch_status(&mut self, status: &Value) {
        merge(&mut self.rollout["status"], status);
        self.settle();
    }

    /// `kubectl argo rollouts promote`.
    pub(super) fn promote(&mut self) {
        let paused = !self.rollout["status"]["pauseConditions"].is_null();
        let mut patch = json!({"pauseConditions": null});
        if !paused && let Some(index) = self.rollout["status"]["currentStepIndex"].as_i64() {
            patch["currentStepIndex"] = json!(index + 1);
        }
        self.patch_status(&patch);
    }

    /// Makes turns until nothing is left to write.
    pub(super) fn settle(&mut self) {
        for _ in 0..32 {
            self.run_sets();
            self.run_proxies();
            let (turn, mut world) = (self.turn, self.world());
            if turn(&world, self.now).needs_likeness {
                world.likeness = Some(self.likeness());
            }
            let Turn {
                mut writes,
                mut wake_at,
                needs_pods,
                needs_likeness,
            } = turn(&world, self.now);
            assert!(!needs_likeness, "it is known");
            if needs_pods {
                assert!(writes.iter().all(|write| matches!(write, Write::Event(_))));
                world.pods = Some(self.pods());
                Turn {
                    writes,
                    wake_at,
                    ..
                } = turn(&world, self.now);
            }
            self.wake_at = wake_at;
            let rests = |write: &Write| matches!(write, Write::Event(_) | Write::EvictPod { .. });
            let acts = writes.iter().any(|write| !rests(write));
            for write in writes {
                self.apply(write);
            }
            if !acts {
                return;
            }
        }
        panic!(
            "the Rollout does not come to rest: {:#}",
            self.rollout["status"]
        );
    }

    /// Lets time pass. Turns are made when pods change, and when one was asked for.
    pub(super) fn pass(&mut self, seconds: i64) {
        for _ in 0..seconds {
            self.now = self.now.checked_add(SignedDuration::from_secs(1)).unwrap();
            let is_due = self.wake_at.is_some_and(|wake_at| wake_at <= self.now);
            let has_news = self.run_sets() | self.run_proxies();
            if has_news || is_due {
                self.settle();
            }
        }
    }

    pub(super) fn apply(&mut self, write: Write) {
        self.note(&write);
        *self.writes.entry(kind(&write)).or_default() += 1;
        match write {
            Write::CreateReplicaSet { object } => self.create(&object),
            Write::PatchReplicaSet { name, patch } => self.patch_set(&name, &patch),
            Write::DeleteReplicaSet { name, uid } => {
                self.sets
                    .retain(|set| set.object.name != name || set.object.uid != uid);
            }
            Write::PatchService { name, patch } => {
                let service = self.services.get_mut(&name).unwrap();
                texts(&mut service.selector, &patch["spec"]["selector"]);
                texts(&mut service.annotations, &patch["metadata"]["annotations"]);
            }
            Write::PatchPod { name, patch } => {
                let mut pods = self.sets.iter_mut().flat_map(|set| &mut set.pods);
                let pod = pods.find(|pod| pod.name == name).unwrap();
                texts(&mut pod.labels, &patch["metadata"]["labels"]);
                texts(&mut pod.annotations, &patch["metadata"]["annotations"]);
            }
            Write::EvictPod { name } => {
                for set in &mut self.sets {
                    set.pods.retain(|pod| pod.name != name || self.refuses);
                }
            }
            Write::ScaleWorkload { replicas } => {
                let workload = self.workload.as_mut().unwrap();
                workload.replicas = Some(replicas);
                workload.generation += 1;
            }
            Write::PatchRollout { patch } => {
                if !patch["spec"].is_null() {
                    let generation = self.rollout["metadata"]["generation"].as_i64().unwrap();
                    self.rollout["metadata"]["generation"] = json!(generation + 1);
                }
                merge(&mut self.rollout, &patch);
            }
            Write::PatchStatus { patch } => {
                merge(&mut self.rollout, &patch);
                self.check_weights();
            }
            Write::Event(event) => self.events.push(event.reason.to_owned()),
        }
    }

    fn create(&mut self, object: &Value) {
        let name = object["metadata"]["name"].as_str().unwrap();
        assert!(
            self.sets.iter().all(|set| set.object.name != name),
            "{name} is there"
        );
        let mut set = ReplicaSet {
            name: name.to_owned(),
            uid: format!("uid-{}", self.sets.len()),
            created: self.now,
            generation: 1,
            min_ready_seconds: i32::try_from(object["spec"]["minReadySeconds"].as_i64().unwrap())
                .unwrap(),
            apart_from: apart_from(&object["spec"]["template"]),
            wanted: u32::try_from(object["spec"]["replicas"].as_u64().unwrap()).unwrap(),
            ..ReplicaSet::default()
        };
        let template = &object["spec"]["template"];
        texts(&mut set.pod_labels, &template["metadata"]["labels"]);
        texts(
            &mut set.pod_annotations,
            &template["metadata"]["annotations"],
        );
        texts(&mut set.labels, &object["metadata"]["labels"]);
        texts(&mut set.annotations, &object["metadata"]["annotations"]);
        let container = &object["spec"]["template"]["spec"]["containers"][0];
        set.images = vec![container["image"].as_str().unwrap().to_owned()];
        self.sets.push(Set {
            object: set,
            image: container["image"].as_str().unwrap().to_owned(),
            template: template.clone(),
            pods: Vec::new(),
        });
    }

    fn patch_set(&mut self, name: &str, patch: &Value) {
        let mut sets = self.sets.iter_mut();
        let found = sets.find(|set| set.object.name == name).unwrap();
        if let Some(template) = patch["spec"].get("template") {
            merge(&mut found.template, template);
        }
        let set = &mut found.object;
        let template = &patch["spec"]["template"];
        texts(&mut set.pod_labels, &template["metadata"]["labels"]);
        texts(
            &mut set.pod_annotations,
            &template["metadata"]["annotations"],
        );
        set.apart_from = apart_from(&found.template);
        texts(&mut set.annotations, &patch["metadata"]["annotations"]);
        if let Some(wanted) = patch["spec"]["replicas"].as_u64() {
            set.wanted = u32::try_from(wanted).unwrap();
            set.generation += 1;
        }
        if let Some(seconds) = patch["spec"]["minReadySeconds"].as_i64() {
            set.min_ready_seconds = i32::try_from(seconds).unwrap();
            set.generation += 1;
        }
    }

    fn likeness(&self) -> BTreeMap<String, String> {
        let alike = |set: &Set| {
            let object = json!({
                "metadata": {"annotations": set.object.annotations}, "spec": {"template": set.template},
            });
            (set.object.name.clone(), likeness(&object))
        };
        self.sets.iter().map(alike).collect()
    }

    pub(super) fn pods(&self) -> Vec<Pod> {
        let mut pods: Vec<_> = self.sets.iter().flat_map(|set| set.pods.clone()).collect();
        for pod in &mut pods {
            pod.ready_since = pod.ready_since.filter(|since| *since <= self.now);
        }
        pods
    }

    /// What the controller of ReplicaSets and the nodes do. Whether it shows.
    pub(super) fn run_sets(&mut self) -> bool {
        let mut shows = false;
        for set in &mut self.sets {
            let before = set.object.clone();
            let ready = self
                .now
                .checked_add(SignedDuration::from_secs(STARTS_IN))
                .unwrap();
            let ready = (!self.bad.contains(&set.image)).then_some(ready);
            set.pods
                .sort_by_key(|pod| pod.ready_since.unwrap_or(Timestamp::MAX));
            set.pods.truncate(set.object.wanted as usize);
            while set.pods.len() < set.object.wanted as usize {
                self.created += 1;
                set.pods.push(Pod {
                    name: format!("{}-{}", set.image, self.created),
                    set: set.object.uid.clone(),
                    created: self.now,
                    ready_since: ready,
                    labels: set.object.pod_labels.clone(),
                    annotations: set.object.pod_annotations.clone(),
                    is_going: false,
                });
            }
            let since = set.pods.iter().filter_map(|pod| pod.ready_since);
            let ready = since.filter(|since| *since <= self.now).count();
            set.object.replicas = set.object.wanted;
            set.object.available = u32::try_from(ready).unwrap();
            set.object.ready = set.object.available;
            set.object.observed_generation = set.object.generation;
            shows |= set.object != before;
        }
        shows
    }
}

/// What a write costs the API server.
fn kind(write: &Write) -> &'static str {
    match write {
        Write::CreateReplicaSet { .. } => "create ReplicaSet",
        Write::PatchReplicaSet { .. } => "patch ReplicaSet",
        Write::DeleteReplicaSet { .. } => "delete ReplicaSet",
        Write::PatchService { .. } => "patch Service",
        Write::PatchPod { .. } => "patch Pod",
        Write::EvictPod { .. } => "evict Pod",
        Write::ScaleWorkload { .. } => "scale workload",
        Write::PatchRollout { .. } => "patch Rollout",
        Write::PatchStatus { .. } => "patch status",
        Write::Event(_) => "event",
    }
}

fn apart_from(template: &Value) -> Option<String> {
    let rules = &template["spec"]["affinity"]["podAntiAffinity"];
    let rule = &rules["requiredDuringSchedulingIgnoredDuringExecution"][0];
    let value = &rule["labelSelector"]["matchExpressions"][0]["values"][0];
    value.as_str().map(str::to_owned)
}

pub(super) fn template(image: &str) -> Value {
    json!({
        "metadata": {"labels": {"app": "shop"}},
        "spec": {"containers": [{"name": "shop", "image": image}]},
    })
}

/// A JSON merge patch (RFC 7386).
pub(super) fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(fields) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    for (key, value) in fields {
        if value.is_null() {
            target.as_object_mut().unwrap().remove(key);
        } else {
            merge(&mut target[key], value);
        }
    }
}

/// A merge patch of labels or annotations.
fn texts(target: &mut BTreeMap<String, String>, patch: &Value) {
    let Value::Object(fields) = patch else {
        return;
    };
    for (key, value) in fields {
        match value.as_str() {
            Some(text) => target.insert(key.clone(), text.to_owned()),
            None => target.remove(key),
        };
    }
}
