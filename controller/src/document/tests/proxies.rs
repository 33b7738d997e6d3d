//! What is told of a Proxy.

use super::*;

/// Every field of a Proxy, all of them right, with the Rollout that it names.
pub(super) const WHOLE: &str = include_str!("../../../../docs/examples/everything.yaml");

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
            "7:5: error: spec.routes[0]: found no target, allowed exactly one of service, rollout, redirect",
            "8:5: error: spec.routes[1]: found service and rollout, allowed exactly one of service, rollout, redirect",
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

#[test]
fn listeners_keep_their_rules() {
    check_spec(
        "listeners:
- name: a
  address: '127.0.0.1:80'
  proxyProtocol: {trusted: []}
  tls: {certificates: [], client: {caFile: ''}}
- name: b
  address: '127.0.0.1:81'
  proxyProtocol: {trusted: [10.0.0.0/33, 10.0.0.1]}
  tls: {minVersion: 1.1, certificates: [{chainFile: a}]}
",
        &[
            "13:11: error: spec.listeners[1].tls.minVersion: found 1.1, allowed 1.2, 1.3",
            "13:43: error: spec.listeners[1].tls.certificates[0].keyFile: is missing",
        ],
    );
    check_spec(
        "listeners:
- name: a
  address: '127.0.0.1:80'
  proxyProtocol: {trusted: []}
  tls: {certificates: [], client: {caFile: ''}}
- name: b
  address: '127.0.0.1:81'
  proxyProtocol: {trusted: [10.0.0.0/33, 10.0.0.1]}
",
        &[
            "8:21: error: spec.listeners[0].proxyProtocol.trusted: found 0 of them, allowed at least 1",
            "9:11: error: spec.listeners[0].tls.certificates: found 0 of them, allowed at least 1",
            "9:38: error: spec.listeners[0].tls.client.caFile: found \"\", allowed the name of a file",
            "12:31: error: spec.listeners[1].proxyProtocol.trusted[0]: found \"10.0.0.0/33\", allowed a network \
             such as 10.0.0.0/8, or an address",
        ],
    );
}

#[test]
fn what_holds_for_all_requests_keeps_its_ranges() {
    check_spec(
        &format!(
            "{LISTENERS}
limits: {{headBytes: 100, http2: {{connectionWindow: 1}}}}
forwarding: {{trusted: [everybody], via: a b, requestId: Content-Length}}
accessLog: {{sample: 2, format: {{template: '%x'}}}}
tracing: {{endpoint: '127.0.0.1:4318', buffer: 0}}
pool: {{idleTime: 0}}
"
        ),
        &[
            "6:12: error: spec.limits.headBytes: found 100, allowed 1024 to 16777216",
            "6:36: error: spec.limits.http2.connectionWindow: found 1, allowed 65535 to 2147483647",
            "7:26: error: spec.forwarding.trusted[0]: found \"everybody\", allowed a network such as 10.0.0.0/8, or \
             an address",
            "7:38: error: spec.forwarding.via: found \"a b\", allowed a name of letters, digits and \
             !#$%&'*+-.^_`|~",
            "7:48: error: spec.forwarding.requestId: found \"Content-Length\", allowed a header that says \
             nothing of connections, hosts or the length of messages",
            "8:15: error: spec.accessLog.sample: found 2, allowed 0 to 1",
            "8:35: error: spec.accessLog.format.template: `%x` is no field; a field is written `%{name}`, and a \
             percent sign `%%`",
            "9:13: error: spec.tracing.endpoint: found \"127.0.0.1:4318\", allowed the URL of an OTLP/HTTP endpoint, \
             such as http://127.0.0.1:4318/v1/traces",
            "9:41: error: spec.tracing.buffer: found 0, allowed 1 to 1048576",
            "10:10: error: spec.pool.idleTime: found 0s, allowed 1ms to 24h",
        ],
    );
}

#[test]
fn how_services_are_spoken_to_keeps_its_rules() {
    check_spec(
        &format!(
            "{LISTENERS}
services:
- name: a
  endpoints: ['127.0.0.1:1']
  tls: {{serverName: 'a:1'}}
  balancing: {{consistentHash: {{header: x, cookie: y}}}}
  ejection: {{consecutiveFailures: 1001, baseTime: 10m, maxEjected: 101}}
  healthCheck: {{path: healthz, host: 'a/b', unhealthyAfter: 0}}
  retry: {{attempts: 11, budget: -1, statuses: [503, 200]}}
  streamDrain: 25h
- {{name: b, endpoints: ['127.0.0.1:1'], healthCheck: {{host: b}}}}
"
        ),
        &[
            "9:11: error: spec.services[0].tls.serverName: found \"a:1\", allowed a host name in small letters \
             without a port, such as shop.example",
            "10:17: error: spec.services[0].balancing.consistentHash: found 2 keys, allowed exactly one of header, \
             cookie, clientAddress",
            "11:16: error: spec.services[0].ejection.consecutiveFailures: found 1001, allowed 0 to 1000",
            "11:43: error: spec.services[0].ejection.baseTime: found 10m, allowed at most maxTime, which is 5m",
            "11:58: error: spec.services[0].ejection.maxEjected: found 101, allowed 0 to 100",
            "12:19: error: spec.services[0].healthCheck.path: found \"healthz\", allowed a path that begins with / \
             and has no space or #",
            "12:34: error: spec.services[0].healthCheck.host: found \"a/b\", allowed a host name, with or without a \
             port",
            "12:47: error: spec.services[0].healthCheck.unhealthyAfter: found 0, allowed 1 to 1000",
            "13:13: error: spec.services[0].retry.attempts: found 11, allowed 0 to 10",
            "13:27: error: spec.services[0].retry.budget: found -1, allowed 0 to 1",
            "13:55: error: spec.services[0].retry.statuses[1]: found 200, allowed 400 to 599",
            "14:5: error: spec.services[0].streamDrain: found 25h, allowed 0s to 24h",
            "15:57: error: spec.services[1].healthCheck.host: allowed only beside path: without it nothing is asked for",
        ],
    );
}

#[test]
fn what_routes_do_keeps_its_rules() {
    check_spec(
        &format!(
            "{LISTENERS}
routes:
- {{name: a, listeners: [https], service: a, rateLimit: {{perSecond: 0, burst: 0, key: {{header: 'a b'}}}}}}
- {{name: a, redirect: {{}}, filters: [{{type: RequestRedirect, requestRedirect: {{port: 0, statusCode: 300}}}}]}}
- {{name: route-3, redirect: {{scheme: https}}, filters: [{{type: URLRewrite, urlRewrite: {{}}}}]}}
- {{service: a, maxConcurrent: 0}}
"
        ),
        &[
            "7:27: error: spec.routes[0].listeners[0]: found \"https\", allowed the name of a listener: http",
            "7:59: error: spec.routes[0].rateLimit.perSecond: found 0, allowed a number above 0, at most 1000000000",
            "7:73: error: spec.routes[0].rateLimit.burst: found 0, allowed at least 1",
            "7:89: error: spec.routes[0].rateLimit.key.header: found \"a b\", allowed a name of letters, digits and \
             !#$%&'*+-.^_`|~",
            "8:5: error: spec.routes[1]: found redirect and a filter of type RequestRedirect, allowed exactly one of \
             service, rollout, redirect",
            "8:6: error: spec.routes[1].name: found \"a\", which spec.routes[0].name has already",
            "8:15: error: spec.routes[1].redirect: found none, allowed at least one of scheme, hostname, port, path: \
             it would lead to itself",
            "8:81: error: spec.routes[1].filters[0].requestRedirect.port: found 0, allowed 1 to 65535",
            "8:90: error: spec.routes[1].filters[0].requestRedirect.statusCode: found 300, allowed 301, 302, 303, 307, \
             308",
            "9:59: error: spec.routes[2].filters[0].type: allowed only where the request is sent on, not beside a \
             redirect",
            "9:77: error: spec.routes[2].filters[0].urlRewrite: found none, allowed at least one of hostname, path",
            "10:5: error: spec.routes[3].name: found \"route-3\", which spec.routes[2].name has already",
            "10:18: error: spec.routes[3].maxConcurrent: found 0, allowed at least 1",
        ],
    );
}

#[test]
fn filters_keep_their_rules() {
    let cases: [(&str, &[&str]); 9] = [
        (
            "{type: CORS}",
            &[
                "10:7: error: spec.routes[0].filters[0]: found none, allowed exactly cors, which belongs to \
                            the type",
            ],
        ),
        (
            "{type: CORS, cors: {allowOrigins: ['https://a', 'https://*.a:8443', '*']}, requestMirror: {service: a}}",
            &[
                "10:7: error: spec.routes[0].filters[0]: found requestMirror, cors, allowed exactly cors, which belongs to \
             the type",
            ],
        ),
        (
            "{type: CORS, cors: {allowOrigins: [a.example, 'https://a/b'], allowMethods: [''], exposeHeaders: ['a b']}}",
            &[
                "10:42: error: spec.routes[0].filters[0].cors.allowOrigins[0]: found \"a.example\", allowed an origin such \
             as https://shop.example or https://*.shop.example, or *",
                "10:53: error: spec.routes[0].filters[0].cors.allowOrigins[1]: found \"https://a/b\", allowed an origin \
             such as https://shop.example or https://*.shop.example, or *",
                "10:84: error: spec.routes[0].filters[0].cors.allowMethods[0]: found \"\", allowed a method in capitals, \
             such as GET, or *",
                "10:105: error: spec.routes[0].filters[0].cors.exposeHeaders[0]: found \"a b\", allowed a name of letters, \
             digits and !#$%&'*+-.^_`|~",
            ],
        ),
        (
            "{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: Host, value: a}, {name: x, value: \"a\\n\"}]}}",
            &[
                "10:68: error: spec.routes[0].filters[0].requestHeaderModifier.set[0].name: found \"Host\", allowed a \
             header that says nothing of connections, hosts or the length of messages",
                "10:101: error: spec.routes[0].filters[0].requestHeaderModifier.set[1].value: found \"a\\n\", allowed \
             visible ASCII characters and spaces",
            ],
        ),
        (
            "{type: ResponseHeaderModifier, responseHeaderModifier: {remove: [x-a, X-A, '']}}",
            &[
                "10:77: error: spec.routes[0].filters[0].responseHeaderModifier.remove[1]: found \"x-a\", which \
             spec.routes[0].filters[0].responseHeaderModifier.remove[0] has already",
                "10:82: error: spec.routes[0].filters[0].responseHeaderModifier.remove[2]: found \"\", allowed a name of \
             letters, digits and !#$%&'*+-.^_`|~",
            ],
        ),
        (
            "{type: ResponseHeaderModifier, responseHeaderModifier: {}}",
            &[
                "10:38: error: spec.routes[0].filters[0].responseHeaderModifier: found none, allowed at least one of set, \
             add, remove",
            ],
        ),
        (
            "{type: URLRewrite, urlRewrite: {path: {type: ReplacePrefixMatch, replaceFullPath: /}}}",
            &[
                "10:39: error: spec.routes[0].filters[0].urlRewrite.path.replacePrefixMatch: is missing: type \
             ReplacePrefixMatch needs it",
                "10:46: error: spec.routes[0].filters[0].urlRewrite.path.type: found ReplacePrefixMatch, allowed only where \
             all matches are of type PathPrefix",
                "10:72: error: spec.routes[0].filters[0].urlRewrite.path.replaceFullPath: does not belong to type \
             ReplacePrefixMatch, allowed replacePrefixMatch",
            ],
        ),
        (
            "{type: RequestMirror, requestMirror: {service: a, percent: 101}}",
            &[
                "10:57: error: spec.routes[0].filters[0].requestMirror.percent: found 101, allowed 0 to 100",
            ],
        ),
        (
            "{type: Nothing}",
            &[
                "10:8: error: spec.routes[0].filters[0].type: found \"Nothing\", allowed RequestHeaderModifier, \
             ResponseHeaderModifier, URLRewrite, RequestRedirect, RequestMirror, CORS",
            ],
        ),
    ];
    for (filter, expected) in cases {
        let matches = "matches: [{path: {type: Exact, value: /a}}]";
        check_spec(
            &format!("{LISTENERS}\nroutes:\n- service: a\n  {matches}\n  filters:\n  - {filter}"),
            expected,
        );
    }
}
