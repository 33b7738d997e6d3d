//! What is told of a Proxy.

use super::*;

/// Every field of a Proxy, all of them right.
pub(super) const WHOLE: &str = r#"apiVersion: sluice.dev/v1alpha1
kind: Proxy
metadata: {name: edge, namespace: default}
spec:
  listeners: [{name: http, address: "127.0.0.1:8080"}, {name: spare, address: "127.0.0.1:0"}]
  admin: {address: "127.0.0.1:9901", tokenFile: /path}
  stateFile: ./sluice-state.json
  workers: 2
  timeouts: {connect: 2s, responseHeader: 30s, idle: 5m, keepAlive: 75s, requestHeader: 30s, drain: 30s}
  services:
  - {name: checkout-blue, namespace: default, endpoints: ["127.0.0.1:9001", "[::1]:9001"]}
  routes:
  - hosts: [shop.example, "*.shop.example"]
    matches:
    - path: {type: PathPrefix, value: /}
      method: GET
      headers: [{name: x-a, type: Exact, value: "1"}]
      queryParams: [{name: q, type: Present}]
    service: checkout-blue
  - rollout: checkout
"#;

/// Lines under `spec`, and what is told of them without the file's name.
fn check_spec(lines: &str, expected: &[&str]) {
    let expected: Vec<_> = expected
        .iter()
        .map(|line| format!("shop.yaml:{line}"))
        .collect();
    let expected: Vec<_> = expected.iter().map(String::as_str).collect();
    check(&proxy(lines), &expected);
}

const LISTENERS: &str = "listeners: [{name: http, address: '127.0.0.1:80'}]";
const ADDRESS: &str = "allowed an IP address and a port, such as 127.0.0.1:8080 or [::1]:8080";

#[test]
fn a_whole_proxy_is_accepted_without_a_word() {
    check(WHOLE, &[]);
}

#[test]
fn listeners_are_addresses_and_unique() {
    check_spec(
        "workers: 1",
        &["4:1: error: spec.listeners: found none, allowed at least one"],
    );
    check_spec(
        "listeners:
- {name: a, address: 'localhost:80'}
- {name: a, address: '[::]:80'}
- {name: b, address: '[::]:80'}
- {name: c, address: '127.0.0.1'}
- {name: d, address: '127.0.0.1:0'}
- {name: e, address: '127.0.0.1:0'}
",
        &[
            &format!("6:15: error: spec.listeners[0].address: found \"localhost:80\", {ADDRESS}"),
            "7:6: error: spec.listeners[1].name: found \"a\", which spec.listeners[0].name has already",
            "8:15: error: spec.listeners[2].address: found \"[::]:80\", which spec.listeners[1].address has already",
            &format!("9:15: error: spec.listeners[3].address: found \"127.0.0.1\", {ADDRESS}"),
        ],
    );
}

#[test]
fn the_admin_api_beyond_loopback_demands_a_token() {
    let missing = |address: &str| {
        format!(
            "6:3: error: spec.admin.tokenFile: is missing: {address} can be reached from other machines"
        )
    };
    let open =
        |address: &str, more: &str| format!("{LISTENERS}\nadmin: {{address: '{address}'{more}}}");
    for address in [
        "127.0.0.1:9901",
        "127.9.9.9:1",
        "[::1]:9901",
        "[::ffff:127.0.0.1]:9901",
    ] {
        check_spec(&open(address, ""), &[]);
    }
    for address in [
        "0.0.0.0:9901",
        "[::]:9901",
        "192.0.2.1:9901",
        "[::ffff:192.0.2.1]:9901",
    ] {
        check_spec(&open(address, ""), &[&missing(address)]);
        check_spec(&open(address, ", tokenFile: /token"), &[]);
    }
}

#[test]
fn numbers_and_durations_keep_their_ranges() {
    check_spec(
        &format!("{LISTENERS}\nworkers: 0\nstateFile: ''\ntimeouts: {{connect: 0s, idle: 25h}}"),
        &[
            "6:3: error: spec.workers: found 0, allowed 1 to 1024",
            "7:3: error: spec.stateFile: found \"\", allowed the name of a file",
            "8:14: error: spec.timeouts.connect: found 0s, allowed 1ms to 24h",
            "8:27: error: spec.timeouts.idle: found 25h, allowed 1ms to 24h",
        ],
    );
    check_spec(
        &format!("{LISTENERS}\nworkers: two\ntimeouts: {{drain: 2, keepalive: 1s}}"),
        &[
            "6:3: error: spec.workers: found \"two\", allowed a whole number from 0 to 4294967295",
            "7:14: error: spec.timeouts.drain: found 2, allowed a duration such as 300ms, 2s, 5m or 1h30m",
            "7:24: error: spec.timeouts.keepalive: is no known field",
        ],
    );
}

#[test]
fn services_are_unique_and_their_endpoints_addresses() {
    check_spec(
        &format!(
            "{LISTENERS}
services:
- {{name: a, endpoints: ['shop.example:80', '127.0.0.1:0', '127.0.0.1:1', '127.0.0.1:1']}}
- {{name: a, namespace: default}}
- {{name: a, namespace: other, endpoints: ['127.0.0.1:1']}}
- {{name: A_b, endpoints: ['127.0.0.1:1']}}
"
        ),
        &[
            &format!(
                "7:27: error: spec.services[0].endpoints[0]: found \"shop.example:80\", {ADDRESS}"
            ),
            "7:46: error: spec.services[0].endpoints[1]: found \"127.0.0.1:0\", allowed a port from 1 to 65535",
            "7:76: error: spec.services[0].endpoints[3]: found \"127.0.0.1:1\", which spec.services[0].endpoints[2] \
             has already",
            "8:5: warning: spec.services[1].endpoints: found none: requests to this Service are answered with 503",
            "8:6: error: spec.services[1].name: found \"default/a\", which spec.services[0].name has already",
            "10:6: error: spec.services[3].name: found \"A_b\", allowed at most 253 small letters, digits, dashes and \
             dots, with a letter or digit at each end of each part",
        ],
    );
}

#[test]
fn routes_keep_their_rules() {
    check_spec(
        &format!(
            "{LISTENERS}
routes:
- {{}}
- {{service: a, rollout: b}}
- hosts: ['shop.example:80', Shop.example, '*']
  matches:
  - {{path: {{value: a}}, method: get, headers: [{{name: '', value: a}}]}}
  - {{path: {{type: RegularExpression, value: '['}}, queryParams: [{{name: '', type: Present}}]}}
  service: a
"
        ),
        &[
            "7:5: error: spec.routes[0]: found no target, allowed exactly one of service, rollout",
            "8:5: error: spec.routes[1]: found service and rollout, allowed exactly one of service, rollout",
            "9:13: error: spec.routes[2].hosts[0]: found \"shop.example:80\", allowed a host name in small letters \
             without a port, such as shop.example or *.shop.example",
            "9:32: error: spec.routes[2].hosts[1]: found \"Shop.example\", allowed a host name in small letters \
             without a port, such as shop.example or *.shop.example",
            "9:46: error: spec.routes[2].hosts[2]: found \"*\", allowed a host name in small letters without a port, \
             such as shop.example or *.shop.example",
            "11:15: error: spec.routes[2].matches[0].path.value: found \"a\", allowed a path that begins with / and \
             has no ? or #",
            "11:26: error: spec.routes[2].matches[0].method: found \"get\", allowed a method in capitals, such as GET",
            "11:50: error: spec.routes[2].matches[0].headers[0].name: found \"\", allowed a name of letters, digits \
             and !#$%&'*+-.^_`|~",
            "12:40: error: spec.routes[2].matches[1].path.value: found \"[\", allowed a regular expression: unclosed \
             character class",
            "12:68: error: spec.routes[2].matches[1].queryParams[0].name: found \"\", allowed the name of a query \
             parameter",
        ],
    );
}
