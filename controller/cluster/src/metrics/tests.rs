use super::{Metrics, Reviewed};
use crate::{
    key::Key,
    mirror::Source,
    objects::{self, Read},
    shard::{Shard, Shards},
    shared::Shared,
    watch::Scope,
};
use controller::reconcile::Event;
use serde_json::json;
use std::{collections::BTreeSet, sync::Arc, time::Duration};

/// Metrics of a leader that knows one Rollout, and for which everything has happened once.
fn busy() -> (Metrics, Arc<Shared>) {
    let metrics = Metrics::new("1.2.3", Shards::try_from(4).unwrap());
    let counts = metrics.counts();
    let shared = Arc::new(Shared::new(Arc::clone(&counts), Shard::default()));
    let rollout = json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout",
        "metadata": {"namespace": "prod", "name": "shop", "uid": "u", "resourceVersion": "1"},
        "spec": {"replicas": 4, "strategy": {"canary": {"trafficRouting": {"nginx": {}}}}},
        "status": {"phase": "Paused", "replicas": 5, "availableReplicas": 3, "updatedReplicas": 1},
    });
    let wire = serde_json::from_value(rollout).unwrap();
    let (seen, kept) = objects::see::<Read>(wire, &Scope::default()).unwrap();
    shared.view().see(seen.with(kept.unwrap()), Source::Watch);
    counts.reconciled(Duration::from_millis(2));
    counts.waited(Duration::from_millis(2));
    counts.reconcile_failed();
    counts.event(&Event {
        warns: false,
        reason: "RolloutPaused",
        message: String::new(),
    });
    counts.event_lost();
    counts.requested("ReplicaSet", "patch", "ok".to_owned());
    counts.watch_failed("Service");
    counts.asked_proxy(true);
    counts.reviewed(Reviewed::Denied);
    counts.webhook_certificate(Duration::from_secs(7));
    shared.wake(&[Key::new("prod", "shop")]);
    (metrics, shared)
}

#[test]
fn a_rollout_is_shown_as_it_is_known() {
    let (metrics, shared) = busy();
    let _leading = metrics.lead(Shard::default(), &shared);
    let text = metrics.render().unwrap();
    let of = r#"{namespace="prod",name="shop""#;
    for line in [
        format!(r#"rollout_info{of},phase="Paused",strategy="canary",traffic_router="Nginx"}} 1"#),
        format!("rollout_info_replicas_desired{of}}} 4"),
        format!("rollout_info_replicas_updated{of}}} 1"),
        format!("rollout_info_replicas_available{of}}} 3"),
        format!("rollout_info_replicas_unavailable{of}}} 2"),
        "sluice_controller_leader 1".to_owned(),
        r#"sluice_controller_shard_leader{shard="0"} 1"#.to_owned(),
        r#"sluice_controller_shard_leader{shard="3"} 0"#.to_owned(),
        "workqueue_depth 1".to_owned(),
        r#"build_info{version="1.2.3"} 1"#.to_owned(),
        r#"rollout_events_total{type="Normal",reason="RolloutPaused"} 1"#.to_owned(),
        "rollout_reconcile_count 1".to_owned(),
    ] {
        assert!(
            text.lines().any(|found| found == line),
            "{line} is not in\n{text}"
        );
    }
}

/// What several shards know is shown together, and what is due there is added up.
#[test]
fn who_leads_several_shards_shows_all_of_them() {
    let (metrics, shared) = busy();
    let shards = Shards::try_from(4).unwrap();
    let other = shards.all().last().unwrap();
    let empty = Arc::new(Shared::new(metrics.counts(), other));
    let keys = (0..16).map(|number| Key::new("prod", &format!("shop-{number}")));
    let keys: Vec<Key> = keys.collect();
    empty.wake(&keys);
    let ours = keys.iter();
    let ours = ours.filter(|key| other.has(&key.namespace, &key.name));
    let due = format!("workqueue_depth {}\n", 1 + ours.count());
    let leading = metrics.lead(Shard::default(), &shared);
    let also = metrics.lead(other, &empty);
    let text = metrics.render().unwrap();
    assert!(text.contains(&due), "{due} is not in\n{text}");
    assert!(text.contains("shop"), "{text}");
    drop(leading);
    let text = metrics.render().unwrap();
    assert!(text.contains("sluice_controller_leader 1\n"), "{text}");
    assert!(!text.contains("shop"), "{text}");
    drop(also);
    let text = metrics.render().unwrap();
    assert!(text.contains("sluice_controller_leader 0\n"), "{text}");
}

#[test]
fn who_does_not_lead_shows_no_rollouts() {
    let (metrics, shared) = busy();
    drop(metrics.lead(Shard::default(), &shared));
    let text = metrics.render().unwrap();
    assert!(text.contains("sluice_controller_leader 0\n"), "{text}");
    assert!(!text.contains("shop"), "{text}");
}

#[test]
fn all_are_documented() {
    let (metrics, shared) = busy();
    let _leading = metrics.lead(Shard::default(), &shared);
    let text = metrics.render().unwrap();
    let shown = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| {
            let name = line.split(['{', ' ']).next()?;
            let base = ["_bucket", "_sum", "_count"]
                .into_iter()
                .find_map(|end| name.strip_suffix(end));
            Some(base.unwrap_or(name).to_owned())
        });
    let shown: BTreeSet<String> = shown.collect();
    let page = include_str!("../../../../docs/kubernetes.md");
    let section = page.split_once("\n### Metrics\n").unwrap().1;
    let documented = section
        .lines()
        .take_while(|line| !line.starts_with('#'))
        .filter(|line| line.starts_with("| `"))
        .filter_map(|line| line.split('|').nth(1));
    let documented: BTreeSet<String> = documented
        .flat_map(|cell| cell.split('`').skip(1).step_by(2))
        .map(|name| name.replace('…', "rollout_info_replicas"))
        .collect();
    assert_eq!(shown, documented);
}
