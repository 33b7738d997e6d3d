//! A node's object and lease.

use super::{Host, addresses::Addresses, pods};
use anyhow::{Context as _, Result};
use k8s_openapi::{api::coordination::v1::Lease, api::core::v1::Node, jiff::Timestamp};
use kube::{
    Api,
    api::{Patch, PatchParams, PostParams},
    runtime::wait::await_condition,
};
use serde_json::{Value, json};
use std::{convert::Infallible, time::Duration};
use tokio::time::{interval, sleep};

/// How often a lease is renewed that lasts 40 s, as with a kubelet.
const RENEWAL: Duration = Duration::from_secs(10);
const LEASE_SECONDS: i32 = 40;

/// Registers the node, and lets its Pods live.
pub(super) async fn run(host: Host) -> Result<()> {
    let nodes: Api<Node> = Api::all(host.client.clone());
    let object: Node = serde_json::from_value(object(host.name))?;
    nodes
        .create(&PostParams::default(), &object)
        .await
        .context("registration")?;
    // Without a range for its Pods, a node has no network and is not ready.
    let has_range = |node: Option<&Node>| node.is_some_and(|node| range(node).is_some());
    let node = await_condition(nodes.clone(), host.name, has_range).await?;
    let addresses = Addresses::new(node.as_ref().and_then(range).context("the node is gone")?)?;
    let status = Patch::Merge(status(&host.address, host.name, Timestamp::now()));
    nodes
        .patch_status(host.name, &PatchParams::default(), &status)
        .await?;
    let leases = Api::namespaced(host.client.clone(), "kube-node-lease");
    let name = host.name;
    tokio::select! {
        ended = pods::run(host, addresses) => ended,
        never = renew(&leases, name) => match never {},
    }
}

fn range(node: &Node) -> Option<&str> {
    node.spec.as_ref()?.pod_cidr.as_deref()
}

async fn renew(leases: &Api<Lease>, name: &str) -> Infallible {
    let mut beat = interval(RENEWAL);
    loop {
        beat.tick().await;
        let apply = PatchParams::apply("e2e").force();
        let now = || Patch::Apply(lease(name, Timestamp::now()));
        // Its namespace may not be there at first. A node whose lease runs out is seen to be gone, as it should.
        while let Err(error) = leases.patch(name, &apply, &now()).await {
            eprintln!("lease of {name}: {error}");
            sleep(Duration::from_millis(500)).await;
        }
    }
}

fn object(name: &str) -> Value {
    json!({
        "metadata": {"name": name, "labels": {
            "kubernetes.io/hostname": name,
            "kubernetes.io/os": "linux",
            "kubernetes.io/arch": "amd64",
        }},
    })
}

fn lease(name: &str, now: Timestamp) -> Value {
    json!({
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": name},
        "spec": {
            "holderIdentity": name,
            "leaseDurationSeconds": LEASE_SECONDS,
            "renewTime": format!("{now:.6}"),
        },
    })
}

/// A node with room for every Pod that it has addresses for.
fn status(address: &str, name: &str, now: Timestamp) -> Value {
    let room = json!({"cpu": "1000", "memory": "1Ti", "ephemeral-storage": "1Ti", "pods": "4000"});
    let conditions = [
        ("Ready", "True", "KubeletReady"),
        ("MemoryPressure", "False", "KubeletHasSufficientMemory"),
        ("DiskPressure", "False", "KubeletHasNoDiskPressure"),
        ("PIDPressure", "False", "KubeletHasSufficientPID"),
    ];
    let conditions = conditions.map(|(kind, status, reason)| {
        let now = format!("{now:.0}");
        json!({"type": kind, "status": status, "reason": reason, "lastHeartbeatTime": now, "lastTransitionTime": now})
    });
    json!({"status": {
        "capacity": room,
        "allocatable": room,
        "conditions": conditions,
        "addresses": [{"type": "InternalIP", "address": address}, {"type": "Hostname", "address": name}],
        "nodeInfo": {
            "architecture": "amd64", "bootID": "", "containerRuntimeVersion": "e2e://1", "kernelVersion": "",
            "kubeProxyVersion": "", "kubeletVersion": "v1.36.0", "machineID": "", "operatingSystem": "linux",
            "osImage": "e2e", "systemUUID": "",
        },
    }})
}
