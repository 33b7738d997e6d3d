//! The first process of a test bed's namespaces: brings everything up in order, and ends when it is no longer wanted.

use super::{
    READY, RunDirectory, control_plane,
    credentials::Authority,
    members::Members,
    namespace::{self, POD_RANGE},
};
use crate::kubelet::{self, NODES};
use anyhow::{Context as _, Result, bail};
use k8s_openapi::api::core::v1::{Node, ServiceAccount};
use kube::{
    Api, Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
    runtime::wait::await_condition,
};
use rustix::{
    event::{PollFd, PollFlags, poll},
    io::retry_on_intr,
};
use std::{
    io::{self, Write as _},
    path::{Path, PathBuf},
    thread,
    time::Duration,
};
use tokio::{
    sync::oneshot,
    time::{sleep, timeout},
};

/// A cluster that is not there after this time will not come. It takes some ten seconds on two cores.
const PATIENCE: Duration = Duration::from_secs(120);

/// Runs a test bed in `directory` with the control plane in `binaries`, until the process ends whose descriptor (a pidfd) is
/// this one's standard input.
///
/// # Errors
/// When a part of it does not start, or ends.
pub async fn supervise(directory: RunDirectory, binaries: PathBuf) -> Result<()> {
    let _held = directory.lock()?;
    namespace::prepare()?;
    issue(&directory)?;
    let mut members = Members::new(directory.clone(), binaries);
    members.start(control_plane::etcd(directory.path()))?;
    members.start(control_plane::api_server(directory.path()))?;
    let admin = client(&directory.kubeconfig()).await?;
    let up = timeout(PATIENCE, api_server_is_ready(&admin));
    tokio::select! {
        ready = up => ready.with_context(|| directory.last_words("kube-apiserver"))?,
        error = members.first_end() => return Err(error),
        gone = owner_is_gone() => return gone,
    }
    members.start(control_plane::controller_manager(
        directory.path(),
        POD_RANGE,
    ))?;
    members.start(control_plane::scheduler(directory.path()))?;
    let ready = async {
        let ready = timeout(PATIENCE, cluster_is_ready(admin)).await;
        ready.context("the nodes do not become ready")??;
        // Nobody reads it when whoever brought it up is gone.
        writeln!(io::stdout(), "{READY}").context("nobody waits for this test bed")?;
        std::future::pending().await
    };
    tokio::select! {
        ready = ready => ready,
        ended = kubelet::run(&directory) => ended,
        error = members.first_end() => Err(error),
        gone = owner_is_gone() => gone,
    }
}

/// Everybody's credentials.
fn issue(directory: &RunDirectory) -> Result<()> {
    let authority = Authority::new(&directory.path().join("pki"))?;
    authority.server()?;
    authority.signer()?;
    authority.client(&directory.kubeconfig(), "admin", Some("system:masters"))?;
    for member in ["controller-manager", "scheduler"] {
        let user = format!("system:kube-{member}");
        authority.client(&directory.kubeconfig_of(member), &user, None)?;
    }
    for node in NODES {
        let user = format!("system:node:{node}");
        authority.client(&directory.kubeconfig_of(node), &user, Some("system:nodes"))?;
    }
    Ok(())
}

/// A client with the credentials of a kubeconfig.
///
/// # Errors
/// When the file cannot be read.
pub async fn client(kubeconfig: &Path) -> Result<Client> {
    let options = KubeConfigOptions::default();
    let config = Config::from_custom_kubeconfig(Kubeconfig::read_from(kubeconfig)?, &options);
    Ok(Client::try_from(config.await?)?)
}

async fn api_server_is_ready(client: &Client) {
    let request = || hyper::Request::get("/readyz").body(Vec::new());
    loop {
        if let Ok(request) = request()
            && client.request_text(request).await.is_ok()
        {
            return;
        }
        sleep(Duration::from_millis(100)).await;
    }
}

/// Waits until Pods can be made (the controllers gave the first namespace its service account) and placed.
async fn cluster_is_ready(client: Client) -> Result<()> {
    let accounts: Api<ServiceAccount> = Api::default_namespaced(client.clone());
    await_condition(accounts, "default", |found: Option<&ServiceAccount>| {
        found.is_some()
    })
    .await?;
    let nodes: Api<Node> = Api::all(client);
    for node in NODES {
        await_condition(nodes.clone(), node, |found: Option<&Node>| {
            found.is_some_and(takes_pods)
        })
        .await?;
    }
    Ok(())
}

/// Whether a node is ready, and the controllers have seen that.
fn takes_pods(node: &Node) -> bool {
    let conditions = node
        .status
        .iter()
        .flat_map(|status| status.conditions.iter().flatten());
    let is_ready = conditions
        .into_iter()
        .any(|found| found.type_ == "Ready" && found.status == "True");
    let is_tainted = node.spec.iter().any(|spec| {
        spec.taints
            .as_ref()
            .is_some_and(|taints| !taints.is_empty())
    });
    is_ready && !is_tainted
}

/// Waits for the end of the process that standard input is a descriptor of.
async fn owner_is_gone() -> Result<()> {
    let (gone, told) = oneshot::channel();
    // A thread of its own, which nobody waits for when the process ends.
    thread::Builder::new()
        .name("owner".to_owned())
        .spawn(move || {
            let owner = io::stdin();
            let ended = retry_on_intr(|| poll(&mut [PollFd::new(&owner, PollFlags::IN)], None));
            // Nobody is told when the test bed has ended by itself.
            let _ = gone.send(ended);
        })?;
    told.await??;
    bail!("whoever brought it up has ended")
}
