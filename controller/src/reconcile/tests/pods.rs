//! What is done to pods themselves.

use serde_json::{Value, json};

use super::Cluster;

fn healthy(strategy: &Value) -> Cluster {
    let spec = json!({"replicas": 4, "strategy": strategy});
    let mut cluster = Cluster::new(&spec, "v1").with_services(&["active"]);
    cluster.settle();
    cluster.pass(3);
    assert_eq!(cluster.phase(), "Healthy");
    cluster
}

fn steps() -> Value {
    json!([{"setWeight": 25}, {"pause": {}}])
}

#[test]
fn a_restart_replaces_pods_a_few_at_a_time() {
    for strategy in [
        json!({"canary": {"maxUnavailable": 1}}),
        json!({"blueGreen": {"activeService": "active", "maxUnavailable": 1}}),
    ] {
        let mut cluster = healthy(&strategy);
        let before: Vec<_> = cluster.pods().into_iter().map(|pod| pod.name).collect();
        cluster.pass(10);
        let at = cluster.now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        cluster.edit(&json!({"restartAt": at}));
        for _ in 0..20 {
            cluster.pass(1);
            let available: u32 = cluster.sets.iter().map(|set| set.object.available).sum();
            assert!(available >= 3, "{available}");
        }
        assert_eq!(cluster.phase(), "Healthy");
        assert!(cluster.pods().iter().all(|pod| !before.contains(&pod.name)));
        assert_eq!(cluster.rollout["status"]["restartedAt"], at);
    }
}

#[test]
fn a_restart_waits_for_its_time_and_for_the_budget() {
    let mut cluster = healthy(&json!({"canary": {}}));
    let at = cluster
        .now
        .checked_add(jiff::SignedDuration::from_secs(60))
        .unwrap();
    cluster.edit(&json!({"restartAt": at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()}));
    assert_eq!(cluster.phase(), "Progressing: rollout is restarting");
    assert!(cluster.wake_at.unwrap() > at);
    cluster.refuses = true;
    cluster.pass(100);
    assert_eq!(cluster.phase(), "Progressing: rollout is restarting");
    cluster.refuses = false;
    cluster.pass(60);
    assert_eq!(cluster.phase(), "Healthy");
}

#[test]
fn pods_say_what_their_version_is_now() {
    let mut cluster = healthy(&json!({"canary": {
        "steps": steps(),
        "canaryMetadata": {"labels": {"role": "canary"}, "annotations": {"note": "new"}},
        "stableMetadata": {"labels": {"role": "stable"}},
    }}));
    let roles = |cluster: &Cluster| {
        let pods = cluster.pods().into_iter();
        let role = |pod: &crate::reconcile::Pod| pod.labels.get("role").cloned();
        let mut roles: Vec<_> = pods
            .map(|pod| {
                (
                    pod.name.split('-').next().unwrap().to_owned(),
                    role(&pod).unwrap_or_default(),
                )
            })
            .collect();
        roles.sort();
        roles.dedup();
        roles
    };
    let pair = |image: &str, role: &str| (image.to_owned(), role.to_owned());
    assert_eq!(roles(&cluster), [pair("v1", "stable")]);
    cluster.ship("v2");
    cluster.pass(5);
    assert_eq!(
        roles(&cluster),
        [pair("v1", "stable"), pair("v2", "canary")]
    );
    cluster.promote();
    cluster.pass(20);
    assert_eq!(cluster.phase(), "Healthy");
    assert_eq!(roles(&cluster), [pair("v2", "stable")]);
    assert!(
        cluster
            .pods()
            .iter()
            .all(|pod| !pod.annotations.contains_key("note"))
    );
    cluster
        .edit(&json!({"strategy": {"canary": {"stableMetadata": null, "canaryMetadata": null}}}));
    assert_eq!(roles(&cluster), [pair("v2", "")]);
    let v2 = cluster.sets.iter().find(|set| set.image == "v2").unwrap();
    assert!(
        !v2.object
            .annotations
            .contains_key("rollout.argoproj.io/ephemeral-metadata")
    );
}

#[test]
fn new_pods_keep_off_the_nodes_of_stable_ones() {
    let required = json!({"requiredDuringSchedulingIgnoredDuringExecution": {}});
    let mut cluster = healthy(&json!({"canary": {"steps": steps(), "antiAffinity": required}}));
    let apart = |cluster: &Cluster, image: &str| {
        let set = cluster.sets.iter().find(|set| set.image == image).unwrap();
        set.object.apart_from.clone()
    };
    assert_eq!(apart(&cluster, "v1"), None);
    cluster.ship("v2");
    let v1 = cluster.status().stable_rs;
    assert_eq!(apart(&cluster, "v2"), v1);
    cluster.pass(5);
    cluster.promote();
    cluster.pass(20);
    let v2 = cluster.status().stable_rs;
    cluster.ship("v3");
    cluster.pass(5);
    assert_eq!(apart(&cluster, "v3"), v2);
    cluster.promote();
    cluster.pass(20);
    // v2 comes back, and v1 is no longer what its pods are to keep off.
    let v3 = cluster.status().stable_rs;
    cluster.ship("v2");
    cluster.pass(5);
    assert_eq!(apart(&cluster, "v2"), v3);
}
