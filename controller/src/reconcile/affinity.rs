//! Keeps pods of a new version off the nodes of the stable one, so that scaling the stable one down later frees nodes.

use crds::Rollout;
use serde_json::{Value, json};

use super::ReplicaSet;
use super::names::POD_HASH;
use super::work::Work;

impl Work<'_> {
    /// The affinity that pods of the new version have: that of the template, with the rule where one is asked for.
    /// Nothing when there is neither.
    pub(super) fn affinity(&self) -> Option<Value> {
        let written = &self.spec.template.0["spec"]["affinity"];
        let written = Some(written).filter(|written| !written.is_null()).cloned();
        let stable = self.status.stable_rs.as_deref();
        let (Some(asked), Some(stable)) = (self.spec.anti_affinity, stable) else {
            return written;
        };
        if stable == self.hash {
            return written;
        }
        let term = term(&self.world.rollout, stable);
        let preferred = asked
            .preferred_during_scheduling_ignored_during_execution
            .as_ref();
        let (key, rule) = match preferred {
            Some(preferred) => (
                "preferredDuringSchedulingIgnoredDuringExecution",
                json!({"weight": preferred.weight, "podAffinityTerm": term}),
            ),
            None => ("requiredDuringSchedulingIgnoredDuringExecution", term),
        };
        let mut affinity = written.unwrap_or_else(|| json!({}));
        match &mut affinity["podAntiAffinity"][key] {
            Value::Array(rules) => rules.push(rule),
            rules => *rules = json!([rule]),
        }
        Some(affinity)
    }

    /// Whether the pods of the new version keep off a version that is not stable any more.
    pub(super) fn keeps_off_another(&self, new: &ReplicaSet) -> bool {
        let stable = self.status.stable_rs.as_ref();
        self.spec.anti_affinity.is_some()
            && stable.is_some_and(|stable| *stable != self.hash)
            && new.apart_from.is_some()
            && new.apart_from.as_ref() != stable
    }
}

fn term(rollout: &Rollout, stable: &str) -> Value {
    json!({
        "labelSelector": {
            "matchExpressions": [{"key": POD_HASH, "operator": "In", "values": [stable]}],
        },
        "namespaces": [rollout.metadata.namespace()],
        "topologyKey": "kubernetes.io/hostname",
    })
}
