use super::*;
use crate::{
    document::{self, Strictness},
    spec,
};
use http::{HeaderMap, Method, Uri};
use std::{net::IpAddr, path::Path};
use traffic::{Found, Head};

fn read(text: &str) -> Spec {
    let parsed = document::parse("edge.yaml", text, Strictness::Lint);
    spec::read(&parsed.documents, Path::new("/etc/sluice")).unwrap()
}

/// The largest example, with `from` written as `to`.
fn edited(from: &str, to: &str) -> Spec {
    let text = include_str!("../../../docs/examples/everything.yaml");
    assert!(text.contains(from), "{from}");
    read(&text.replace(from, to))
}

fn check_found(table: &RouteTable, listener: &str, uri: &str, check: impl FnOnce(Found<'_>)) {
    let uri: Uri = uri.parse().unwrap();
    let headers = HeaderMap::from_iter([(
        "x-version".parse().unwrap(),
        http::HeaderValue::from_static("2"),
    )]);
    let head = Head {
        method: &Method::GET,
        uri: &uri,
        headers: (&headers).into(),
        client: &IpAddr::from([127, 0, 0, 1]),
        listener,
    };
    check(table.find(&head).unwrap());
}

#[test]
fn routes_lead_where_they_say_and_do_what_they_say() {
    let spec = edited("", "");
    let table = compile(&spec, &BTreeMap::new(), &Stats::new(1)).unwrap();
    check_found(&table, "http", "http://shop.example/any", |found| {
        let Target::Redirect(redirect) = found.target else {
            panic!("{:?}", found.target);
        };
        assert_eq!(redirect.scheme.as_deref(), Some("https"));
        assert_eq!((redirect.port, redirect.status.as_u16()), (Some(443), 301));
    });
    check_found(&table, "https", "http://shop.example/shop/cart", |found| {
        assert!(matches!(found.target, Target::Split(_)));
        assert_eq!(found.matched_prefix, Some("/shop"));
        let actions = found.actions;
        assert_eq!(actions.request_headers.remove, ["x-debug"]);
        assert_eq!(actions.cors.as_ref().unwrap().max_age, Some(600));
        assert_eq!(actions.max_concurrent.unwrap().get(), 1000);
        assert_eq!(actions.rate_limit.as_ref().unwrap().burst.get(), 200);
        let [mirror] = actions.mirrors.as_slice() else {
            panic!("{:?}", actions.mirrors);
        };
        assert_eq!(&*mirror.backend.id.name, "shadow");
        assert_eq!(mirror.share, Weight::from_percent(10).unwrap());
        let counted = (
            &*mirror.backend.series.rollout().name,
            mirror.backend.series.role(),
        );
        assert_eq!(counted, ("shadow", Role::Active));
    });
    check_found(&table, "https", "http://api.example/", |found| {
        let Target::Backend(backend) = found.target else {
            panic!("{:?}", found.target);
        };
        assert_eq!(backend.policy.protocol, traffic::policy::Protocol::Http2);
        assert_eq!(backend.policy.ejection, None);
    });
    let split = &table.splits()[0];
    assert!(split.rescue);
    let drain = split.stable.policy.stream_drain;
    assert_eq!(
        drain,
        traffic::policy::StreamDrain::CloseAfter(std::time::Duration::from_secs(30))
    );
}

#[test]
fn what_is_known_of_services_and_routes_outlives_tables() {
    let stats = Stats::new(1);
    let state_of = |spec: &Spec| {
        let table = compile(spec, &BTreeMap::new(), &stats).unwrap();
        let mut states = None;
        check_found(&table, "https", "http://api.example/", |found| {
            let Target::Backend(backend) = found.target else {
                panic!("{:?}", found.target);
            };
            states = Some((Arc::clone(&backend.state), Arc::clone(found.state)));
        });
        states.unwrap()
    };
    let (backend, route) = state_of(&edited("", ""));
    let (same_backend, same_route) = state_of(&edited("perSecond: 0.5", "perSecond: 5"));
    assert!(Arc::ptr_eq(&backend, &same_backend) && Arc::ptr_eq(&route, &same_route));
}

#[test]
fn policies_that_say_the_same_stay_the_same_value() {
    let older = edited("", "");
    let policy = |spec: &Spec, service: &str| {
        Arc::clone(&spec.services[&BackendId::new("default", service)].policy)
    };
    let mut newer = edited("slowStart: 30s", "slowStart: 40s");
    newer.share(&older);
    assert!(Arc::ptr_eq(&policy(&older, "api"), &policy(&newer, "api")));
    let (before, after) = (policy(&older, "shop-blue"), policy(&newer, "shop-blue"));
    assert!(!Arc::ptr_eq(&before, &after));
    assert_ne!(before.slow_start, after.slow_start);
}

#[test]
fn what_has_changed_of_the_edge_is_named() {
    let older = edited("", "");
    for (from, to, expected) in [
        ("workers: 2", "workers: 3", "workers"),
        ("minVersion: \"1.2\"", "minVersion: \"1.3\"", "listeners"),
        ("tokenFile: token", "tokenFile: other", "admin"),
        ("headBytes: 65536", "headBytes: 65537", "limits"),
        ("via: sluice", "via: other", "forwarding"),
        ("serviceName: edge", "serviceName: other", "tracing"),
    ] {
        let newer = edited(from, to);
        assert_eq!(older.edge.changed(&newer.edge), [expected]);
    }
    let newer = edited("slowStart: 30s", "slowStart: 40s");
    assert!(older.edge.changed(&newer.edge).is_empty());
}

/// Routes to the Services of a blue-green rollout follow the roles, and not the places.
#[test]
fn users_and_preview_change_places_with_a_promotion() {
    let spec = read(include_str!("../../../docs/examples/blue-green.yaml"));
    let check = |stable: Slot, weight: Weight, users: &str, preview: &str| {
        let shares = Shares {
            stable,
            stable_revision: Revision::new("v1"),
            canary: Some(Revision::new("v2")),
            weight,
            arming: None,
            rule: FailureRule::DEFAULT,
            header_routes: Vec::new(),
            mirror_routes: Vec::new(),
        };
        let shares = BTreeMap::from([(RolloutId::new("default", "shop"), shares)]);
        let table = compile(&spec, &shares, &Stats::new(1)).unwrap();
        check_found(&table, "http", "http://preview.shop.example/", |found| {
            let Target::Backend(backend) = found.target else {
                panic!("{:?}", found.target);
            };
            assert_eq!(&*backend.id.name, preview);
        });
        check_found(&table, "http", "http://shop.example/", |found| {
            let Target::Split(split) = found.target else {
                panic!("{:?}", found.target);
            };
            let split = &table.splits()[*split];
            let all = split.canary.as_ref().filter(|_| weight == Weight::FULL);
            assert_eq!(&*all.unwrap_or(&split.stable).id.name, users);
        });
    };
    check(Slot::First, Weight::ZERO, "shop-active", "shop-preview");
    // While the old version is warm, both lead to the new one.
    check(Slot::First, Weight::FULL, "shop-preview", "shop-preview");
    check(Slot::Second, Weight::ZERO, "shop-preview", "shop-active");
}
