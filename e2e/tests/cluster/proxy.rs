//! `sluice proxy` as a process: what it makes of Rollouts, with what rights, and without an API server. The controller's
//! part is done by hand.

use crate::{
    controller::{late_bytes::Way, process, rollouts::Rollouts},
    deployments::ready_addresses,
};
use anyhow::{Context as _, Result, bail, ensure};
use controller::fleet::{self, Report, RolloutReport};
use e2e::{bed::harness, http, proxy::Proxy};
use k8s_openapi::api::apps::v1::ReplicaSet;
use kube::{Api, Client};
use libtest_mimic::Trial;
use rustix::process::Signal;
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::Path,
    time::Duration,
};

pub(crate) fn tests() -> Vec<Trial> {
    vec![
        harness::test("proxy_splits_as_the_status_says", splits),
        harness::test("proxy_of_a_namespace", is_of_a_namespace),
    ]
}

/// What a proxy tells a controller.
pub(crate) trait Reports {
    /// What it tells of a Rollout.
    async fn report(&self, rollout: &str) -> Result<Option<RolloutReport>>;

    /// Asks until every worker serves the canary so much, in basis points.
    async fn serves(&self, rollout: &str, weight: u16) -> Result<RolloutReport>;

    /// Asks until it has taken the traffic of the canary away by itself.
    async fn trips(&self, rollout: &str) -> Result<RolloutReport>;
}

impl Reports for Proxy {
    async fn report(&self, rollout: &str) -> Result<Option<RolloutReport>> {
        let path = format!("{}?rollout={rollout}", fleet::PATH);
        let answer = http::get(self.admin, &path).await?;
        let mut report: Report = serde_json::from_slice(answer.body())?;
        ensure!(report.rollouts.len() <= 1, "{report:?}");
        Ok(report.rollouts.remove(rollout))
    }

    async fn serves(&self, rollout: &str, weight: u16) -> Result<RolloutReport> {
        loop {
            let report = self.report(rollout).await?;
            let serving = report.as_ref().and_then(|report| report.serving.as_ref());
            if serving.is_some_and(|split| split.weight.basis_points() == weight) {
                return report.context("there is one");
            }
        }
    }

    async fn trips(&self, rollout: &str) -> Result<RolloutReport> {
        loop {
            let report = self.report(rollout).await?.context("there is one")?;
            if report.tripped.is_some() {
                return Ok(report);
            }
        }
    }
}

/// Starts one at an address, with ports that nobody else has.
pub(crate) async fn start_at(
    address: impl Into<IpAddr>,
    workers: usize,
    kubeconfig: &Path,
    arguments: &[&str],
) -> Result<Proxy> {
    let any = SocketAddr::new(address.into(), 0);
    Proxy::start([any, any], workers, kubeconfig, arguments).await
}

/// Two versions of an app, each with a Service of its own, and a Rollout that no controller looks after.
async fn deploy(client: &Client, namespace: &str) -> Result<()> {
    let mut all = Vec::new();
    for (service, hash, image) in [("shop", "v1", "blue"), ("shop-canary", "v2", "green")] {
        let labels = json!({"app": "shop", "rollouts-pod-template-hash": hash});
        let containers = json!([{"name": "app", "image": format!("sluice/demo:{image}")}]);
        let objects = [
            json!({
                "apiVersion": "v1", "kind": "Service", "metadata": {"name": service, "namespace": namespace},
                "spec": {"selector": labels, "ports": [
                    {"name": "metrics", "port": 9000},
                    {"name": "http", "port": 80, "targetPort": 8080},
                ]},
            }),
            json!({
                "apiVersion": "apps/v1", "kind": "ReplicaSet",
                "metadata": {"name": format!("shop-{hash}"), "namespace": namespace},
                "spec": {"replicas": 2, "selector": {"matchLabels": labels}, "template": {
                    "metadata": {"labels": labels},
                    "spec": {"terminationGracePeriodSeconds": 1, "containers": containers},
                }},
            }),
        ];
        all.extend(objects);
    }
    let all = json!({"apiVersion": "v1", "kind": "List", "items": all});
    process::apply(&all.to_string()).await?;
    let sets: Api<ReplicaSet> = Api::namespaced(client.clone(), namespace);
    for name in ["shop-v1", "shop-v2"] {
        let is_ready = |set: Option<&ReplicaSet>| {
            let status = set.and_then(|set| set.status.as_ref());
            status.and_then(|status| status.ready_replicas) == Some(2)
        };
        e2e::bed::objects::wait(&sets, name, is_ready).await?;
    }
    // Which are told some time after that.
    for service in ["shop", "shop-canary"] {
        let slices = Api::namespaced(client.clone(), namespace);
        ready_addresses(slices, service, 2).await?;
    }
    Ok(())
}

fn rollout(hosts: &[&str]) -> Value {
    json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout",
        "metadata": {"name": "shop", "labels": {"argo-rollouts.argoproj.io/controller-instance-id": "nobody"}},
        "spec": {
            "replicas": 2, "selector": {"matchLabels": {"app": "shop"}},
            "template": {"metadata": {"labels": {"app": "shop"}}, "spec": {"containers": [
                {"name": "app", "image": "sluice/demo:green"},
            ]}},
            "strategy": {"canary": {
                "stableService": "shop", "canaryService": "shop-canary", "steps": [{"setWeight": 20}, {"pause": {}}],
                "trafficRouting": {"plugins": {"sluice/proxy": {"hosts": hosts}}},
            }},
        },
    })
}

fn status(weight: u8) -> Value {
    json!({"currentPodHash": "v2", "stableRS": "v1", "currentStepIndex": 1, "canary": {"weights": {
        "canary": {"weight": weight, "serviceName": "shop-canary", "podTemplateHash": "v2"},
        "stable": {"weight": 100 - weight, "serviceName": "shop", "podTemplateHash": "v1"},
    }}})
}

fn shares(blue: usize, green: usize) -> BTreeMap<String, usize> {
    BTreeMap::from([("blue".to_owned(), blue), ("green".to_owned(), green)])
}

/// Whether two shares are the same, but for what each of two workers may be ahead.
fn is_near(found: &BTreeMap<String, usize>, expected: &BTreeMap<String, usize>) -> bool {
    found.len() == expected.len()
        && found
            .iter()
            .zip(expected)
            .all(|(found, expected)| found.0 == expected.0 && found.1.abs_diff(*expected.1) <= 2)
}

/// Applied as it is, the manifest gives the rights that are needed. Requests are split as the status says, this is told,
/// and it goes on when the API server is away.
async fn splits(client: Client, namespace: String) -> Result<()> {
    let rollouts = Rollouts::of(&client, &namespace).await?;
    deploy(&client, &namespace).await?;
    process::apply(include_str!("../../../deploy/kubernetes/proxy.yaml")).await?;
    process::kubectl(&["delete", "deployment", "-n", "sluice", "sluice-proxy"]).await?;
    let kubeconfig = process::account(&client, "sluice", "sluice-proxy").await?;
    let way = Way::to("127.0.0.1:6443").await?;
    let kubeconfig = way.kubeconfig(kubeconfig.path())?;
    let mut proxy = start_at(Ipv4Addr::LOCALHOST, 2, kubeconfig.path(), &[]).await?;
    let host = &*format!("shop.{namespace}.svc.cluster.local");
    rollouts.apply(&rollout(&["shop.example"])).await?;
    rollouts.set_status("shop", &status(20)).await?;
    let id = &*format!("{namespace}/shop");
    let before = proxy.serves(id, 2000).await?;
    ensure!(proxy.page("/readyz").await? == 200);

    let answered = proxy.share(host, 300).await?;
    ensure!(is_near(&answered, &shares(240, 60)), "{answered:?}");
    ensure!(
        proxy
            .share(&format!("shop-canary.{namespace}:80"), 10)
            .await?
            == BTreeMap::from([("green".into(), 10)])
    );
    ensure!(
        proxy.ask("shop.example").await?.parse::<u16>().is_err(),
        "a version answers"
    );
    ensure!(proxy.ask("other.example").await? == "404");
    let report = proxy.serves(id, 2000).await?;
    let counts = report.snapshot(Duration::ZERO)?;
    ensure!(report.changes == before.changes, "{report:?}");
    // What was asked for at the canary's own Service is not among them.
    ensure!(
        counts.stable.dispatched + counts.canary.dispatched == 301,
        "{counts:?}"
    );
    ensure!(
        counts.canary.dispatched.abs_diff(answered["green"] as u64) <= 1,
        "{counts:?}"
    );
    ensure!(
        counts.stable.failed + counts.canary.failed == 0,
        "{counts:?}"
    );

    rollouts.set_status("shop", &status(50)).await?;
    let report = proxy.serves(id, 5000).await?;
    ensure!(report.changes > before.changes, "{report:?}");
    let answered = proxy.share("shop.example", 100).await?;
    ensure!(is_near(&answered, &shares(50, 50)), "{answered:?}");
    ensure!(proxy.process.has_no_trouble(), "{}", proxy.process.log());

    way.cut();
    proxy.process.says("cannot be watched for now").await?;
    rollouts.set_status("shop", &status(0)).await?;
    let answered = proxy.share(host, 100).await?;
    ensure!(is_near(&answered, &shares(50, 50)), "{answered:?}");
    for page in ["/readyz", "/healthz", "/metrics"] {
        ensure!(proxy.page(page).await? == 200, "{page}");
    }
    proxy.process.ends(Signal::TERM).await?;
    Ok(())
}

/// The same with rights in one namespace only, whose Services are asked for by their bare names.
async fn is_of_a_namespace(client: Client, namespace: String) -> Result<()> {
    let rollouts = Rollouts::of(&client, &namespace).await?;
    deploy(&client, &namespace).await?;
    let manifest = include_str!("../../../deploy/kubernetes/proxy-namespaced.yaml");
    process::apply(&manifest.replace("NAMESPACE", &namespace)).await?;
    process::kubectl(&["delete", "deployment", "-n", &namespace, "sluice-proxy"]).await?;
    let kubeconfig = process::account(&client, &namespace, "sluice-proxy").await?;
    let own = format!("--namespace={namespace}");
    let mut proxy = start_at(Ipv4Addr::LOCALHOST, 2, kubeconfig.path(), &[&own]).await?;
    rollouts.apply(&rollout(&[])).await?;
    rollouts.set_status("shop", &status(100)).await?;
    let id = &*format!("{namespace}/shop");
    proxy.serves(id, 10_000).await?;
    ensure!(proxy.ask("shop").await? == "green");
    // An abort: everything goes back, whatever the weights say.
    rollouts.set_status("shop", &json!({"abort": true})).await?;
    proxy.serves(id, 0).await?;
    ensure!(proxy.share("shop:8080", 20).await? == BTreeMap::from([("blue".into(), 20)]));
    // Its routes go with the Rollout.
    rollouts.delete("shop").await?;
    while proxy.report(id).await?.is_some() {}
    match proxy.ask("shop").await?.as_str() {
        "404" => {}
        other => bail!("{other} answers"),
    }
    ensure!(proxy.process.has_no_trouble(), "{}", proxy.process.log());
    proxy.process.ends(Signal::TERM).await
}
