use super::{View, Viewed};
use crate::{
    key::Key,
    mirror::Source,
    objects::{self, Owned, Read, WorkloadKind},
    watch::Scope,
};
use controller::reconcile::Service;
use serde_json::{Value, json};
use std::sync::Arc;

/// Shows an object to the view as the watch would; says which Rollouts it wakes.
fn see<K: Viewed>(view: &mut View, object: Value) -> Vec<String> {
    let wire = serde_json::from_value(object).unwrap();
    let (seen, kept) = objects::see::<K>(wire, &Scope::default()).unwrap();
    let due = match kept {
        Some(value) => view.see(seen.with(value), Source::Watch),
        None => view.gone::<K>(&seen),
    };
    names(&due)
}

fn names(due: &[Key]) -> Vec<String> {
    due.iter().map(ToString::to_string).collect()
}

fn meta(name: &str, uid: &str, version: u64) -> Value {
    json!({"namespace": "prod", "name": name, "uid": uid, "resourceVersion": version.to_string()})
}

fn rollout(name: &str, version: u64, service: &str) -> Value {
    json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "metadata": meta(name, name, version),
        "spec": {"strategy": {"canary": {"canaryService": service}}},
    })
}

fn replica_set(name: &str, version: u64, owner: &str, replicas: u32) -> Value {
    let mut meta = meta(name, name, version);
    meta["ownerReferences"] = json!([
        {"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "name": owner, "uid": owner, "controller": true},
    ]);
    json!({"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": meta, "spec": {"replicas": replicas}})
}

fn service(name: &str, version: u64, hash: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service", "metadata": meta(name, name, version),
        "spec": {"selector": {"hash": hash}},
    })
}

/// The names of what is around a Rollout.
fn around(view: &View, rollout: &str) -> Option<(Vec<String>, Vec<String>)> {
    let scene = view.scene(&Key::new("prod", rollout))?;
    let sets = scene.world.replica_sets.iter();
    let mut sets: Vec<String> = sets.map(|set| set.name.clone()).collect();
    sets.sort();
    Some((sets, scene.world.services.into_keys().collect()))
}

fn of(sets: &[&str], services: &[&str]) -> Option<(Vec<String>, Vec<String>)> {
    let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    Some((owned(sets), owned(services)))
}

#[test]
fn what_belongs_together_is_found() {
    let mut view = View::default();
    assert_eq!(
        see::<Owned>(&mut view, replica_set("a-1", 1, "a", 1)),
        ["prod/a"]
    );
    assert_eq!(around(&view, "a"), None);
    assert_eq!(see::<Read>(&mut view, rollout("a", 1, "web")), ["prod/a"]);
    assert_eq!(see::<Read>(&mut view, rollout("b", 2, "web")), ["prod/b"]);
    assert_eq!(
        see::<Owned>(&mut view, replica_set("b-1", 2, "b", 1)),
        ["prod/b"]
    );
    assert_eq!(around(&view, "a"), of(&["a-1"], &[]));
    // A Service wakes all that name it, and no others.
    assert_eq!(
        see::<Arc<Service>>(&mut view, service("other", 1, "x")),
        [""; 0]
    );
    assert_eq!(
        see::<Arc<Service>>(&mut view, service("web", 2, "x")),
        ["prod/a", "prod/b"]
    );
    assert_eq!(around(&view, "b"), of(&["b-1"], &["web"]));
    // It follows the spec.
    assert_eq!(see::<Read>(&mut view, rollout("b", 3, "other")), ["prod/b"]);
    assert_eq!(around(&view, "b"), of(&["b-1"], &["other"]));
    assert_eq!(
        see::<Arc<Service>>(&mut view, service("web", 3, "y")),
        ["prod/a"]
    );
    // It follows the owner, and wakes both.
    assert_eq!(
        see::<Owned>(&mut view, replica_set("a-1", 3, "b", 1)),
        ["prod/a", "prod/b"]
    );
    assert_eq!(around(&view, "a"), of(&[], &["web"]));
    assert_eq!(around(&view, "b"), of(&["a-1", "b-1"], &["other"]));
}

#[test]
fn a_service_is_around_the_rollout_that_it_says() {
    let mut view = View::default();
    see::<Read>(&mut view, rollout("a", 1, "web"));
    let mut left = service("left", 1, "x");
    let key = "argo-rollouts.argoproj.io/managed-by-rollouts";
    left["metadata"]["annotations"] = json!({key: "a"});
    assert_eq!(see::<Arc<Service>>(&mut view, left), ["prod/a"]);
    assert_eq!(around(&view, "a"), of(&[], &["left"]));
    assert_eq!(
        see::<Arc<Service>>(&mut view, service("left", 2, "x")),
        [""; 0]
    );
    assert_eq!(around(&view, "a"), of(&[], &[]));
}

#[test]
fn services_of_a_rollout_that_is_gone_are_known() {
    let mut view = View::default();
    let left = |view: &View| {
        let left = view.left_behind(&Key::new("prod", "a"));
        left.into_iter()
            .map(|(key, seen)| (key.to_string(), seen.version))
            .collect::<Vec<_>>()
    };
    see::<Read>(&mut view, rollout("a", 1, "web"));
    let mut managed = service("web", 2, "x");
    managed["metadata"]["annotations"] =
        json!({"argo-rollouts.argoproj.io/managed-by-rollouts": "a"});
    see::<Arc<Service>>(&mut view, managed);
    assert_eq!(left(&view), []);
    let mut gone = rollout("a", 3, "web");
    gone["metadata"]["labels"] =
        json!({"argo-rollouts.argoproj.io/controller-instance-id": "another"});
    assert_eq!(see::<Read>(&mut view, gone), ["prod/a"]);
    assert_eq!(left(&view), [("prod/web".to_owned(), 2)]);
    see::<Arc<Service>>(&mut view, service("web", 4, "x"));
    assert_eq!(left(&view), []);
}

#[test]
fn nobody_is_woken_by_what_changes_nothing() {
    let mut view = View::default();
    see::<Read>(&mut view, rollout("a", 1, "web"));
    see::<Owned>(&mut view, replica_set("a-1", 1, "a", 1));
    see::<Arc<Service>>(&mut view, service("web", 1, "x"));
    let none = [""; 0];
    assert_eq!(
        see::<Read>(&mut view, rollout("a", 1, "web")),
        none,
        "seen before"
    );
    assert_eq!(
        see::<Read>(&mut view, rollout("a", 2, "web")),
        none,
        "only its version"
    );
    assert_eq!(see::<Owned>(&mut view, replica_set("a-1", 2, "a", 1)), none);
    assert_eq!(see::<Arc<Service>>(&mut view, service("web", 2, "x")), none);
    let scene = view.scene(&Key::new("prod", "a")).unwrap();
    assert_eq!(
        scene.rollout.version, 2,
        "writes are conditional on the last version"
    );
    assert_eq!(
        (
            scene.replica_sets["a-1"].version,
            scene.services["web"].version
        ),
        (2, 2)
    );
}

#[test]
fn what_cannot_be_read_or_goes_has_no_turn() {
    let mut view = View::default();
    see::<Read>(&mut view, rollout("a", 1, "web"));
    see::<Arc<Service>>(&mut view, service("web", 1, "x"));
    let mut unreadable = rollout("a", 2, "web");
    unreadable["spec"]["replicas"] = "two".into();
    assert_eq!(see::<Read>(&mut view, unreadable), ["prod/a"]);
    assert_eq!(around(&view, "a"), None);
    assert_eq!(
        see::<Arc<Service>>(&mut view, service("web", 2, "y")),
        [""; 0],
        "it names none"
    );
    see::<Read>(&mut view, rollout("a", 3, "web"));
    assert_eq!(around(&view, "a"), of(&[], &["web"]));
    let mut going = rollout("a", 4, "web");
    going["metadata"]["deletionTimestamp"] = "2026-01-02T03:04:05Z".into();
    assert_eq!(see::<Read>(&mut view, going), ["prod/a"]);
    assert_eq!(around(&view, "a"), None);
}

#[test]
fn a_rollout_of_another_controller_is_as_good_as_gone() {
    let mut view = View::default();
    see::<Read>(&mut view, rollout("a", 1, "web"));
    let mut moved = rollout("a", 2, "web");
    moved["metadata"]["labels"] =
        json!({"argo-rollouts.argoproj.io/controller-instance-id": "other"});
    assert_eq!(see::<Read>(&mut view, moved), ["prod/a"]);
    assert_eq!(around(&view, "a"), None);
    assert_eq!(view.rollouts().count(), 0);
}

#[test]
fn a_workload_is_known_by_who_takes_from_it() {
    let mut view = View::default();
    let old = Key::new("prod", "old");
    let mut taking = rollout("a", 1, "web");
    taking["spec"]["workloadRef"] = json!({"kind": "Deployment", "name": "old"});
    see::<Read>(&mut view, taking);
    assert_eq!(
        names(&view.taking_from(WorkloadKind::Deployment, &old)),
        ["prod/a"]
    );
    assert_eq!(
        names(&view.taking_from(WorkloadKind::ReplicaSet, &old)),
        [""; 0]
    );
    see::<Read>(&mut view, rollout("a", 2, "web"));
    assert_eq!(
        names(&view.taking_from(WorkloadKind::Deployment, &old)),
        [""; 0]
    );
}

#[test]
fn indexes_end_empty() {
    let mut view = View::default();
    let mut taking = rollout("a", 1, "web");
    taking["spec"]["workloadRef"] = json!({"kind": "Deployment", "name": "old"});
    see::<Read>(&mut view, taking);
    see::<Owned>(&mut view, replica_set("a-1", 1, "a", 1));
    fn list_none<K: Viewed>(view: &mut View) -> Vec<String> {
        K::mirror(view).begin_list();
        let gone = K::mirror(view).end_list();
        names(&view.follow(gone))
    }
    assert_eq!(list_none::<Read>(&mut view), ["prod/a"]);
    assert_eq!(list_none::<Owned>(&mut view), ["prod/a"]);
    assert!(view.owned.is_empty() && view.naming.is_empty() && view.sources.is_empty());
}
