//! What the controller would say of a Rollout that it has not seen yet.

use std::sync::Arc;

use crds::{LabelSelector, PodTemplate, Rollout, hash::Malformed};
use serde_json::json;

use super::{Service, Traffic, Workload, World, services, spec, workload};

/// Checks what `rollout` says of itself. The Services and the workload that it names are taken to be there, and to fit.
///
/// # Errors
/// The first fault, as the controller puts it into the condition `InvalidSpec`: the field, what was found and what is
/// allowed. Or what the controller would take out of the pod template.
pub fn lint(rollout: &Rollout) -> Result<(), String> {
    let named = services(rollout).into_iter();
    let services = named.map(|name| (name.to_owned(), Arc::new(Service::default())));
    let workload = match &rollout.spec.workload_ref {
        None => None,
        Some(reference) => {
            workload::is_known(reference)?;
            Some(fitting(rollout))
        }
    };
    let world = World {
        services: services.collect(),
        workload,
        rollout: Arc::new(rollout.clone()),
        replica_sets: Vec::new(),
        pods: None,
        likeness: None,
        traffic: Traffic::default(),
    };
    spec::read(&world)?;
    let own = rollout.spec.template.as_ref();
    let malformed = own.and_then(crds::hash::readable);
    match malformed.and_then(|readable| readable.left_out.into_iter().next()) {
        None => Ok(()),
        Some(Malformed { path, found }) => Err(format!(
            "spec.template.{path}: found {found}, allowed a quantity such as 500m or 1Gi"
        )),
    }
}

/// Why the Rollout of `world` is held, if it is: the condition `InvalidSpec`, in words.
pub fn held(world: &World) -> Option<String> {
    spec::read(world).err()
}

/// A workload whose pods are those that `rollout` selects.
fn fitting(rollout: &Rollout) -> Arc<Workload> {
    let any = || LabelSelector {
        match_labels: [("app".to_owned(), String::new())].into(),
        ..LabelSelector::default()
    };
    let selector = rollout.spec.selector.clone().unwrap_or_else(any);
    let labels = &selector.match_labels;
    Arc::new(Workload {
        template: PodTemplate(json!({"metadata": {"labels": labels}})),
        selector: Some(selector),
        ..Workload::default()
    })
}

#[cfg(test)]
mod tests {
    use super::lint;
    use serde_json::json;

    #[test]
    fn what_needs_a_cluster_is_taken_to_be_there() {
        let template = json!({
            "metadata": {"labels": {"app": "shop"}},
            "spec": {"containers": [{"name": "app", "image": "shop:1"}]},
        });
        let selector = json!({"matchLabels": {"app": "shop"}});
        let canary = json!({"canary": {"canaryService": "a", "stableService": "b"}});
        let turns = json!({"canary": {
            "pingPong": {"pingService": "a", "pongService": "b"}, "trafficRouting": {"plugins": {"sluice/proxy": {}}},
        }});
        let reference = |kind: &str| json!({"apiVersion": "apps/v1", "kind": kind, "name": "shop"});
        for (spec, expected) in [
            (
                json!({"selector": selector, "template": template, "strategy": canary}),
                None,
            ),
            (
                json!({"workloadRef": reference("Deployment"), "strategy": canary}),
                None,
            ),
            (
                json!({"workloadRef": reference("Deployment"), "selector": selector, "strategy": canary}),
                None,
            ),
            (
                json!({"workloadRef": reference("DaemonSet"), "strategy": canary}),
                Some(
                    "spec.workloadRef.kind: found \"DaemonSet\", allowed Deployment, ReplicaSet and PodTemplate",
                ),
            ),
            (
                json!({"selector": selector, "template": template, "strategy": turns}),
                None,
            ),
            (
                json!({"selector": selector, "strategy": canary}),
                Some("spec.template: required"),
            ),
            (
                json!({"selector": selector, "strategy": canary, "template": {
                    "metadata": template["metadata"],
                    "spec": {"containers": [], "overhead": {"memory": "much"}},
                }}),
                Some(
                    "spec.template.spec.overhead.memory: found \"much\", allowed a quantity such as 500m or 1Gi",
                ),
            ),
            (
                json!({"selector": selector, "template": template, "strategy": {"canary": {
                    "steps": [{"setWeight": 101}],
                }}}),
                Some("spec.strategy.canary.steps[0].setWeight: found 101, allowed 0 to 100"),
            ),
        ] {
            let object = json!({
                "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "spec": spec,
            });
            let found = lint(&serde_json::from_value(object).unwrap());
            assert_eq!(found.err().as_deref(), expected, "{spec}");
        }
    }
}
