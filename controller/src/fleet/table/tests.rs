use super::*;
use crate::fleet::{Endpoint, EndpointSlice, Service, ServicePort};
use http::{HeaderMap, Method, Uri};
use serde_json::{Value, json};
use std::net::{IpAddr, SocketAddr};

use traffic::{Head, Target, Weight, split::Side};

fn names() -> Names {
    Names {
        namespace: Some("prod".into()),
        domain: "cluster.local".into(),
    }
}

/// A canary `prod/shop` with Sluice's own `options`, made in the year `made`.
fn shop(options: &Value, made: u16) -> Value {
    json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout",
        "metadata": {"name": "shop", "namespace": "prod", "creationTimestamp": format!("{made}-01-02T03:04:05Z")},
        "spec": {"strategy": {"canary": {
            "stableService": "shop", "canaryService": "shop-canary",
            "trafficRouting": {"managedRoutes": [{"name": "beta"}], "plugins": {"sluice/proxy": options}},
            "steps": [
                {"setHeaderRoute": {"name": "beta", "match": [{"headerName": "x-beta", "headerValue": {"exact": "1"}}]}},
                {"setWeight": 20},
                {"setHeaderRoute": {"name": "beta"}},
                {"setWeight": 50},
            ],
        }}},
        "status": {
            "currentPodHash": "v2", "stableRS": "v1", "currentStepIndex": 1,
            "canary": {"weights": {
                "canary": {"weight": 20, "podTemplateHash": "v2"}, "stable": {"weight": 80, "podTemplateHash": "v1"},
            }},
        },
    })
}

/// `rollout` with something else at a pointer; nothing there any more where that is null.
fn with(mut rollout: Value, pointer: &str, value: Value) -> Value {
    let (parent, field) = pointer.rsplit_once('/').unwrap();
    rollout.pointer_mut(parent).unwrap()[field] = value;
    rollout
}

/// A Service of each name, each with one endpoint: 10.0.0.1 for the first, and so on.
fn seen(rollouts: &[Value], services: &[&str]) -> Seen {
    let rollouts = rollouts.iter().cloned();
    let id = |name: &&str| {
        let (namespace, name) = name.split_once('/').unwrap();
        BackendId::new(namespace, name)
    };
    let service = |name: &&str| {
        let ports = vec![ServicePort::default()];
        (
            id(name),
            Arc::new(Service {
                ports,
                family: None,
            }),
        )
    };
    let slice = |(name, last): (&&str, u8)| {
        let endpoint = Endpoint {
            pod: None,
            address: IpAddr::from([10, 0, 0, last]),
            is_ready: true,
            is_serving: true,
            is_terminating: false,
        };
        let ports = vec![("".into(), 80)];
        let endpoints = vec![endpoint];
        (id(name), vec![Arc::new(EndpointSlice { ports, endpoints })])
    };
    Seen {
        rollouts: rollouts
            .map(|rollout| Arc::new(serde_json::from_value(rollout).unwrap()))
            .collect(),
        services: services.iter().map(service).collect(),
        slices: services.iter().zip(1..).map(slice).collect(),
    }
}

const PAIR: [&str; 2] = ["prod/shop", "prod/shop-canary"];

fn told(outline: &Outline) -> Vec<String> {
    outline.findings().iter().map(ToString::to_string).collect()
}

/// Where a request for `host` goes: the split and its sides for users with and without a header, or the Service.
fn leads(outline: &Outline, host: &str) -> String {
    let table = outline.compile(&Stats::new(1), |_| 1).unwrap();
    let uri: Uri = format!("http://{host}/").parse().unwrap();
    let beta = HeaderMap::from_iter([(
        "x-beta".parse().unwrap(),
        http::HeaderValue::from_static("1"),
    )]);
    let client = IpAddr::from([127, 0, 0, 1]);
    let head = |headers| Head {
        method: &Method::GET,
        uri: &uri,
        headers,
        client: &client,
        listener: "any",
    };
    let plain = HeaderMap::new();
    let Some(found) = table.find(&head((&plain).into())) else {
        return "nowhere".to_owned();
    };
    match found.target {
        Target::Backend(backend) => {
            let counted = backend.series.rollout();
            let endpoints = backend.endpoints.len();
            format!(
                "{} x{endpoints} as {counted} {}",
                backend.id,
                backend.series.role()
            )
        }
        Target::Split(place) => {
            let split = &table.splits()[*place];
            let chosen = split.choose(&head((&beta).into()), 0, || 0);
            let canary = split.canary.as_ref().map(|canary| canary.id.to_string());
            let by = if chosen.side == Side::Canary && !chosen.by_weight {
                ", beta"
            } else {
                ""
            };
            let to = canary.map_or_else(String::new, |canary| {
                format!(", {} to {canary}{by}", split.weight)
            });
            format!("{} to {}{to}", split.rollout, split.stable.id)
        }
        Target::Redirect(_) => "elsewhere".to_owned(),
    }
}

const SPLIT: &str = "prod/shop to prod/shop, 20% to prod/shop-canary";
const STABLE: &str = "prod/shop to prod/shop";

#[test]
fn what_is_asked_for_is_found_by_its_names() {
    let options = json!({"hosts": ["shop.example", "*.shop.example"]});
    let seen = seen(&[shop(&options, 2025)], &PAIR);
    let all = Outline::of(&seen, &names());
    assert_eq!(told(&all), [""; 0]);
    let canary = "prod/shop-canary x1 as prod/shop-canary active";
    for (host, expected) in [
        ("shop", SPLIT),
        ("shop.prod", SPLIT),
        ("SHOP.prod.svc:8080", SPLIT),
        ("shop.prod.svc.cluster.local", SPLIT),
        ("shop.example", SPLIT),
        ("de.shop.example", SPLIT),
        ("shop-canary", canary),
        ("shop-canary.prod.svc.cluster.local:80", canary),
        ("shop.other", "nowhere"),
        ("other.example", "nowhere"),
    ] {
        let found = leads(&all, host);
        let found = found.strip_suffix(", beta").unwrap_or(&found);
        assert_eq!(found, expected, "{host}");
    }
    let elsewhere = Names {
        namespace: None,
        domain: "example.org".into(),
    };
    let all = Outline::of(&seen, &elsewhere);
    for (host, is_found) in [
        ("shop", false),
        ("shop.prod", true),
        ("shop.prod.svc.example.org", true),
        ("shop.prod.svc.cluster.local", false),
    ] {
        assert_eq!(leads(&all, host) != "nowhere", is_found, "{host}");
    }
}

#[test]
fn only_whom_options_ask_for_is_split() {
    let plain = with(
        shop(&json!({}), 2025),
        "/spec/strategy/canary/trafficRouting",
        json!({"nginx": {"stableIngress": "shop"}}),
    );
    let switched = with(
        shop(&json!({}), 2025),
        "/spec/strategy",
        json!({"blueGreen": {"activeService": "shop", "previewService": "shop-canary"}}),
    );
    let turns = with(
        turning("ping"),
        "/spec/strategy/canary/pingPong/pongService",
        json!("shop"),
    );
    let once = with(
        shop(&json!({}), 2025),
        "/spec/strategy/canary/canaryService",
        Value::Null,
    );
    let at = "Rollout prod/shop: spec.strategy.canary: ";
    for (rollout, expected) in [
        (plain, None),
        (switched, None),
        (turns, Some("found \"shop\" twice, allowed two Services")),
        (
            once,
            Some(
                "needs stableService and canaryService: what is asked for at the first is split between both",
            ),
        ),
    ] {
        let all = Outline::of(&seen(&[rollout], &PAIR), &names());
        assert_eq!(leads(&all, "shop"), "prod/shop x1 as prod/shop active");
        let expected = expected.map(|why| format!("{at}{why}"));
        assert_eq!(told(&all), Vec::from_iter(expected));
    }
}

/// [`shop`] with Services that take turns, of which the status says that this one is stable's.
fn turning(stable: &str) -> Value {
    let options = json!({"hosts": ["shop.example"]});
    let rollout = with(
        shop(&options, 2025),
        "/spec/strategy/canary/pingPong",
        json!({"pingService": "shop", "pongService": "shop-canary"}),
    );
    let lasting = ["stableService", "canaryService"];
    let rollout = lasting.into_iter().fold(rollout, |rollout, field| {
        with(
            rollout,
            &format!("/spec/strategy/canary/{field}"),
            Value::Null,
        )
    });
    with(rollout, "/status/canary/stablePingPong", json!(stable))
}

#[test]
fn services_that_take_turns_are_what_the_status_says() {
    let check = |rollout: Value, services: &[&str], expected: [&str; 3]| {
        let seen = seen(std::slice::from_ref(&rollout), services);
        let all = Outline::of(&seen, &names());
        assert_eq!(told(&all), [""; 0], "{rollout:#}");
        let found = ["shop.example", "shop", "shop-canary.prod"].map(|host| leads(&all, host));
        assert_eq!(found, expected, "{rollout:#}");
    };
    let by_pong = "prod/shop to prod/shop-canary, 20% to prod/shop, beta";
    let by_ping = "prod/shop to prod/shop, 20% to prod/shop-canary, beta";
    let ping = "prod/shop x1 as prod/shop active";
    let pong = "prod/shop-canary x1 as prod/shop-canary active";
    check(turning("ping"), &PAIR, [by_ping, by_ping, pong]);
    check(turning("pong"), &PAIR, [by_pong, ping, by_pong]);
    check(turning(""), &PAIR, [by_pong, ping, by_pong]);
    // What is promoted changes sides in one table: weights of before are of the other sides.
    let alone = "prod/shop to prod/shop-canary";
    let promoted = |weights: Value| {
        let rollout = with(turning("pong"), "/status/stableRS", json!("v2"));
        with(rollout, "/status/canary/weights", weights)
    };
    let after = json!({
        "canary": {"weight": 0, "podTemplateHash": "v2"}, "stable": {"weight": 100, "podTemplateHash": "v2"},
    });
    let before = json!({
        "canary": {"weight": 100, "podTemplateHash": "v2"}, "stable": {"weight": 0, "podTemplateHash": "v1"},
    });
    for weights in [after, before, Value::Null] {
        check(promoted(weights), &PAIR, [alone, ping, alone]);
    }
    // A Service that leads to stable for ever is split, too.
    let lasting = "/spec/strategy/canary/stableService";
    let lasting = with(turning("pong"), lasting, json!("shop-lasting"));
    let services = [&PAIR[..], &["prod/shop-lasting"]].concat();
    check(lasting.clone(), &services, [by_pong, ping, by_pong]);
    let all = Outline::of(&seen(&[lasting], &services), &names());
    assert_eq!(leads(&all, "shop-lasting.prod.svc"), by_pong);
}

/// What is seen of `rollout` and of the pods of stable and of the canary, whose addresses end with 10, 11 and so on, and with 20,
/// 21 and so on. Those that are called `ended` are not ready.
fn seen_with_pods(rollout: &Value, pods: [&[&str]; 2]) -> Seen {
    let mut seen = seen(std::slice::from_ref(rollout), &PAIR);
    for ((id, pods), first) in sides().iter().zip(pods).zip([10, 20]) {
        let slice = Arc::make_mut(&mut seen.slices.get_mut(id).unwrap()[0]);
        let any = slice.endpoints[0].clone();
        let endpoints = pods.iter().zip(first..).map(|(pod, last)| Endpoint {
            pod: Some((*pod).into()),
            address: IpAddr::from([10, 0, 0, last]),
            is_ready: !pod.ends_with("-ended"),
            is_serving: !pod.ends_with("-ended"),
            ..any.clone()
        });
        slice.endpoints = endpoints.collect();
    }
    seen
}

fn sides() -> [BackendId; 2] {
    ["shop", "shop-canary"].map(|name| BackendId::new("prod", name))
}

/// The last parts of the addresses that stable's and the canary's requests go to.
fn lasts(outline: &Outline) -> [Vec<u8>; 2] {
    let last = |address: &SocketAddr| match address.ip() {
        IpAddr::V4(address) => address.octets()[3],
        IpAddr::V6(_) => 0,
    };
    sides().map(|id| outline.services[&id].endpoints.iter().map(last).collect())
}

/// EndpointSlices follow a Service's selector late. What they have until then is another version's.
#[test]
fn pods_of_another_version_get_none_of_its_requests() {
    /// The canary's weight, and the last parts of the addresses of stable and of the canary.
    fn check(rollout: &Value, pods: [&[&str]; 2], expected: (&str, [&[u8]; 2])) {
        let all = Outline::of(&seen_with_pods(rollout, pods), &names());
        let weight = all.sharing().next().unwrap().1.shares.weight;
        let (expected_weight, expected_lasts) = expected;
        assert_eq!(
            (
                &*weight.to_string(),
                lasts(&all).each_ref().map(Vec::as_slice)
            ),
            (expected_weight, expected_lasts),
            "{pods:?}"
        );
    }
    let trial = shop(&json!({}), 2025);
    let (old, new, older) = (&["shop-v1-aaaaa"], &["shop-v2-bbbbb"], &["shop-v0-ccccc"]);
    check(&trial, [old, new], ("20%", [&[10], &[20]]));
    // Of an earlier canary: nobody asks for that one, but by the name of its Service.
    check(&trial, [old, older], ("0%", [&[10], &[20]]));
    check(&trial, [old, old], ("0%", [&[10], &[20]]));
    check(&trial, [old, &[older[0], new[0]]], ("20%", [&[10], &[21]]));
    // Pods of other names may be any version's.
    check(&trial, [&["a"], &["b"]], ("20%", [&[10], &[20]]));
    check(&trial, [&[old[0], "a"], new], ("20%", [&[10, 11], &[20]]));
    // After the promotion, both Services are to lead to the same pods.
    let promoted = after_promotion(trial, "v2", "v2", 0);
    check(&promoted, [new, new], ("0%", [&[10], &[20]]));
    check(&promoted, [old, new], ("0%", [&[20], &[20]]));
    check(
        &promoted,
        [&[old[0], new[0]], new],
        ("0%", [&[10, 11], &[20]]),
    );
    // Better those than none.
    check(&promoted, [old, old], ("0%", [&[10], &[20]]));
}

/// `rollout` with these versions, and the canary's weight.
fn after_promotion(rollout: Value, stable: &str, canary: &str, weight: u8) -> Value {
    let weights = json!({
        "canary": {"weight": weight, "podTemplateHash": canary},
        "stable": {"weight": 100 - weight, "podTemplateHash": stable},
    });
    let promoted = with(rollout, "/status/canary/weights", weights);
    let promoted = with(promoted, "/status/stableRS", json!(stable));
    with(promoted, "/status/currentPodHash", json!(canary))
}

/// The EndpointSlices of the stable Service are so late that the canary Service has the next version's pods already.
#[test]
fn where_the_stable_version_was_is_remembered() {
    let trial = shop(&json!({}), 2025);
    let promoted = after_promotion(trial.clone(), "v2", "v2", 0);
    let next = after_promotion(trial.clone(), "v2", "v3", 20);
    let (v1, v2, v3) = (&["shop-v1-aaaaa"], &["shop-v2-bbbbb"], &["shop-v3-ccccc"]);
    let mut known = Outline::default();
    let mut check = |rollout: &Value, pods: [&[&str]; 2], expected: [&[u8]; 2]| {
        let mut all = Outline::of(&seen_with_pods(rollout, pods), &names());
        all.remember(&known);
        let found = lasts(&all);
        assert_eq!(found.each_ref().map(Vec::as_slice), expected, "{pods:?}");
        known = all;
    };
    // Who was not there before knows of no better ones.
    check(&next, [v1, v3], [&[10], &[20]]);
    check(&trial, [v1, v2], [&[10], &[20]]);
    let ended = &["shop-v1-ended"];
    for old in [v1, ended] {
        check(&promoted, [old, v2], [&[20], &[20]]);
    }
    for old in [v1, ended] {
        check(&next, [old, v3], [&[20], &[20]]);
    }
    check(&next, [v2, v3], [&[10], &[20]]);
    check(&next, [v1, v3], [&[10], &[20]]);
    // It has no pods any more, or none that is ready.
    for none in [
        &[][..],
        &["shop-v2-ended"],
        &["shop-v1-ended", "shop-v2-ended"],
    ] {
        check(&next, [v2, v3], [&[10], &[20]]);
        check(&next, [none, v3], [&[], &[20]]);
    }
    check(&next, [v1, v3], [&[10], &[20]]);
    // From a canary with all requests.
    check(&trial, [v1, v2], [&[10], &[20]]);
    check(&next, [v1, v3], [&[20], &[20]]);
}

/// A status that cannot be read still says where the old version is, and it gets nothing.
#[test]
fn who_is_stable_is_known_of_a_status_that_cannot_be_read() {
    for (slot, service) in [("ping", "prod/shop"), ("pong", "prod/shop-canary")] {
        let rollout = with(turning(slot), "/status/currentStepIndex", json!("one"));
        let all = Outline::of(&seen(&[rollout], &PAIR), &names());
        assert!(
            told(&all)[0].contains("status: cannot be read"),
            "{:?}",
            told(&all)
        );
        let stable = format!("prod/shop to {service}");
        assert_eq!(leads(&all, "shop.example"), stable);
    }
}

#[test]
fn a_canary_gets_what_the_status_says_and_nothing_else() {
    let check =
        |pointer: &str, value: Value, services: &[&str], expected: &str, why: Option<&str>| {
            let rollout = with(shop(&json!({}), 2025), pointer, value.clone());
            let all = Outline::of(&seen(&[rollout], services), &names());
            let why = why.map(|why| format!("Rollout prod/shop: {why}"));
            assert_eq!(told(&all), Vec::from_iter(why), "{pointer} {value}");
            let found = leads(&all, "shop");
            assert_eq!(found, expected, "{pointer} {value}");
        };
    let beta = format!("{SPLIT}, beta");
    check("/status/phase", json!("Paused"), &PAIR, &beta, None);
    check("/status/abort", json!(true), &PAIR, STABLE, None);
    check("/status", Value::Null, &PAIR, STABLE, None);
    check("/status/canary", Value::Null, &PAIR, STABLE, None);
    let lacks = "spec.strategy.canary.canaryService: found \"shop-canary\", and there is no Service of that name";
    check(
        "/status/phase",
        json!("Paused"),
        &PAIR[..1],
        STABLE,
        Some(lacks),
    );
    // The route has ended with the third step, and with the last.
    check("/status/currentStepIndex", json!(2), &PAIR, SPLIT, None);
    check("/status/currentStepIndex", json!(4), &PAIR, SPLIT, None);
    let weights = "/status/canary/weights/canary";
    let wrong = "status.canary.weights: found 30 for the canary and 80 for stable, allowed are parts of 100 that are \
                 all of it together; all requests go to stable";
    check(
        weights,
        json!({"weight": 30, "podTemplateHash": "v2"}),
        &PAIR,
        STABLE,
        Some(wrong),
    );
    let no_hash =
        "status.canary.weights: needs podTemplateHash of both versions; all requests go to stable";
    check(weights, json!({"weight": 20}), &PAIR, STABLE, Some(no_hash));
    // It is stable already.
    check(
        weights,
        json!({"weight": 20, "podTemplateHash": "v1"}),
        &PAIR,
        STABLE,
        None,
    );
    let unmanaged = "spec.strategy.canary.steps[0].setHeaderRoute.name: found \"beta\", allowed one of \
                     trafficRouting.managedRoutes";
    let managed = "/spec/strategy/canary/trafficRouting/managedRoutes";
    check(managed, json!([]), &PAIR, STABLE, Some(unmanaged));
}

#[test]
fn a_canary_gets_the_copies_of_the_steps_that_are_passed() {
    let check = |index: u64, weight: u64, expected: &[u8], has_header_route: bool| {
        let rollout = shop(&json!({}), 2025);
        let mirror = |percent: u64, matches: Value| json!({"setMirrorRoute": {"name": "beta", "percentage": percent, "match": matches}});
        let steps = json!([
            {"setCanaryScale": {"replicas": 1}},
            mirror(25, json!([{"method": {"exact": "GET"}}])),
            {"setHeaderRoute": {"name": "beta", "match": [{"headerName": "x", "headerValue": {"exact": "1"}}]}},
            mirror(50, json!([{}])),
            {"setMirrorRoute": {"name": "beta"}},
            {"pause": {}},
        ]);
        let rollout = with(rollout, "/spec/strategy/canary/steps", steps);
        let rollout = with(rollout, "/status/currentStepIndex", json!(index));
        let weights = "/status/canary/weights";
        let side = |weight: u64, hash: &str| json!({"weight": weight, "podTemplateHash": hash});
        let sides = json!({"canary": side(weight, "v2"), "stable": side(100 - weight, "v1")});
        let rollout = with(rollout, weights, sides);
        let all = Outline::of(&seen(&[rollout], &PAIR), &names());
        assert_eq!(told(&all), [""; 0]);
        let table = all.compile(&Stats::new(1), |_| 1).unwrap();
        let split = &table.splits()[0];
        let shares = split.copies.iter().map(|rule| {
            let mirror = &rule.mirror;
            assert_eq!(mirror.backend.id.to_string(), "prod/shop-canary");
            assert_eq!(
                mirror.backend.series.rollout().to_string(),
                "prod/shop-canary"
            );
            mirror.share
        });
        let expected = expected
            .iter()
            .map(|share| Weight::from_percent(*share).unwrap());
        assert!(shares.eq(expected), "{index}: {:?}", split.copies);
        assert_eq!(!split.rules.is_empty(), has_header_route, "{index}");
    };
    check(0, 0, &[], false);
    check(1, 0, &[25], false);
    check(2, 0, &[], true);
    check(3, 30, &[50], false);
    check(4, 30, &[], false);
    check(6, 100, &[], false);
}

#[test]
fn options_act_as_a_whole_or_not_at_all() {
    let options = json!({"hosts": ["shop.example", "no host"], "rules": [{"name": "all", "match": [{}], "to": "canary"}]});
    let all = Outline::of(&seen(&[shop(&options, 2025)], &PAIR), &names());
    let at = "Rollout prod/shop: spec.strategy.canary.trafficRouting.plugins[\"sluice/proxy\"]";
    assert_eq!(
        told(&all),
        [
            format!(
                "{at}.hosts[1]: found \"no host\", allowed a host name in small letters without a port, such as \
                     shop.example or *.shop.example"
            ),
            format!(
                "{at}.rules[0].match[0]: found no condition, allowed at least one of headers, cookies, queryParams"
            ),
            format!("{at}: cannot be acted on as a whole: no request goes to the canary"),
        ]
    );
    // Users are not sent away for it.
    assert_eq!(leads(&all, "shop.example"), STABLE);
    assert_eq!(leads(&all, "shop"), STABLE);
    let rules = json!({"rules": [{"name": "beta", "match": [{"headers": [{"name": "x-beta", "value": "1"}]}], "to": "canary"}]});
    let rollout = with(shop(&rules, 2025), "/status/currentStepIndex", json!(3));
    let all = Outline::of(&seen(&[rollout], &PAIR), &names());
    assert_eq!(leads(&all, "shop"), format!("{SPLIT}, beta"));
}

#[test]
fn the_older_one_has_what_two_ask_for() {
    let other = |made: u16, options: &Value, stable: &str| {
        let rollout = with(shop(options, made), "/metadata/name", json!("other"));
        let rollout = with(
            rollout,
            "/spec/strategy/canary/stableService",
            json!(stable),
        );
        with(
            rollout,
            "/spec/strategy/canary/canaryService",
            json!("other-canary"),
        )
    };
    let services = [&PAIR[..], &["prod/other", "prod/other-canary"]].concat();
    let options = json!({"hosts": ["shop.example"]});
    let plugin = "spec.strategy.canary.trafficRouting.plugins[\"sluice/proxy\"]";
    let why = |name: &str, owner: &str| {
        format!(
            "found {name:?}, which Rollout {owner} has, as it is the older one or names that Service"
        )
    };
    let check = |made: u16, has: &str, told_of: &str| {
        let both = [shop(&options, 2025), other(made, &options, "other")];
        let all = Outline::of(&seen(&both, &services), &names());
        assert!(leads(&all, "shop.example").starts_with(has), "{made}");
        let expected = format!(
            "Rollout {told_of}: {plugin}.hosts[0]: {}",
            why("shop.example", has)
        );
        assert_eq!(told(&all), [expected]);
    };
    check(2024, "prod/other", "prod/shop");
    check(2025, "prod/other", "prod/shop");
    check(2026, "prod/shop", "prod/other");
    // A Service's own names come before the names that an older one makes up.
    let thief = json!({"hosts": ["shop.prod"]});
    let both = [shop(&json!({}), 2025), other(2024, &thief, "other")];
    let all = Outline::of(&seen(&both, &services), &names());
    assert!(leads(&all, "shop.prod").starts_with("prod/shop to"));
    let expected = format!(
        "Rollout prod/other: {plugin}.hosts[0]: {}",
        why("shop.prod", "prod/shop")
    );
    assert_eq!(told(&all), [expected]);
    // A Service of another's is not split a second time, and what is its own is still found.
    let both = [shop(&json!({}), 2025), other(2026, &json!({}), "shop")];
    let all = Outline::of(&seen(&both, &services), &names());
    let expected = format!(
        "Rollout prod/other: spec.strategy.canary.stableService: {}",
        why("shop", "prod/shop")
    );
    assert_eq!(told(&all), [expected]);
    assert!(leads(&all, "shop").starts_with(SPLIT));
    assert_eq!(
        leads(&all, "other-canary"),
        "prod/other-canary x1 as prod/other-canary active"
    );
}

#[test]
fn services_without_endpoints_are_known_and_those_of_no_rollout_are_not() {
    let mut here = seen(&[shop(&json!({}), 2025)], &PAIR);
    here.slices.clear();
    let all = Outline::of(&here, &names());
    assert_eq!(told(&all), [""; 0]);
    assert_eq!(leads(&all, "shop"), STABLE);
    assert_eq!(
        leads(&all, "shop-canary"),
        "prod/shop-canary x0 as prod/shop-canary active"
    );
    here.rollouts.clear();
    let all = Outline::of(&here, &names());
    assert_eq!(leads(&all, "shop"), "nowhere");
    let mut here = seen(&[shop(&json!({}), 2025)], &PAIR);
    here.services
        .insert(BackendId::new("prod", "shop"), Arc::default());
    let at = "Rollout prod/shop: spec.strategy.canary.stableService";
    let expected = format!("{at}: found \"shop\", a Service without a port of TCP");
    assert_eq!(told(&Outline::of(&here, &names())), [expected]);
}
