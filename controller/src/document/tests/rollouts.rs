//! What is told of a Rollout.

use super::*;

/// Lines under `canary`, and what is told of them without the file's name.
fn check_canary(lines: &str, expected: &[&str]) {
    let expected: Vec<_> = expected
        .iter()
        .map(|line| format!("shop.yaml:{line}"))
        .collect();
    let expected: Vec<_> = expected.iter().map(String::as_str).collect();
    check(&canary(lines), &expected);
}

const STEPS: &str = "spec.strategy.canary.steps";
const ROUTING: &str = "spec.strategy.canary.trafficRouting";
const OPTIONS: &str = "spec.strategy.canary.trafficRouting.plugins[\"sluice/proxy\"]";
const LESS_SAFE: &str =
    "does not act yet, and without it the rollout would be less safe than it is written";
const NO_PODS: &str = "has no effect here: a standalone process runs no pods";
const NOT_THE_ROUTER: &str = "does not act here: this process itself shifts the traffic";

#[test]
fn everything_that_acts_is_accepted_without_a_word() {
    let paused = canary("{}").replace("template: {}", "template: {}\n  paused: true");
    check(&paused, &[]);
    check_canary(
        "stableService: shop-blue
canaryService: shop-green
trafficRouting:
  maxTrafficWeight: 100
  managedRoutes: [{name: beta}]
  plugins:
    sluice/proxy:
      sticky: [{header: x-user}, {cookie: {name: bucket, maxAge: 24h}}, {clientAddress: {}}]
      rules:
      - name: testers
        to: canary
        match:
        - headers: [{name: x-tester, type: Present}]
          cookies: [{name: beta, value: '1'}]
        - queryParams: [{name: v, type: RegularExpression, value: '2|3'}]
      guard: {alpha: 0.01, latency: off, warmUp: 0s}
steps:
- setHeaderRoute: {name: beta, match: [{headerName: x-beta, headerValue: {regex: '1.*'}}]}
- setWeight: 0
- pause: {}
- pause: {duration: 30}
- setWeight: 100
- plugin: {name: sluice/evidence}
- plugin: {name: sluice/evidence, config: {maxDuration: 10m, onInconclusive: abort}}
- setHeaderRoute: {name: beta}
",
        &[],
    );
    check_canary("pingPong: {pingService: a, pongService: b}", &[]);
}

#[test]
fn steps_keep_their_rules() {
    let one = "allowed exactly one of setWeight, pause, experiment, analysis, setCanaryScale, setHeaderRoute, \
               setMirrorRoute, plugin";
    check_canary(
        "steps:
- setWeight: 120
- setWeight: -1
- {}
- setWeight: 5
  pause: {duration: soon}
- pause:
- pause: {duration: -5s}
",
        &[
            &format!("9:9: error: {STEPS}[0].setWeight: found 120, allowed 0 to 100"),
            &format!("10:9: error: {STEPS}[1].setWeight: found -1, allowed 0 to 100"),
            &format!("11:9: error: {STEPS}[2]: found none, {one}"),
            &format!("12:9: error: {STEPS}[3]: found setWeight, pause, {one}"),
            &format!(
                "13:17: error: {STEPS}[3].pause.duration: found \"soon\", allowed seconds as in 30, or a duration \
                 such as 30s, 5m or 1h"
            ),
            &format!("14:9: error: {STEPS}[4]: found none, {one}"),
            &format!(
                "15:17: error: {STEPS}[5].pause.duration: found \"-5s\", allowed seconds as in 30, or a duration \
                 such as 30s, 5m or 1h"
            ),
        ],
    );
}

#[test]
fn steps_that_do_not_act_are_refused_where_skipping_them_is_less_safe() {
    check_canary(
        "analysis: {templates: [{templateName: a}]}
steps:
- analysis: {templates: [{templateName: a}]}
- experiment: {templates: [{name: a, specRef: stable}]}
- setCanaryScale: {weight: 5}
- plugin: {name: other/plugin}
",
        &[
            &format!("8:7: error: spec.strategy.canary.analysis: {LESS_SAFE}"),
            &format!("10:9: error: {STEPS}[0].analysis: {LESS_SAFE}"),
            &format!("11:9: error: {STEPS}[1].experiment: {LESS_SAFE}"),
            &format!("12:9: warning: {STEPS}[2].setCanaryScale: {NO_PODS}"),
            &format!(
                "13:18: error: {STEPS}[3].plugin.name: found \"other/plugin\", allowed sluice/evidence: no other \
                 plugin acts here"
            ),
        ],
    );
}

#[test]
fn mirror_routes_are_managed_routes() {
    let none_of = "exactly one of exact, prefix, regex";
    check_canary(
        "trafficRouting: {managedRoutes: [{name: a}]}
steps:
- setMirrorRoute: {name: a, percentage: 101}
- setMirrorRoute: {name: b, match: [{}, {method: {exact: GET}, path: {prefix: /x}, headers: {x: {regex: y}}}]}
- setMirrorRoute: {name: a, match: [{path: {}, headers: {'x y': {exact: a}, x: {regex: '('}}}]}
",
        &[
            &format!("10:35: error: {STEPS}[0].setMirrorRoute.percentage: found 101, allowed 0 to 100"),
            &format!(
                "11:26: error: {STEPS}[1].setMirrorRoute.name: found \"b\", allowed a name of \
                 spec.strategy.canary.trafficRouting.managedRoutes: a"
            ),
            &format!("12:44: error: {STEPS}[2].setMirrorRoute.match[0].path: found 0 of them, allowed {none_of}"),
            &format!(
                "12:64: error: {STEPS}[2].setMirrorRoute.match[0].headers[\"x y\"]: found \"x y\", allowed a name of \
                 letters, digits and !#$%&'*+-.^_`|~"
            ),
            &format!(
                "12:87: error: {STEPS}[2].setMirrorRoute.match[0].headers.x.regex: found \"(\", allowed a regular \
                 expression: unclosed group"
            ),
        ],
    );
}

#[test]
fn header_routes_are_managed_routes() {
    check_canary(
        "trafficRouting: {managedRoutes: [{name: beta}, {name: beta}]}
steps:
- setHeaderRoute: {name: bate}
- setHeaderRoute: {match: [{headerName: 'x y', headerValue: {exact: a, prefix: b}}]}
- setHeaderRoute: {name: beta, match: [{headerName: x}, {headerName: x, headerValue: {regex: '('}}]}
",
        &[
            &format!(
                "8:55: error: {ROUTING}.managedRoutes[1].name: found \"beta\", which {ROUTING}.managedRoutes[0].name \
                 has already"
            ),
            &format!(
                "10:26: error: {STEPS}[0].setHeaderRoute.name: found \"bate\", allowed a name of \
                 {ROUTING}.managedRoutes: beta, beta"
            ),
            &format!("11:9: error: {STEPS}[1].setHeaderRoute.name: is missing"),
            &format!(
                "11:35: error: {STEPS}[1].setHeaderRoute.match[0].headerName: found \"x y\", allowed a name of \
                 letters, digits and !#$%&'*+-.^_`|~"
            ),
            &format!(
                "11:54: error: {STEPS}[1].setHeaderRoute.match[0].headerValue: found 2 of them, allowed exactly one \
                 of exact, prefix, regex"
            ),
            &format!(
                "12:46: error: {STEPS}[2].setHeaderRoute.match[0].headerValue: found 0 of them, allowed exactly one \
                 of exact, prefix, regex"
            ),
            &format!(
                "12:93: error: {STEPS}[2].setHeaderRoute.match[1].headerValue.regex: found \"(\", allowed a regular \
                 expression: unclosed group"
            ),
        ],
    );
    check_canary(
        "steps: [{setHeaderRoute: {name: beta}}]",
        &[&format!(
            "8:33: error: {STEPS}[0].setHeaderRoute.name: found \"beta\", allowed a name of {ROUTING}.managedRoutes, \
             which has none"
        )],
    );
}

#[test]
fn evidence_steps_keep_their_ranges() {
    check_canary(
        "steps:
- plugin:
    name: sluice/evidence
    config: {harmBudget: 0, confidence: 0.7, minDuration: 20m, maxDuraton: 5m}
- plugin:
    name: sluice/evidence
    config: {maxDuration: 15, onInconclusive: wait}
- plugin: {name: sluice/evidence, config: {maxDuration: 10ms}}
",
        &[
            &format!(
                "11:20: error: {STEPS}[0].plugin.config.harmBudget: found 0, allowed a number above 0, at most 0.5"
            ),
            &format!(
                "11:35: error: {STEPS}[0].plugin.config.confidence: found 0.7, allowed a number above 0, at most 0.5"
            ),
            &format!(
                "11:52: error: {STEPS}[0].plugin.config.minDuration: found 20m, allowed at most maxDuration, which \
                 is 15m"
            ),
            &format!("11:70: error: {STEPS}[0].plugin.config.maxDuraton: is no known field"),
            &format!(
                "14:20: error: {STEPS}[1].plugin.config.maxDuration: found 15, allowed a duration such as 300ms, 2s, \
                 5m or 1h30m"
            ),
            &format!(
                "14:37: error: {STEPS}[1].plugin.config.onInconclusive: found \"wait\", allowed hold, promote, abort"
            ),
            &format!(
                "15:50: error: {STEPS}[2].plugin.config.maxDuration: found 10ms, allowed 1s to 168h"
            ),
        ],
    );
}

#[test]
fn services_are_two() {
    check_canary(
        "stableService: shop\ncanaryService: shop\n",
        &[
            "9:7: error: spec.strategy.canary.canaryService: found \"shop\", which spec.strategy.canary.stableService \
           has already",
        ],
    );
    check_canary(
        "stableService: shop\npingPong: {pingService: a, pongService: a}\n",
        &[
            "8:7: warning: spec.strategy.canary.stableService: has no effect beside pingPong, whose Services take \
             turns",
            "9:34: error: spec.strategy.canary.pingPong.pongService: found \"a\", which \
             spec.strategy.canary.pingPong.pingService has already",
        ],
    );
}

#[test]
fn other_routers_are_told_and_other_scales_refused() {
    check_canary(
        "trafficRouting:
  maxTrafficWeight: 1000
  istio: {virtualService: {name: a}}
  plugins:
    argoproj-labs/gatewayAPI: {httpRoute: a}
steps: [{setWeight: 500}]
",
        &[
            &format!(
                "9:9: error: {ROUTING}.maxTrafficWeight: found 1000, allowed 100: other scales do not act yet"
            ),
            &format!("10:9: warning: {ROUTING}.istio: {NOT_THE_ROUTER}"),
            &format!(
                "12:11: warning: {ROUTING}.plugins[\"argoproj-labs/gatewayAPI\"]: {NOT_THE_ROUTER}"
            ),
        ],
    );
}

#[test]
fn failures_are_statuses_and_codes() {
    let statuses = "a status from 200 to 599, a class such as 5xx or a range such as 400-409";
    let codes = "the name of a gRPC code such as UNAVAILABLE, or its number, 2 to 16";
    let failures = format!("{OPTIONS}.guard.failures");
    check_canary(
        "trafficRouting:
  plugins:
    sluice/proxy:
      guard:
        failures:
          statuses: [5xx, 499, 42, 6xx, 409-400, '429', 4xx]
          grpcCodes: [NOT_FOUND, not_found, CANCELLED, 0, 16, 17]
          codes: []
",
        &[
            &format!(
                "13:33: error: {failures}.statuses[1]: found 499, allowed any other status: it stands for a client \
                 that went away, which never counts against a version"
            ),
            &format!("13:38: error: {failures}.statuses[2]: found 42, allowed {statuses}"),
            &format!("13:42: error: {failures}.statuses[3]: found \"6xx\", allowed {statuses}"),
            &format!("13:47: error: {failures}.statuses[4]: found \"409-400\", allowed {statuses}"),
            &format!("14:40: error: {failures}.grpcCodes[1]: found \"not_found\", allowed {codes}"),
            &format!(
                "14:51: error: {failures}.grpcCodes[2]: found CANCELLED, allowed any other gRPC code: it stands for \
                 a client that gave the call up, which never counts against a version"
            ),
            &format!(
                "14:62: error: {failures}.grpcCodes[3]: found OK, allowed any other gRPC code: it is success"
            ),
            &format!("14:69: error: {failures}.grpcCodes[5]: found 17, allowed {codes}"),
            &format!("15:17: error: {failures}.codes: is no known field"),
        ],
    );
}

#[test]
fn options_keep_their_rules() {
    check_canary(
        "trafficRouting:
  plugins:
    sluice/proxy:
      sticky:
      - {header: a, clientAddress: {}}
      - {cookie: {name: 'a=b', maxAge: 10ms}}
      rules:
      - {name: a, to: canary}
      - {name: a, to: stable, match: [{}]}
      - {name: b, to: stable, match: [{headers: [{name: x, type: Present, value: y}, {name: x}]}]}
",
        &[
            &format!(
                "12:15: error: {OPTIONS}.sticky[0]: found 2 keys, allowed exactly one of header, cookie, clientAddress"
            ),
            &format!(
                "13:25: error: {OPTIONS}.sticky[1].cookie.name: found \"a=b\", allowed a name of letters, digits and \
                 !#$%&'*+-.^_`|~"
            ),
            &format!(
                "13:38: error: {OPTIONS}.sticky[1].cookie.maxAge: found 10ms, allowed at least 1s"
            ),
            &format!(
                "15:15: error: {OPTIONS}.rules[0].match: found no entry, allowed at least one"
            ),
            &format!(
                "16:16: error: {OPTIONS}.rules[1].name: found \"a\", which {OPTIONS}.rules[0].name has already"
            ),
            &format!(
                "16:45: error: {OPTIONS}.rules[1].match[0]: found no condition, allowed at least one of headers, \
                 cookies, queryParams"
            ),
            &format!(
                "17:81: error: {OPTIONS}.rules[2].match[0].headers[0].value: found \"y\", allowed none beside type \
                 Present"
            ),
            &format!(
                "17:92: error: {OPTIONS}.rules[2].match[0].headers[1].value: is missing: type Exact needs it"
            ),
        ],
    );
}

#[test]
fn hosts_are_for_clusters() {
    check_canary(
        "trafficRouting:
  plugins:
    sluice/proxy:
      hosts: [shop.example, 'no host']
",
        &[
            &format!(
                "11:13: warning: {OPTIONS}.hosts: has no effect here: the routes of the Proxy document say what is asked \
                 for by which names"
            ),
            &format!(
                "11:35: error: {OPTIONS}.hosts[1]: found \"no host\", allowed a host name in small letters without a \
                 port, such as shop.example or *.shop.example"
            ),
        ],
    );
}

#[test]
fn the_guard_keeps_its_ranges() {
    check_canary(
        "trafficRouting:
  plugins:
    sluice/proxy:
      guard:
        alpha: 0
        relativeMargin: 0.9
        absoluteMargin: -0.1
        minCanaryFailures: 0
        horizon: 500ms
        burstWindow: 2m
        latency: {increase: 0, quantiles: [0.9, 0.5, 1]}
        maxFailureRatio: 1
",
        &[
            &format!(
                "12:15: error: {OPTIONS}.guard.alpha: found 0, allowed a number above 0, at most 0.5"
            ),
            &format!("13:15: error: {OPTIONS}.guard.relativeMargin: found 0.9, allowed 1 to 10"),
            &format!("14:15: error: {OPTIONS}.guard.absoluteMargin: found -0.1, allowed 0 to 0.5"),
            &format!("15:15: error: {OPTIONS}.guard.minCanaryFailures: found 0, allowed 1 to 1000"),
            &format!("16:15: error: {OPTIONS}.guard.horizon: found 500ms, allowed 1s to 720h"),
            &format!("17:15: error: {OPTIONS}.guard.burstWindow: found 2m, allowed 100ms to 1m"),
            &format!(
                "18:25: error: {OPTIONS}.guard.latency.increase: found 0, allowed 0.01 to 100"
            ),
            &format!(
                "18:60: error: {OPTIONS}.guard.latency.quantiles[2]: found 1, allowed 0.01 to 0.9999"
            ),
            &format!(
                "19:15: error: {OPTIONS}.guard.maxFailureRatio: found 1, allowed 0.0001 to 0.99"
            ),
        ],
    );
}

#[test]
fn a_rollout_has_one_strategy_one_template_and_a_name() {
    check(
        "apiVersion: argoproj.io/v1alpha1
kind: Rollout
spec:
  strategy: {canary: {}, blueGreen: {activeService: a}}
",
        &[
            "shop.yaml:1:1: error: metadata.name: is missing",
            "shop.yaml:3:1: error: spec.template: is missing: one of template, workloadRef",
            "shop.yaml:4:3: error: spec.strategy: found canary and blueGreen, allowed exactly one of canary, blueGreen",
        ],
    );
}

#[test]
fn a_switch_of_all_users_is_accepted_with_what_acts_of_it() {
    let switch = |fields: &str| {
        format!(
            "apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata: {{name: shop}}
spec:
  template: {{}}
  progressDeadlineSeconds: 60
  rollbackWindow: {{revisions: 1}}
  strategy:
    blueGreen:
      activeService: a
{fields}"
        )
    };
    check(
        &switch(
            "      previewService: b
      autoPromotionEnabled: false
      autoPromotionSeconds: 30
      scaleDownDelaySeconds: 60
",
        ),
        &[],
    );
    const BLUE_GREEN: &str = "spec.strategy.blueGreen";
    check(
        &switch(
            "      previewService: a
      previewReplicaCount: 1
      autoPromotionSeconds: -1
      prePromotionAnalysis: {templates: [{templateName: a}]}
      postPromotionAnalysis: {templates: [{templateName: a}]}
",
        ),
        &[
            &format!(
                "shop.yaml:11:7: error: {BLUE_GREEN}.previewService: found \"a\", which {BLUE_GREEN}.activeService \
                 has already"
            ),
            &format!("shop.yaml:12:7: warning: {BLUE_GREEN}.previewReplicaCount: {NO_PODS}"),
            &format!(
                "shop.yaml:13:7: error: {BLUE_GREEN}.autoPromotionSeconds: found -1, allowed 0 and above"
            ),
            &format!("shop.yaml:14:7: error: {BLUE_GREEN}.prePromotionAnalysis: {LESS_SAFE}"),
            &format!("shop.yaml:15:7: error: {BLUE_GREEN}.postPromotionAnalysis: {LESS_SAFE}"),
        ],
    );
}
