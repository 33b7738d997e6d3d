use super::*;
use crate::watch::{Scope, changes};
use controller::fleet::{Endpoint, EndpointSlice, Family, ServicePort};
use kube::runtime::watcher::Event;
use serde_json::{Value, json};

fn meta(name: &str, version: u64) -> Value {
    json!({"namespace": "prod", "name": name, "uid": name, "resourceVersion": version.to_string()})
}

fn rollout(version: u64, status: &Value) -> Value {
    json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "metadata": meta("shop", version),
        "spec": {
            "replicas": version, "template": {"spec": {"containers": []}},
            "strategy": {"canary": {"stableService": "shop", "canaryService": "shop-canary"}},
        },
        "status": status,
    })
}

fn service(name: &str, version: u64, port: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service", "metadata": meta(name, version),
        "spec": {"selector": {"version": version.to_string()}, "ipFamilies": ["IPv6", "IPv4"], "ports": [
            {"name": "dns", "port": 53, "protocol": "UDP"},
            {"name": port, "port": 80, "protocol": "TCP", "appProtocol": "kubernetes.io/h2c"},
        ]},
    })
}

fn slice(service: &str, version: u64, address: &str) -> Value {
    let mut meta = meta(&format!("{service}-1"), version);
    meta["labels"] = json!({"kubernetes.io/service-name": service});
    json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": meta, "addressType": "IPv4",
        "ports": [{"name": "dns", "port": 53, "protocol": "UDP"}, {"name": "http", "port": 8080}],
        "endpoints": [
            {
                "addresses": [address, "10.0.0.9"], "nodeName": format!("node-{version}"),
                "targetRef": {"kind": "Pod", "name": "shop-v1-x"},
            },
            {
                "addresses": ["10.0.0.2"], "conditions": {"ready": false, "serving": true, "terminating": true},
                "targetRef": {"kind": "Node", "name": "shop-v1-x"},
            },
        ],
    })
}

/// Shows an object as the watch would; tells whether a table may differ now.
fn see<K: Noted>(known: &mut Known, object: Value) -> bool {
    let event = Event::Apply(serde_json::from_value(object).unwrap());
    tell::<K>(known, event)
}

fn tell<K: Noted>(known: &mut Known, event: Event<K::Wire>) -> bool {
    let changes = changes::<K>(K::mirror(known), event, &Scope::default());
    known.follow(changes)
}

#[test]
fn only_what_tables_are_made_of_is_news() {
    let mut known = Known::default();
    assert!(!see::<Arc<Service>>(&mut known, service("shop", 1, "http")));
    assert!(!see::<Sliced>(&mut known, slice("shop", 2, "10.0.0.1")));
    assert!(
        see::<Asking>(&mut known, rollout(3, &json!({"stableRS": "v1"}))),
        "its Services are known already"
    );
    let healthy = json!({"stableRS": "v1", "phase": "Healthy", "conditions": [{}]});
    assert!(!see::<Asking>(&mut known, rollout(4, &healthy)));
    assert!(see::<Asking>(
        &mut known,
        rollout(5, &json!({"stableRS": "v2"}))
    ));
    assert!(
        !see::<Arc<Service>>(&mut known, service("shop", 6, "http")),
        "another selector"
    );
    assert!(see::<Arc<Service>>(&mut known, service("shop", 7, "web")));
    assert!(
        !see::<Sliced>(&mut known, slice("shop", 8, "10.0.0.1")),
        "another node"
    );
    assert!(see::<Sliced>(&mut known, slice("shop", 9, "10.0.0.3")));
    assert!(
        !see::<Sliced>(&mut known, slice("other", 10, "10.0.0.3")),
        "nobody names it"
    );
    let gone = serde_json::from_value(rollout(11, &json!({}))).unwrap();
    assert!(tell::<Asking>(&mut known, Event::Delete(gone)));
    assert!(!see::<Sliced>(&mut known, slice("shop", 12, "10.0.0.4")));
    assert!(known.look().rollouts.is_empty() && known.look().slices.is_empty());
}

#[test]
fn what_is_named_is_seen() {
    let mut known = Known::default();
    see::<Asking>(
        &mut known,
        rollout(1, &json!({"abort": true, "message": "m"})),
    );
    see::<Arc<Service>>(&mut known, service("shop", 2, "http"));
    see::<Arc<Service>>(&mut known, service("other", 3, "http"));
    see::<Sliced>(&mut known, slice("shop", 4, "10.0.0.1"));
    let seen = known.look();
    let [rollout] = seen.rollouts.as_slice() else {
        panic!("{seen:?}");
    };
    assert_eq!(rollout.status, Some(json!({"abort": true})));
    assert_eq!(rollout.spec.template, None);
    let expected = Service {
        ports: vec![ServicePort {
            name: "http".into(),
            speaks_http2: true,
        }],
        family: Some(Family::V6),
    };
    let shop = BackendId::new("prod", "shop");
    assert_eq!(
        seen.services,
        HashMap::from([(shop.clone(), Arc::new(expected))])
    );
    let endpoint = |last: u8, is_ending: bool| Endpoint {
        pod: (!is_ending).then(|| "shop-v1-x".into()),
        address: [10, 0, 0, last].into(),
        is_ready: !is_ending,
        is_serving: true,
        is_terminating: is_ending,
    };
    let expected = EndpointSlice {
        ports: vec![("http".into(), 8080)],
        endpoints: vec![endpoint(1, false), endpoint(2, true)],
    };
    assert_eq!(seen.slices[&shop], [Arc::new(expected)]);
    assert_eq!(seen.slices[&BackendId::new("prod", "shop-canary")], []);
}

#[test]
fn nothing_is_complete_before_all_is_listed() {
    let mut known = Known::default();
    fn list<K: Noted>(known: &mut Known) -> bool {
        tell::<K>(known, Event::Init);
        tell::<K>(known, Event::InitDone);
        known.is_complete()
    }
    assert!(!list::<Asking>(&mut known));
    assert!(!list::<Sliced>(&mut known));
    assert!(list::<Arc<Service>>(&mut known));
}
