//! What is told of documents side by side.

use super::*;

fn rollout(head: &str, canary: &str) -> String {
    format!(
        "apiVersion: argoproj.io/v1alpha1\nkind: Rollout\nmetadata: {{{head}}}\nspec:\n  template: {{}}\n  \
         strategy:\n    canary: {{{canary}}}\n"
    )
}

const PAIR: &str = "stableService: blue, canaryService: green";
const SPEC: &str = "listeners: [{name: http, address: '127.0.0.1:80'}]
services:
- {name: blue, endpoints: ['127.0.0.1:1']}
- {name: green, endpoints: ['127.0.0.1:2']}
- {name: blue, namespace: web, endpoints: ['127.0.0.1:3']}
- {name: red, namespace: web, endpoints: ['127.0.0.1:4']}
";

/// Each text is a file `0.yaml`, `1.yaml` and so on, without an error of its own.
fn check_files(texts: &[&str], expected: &[&str]) {
    let mut documents = Vec::new();
    for (index, text) in texts.iter().enumerate() {
        let parsed = parse(&format!("{index}.yaml"), text, Strictness::Lint);
        let found: Vec<_> = parsed.findings.iter().map(ToString::to_string).collect();
        assert!(
            !found.iter().any(|finding| finding.contains(": error: ")),
            "{found:?}"
        );
        documents.extend(parsed.documents);
    }
    let found: Vec<_> = check_together(&documents)
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(found, expected);
}

#[test]
fn one_rollout_and_a_proxy_need_no_routes() {
    let proxy = proxy(SPEC);
    check_files(&[&rollout("name: shop", PAIR), &proxy], &[]);
    check_files(
        &[
            &rollout(
                "name: shop",
                "pingPong: {pingService: blue, pongService: green}",
            ),
            &proxy,
        ],
        &[],
    );
    check_files(
        &[
            &rollout(
                "name: shop, namespace: web",
                "stableService: blue, canaryService: red",
            ),
            &proxy,
        ],
        &[],
    );
}

#[test]
fn there_is_exactly_one_proxy() {
    let shop = rollout("name: shop", PAIR);
    check_files(&[], &[]);
    check_files(
        &[&shop],
        &["0.yaml:1:1: error: found no Proxy in any document, allowed exactly one"],
    );
    let proxy = proxy(SPEC);
    check_files(
        &[&proxy, &shop, &proxy],
        &["2.yaml:2:1: error: kind: found a second Proxy, allowed one; the first is at 0.yaml:2:1"],
    );
}

#[test]
fn no_rollout_is_given_twice_and_no_service_shared() {
    let routed = proxy(&format!("{SPEC}routes: [{{rollout: shop}}]\n"));
    check_files(
        &[
            &rollout("name: shop", PAIR),
            &rollout("namespace: default, name: shop", PAIR),
            &routed,
        ],
        &[
            "1.yaml:3:32: error: metadata.name: found a second Rollout default/shop; the first is at 0.yaml:3:12",
        ],
    );
    check_files(
        &[
            &rollout("name: shop", PAIR),
            &rollout("name: cart", PAIR),
            &routed,
        ],
        &[
            "1.yaml:7:14: error: spec.strategy.canary.stableService: found \"blue\", which belongs to the Rollout \
             shop already",
            "1.yaml:7:35: error: spec.strategy.canary.canaryService: found \"green\", which belongs to the Rollout \
             shop already",
        ],
    );
}

#[test]
fn services_a_rollout_names_are_there() {
    let proxy = proxy(SPEC);
    check_files(
        &[
            &rollout("name: shop", "stableService: blue, canaryService: gren"),
            &proxy,
        ],
        &[
            "0.yaml:7:35: error: spec.strategy.canary.canaryService: found \"gren\", allowed a Service of namespace \
           default: blue, green",
        ],
    );
    check_files(
        &[
            &rollout(
                "name: shop, namespace: no",
                "pingPong: {pingService: blue, pongService: green}",
            ),
            &proxy,
        ],
        &[
            "0.yaml:7:25: error: spec.strategy.canary.pingPong.pingService: found \"blue\", allowed a Service of \
             namespace no, which has none",
            "0.yaml:7:44: error: spec.strategy.canary.pingPong.pongService: found \"green\", allowed a Service of \
             namespace no, which has none",
        ],
    );
    check_files(
        &[&rollout("name: shop", "stableService: blue"), &proxy],
        &[
            "0.yaml:7:5: error: spec.strategy.canary.canaryService: is missing: this process shifts traffic between \
           two Services",
        ],
    );
}

#[test]
fn routes_lead_somewhere() {
    let shop = rollout("name: shop", PAIR);
    let routed = |routes: &str| proxy(&format!("{SPEC}routes:\n{routes}"));
    check_files(
        &[&routed(
            "- {service: blue}\n- {service: red, namespace: web}\n",
        )],
        &[],
    );
    check_files(
        &[
            &shop,
            &routed("- {rollout: shpo}\n- {service: red}\n- {rollout: shop, namespace: web}\n"),
        ],
        &[
            "1.yaml:12:6: error: spec.routes[0].rollout: found \"shpo\", allowed a Rollout of namespace default: shop",
            "1.yaml:13:6: error: spec.routes[1].service: found \"red\", allowed a Service of namespace default: blue, \
             green",
            "1.yaml:14:6: error: spec.routes[2].rollout: found \"shop\", allowed a Rollout of namespace web, which \
             has none",
        ],
    );
    let cart = rollout(
        "name: cart, namespace: web",
        "stableService: blue, canaryService: red",
    );
    for (files, found) in [(vec![], 0), (vec![&shop, &cart], 2)] {
        let proxy = proxy(SPEC);
        let mut texts = vec![proxy.as_str()];
        texts.extend(files.iter().map(|text| text.as_str()));
        check_files(
            &texts,
            &[&format!(
                "0.yaml:4:1: error: spec.routes: is missing: found {found} Rollouts, and only with exactly one it is \
                 clear where requests go"
            )],
        );
    }
}

#[test]
fn mirrors_are_services_of_the_routes_namespace() {
    let mirror = |route: &str, service: &str| {
        let filter = format!("{{type: RequestMirror, requestMirror: {{service: {service}}}}}");
        proxy(&format!(
            "{SPEC}routes:\n- {{{route}, filters: [{filter}]}}\n"
        ))
    };
    check_files(&[&mirror("service: blue", "green")], &[]);
    check_files(&[&mirror("service: red, namespace: web", "blue")], &[]);
    check_files(
        &[&mirror("service: blue", "red")],
        &[
            "0.yaml:12:69: error: spec.routes[0].filters[0].requestMirror.service: found \"red\", allowed a Service of \
             namespace default: blue, green",
        ],
    );
}
