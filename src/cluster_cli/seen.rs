//! What is seen of a Rollout of a cluster: the objects of the API server, read for people.

mod pod;

pub(crate) use pod::Pod;

use cluster::operator::Picture;
use controller::verbs::{self, Standing};
use crds::status::CanaryStatus;
use crds::{Canary, Rollout, RolloutStatus, Time};
use jiff::Timestamp;
use serde_json::Value;

/// A Rollout with its ReplicaSets.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Seen {
    pub(crate) rollout: Rollout,
    pub(crate) status: RolloutStatus,
    pub(crate) standing: Standing,
    /// The newest revision first.
    pub(crate) sets: Vec<Set>,
}

/// A ReplicaSet of a Rollout.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Set {
    pub(crate) name: String,
    /// 0 when it bears none.
    pub(crate) revision: i64,
    pub(crate) created: Timestamp,
    pub(crate) state: SetState,
    /// How many pods there are.
    pub(crate) replicas: i64,
    /// How many of them are available.
    pub(crate) available: i64,
    pub(crate) images: Vec<String>,
    /// What its version is to the Rollout.
    pub(crate) roles: Vec<Role>,
    /// When it is to be scaled down, if it waits for that.
    pub(crate) deadline: Option<Timestamp>,
    /// The oldest first.
    pub(crate) pods: Vec<Pod>,
}

/// How a ReplicaSet stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SetState {
    /// All pods that are wanted are available.
    Healthy,
    /// Pods are missing, or not available yet.
    Progressing,
    /// No pods are wanted.
    ScaledDown,
    /// Pods cannot be made or deleted.
    Failing,
}

/// What a version is to its Rollout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Role {
    Stable,
    Canary,
    Active,
    Preview,
    Ping,
    Pong,
}

impl Role {
    /// In one word.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Stable => "stable",
            Self::Canary => "canary",
            Self::Active => "active",
            Self::Preview => "preview",
            Self::Ping => "ping",
            Self::Pong => "pong",
        }
    }
}

impl Seen {
    /// Reads a Rollout, and what of `picture` is its own.
    ///
    /// # Errors
    /// Which field cannot be read, and why.
    pub(crate) fn read(object: &Value, picture: &Picture) -> Result<Self, String> {
        let rollout = rollout(object)?;
        let key = key(&rollout);
        let status = verbs::status_of(&rollout).map_err(|why| format!("{key}: {why}"))?;
        let owned = picture.replica_sets.iter();
        let owned = owned.filter(|set| is_owned(set, &rollout));
        let mut sets: Vec<Set> = owned
            .map(|set| Set::read(set, &picture.pods, &roles(&rollout, &status, set)))
            .collect();
        sets.sort_by(|a, b| (b.revision, &a.name).cmp(&(a.revision, &b.name)));
        Ok(Self {
            standing: verbs::standing(&rollout, &status),
            rollout,
            status,
            sets,
        })
    }

    /// `spec.strategy.canary`, if that is its strategy.
    pub(crate) fn canary(&self) -> Option<&Canary> {
        let strategy = self.rollout.spec.strategy.as_ref()?;
        strategy.canary.as_ref()
    }

    /// Its strategy in one word.
    pub(crate) fn strategy(&self) -> &'static str {
        let strategy = self.rollout.spec.strategy.as_ref();
        match strategy {
            Some(strategy) if strategy.canary.is_some() => "Canary",
            Some(strategy) if strategy.blue_green.is_some() => "BlueGreen",
            _ => "unknown",
        }
    }

    /// The step under way and how many there are; nothing where there are none.
    pub(crate) fn step(&self) -> Option<(i32, usize)> {
        let steps = self.canary()?.steps.len();
        (steps > 0).then_some((self.status.current_step_index?, steps))
    }

    /// The weight that the steps give the canary now: that of the last `setWeight`, all when the steps are done.
    pub(crate) fn set_weight(&self) -> Option<i32> {
        let canary = self.canary()?;
        if self.status.abort == Some(true) {
            return Some(0);
        }
        let all = max_weight(canary);
        let index = usize::try_from(self.status.current_step_index.unwrap_or(0)).unwrap_or(0);
        if index >= canary.steps.len() {
            return Some(all);
        }
        let passed = canary.steps.iter().take(index + 1).rev();
        Some(
            passed
                .filter_map(|step| step.set_weight)
                .next()
                .unwrap_or(0),
        )
    }

    /// The weight that the canary has: by what splits the requests, or by its share of the pods.
    pub(crate) fn actual_weight(&self) -> Option<i64> {
        let canary = self.canary()?;
        let all = i64::from(max_weight(canary));
        let index = usize::try_from(self.status.current_step_index.unwrap_or(0)).unwrap_or(0);
        if index >= canary.steps.len() && self.status.abort != Some(true) {
            return Some(all);
        }
        if canary.traffic_routing.is_some() {
            let split = self.status.canary.as_ref();
            let split = split.and_then(|canary| canary.weights.as_ref());
            let weight = split.map(|split| i64::from(split.canary.weight));
            return weight.or_else(|| self.set_weight().map(i64::from));
        }
        let available = i64::from(self.status.available_replicas.unwrap_or(0));
        let mut sets = self.sets.iter();
        let canary = sets.find(|set| set.roles.contains(&Role::Canary));
        let share = canary.map(|set| (set.available * all).checked_div(available).unwrap_or(0));
        Some(share.unwrap_or(0))
    }

    /// The images that run, each with what their versions are.
    pub(crate) fn images(&self) -> Vec<(&str, Vec<Role>)> {
        let mut images: Vec<(&str, Vec<Role>)> = Vec::new();
        for set in self.sets.iter().filter(|set| set.replicas > 0) {
            for image in &set.images {
                match images.iter_mut().find(|(known, _)| known == image) {
                    Some((_, roles)) => roles.extend(&set.roles),
                    None => images.push((image, set.roles.clone())),
                }
            }
        }
        for (_, roles) in &mut images {
            roles.sort_unstable();
            roles.dedup();
        }
        images.sort_unstable();
        images
    }
}

impl Set {
    fn read(object: &Value, pods: &[Value], roles: &[Role]) -> Self {
        let meta = &object["metadata"];
        let annotations = &meta["annotations"];
        let uid = meta["uid"].as_str().unwrap_or_default();
        let own = pods.iter().filter(|pod| owner(pod) == Some(uid));
        let mut pods: Vec<Pod> = own.map(Pod::read).collect();
        pods.sort_by(|a, b| (a.created, &a.name).cmp(&(b.created, &b.name)));
        let revision = annotations["rollout.argoproj.io/revision"].as_str();
        let deadline = annotations["scale-down-deadline"].as_str();
        let containers = object.pointer("/spec/template/spec/containers");
        let containers = containers.and_then(Value::as_array).into_iter().flatten();
        Self {
            name: text(&meta["name"]),
            revision: revision.and_then(|text| text.parse().ok()).unwrap_or(0),
            created: time(&meta["creationTimestamp"]),
            state: SetState::read(object),
            replicas: object["status"]["replicas"].as_i64().unwrap_or(0),
            available: object["status"]["availableReplicas"].as_i64().unwrap_or(0),
            images: containers.map(|each| text(&each["image"])).collect(),
            roles: roles.to_vec(),
            deadline: deadline
                .and_then(|text| text.parse::<Time>().ok())
                .map(Timestamp::from),
            pods,
        }
    }
}

impl SetState {
    fn read(object: &Value) -> Self {
        let status = &object["status"];
        let wanted = object["spec"]["replicas"].as_i64().unwrap_or(1);
        let conditions = status["conditions"].as_array().into_iter().flatten();
        let mut failures =
            conditions.filter(|each| each["type"] == "ReplicaFailure" && each["status"] == "True");
        if status["observedGeneration"].as_i64() < object["metadata"]["generation"].as_i64() {
            Self::Progressing
        } else if failures.next().is_some() {
            Self::Failing
        } else if status["availableReplicas"].as_i64().unwrap_or(0) < wanted {
            Self::Progressing
        } else if wanted == 0 {
            Self::ScaledDown
        } else {
            Self::Healthy
        }
    }
}

/// What a ReplicaSet's version is to its Rollout.
fn roles(rollout: &Rollout, status: &RolloutStatus, set: &Value) -> Vec<Role> {
    let hash = set["metadata"]["labels"]["rollouts-pod-template-hash"].as_str();
    let is = |known: &Option<String>| hash.is_some() && known.as_deref() == hash;
    let (is_stable, is_current) = (is(&status.stable_rs), is(&status.current_pod_hash));
    let mut roles = Vec::new();
    if is_stable {
        roles.push(Role::Stable);
    }
    let strategy = rollout.spec.strategy.as_ref();
    let canary = strategy.and_then(|strategy| strategy.canary.as_ref());
    match (canary, &status.blue_green) {
        (Some(canary), _) => {
            if is_current && !is_stable {
                roles.push(Role::Canary);
            }
            let seen = status.canary.as_ref();
            let stable_is_ping = seen.is_some_and(CanaryStatus::is_stable_ping);
            if canary.ping_pong.is_some() && (is_stable || is_current) {
                let is_ping = stable_is_ping == is_stable;
                roles.push(if is_ping { Role::Ping } else { Role::Pong });
            }
        }
        (None, Some(switch)) if is(&switch.active_selector) => roles.push(Role::Active),
        (None, Some(switch)) if is(&switch.preview_selector) => roles.push(Role::Preview),
        (None, _) => {}
    }
    roles
}

fn max_weight(canary: &Canary) -> i32 {
    let routing = canary.traffic_routing.as_ref();
    let max = routing.and_then(|routing| routing.max_traffic_weight);
    max.unwrap_or(100)
}

/// Reads a Rollout.
///
/// # Errors
/// Which field cannot be read, and why.
pub(crate) fn rollout(object: &Value) -> Result<Rollout, String> {
    let read = crds::read::<Rollout>(object);
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    match (read.value, read.faults.first()) {
        (Some(rollout), _) => Ok(rollout),
        (None, Some(fault)) => Err(format!(
            "Rollout {name:?}: {}: {}",
            fault.path, fault.message
        )),
        (None, None) => Err(format!("Rollout {name:?} cannot be read")),
    }
}

/// `namespace/name`.
pub(crate) fn key(rollout: &Rollout) -> String {
    let meta = &rollout.metadata;
    let name = meta.name.as_deref().unwrap_or_default();
    format!("{}/{name}", meta.namespace())
}

/// Whether `rollout` controls the object.
pub(crate) fn is_owned(object: &Value, rollout: &Rollout) -> bool {
    owner(object).is_some_and(|owner| rollout.metadata.uid.as_deref() == Some(owner))
}

/// The identity of what controls the object.
fn owner(object: &Value) -> Option<&str> {
    let owners = object["metadata"]["ownerReferences"].as_array();
    let mut owners = owners.into_iter().flatten();
    let owner = owners.find(|owner| owner["controller"] == true)?;
    owner["uid"].as_str()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// A time of the API server; the epoch where it says none.
fn time(value: &Value) -> Timestamp {
    let written = value.as_str().and_then(|text| text.parse().ok());
    written.unwrap_or(Timestamp::UNIX_EPOCH)
}
