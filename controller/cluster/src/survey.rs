//! What the controller would do at once if it began now, without doing it.

use crate::{
    TurnFn,
    key::Key,
    mirror::Source,
    objects::{self, Kind as _, Owned, POD_HASH, Read, Workload, WorkloadKind},
    operator::{About, OperatorError, within},
    view::{Scene, View, Viewed},
    watch::Scope,
    writes::wording,
};
use controller::reconcile::{self, Service, Traffic, World, Write};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, Client, api::ListParams, core::DynamicObject};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// A Rollout, and what would become of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Surveyed {
    /// `namespace/name`.
    pub rollout: String,
    /// What would become of it.
    pub outlook: Outlook,
}

/// What would become of a Rollout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outlook {
    /// Nothing would be written.
    Unchanged,
    /// These would be the first writes, in words; others may follow from them.
    Writes(Vec<String>),
    /// It would be told that it is invalid for this reason, and otherwise be left as it is.
    Held(String),
    /// It would be left alone, as it cannot be read for this reason.
    Unreadable(String),
}

/// Looks at all Rollouts of `scope`, in the order of their names, and takes the first turn of each at `now`. Only reads.
///
/// # Errors
/// The API server does not tell.
pub async fn survey(
    client: &Client,
    scope: &Scope,
    turn: TurnFn,
    now: Timestamp,
) -> Result<Vec<Surveyed>, OperatorError> {
    let mut view = View::default();
    let rollouts = list::<Read>(client, scope, &mut view).await?;
    list::<Owned>(client, scope, &mut view).await?;
    list::<Arc<Service>>(client, scope, &mut view).await?;
    let mut surveyed = Vec::new();
    for (key, read) in rollouts {
        let outlook = match (read, view.scene(&key)) {
            (Err(why), _) => Outlook::Unreadable(why.to_string()),
            // It is being deleted.
            (Ok(_), None) => Outlook::Unchanged,
            (Ok(_), Some(scene)) => {
                let world = complete(client, &key, scene, turn, now).await?;
                outlook(&world, turn, now)
            }
        };
        surveyed.push(Surveyed {
            rollout: key.to_string(),
            outlook,
        });
    }
    surveyed.sort_by(|a, b| a.rollout.cmp(&b.rollout));
    Ok(surveyed)
}

/// Lists the objects of a kind into `view`. Returns them.
async fn list<K: Viewed>(
    client: &Client,
    scope: &Scope,
    view: &mut View,
) -> Result<Vec<(Key, K)>, OperatorError> {
    let api: Api<K::Wire> = match &scope.namespace {
        None => Api::all_with(client.clone(), &K::resource()),
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &K::resource()),
    };
    let which = ListParams {
        label_selector: K::selector(&scope.instance),
        ..ListParams::default()
    };
    let about = About {
        kind: K::NAME,
        name: String::new(),
        namespace: scope.namespace.clone(),
    };
    let listed = within(api.list(&which)).await;
    let listed = listed.map_err(|why| about.failed(why))?;
    let mut kept = Vec::new();
    for object in listed.items {
        let (identity, value) =
            objects::see::<K>(object, scope).map_err(|why| about.unfit(&why))?;
        if let Some(value) = value {
            kept.push((identity.key.clone(), value.clone()));
            view.see(identity.with(value), Source::List);
        }
    }
    Ok(kept)
}

/// The world of a Rollout, with the workload and the pods that its turn needs to see.
async fn complete(
    client: &Client,
    key: &Key,
    scene: Scene,
    turn: TurnFn,
    now: Timestamp,
) -> Result<World, OperatorError> {
    let mut world = scene.world;
    // Proxies are not asked: a Rollout that they split is looked at as if they served what its status says.
    world.traffic = Traffic {
        proxies: 1,
        served: reconcile::judging(&world.rollout)
            .and_then(|judging| judging.split)
            .into_iter()
            .collect(),
        finding: None,
    };
    if let Some((source, workload)) = WorkloadKind::of(&world.rollout, key) {
        let api = Api::namespaced_with(client.clone(), &workload.namespace, &source.resource());
        let about = About {
            kind: source.name(),
            name: workload.name.to_string(),
            namespace: Some(workload.namespace.to_string()),
        };
        let read = within(api.get_opt(&workload.name)).await;
        let read = read.map_err(|why| about.failed(why))?;
        world.workload = read.map(|object| Arc::new(Workload::read(source, object).value));
    }
    if turn(&world, now).needs_likeness {
        world.likeness = Some(likeness(client, key, &world).await?);
    }
    if turn(&world, now).needs_pods {
        let api: Api<Pod> = Api::namespaced(client.clone(), &key.namespace);
        let about = About {
            kind: "Pod",
            name: String::new(),
            namespace: Some(key.namespace.to_string()),
        };
        let which = ListParams::default().labels(POD_HASH);
        let pods = within(api.list(&which)).await;
        let pods = pods.map_err(|why| about.failed(why))?;
        let sets = world.replica_sets.iter();
        let sets: BTreeSet<&str> = sets.map(|set| set.uid.as_str()).collect();
        world.pods = Some(objects::pods(pods.items, &sets));
    }
    Ok(world)
}

/// What the ReplicaSets' pod templates are like, by their names.
async fn likeness(
    client: &Client,
    key: &Key,
    world: &World,
) -> Result<BTreeMap<String, String>, OperatorError> {
    let api: Api<DynamicObject> =
        Api::namespaced_with(client.clone(), &key.namespace, &Owned::resource());
    let mut alike = BTreeMap::new();
    for set in &world.replica_sets {
        let about = About {
            kind: Owned::NAME,
            name: set.name.clone(),
            namespace: Some(key.namespace.to_string()),
        };
        let read = within(api.get_opt(&set.name)).await;
        if let Some(object) = read.map_err(|why| about.failed(why))? {
            alike.insert(set.name.clone(), objects::likeness(&object));
        }
    }
    Ok(alike)
}

fn outlook(world: &World, turn: TurnFn, now: Timestamp) -> Outlook {
    if let Some(why) = reconcile::held(world) {
        return Outlook::Held(why);
    }
    let writes = turn(world, now).writes;
    let writes = writes.iter();
    let writes = writes.filter(|write| !matches!(write, Write::Event(_)));
    let writes: Vec<String> = writes.map(wording).collect();
    match writes.is_empty() {
        true => Outlook::Unchanged,
        false => Outlook::Writes(writes),
    }
}

#[cfg(test)]
mod tests {
    use super::{Outlook, outlook};
    use controller::reconcile::{Traffic, World, turn};
    use serde_json::{Value, json};
    use std::sync::Arc;

    fn world(spec: &Value) -> World {
        let object = json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout",
            "metadata": {"name": "shop", "namespace": "prod", "uid": "u0", "generation": 1}, "spec": spec,
        });
        World {
            rollout: Arc::new(serde_json::from_value(object).unwrap()),
            replica_sets: Vec::new(),
            services: [].into(),
            workload: None,
            pods: None,
            likeness: None,
            traffic: Traffic::default(),
        }
    }

    #[test]
    fn what_would_be_written_is_said_and_what_would_be_held() {
        let spec = |canary: Value| {
            json!({
                "replicas": 1, "selector": {"matchLabels": {"app": "shop"}}, "strategy": {"canary": canary},
                "template": {
                    "metadata": {"labels": {"app": "shop"}}, "spec": {"containers": [{"image": "shop:1"}]},
                },
            })
        };
        let now = "2026-11-29T01:02:03Z".parse().unwrap();
        let Outlook::Writes(writes) = outlook(&world(&spec(json!({}))), turn, now) else {
            panic!("it has no ReplicaSet yet");
        };
        let starts = [
            "create ReplicaSet shop-",
            "patch Rollout: ",
            "patch status: ",
        ];
        assert_eq!(writes.len(), starts.len(), "{writes:?}");
        for (write, start) in writes.iter().zip(starts) {
            assert!(write.starts_with(start), "{write}");
        }
        let held = outlook(&world(&spec(json!({"canaryService": "new"}))), turn, now);
        assert_eq!(held, Outlook::Held("service \"new\" not found".to_owned()));
    }
}
