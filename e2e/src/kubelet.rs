//! The nodes: towards the API server each does what a kubelet does, with credentials of its own. What a Pod's next step is
//! [`crate::pod`] decides; here it is done.

mod action;
mod addresses;
mod environment;
mod lifetime;
mod node;
mod pods;
mod process;

use crate::bed::{RunDirectory, supervise::client};
use anyhow::{Context as _, Result};
use futures_util::future::try_join_all;
use std::path::PathBuf;

/// The nodes' names.
pub const NODES: [&str; 3] = ["node-0", "node-1", "node-2"];

/// What all that runs on one node knows of it.
#[derive(Clone)]
pub(crate) struct Host {
    /// Its name.
    pub(crate) name: &'static str,
    /// Its address. Nothing listens there.
    pub(crate) address: String,
    /// With the node's credentials.
    pub(crate) client: kube::Client,
    /// The test bed's.
    pub(crate) directory: RunDirectory,
    /// This program, which is also the demo app.
    pub(crate) program: PathBuf,
}

/// Runs all nodes of the test bed in `directory`.
///
/// # Errors
/// When one cannot be registered, or cannot see its Pods.
pub async fn run(directory: &RunDirectory) -> Result<()> {
    let program = std::env::current_exe()?;
    let nodes = NODES.into_iter().enumerate().map(|(index, name)| {
        let (directory, program) = (directory.clone(), program.clone());
        async move {
            let client = client(&directory.kubeconfig_of(name)).await?;
            // Of the addresses that are kept for documents.
            let address = format!("192.0.2.{}", index + 1);
            let host = Host {
                name,
                address,
                client,
                directory,
                program,
            };
            node::run(host).await.context(name)
        }
    });
    try_join_all(nodes).await.map(drop)
}
