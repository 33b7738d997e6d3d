//! This proxy as it is shipped: a Rollout whose canary stays at its weight, judged by its guard all the while. It counts
//! requests, status, failures and a latency histogram of each version, always.

use super::{IDLE, Setup, Written, weights};
use crate::{
    rivals::{
        case::USER,
        tls::{CHAIN, KEY},
    },
    sluice::HOST,
};

/// The documents at first: only the stable version is there. [`rollout`] of another version begins the split.
pub(crate) fn sluice(setup: &Setup<'_>) -> Written {
    let (listen, stable, canary) = (setup.listen, setup.stable, setup.canary);
    let tls = match setup.is_tls() {
        true => format!(", tls: {{certificates: [{{chainFile: {CHAIN}, keyFile: {KEY}}}]}}"),
        false => String::new(),
    };
    let areas: String = setup
        .case
        .prefixes()
        .map(|prefix| {
            format!(
                "  - {{name: '{}', hosts: [{HOST}], rollout: shop, matches: [{{path: {{value: {prefix}}}}}]}}\n",
                &prefix[1..]
            )
        })
        .collect();
    let proxy = format!(
        "apiVersion: sluice.dev/v1alpha1
kind: Proxy
metadata: {{name: edge}}
spec:
  listeners: [{{name: shop, address: '{listen}'{tls}}}]
  admin: {{address: '127.0.0.1:0'}}
  stateFile: state.json
  workers: 1
  pool: {{idlePerEndpoint: {IDLE}}}
  services:
  - {{name: shop-blue, endpoints: ['{stable}']}}
  - {{name: shop-green, endpoints: ['{canary}']}}
  routes:
{areas}  - {{name: shop, hosts: [{HOST}], rollout: shop}}
"
    );
    Written {
        files: vec![("proxy.yaml", proxy), ("rollout.yaml", rollout(setup, 1))],
        arguments: ["proxy.yaml", "rollout.yaml"]
            .map(|name| setup.file(name))
            .into(),
    }
}

/// The Rollout that asks for version `version`.
pub(crate) fn rollout(setup: &Setup<'_>, version: usize) -> String {
    let [_, canary] = weights();
    let sticky = match setup.case.is_sticky {
        true => format!("[{{header: {USER}}}]"),
        false => "[]".to_owned(),
    };
    format!(
        "apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata: {{name: shop}}
spec:
  template: {{spec: {{containers: [{{name: shop, image: 'shop:{version}'}}]}}}}
  strategy:
    canary:
      pingPong: {{pingService: shop-blue, pongService: shop-green}}
      trafficRouting: {{plugins: {{sluice/proxy: {{sticky: {sticky}}}}}}}
      steps:
      - setWeight: {canary}
      - pause: {{}}
"
    )
}
