//! Pods that crash, end, are deleted, evicted, or never start.

use anyhow::{Context as _, Result, ensure};
use e2e::{
    bed::{
        harness,
        objects::{apply, wait},
    },
    http,
};
use k8s_openapi::api::{
    batch::v1::Job,
    core::v1::{ContainerStatus, Pod},
};
use kube::{
    Api, Client,
    api::{DeleteParams, EvictParams},
};
use libtest_mimic::Trial;
use serde_json::{Value, json};
use std::net::SocketAddr;

pub(crate) fn tests() -> Vec<Trial> {
    vec![
        harness::test("crashing_pod_is_backed_off", crashes),
        harness::test("image_that_cannot_be_pulled", cannot_be_pulled),
        harness::test("deletion_is_graceful", is_deleted_gracefully),
        harness::test("eviction_deletes", is_evicted),
        harness::test("job_completes_and_job_fails", jobs),
    ]
}

fn pod(container: &Value) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "one"},
        "spec": {"terminationGracePeriodSeconds": 60, "containers": [container]},
    })
}

fn container(pod: Option<&Pod>) -> Option<&ContainerStatus> {
    pod?.status.as_ref()?.container_statuses.as_ref()?.first()
}

fn waits_for(reason: &'static str) -> impl Fn(Option<&Pod>) -> bool {
    move |pod| {
        let waiting = container(pod).and_then(|found| found.state.as_ref()?.waiting.as_ref());
        waiting.is_some_and(|waiting| waiting.reason.as_deref() == Some(reason))
    }
}

fn is_ready(pod: Option<&Pod>) -> bool {
    container(pod).is_some_and(|container| container.ready)
}

async fn crashes(client: Client, namespace: String) -> Result<()> {
    let pods: Api<Pod> = Api::namespaced(client, &namespace);
    let container_of_one =
        json!({"name": "a", "image": "busybox", "command": ["sh", "-c", "exit 3"]});
    apply(&pods, &pod(&container_of_one)).await?;
    let found = wait(&pods, "one", waits_for("CrashLoopBackOff")).await?;
    let found = container(found.as_ref()).context("a container")?;
    let ended = found
        .last_state
        .as_ref()
        .and_then(|last| last.terminated.as_ref());
    ensure!(ended.is_some_and(|ended| ended.exit_code == 3), "{found:?}");
    ensure!(
        found.restart_count == 1,
        "the first restart is at once: {found:?}"
    );
    Ok(())
}

async fn cannot_be_pulled(client: Client, namespace: String) -> Result<()> {
    let pods: Api<Pod> = Api::namespaced(client, &namespace);
    apply(
        &pods,
        &pod(&json!({"name": "a", "image": "sluice/demo:missing"})),
    )
    .await?;
    wait(&pods, "one", waits_for("ErrImagePull")).await?;
    let found = wait(&pods, "one", waits_for("ImagePullBackOff")).await?;
    let phase = found.and_then(|pod| pod.status?.phase);
    ensure!(phase.as_deref() == Some("Pending"), "{phase:?}");
    Ok(())
}

async fn is_deleted_gracefully(client: Client, namespace: String) -> Result<()> {
    let pods: Api<Pod> = Api::namespaced(client, &namespace);
    let lifecycle = json!({"preStop": {"sleep": {"seconds": 2}}});
    apply(
        &pods,
        &pod(&json!({"name": "a", "image": "sluice/demo:blue", "lifecycle": lifecycle})),
    )
    .await?;
    let found = wait(&pods, "one", is_ready).await?;
    let ip = found
        .and_then(|pod| pod.status?.pod_ip)
        .context("an address")?;
    let address = SocketAddr::new(ip.parse()?, 8080);
    pods.delete("one", &DeleteParams::default()).await?;
    let found = pods
        .get("one")
        .await
        .context("it is there until its containers have ended")?;
    ensure!(
        found.metadata.deletion_grace_period_seconds == Some(60),
        "{:?}",
        found.metadata
    );
    ensure!(
        http::get(address, "/").await?.status() == 200,
        "it answers until it is told to end"
    );
    wait(&pods, "one", |pod: Option<&Pod>| pod.is_none()).await?;
    ensure!(
        http::get(address, "/").await.is_err(),
        "nothing of it is left"
    );
    Ok(())
}

async fn is_evicted(client: Client, namespace: String) -> Result<()> {
    let pods: Api<Pod> = Api::namespaced(client, &namespace);
    apply(&pods, &pod(&json!({"name": "a", "image": "nginx"}))).await?;
    wait(&pods, "one", is_ready).await?;
    pods.evict("one", &EvictParams::default()).await?;
    wait(&pods, "one", |pod: Option<&Pod>| pod.is_none()).await?;
    Ok(())
}

async fn jobs(client: Client, namespace: String) -> Result<()> {
    let jobs: Api<Job> = Api::namespaced(client, &namespace);
    for (name, code, expected) in [("good", 0, "Complete"), ("bad", 1, "Failed")] {
        let command = ["sh".to_owned(), "-c".to_owned(), format!("exit {code}")];
        let template = json!({"spec": {
            "restartPolicy": "Never", "containers": [{"name": "a", "image": "busybox", "command": command}],
        }});
        let job = json!({
            "apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name},
            "spec": {"backoffLimit": 0, "template": template},
        });
        apply(&jobs, &job).await?;
        let has_ended = move |job: Option<&Job>| {
            let conditions = job.and_then(|job| job.status.as_ref()?.conditions.as_ref());
            let mut conditions = conditions.into_iter().flatten();
            conditions.any(|condition| condition.type_ == expected && condition.status == "True")
        };
        wait(&jobs, name, has_ended).await?;
    }
    Ok(())
}
