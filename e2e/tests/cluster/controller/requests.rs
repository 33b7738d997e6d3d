//! What a Rollout costs the API server, as the controller itself counts it.

use super::{process::Controller, rollouts::Rollouts};
use anyhow::{Context as _, Result, ensure};
use e2e::{
    bed::{harness, objects::wait},
    scale::Scrape,
};
use k8s_openapi::api::coordination::v1::Lease;
use kube::{Api, Client};
use libtest_mimic::Trial;
use serde_json::{Value, json};
use std::{collections::BTreeMap, env, path::PathBuf};

/// The Lease of the controller with the instance id `counted`.
const LEASE: &str = "sluice-controller-lock-counted";

pub(crate) fn tests() -> Vec<Trial> {
    vec![harness::test(
        "update_takes_few_requests_and_rest_takes_none",
        takes_few,
    )]
}

/// A controller whose requests are counted.
struct Counted {
    controller: Controller,
    leases: Api<Lease>,
}

impl Counted {
    /// What was asked for so far, once nothing but the Lease is asked for any more.
    async fn at_rest(&self) -> Result<BTreeMap<String, u64>> {
        let mut before = self.requests().await?;
        loop {
            self.renews().await?;
            let now = self.requests().await?;
            if now == before {
                return Ok(now);
            }
            before = now;
        }
    }

    async fn requests(&self) -> Result<BTreeMap<String, u64>> {
        let mut requests = Scrape::read(&self.controller.metrics().await?).requests;
        requests.retain(|request, _| !request.ends_with(" Lease"));
        Ok(requests)
    }

    /// Waits until the Lease is renewed, twice: the first may have been on its way.
    async fn renews(&self) -> Result<()> {
        for _ in 0..2 {
            let renewed = |lease: &Lease| lease.spec.as_ref()?.renew_time.clone();
            let before = renewed(&self.leases.get(LEASE).await?);
            let is_renewed =
                move |lease: Option<&Lease>| lease.is_some_and(|lease| renewed(lease) != before);
            wait(&self.leases, LEASE, is_renewed).await?;
        }
        Ok(())
    }
}

fn rollout(version: &str) -> Value {
    let pause = json!({"pause": {"duration": "1s"}});
    json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout",
        "metadata": {"name": "shop", "labels": {"argo-rollouts.argoproj.io/controller-instance-id": "counted"}},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": {"app": "shop"}},
            "strategy": {"canary": {"steps": [{"setWeight": 10}, pause, {"setWeight": 50}, pause]}},
            "template": {
                "metadata": {"labels": {"app": "shop"}},
                "spec": {"terminationGracePeriodSeconds": 1, "containers": [
                    {"name": "app", "image": format!("sluice/idle:{version}")},
                ]},
            },
        },
    })
}

/// An update takes few requests, each of which is a write, and a Rollout at rest takes none.
async fn takes_few(client: Client, namespace: String) -> Result<()> {
    let rollouts = Rollouts::of(&client, &namespace).await?;
    let kubeconfig = PathBuf::from(env::var_os("KUBECONFIG").context("KUBECONFIG")?);
    let own = [
        &*format!("--lease-namespace={namespace}"),
        "--instance-id=counted",
        "--lease-duration=4s",
        "--renew-deadline=3s",
        "--retry-period=500ms",
    ];
    let counted = Counted {
        controller: Controller::start(&kubeconfig, &own)?,
        leases: Api::namespaced(client, &namespace),
    };
    rollouts.apply(&rollout("1")).await?;
    rollouts.wait("shop", "Healthy", 1).await?;
    let before = counted.at_rest().await?;
    rollouts.apply(&rollout("2")).await?;
    rollouts.wait("shop", "Healthy", 2).await?;
    let after = counted.at_rest().await?;
    let took = after.iter().map(|(request, count)| {
        let before = before.get(request).copied().unwrap_or(0);
        (request.as_str(), count - before)
    });
    let took: BTreeMap<&str, u64> = took.filter(|(_, count)| *count > 0).collect();
    // For information: the pure test of the same plan has the exact numbers.
    println!("{took:?}");
    let most = BTreeMap::from([
        ("create Event", 14),
        ("create ReplicaSet", 1),
        ("patch ReplicaSet", 1),
        // Of these one is of its annotations. The others are of its status, which the pods' ways to being ready and gone
        // take part in.
        ("patch Rollout", 10),
    ]);
    for (request, count) in &took {
        let most = most.get(request).copied().unwrap_or(0);
        ensure!(
            *count <= most,
            "{request}: {count}, allowed {most}: {took:?}"
        );
    }
    Ok(())
}
