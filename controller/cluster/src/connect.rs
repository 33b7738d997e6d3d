//! How the API server is reached.

use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};
use std::path::Path;

/// Why the API server cannot be reached.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The file cannot be used.
    #[error("{0}")]
    Kubeconfig(#[from] kube::config::KubeconfigError),
    /// Nothing says where it is.
    #[error("{0}")]
    Nowhere(#[from] kube::config::InferConfigError),
    /// What is said of it cannot be used.
    #[error("{0}")]
    Client(#[from] kube::Error),
}

/// A client of the API server, and the namespace that it belongs to: that of `kubeconfig`; without one, that of what
/// `KUBECONFIG` names, of `~/.kube/config`, or of the pod that this process runs in.
///
/// It repeats no request by itself: a repeated write would be made without another look at whether this process still
/// leads.
///
/// # Errors
/// When nothing says where the API server is, or it cannot be used.
pub async fn connect(kubeconfig: Option<&Path>) -> Result<(Client, String), ConnectError> {
    connect_as(kubeconfig, None).await
}

/// The same for a context of the kubeconfig; without one, for its current context. A pod's own account is looked for only
/// where no context is named.
///
/// # Errors
/// As [`connect`] has them, and when there is no such context.
pub async fn connect_as(
    kubeconfig: Option<&Path>,
    context: Option<&str>,
) -> Result<(Client, String), ConnectError> {
    let options = KubeConfigOptions {
        context: context.map(str::to_owned),
        ..KubeConfigOptions::default()
    };
    let mut config = match (kubeconfig, context) {
        (Some(file), _) => {
            let read = Kubeconfig::read_from(file)?;
            Config::from_custom_kubeconfig(read, &options).await?
        }
        (None, Some(_)) => Config::from_kubeconfig(&options).await?,
        (None, None) => Config::infer().await?,
    };
    config.default_retry = false;
    let namespace = config.default_namespace.clone();
    Ok((Client::try_from(config)?, namespace))
}
