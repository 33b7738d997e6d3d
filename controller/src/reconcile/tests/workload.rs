//! Rollouts whose pod template is that of a Deployment.

use crds::PodTemplate;
use serde_json::json;

use super::Cluster;
use super::cluster::template;
use crate::reconcile::Workload;

fn cluster(scale_down: &str) -> Cluster {
    let spec = json!({
        "replicas": 3,
        "selector": null,
        "template": null,
        "workloadRef": {
            "apiVersion": "apps/v1", "kind": "Deployment", "name": "shop", "scaleDown": scale_down,
        },
        "strategy": {"canary": {"steps": [{"setWeight": 50}, {"pause": {}}]}},
    });
    let mut cluster = Cluster::new(&spec, "v1");
    cluster.workload = Some(Workload {
        generation: 4,
        template: PodTemplate(template("v1")),
        selector: serde_json::from_value(json!({"matchLabels": {"app": "shop"}})).unwrap(),
        replicas: Some(3),
    });
    cluster
}

#[test]
fn the_deployment_loses_its_pods_as_its_rollout_says() {
    for (scale_down, before, after) in [
        ("never", 3, 3),
        ("onsuccess", 3, 0),
        ("progressively", 3, 0),
    ] {
        let mut cluster = cluster(scale_down);
        cluster.settle();
        let replicas = |cluster: &Cluster| cluster.workload.as_ref().unwrap().replicas;
        assert_eq!(replicas(&cluster), Some(before), "{scale_down}");
        cluster.pass(5);
        assert_eq!(cluster.phase(), "Healthy", "{scale_down}");
        assert_eq!(replicas(&cluster), Some(after), "{scale_down}");
        assert_eq!(cluster.wanted(), [("v1", 3)]);
    }
}

#[test]
fn another_template_of_the_deployment_is_another_version() {
    let mut cluster = cluster("never");
    cluster.settle();
    cluster.pass(5);
    let status = cluster.status();
    assert_eq!(status.workload_observed_generation.as_deref(), Some("4"));
    let workload = cluster.workload.as_mut().unwrap();
    workload.generation = 5;
    workload.template = PodTemplate(template("v2"));
    cluster.pass(5);
    assert_eq!(cluster.phase(), "Paused: CanaryPauseStep");
    assert_eq!(
        cluster.status().workload_observed_generation.as_deref(),
        Some("5")
    );
    let annotations = &cluster.rollout["metadata"]["annotations"];
    assert_eq!(annotations["rollout.argoproj.io/workload-generation"], "5");
}

#[test]
fn a_deployment_that_is_missing_is_told_and_waited_for() {
    let mut cluster = cluster("never");
    let workload = cluster.workload.take();
    cluster.settle();
    let why = "spec.workloadRef: Deployment \"shop\" not found";
    assert!(cluster.phase().ends_with(why), "{}", cluster.phase());
    cluster.workload = workload;
    cluster.pass(5);
    assert_eq!(cluster.phase(), "Healthy");
}
