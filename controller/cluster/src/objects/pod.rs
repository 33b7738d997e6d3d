//! What is read of pods.

use super::time;
use controller::reconcile::Pod;
use k8s_openapi::{api::core::v1, apimachinery::pkg::apis::meta::v1::OwnerReference};
use std::collections::BTreeSet;

/// Those of `found` that one of the ReplicaSets `sets`, by their identities, controls.
pub(crate) fn pods(found: Vec<v1::Pod>, sets: &BTreeSet<&str>) -> Vec<Pod> {
    found
        .into_iter()
        .filter_map(|pod| read(pod, sets))
        .collect()
}

fn read(pod: v1::Pod, sets: &BTreeSet<&str>) -> Option<Pod> {
    let meta = pod.metadata;
    let owners = meta.owner_references.unwrap_or_default();
    let is_controller = |owner: &OwnerReference| owner.controller == Some(true);
    let set = owners.into_iter().find(is_controller)?.uid;
    let conditions = pod.status.and_then(|status| status.conditions);
    let ready = conditions
        .unwrap_or_default()
        .into_iter()
        .find(|condition| condition.type_ == "Ready" && condition.status == "True");
    sets.contains(set.as_str()).then(|| Pod {
        name: meta.name.unwrap_or_default(),
        set,
        created: meta
            .creation_timestamp
            .as_ref()
            .map_or_else(Default::default, time),
        is_going: meta.deletion_timestamp.is_some(),
        ready_since: ready.map(|ready| {
            let since = ready.last_transition_time;
            since.as_ref().map_or_else(Default::default, time)
        }),
        labels: meta.labels.unwrap_or_default(),
        annotations: meta.annotations.unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use super::pods;
    use controller::reconcile::Pod;
    use serde_json::{Value, json};
    use std::collections::BTreeSet;

    fn pod(name: &str, set: &str, ready: &str) -> Value {
        json!({
            "metadata": {
                "name": name, "creationTimestamp": "2026-01-02T03:04:05Z", "labels": {"app": "shop"},
                "ownerReferences": [
                    {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": set, "uid": set, "controller": true},
                ],
            },
            "status": {"conditions": [
                {"type": "Ready", "status": ready, "lastTransitionTime": "2026-01-02T03:04:09Z"},
            ]},
        })
    }

    #[test]
    fn those_of_the_replica_sets_are_read() {
        let found = [
            pod("a", "one", "True"),
            pod("b", "one", "False"),
            pod("c", "other", "True"),
        ];
        let found = found
            .into_iter()
            .map(|pod| serde_json::from_value(pod).unwrap())
            .collect();
        let expected = |name: &str, ready_since: Option<&str>| Pod {
            name: name.into(),
            set: "one".into(),
            created: "2026-01-02T03:04:05Z".parse().unwrap(),
            ready_since: ready_since.map(|since| since.parse().unwrap()),
            labels: [("app".to_owned(), "shop".to_owned())].into(),
            ..Pod::default()
        };
        let expected = [
            expected("a", Some("2026-01-02T03:04:09Z")),
            expected("b", None),
        ];
        assert_eq!(pods(found, &BTreeSet::from(["one"])), expected);
    }
}
