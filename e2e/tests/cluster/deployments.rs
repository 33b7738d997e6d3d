//! Deployments and the Services in front of them: the controllers' own work, on simulated nodes.

use anyhow::{Context as _, Result, ensure};
use e2e::{
    app::VERSION_HEADER,
    bed::{
        harness,
        objects::{apply, wait},
    },
    http,
};
use k8s_openapi::{
    api::{
        apps::v1::Deployment,
        core::v1::{Pod, Service},
        discovery::v1::EndpointSlice,
    },
    jiff::Timestamp,
};
use kube::{Api, Client, api::ListParams, runtime::watcher};
use libtest_mimic::Trial;
use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    net::{IpAddr, SocketAddr},
};

pub(crate) fn tests() -> Vec<Trial> {
    vec![
        harness::test("deployment_becomes_available_and_rolls_over", rolls_over),
        harness::test(
            "deployment_is_not_available_before_its_probe_passes",
            is_probed,
        ),
        harness::test("endpoint_slices_lead_to_pods_that_answer", answers),
    ]
}

fn deployment(image: &str) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
        "spec": {
            "replicas": 3,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"terminationGracePeriodSeconds": 5, "containers": [{"name": "app", "image": image}]},
            },
        },
    })
}

/// Whether all three Pods, and no others, are of the version that was asked for.
fn is_rolled_out(found: Option<&Deployment>) -> bool {
    let done = |found: &Deployment| {
        let status = found.status.as_ref()?;
        let counts = [
            status.replicas,
            status.updated_replicas,
            status.available_replicas,
        ];
        Some(status.observed_generation == found.metadata.generation && counts == [Some(3); 3])
    };
    found.and_then(done).unwrap_or(false)
}

async fn pods(client: &Client, namespace: &str) -> Result<Vec<Pod>> {
    let api: Api<Pod> = Api::namespaced(client.clone(), namespace);
    Ok(api
        .list(&ListParams::default().labels("app=web"))
        .await?
        .items)
}

async fn rolls_over(client: Client, namespace: String) -> Result<()> {
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), &namespace);
    apply(&deployments, &deployment("sluice/demo:blue")).await?;
    wait(&deployments, "web", is_rolled_out).await?;
    let first = pods(&client, &namespace).await?;
    let nodes: BTreeSet<_> = first
        .iter()
        .filter_map(|pod| pod.spec.as_ref()?.node_name.clone())
        .collect();
    ensure!(
        nodes.len() > 1,
        "the scheduler spreads them, found {nodes:?}"
    );
    let applied = apply(&deployments, &deployment("sluice/demo:green")).await?;
    let generation = applied.metadata.generation;
    let is_rolled_over = move |found: Option<&Deployment>| {
        found.is_some_and(|found| found.metadata.generation == generation) && is_rolled_out(found)
    };
    wait(&deployments, "web", is_rolled_over).await?;
    for pod in pods(&client, &namespace)
        .await?
        .iter()
        .filter(|pod| pod.metadata.deletion_timestamp.is_none())
    {
        let address = address(pod)?;
        let answer = http::get(address, "/").await?;
        ensure!(
            answer.headers()[VERSION_HEADER] == "green",
            "{address}: {answer:?}"
        );
    }
    Ok(())
}

async fn is_probed(client: Client, namespace: String) -> Result<()> {
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), &namespace);
    let mut object = deployment("sluice/demo:blue");
    let container = &mut object["spec"]["template"]["spec"]["containers"][0];
    container["readinessProbe"] = json!({
        "httpGet": {"path": "/healthz", "port": 8080}, "initialDelaySeconds": 2, "periodSeconds": 1,
    });
    apply(&deployments, &object).await?;
    wait(&deployments, "web", is_rolled_out).await?;
    for pod in pods(&client, &namespace).await? {
        let (started, ready) = started_and_ready(&pod).context("times of a ready Pod")?;
        // The API tells whole seconds.
        ensure!(
            ready.duration_since(started).as_secs() >= 1,
            "ready at {ready}, started at {started}"
        );
    }
    Ok(())
}

fn started_and_ready(pod: &Pod) -> Option<(Timestamp, Timestamp)> {
    let status = pod.status.as_ref()?;
    let container = status.container_statuses.as_ref()?.first()?;
    let started = container
        .state
        .as_ref()?
        .running
        .as_ref()?
        .started_at
        .as_ref()?
        .0;
    let ready = status
        .conditions
        .as_ref()?
        .iter()
        .find(|condition| condition.type_ == "Ready")?;
    Some((started, ready.last_transition_time.as_ref()?.0))
}

fn address(pod: &Pod) -> Result<SocketAddr> {
    let ip = pod
        .status
        .as_ref()
        .and_then(|status| status.pod_ip.as_ref())
        .context("a Pod without an address")?;
    Ok(SocketAddr::new(ip.parse()?, 8080))
}

async fn answers(client: Client, namespace: String) -> Result<()> {
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), &namespace);
    apply(&deployments, &deployment("sluice/demo:blue")).await?;
    let services: Api<Service> = Api::namespaced(client.clone(), &namespace);
    let service = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"},
        "spec": {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8080}]},
    });
    apply(&services, &service).await?;
    let slices: Api<EndpointSlice> = Api::namespaced(client.clone(), &namespace);
    let addresses = ready_addresses(slices, "web", 3).await?;
    for ip in &addresses {
        ensure!(
            ip.to_string().starts_with("10.244."),
            "{ip} is not of the pod range"
        );
        let answer = http::get(SocketAddr::new(*ip, 8080), "/").await?;
        ensure!(
            answer.status() == 200 && answer.body() == "blue ok\n",
            "{ip}: {answer:?}"
        );
    }
    Ok(())
}

/// Waits until `count` endpoints of `service` are ready, and returns their addresses.
pub(crate) async fn ready_addresses(
    slices: Api<EndpointSlice>,
    service: &str,
    count: usize,
) -> Result<BTreeSet<IpAddr>> {
    use futures_util::StreamExt as _;
    use kube::runtime::WatchStreamExt as _;
    let of_service = format!("kubernetes.io/service-name={service}");
    let config = watcher::Config::default().labels(&of_service);
    let mut found = Box::pin(watcher(slices, config).applied_objects());
    while let Some(slice) = found.next().await {
        let endpoints = slice?.endpoints.unwrap_or_default().into_iter();
        let ready = endpoints.filter(|endpoint| {
            endpoint
                .conditions
                .as_ref()
                .is_some_and(|found| found.ready == Some(true))
        });
        let addresses: Result<BTreeSet<IpAddr>, _> = ready
            .flat_map(|endpoint| endpoint.addresses)
            .map(|address| address.parse())
            .collect();
        let addresses = addresses?;
        if addresses.len() == count {
            return Ok(addresses);
        }
    }
    anyhow::bail!("the watch of EndpointSlices ended")
}
