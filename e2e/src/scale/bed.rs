//! A controller in the test bed, with the rights that its manifest gives it.

use super::scrape::answered;
use crate::{bed::supervise::client, http, process};
use anyhow::{Context as _, Result, ensure};
use kube::Client;
use std::{
    collections::BTreeMap,
    fs::{self, File},
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    process::Stdio,
};
use tempfile::NamedTempFile;
use tokio::process::{Child, Command};

/// The controller's port for metrics, unless it is told another.
const METRICS: u16 = 8090;

/// A controller that runs until this is dropped.
pub(super) struct Bed {
    /// With all rights.
    pub(super) client: Client,
    /// The controller's process.
    pub(super) pid: i32,
    _kubeconfig: NamedTempFile,
    _controller: Child,
}

impl Bed {
    /// Starts `sluice` as the manifest's account. What it says goes to a file, as it does in a cluster.
    pub(super) async fn new(admin: &Path, sluice: &Path) -> Result<Self> {
        let sluice = fs::canonicalize(sluice).with_context(|| {
            let path = sluice.display();
            format!(
                "{path}: build it with cargo build --release -p sluice, or name one by SLUICE_BIN"
            )
        })?;
        let client = client(admin).await?;
        process::define_rollouts(&client).await?;
        let kubeconfig = process::controller_account(&client).await?;
        let log = File::create(admin.with_file_name("logs").join("controller.log"))?;
        let controller = Command::new(sluice)
            .args(["controller", "--lease-namespace=sluice", "--kubeconfig"])
            .arg(kubeconfig.path())
            .env_remove("POD_NAMESPACE")
            .stdin(Stdio::null())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()?;
        let pid = controller.id().context("it has ended")?;
        Ok(Self {
            client,
            pid: pid.try_into()?,
            _kubeconfig: kubeconfig,
            _controller: controller,
        })
    }

    /// The requests of all that the API server has answered.
    pub(super) async fn answered(&self) -> Result<BTreeMap<String, u64>> {
        let request = hyper::Request::get("/metrics").body(Vec::new())?;
        Ok(answered(&self.client.request_text(request).await?))
    }

    /// What the controller tells of itself. It is waited for until it listens.
    pub(super) async fn metrics(&self) -> Result<String> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, METRICS));
        let mut tried = 0;
        let answer = loop {
            match http::get(address, "/metrics").await {
                Err(_) if tried < 100 => tried += 1,
                answer => break answer?,
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        };
        ensure!(answer.status() == 200, "/metrics: {answer:?}");
        Ok(String::from_utf8(answer.into_body().to_vec())?)
    }
}
