//! What is kept of ReplicaSets.

use super::{Instance, Kind, annotations, time};
use controller::reconcile::{self, Failure, ReplicaSet};
use crds::Rollout;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference, Time};
use kube::core::{ApiResource, DynamicObject, Object};
use serde::Deserialize;
use serde_json::{Value, json};
use std::{collections::BTreeMap, sync::Arc};

/// The label that tells the versions of a Rollout apart, at ReplicaSets and pods.
pub(crate) const POD_HASH: &str = "rollouts-pod-template-hash";

/// A ReplicaSet that a Rollout controls.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Owned {
    /// The Rollout's name.
    pub(crate) owner: Arc<str>,
    /// The Rollout's identity.
    pub(crate) owner_uid: Arc<str>,
    /// What its turn needs to know.
    pub(crate) replica_set: Arc<ReplicaSet>,
}

/// What is read of a ReplicaSet's spec. Its template is the largest part, and little of it is looked at.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Spec {
    replicas: Option<i32>,
    min_ready_seconds: Option<i32>,
    template: Template,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Template {
    metadata: TemplateMeta,
    spec: TemplateSpec,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct TemplateMeta {
    labels: Option<BTreeMap<String, String>>,
    annotations: Option<BTreeMap<String, String>>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct TemplateSpec {
    affinity: Value,
    containers: Vec<Container>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Container {
    image: String,
}

/// What is read of a ReplicaSet's status.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Status {
    observed_generation: Option<i64>,
    replicas: Option<i32>,
    ready_replicas: Option<i32>,
    available_replicas: Option<i32>,
    conditions: Option<Vec<Condition>>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Condition {
    r#type: String,
    status: String,
    reason: Option<String>,
    message: Option<String>,
    last_transition_time: Option<Time>,
}

impl Kind for Owned {
    type Wire = Object<Spec, Status>;
    const NAME: &str = "ReplicaSet";

    fn resource() -> ApiResource {
        ApiResource::erase::<k8s_openapi::api::apps::v1::ReplicaSet>(&())
    }

    fn rollout(object: &Self::Wire) -> Option<(&str, &str)> {
        let meta = &object.metadata;
        Some((meta.namespace.as_deref()?, &controller(meta)?.name))
    }

    /// Those of Rollouts, which all bear it, so that the others of a cluster are not told of: Deployments have many.
    fn selector(_: &Instance) -> Option<String> {
        Some(POD_HASH.to_owned())
    }

    fn keep(mut object: Self::Wire, _: &Instance) -> Option<Self> {
        let owner = controller(&object.metadata)?;
        let (owner, owner_uid) = (owner.name.as_str().into(), owner.uid.as_str().into());
        let meta = &mut object.metadata;
        let (template, status) = (object.spec.template, object.status.unwrap_or_default());
        let replica_set = ReplicaSet {
            name: meta.name.take().unwrap_or_default(),
            uid: meta.uid.take().unwrap_or_default(),
            labels: meta.labels.take().unwrap_or_default(),
            annotations: annotations(meta),
            created: meta
                .creation_timestamp
                .as_ref()
                .map_or(Timestamp::UNIX_EPOCH, time),
            is_going: meta.deletion_timestamp.is_some(),
            generation: meta.generation.unwrap_or_default(),
            // What the API server puts there when it is absent.
            wanted: object
                .spec
                .replicas
                .map_or(1, |replicas| count(Some(replicas))),
            min_ready_seconds: object.spec.min_ready_seconds.unwrap_or_default(),
            observed_generation: status.observed_generation.unwrap_or_default(),
            replicas: count(status.replicas),
            ready: count(status.ready_replicas),
            available: count(status.available_replicas),
            failure: status.conditions.into_iter().flatten().find_map(failure),
            pod_labels: template.metadata.labels.unwrap_or_default(),
            pod_annotations: template.metadata.annotations.unwrap_or_default(),
            images: images(template.spec.containers),
            apart_from: apart_from(&template.spec.affinity),
        };
        Some(Self {
            owner,
            owner_uid,
            replica_set: Arc::new(replica_set),
        })
    }
}

/// What the pod template of a ReplicaSet is like. The mirror does not keep templates, as they are only looked at when a version
/// cannot be found by its hash.
pub(crate) fn likeness(object: &DynamicObject) -> String {
    let object = json!({"metadata": object.metadata, "spec": object.data["spec"]});
    reconcile::likeness(&object)
}

/// The Rollout that controls the object, if one does.
fn controller(meta: &ObjectMeta) -> Option<&OwnerReference> {
    let group = |version: &str| version.split_once('/').map(|(group, _)| group.to_owned());
    meta.owner_references.iter().flatten().find(|owner| {
        owner.controller == Some(true)
            && owner.kind == Rollout::KIND
            && group(&owner.api_version) == group(Rollout::API_VERSION)
    })
}

/// The version whose nodes the pods keep off: no other term looks at that label.
fn apart_from(affinity: &Value) -> Option<String> {
    let rules = &affinity["podAntiAffinity"];
    let terms = |field: &str| rules[field].as_array().into_iter().flatten();
    let required = terms("requiredDuringSchedulingIgnoredDuringExecution");
    let preferred = terms("preferredDuringSchedulingIgnoredDuringExecution");
    required
        .chain(preferred.map(|weighted| &weighted["podAffinityTerm"]))
        .filter_map(|term| term["labelSelector"]["matchExpressions"].as_array())
        .flatten()
        .find(|expression| expression["key"] == POD_HASH)
        .and_then(|expression| expression["values"][0].as_str())
        .map(str::to_owned)
}

fn images(containers: Vec<Container>) -> Vec<String> {
    containers
        .into_iter()
        .map(|container| container.image)
        .collect()
}

/// A number of pods; the API server lets none below 0 pass.
fn count(pods: Option<i32>) -> u32 {
    pods.and_then(|pods| pods.try_into().ok()).unwrap_or(0)
}

fn failure(condition: Condition) -> Option<Failure> {
    (condition.r#type == "ReplicaFailure").then(|| Failure {
        status: condition.status,
        reason: condition.reason.unwrap_or_default(),
        message: condition.message.unwrap_or_default(),
        since: condition
            .last_transition_time
            .as_ref()
            .map_or(Timestamp::UNIX_EPOCH, time),
    })
}

#[cfg(test)]
mod tests {
    use super::{Instance, Kind, Owned};
    use controller::reconcile::{Failure, ReplicaSet};
    use serde_json::{Value, json};
    use std::{collections::BTreeMap, sync::Arc};

    fn object(owner: &Value) -> Value {
        json!({
            "apiVersion": "apps/v1", "kind": "ReplicaSet",
            "metadata": {
                "name": "shop-1", "namespace": "prod", "uid": "u1", "resourceVersion": "7", "generation": 2,
                "creationTimestamp": "2026-01-02T03:04:05Z", "labels": {"app": "shop"},
                "annotations": {"a": "b", "kubectl.kubernetes.io/last-applied-configuration": "{}"},
                "managedFields": [{"manager": "m"}], "ownerReferences": [owner],
            },
            "spec": {
                "replicas": 3, "minReadySeconds": 4,
                "template": {
                    "metadata": {"labels": {"role": "canary"}, "annotations": {"c": "d"}},
                    "spec": {"containers": [{"name": "app", "image": "shop:1"}], "affinity": {"podAntiAffinity": {
                        "preferredDuringSchedulingIgnoredDuringExecution": [
                            {"weight": 1, "podAffinityTerm": {"labelSelector": {"matchLabels": {"app": "shop"}}}},
                            {"weight": 2, "podAffinityTerm": {"labelSelector": {"matchExpressions": [
                                {"key": "rollouts-pod-template-hash", "operator": "In", "values": ["abc"]},
                            ]}}},
                        ],
                    }}},
                },
            },
            "status": {
                "observedGeneration": 2, "replicas": 3, "readyReplicas": 2, "availableReplicas": 1,
                "conditions": [{
                    "type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": "quota",
                    "lastTransitionTime": "2026-01-02T03:04:06Z",
                }],
            },
        })
    }

    fn owner(kind: &str, group: &str, is_controller: bool) -> Value {
        json!({
            "apiVersion": format!("{group}/v1alpha1"), "kind": kind, "name": "shop", "uid": "u0",
            "controller": is_controller,
        })
    }

    #[test]
    fn what_a_turn_looks_at_is_kept() {
        let wire = serde_json::from_value(object(&owner("Rollout", "argoproj.io", true))).unwrap();
        let expected = ReplicaSet {
            name: "shop-1".into(),
            uid: "u1".into(),
            labels: BTreeMap::from([("app".into(), "shop".into())]),
            annotations: BTreeMap::from([("a".into(), "b".into())]),
            created: "2026-01-02T03:04:05Z".parse().unwrap(),
            is_going: false,
            generation: 2,
            wanted: 3,
            min_ready_seconds: 4,
            observed_generation: 2,
            replicas: 3,
            ready: 2,
            available: 1,
            failure: Some(Failure {
                status: "True".into(),
                reason: "FailedCreate".into(),
                message: "quota".into(),
                since: "2026-01-02T03:04:06Z".parse().unwrap(),
            }),
            pod_labels: BTreeMap::from([("role".into(), "canary".into())]),
            pod_annotations: BTreeMap::from([("c".into(), "d".into())]),
            images: vec!["shop:1".into()],
            apart_from: Some("abc".into()),
        };
        let found = Owned::keep(wire, &Instance::default()).expect("a Rollout controls it");
        assert_eq!((&*found.owner, &*found.owner_uid), ("shop", "u0"));
        assert_eq!(found.replica_set, Arc::new(expected));
    }

    #[test]
    fn only_those_that_a_rollout_controls_are_kept() {
        let cases = [
            ("Rollout", "argoproj.io", true, true),
            ("Rollout", "argoproj.io", false, false),
            ("Rollout", "example.org", true, false),
            ("Deployment", "apps", true, false),
        ];
        for (kind, group, is_controller, is_kept) in cases {
            let wire = serde_json::from_value(object(&owner(kind, group, is_controller))).unwrap();
            assert_eq!(
                Owned::keep(wire, &Instance::default()).is_some(),
                is_kept,
                "{kind} of {group}"
            );
        }
    }
}
