//! A webhook by which API servers refuse Rollouts that the controller would hold as invalid.
//!
//! Every process serves it, whether it leads or not. They share a Secret with authorities and a certificate, which whoever
//! finds it due renews; of several the API server lets one through, and the others read what that one wrote.

mod certificate;
mod configuration;
mod contents;
mod keep;
mod names;
mod plan;
mod review;
mod server;
mod trouble;

pub use names::{NoServiceName, Service, ServiceName};
pub use plan::Lives;

use crate::{api::Server, fence::Fence, metrics::Metrics, watch::Scope};
use keep::Keeping;
use kube::Client;
use server::{Judge, Shown};
use std::sync::Arc;
use tokio::net::TcpListener;

/// How the webhook is found, and what it judges.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The Rollouts that are judged.
    pub scope: Scope,
    /// The Service that leads to it.
    pub service: Service,
    /// The ValidatingWebhookConfiguration that names it.
    pub configuration: String,
    /// How long its certificates are good for.
    pub lives: Lives,
}

/// Serves the webhook at `listener`, and keeps its certificates, for ever.
///
/// # Errors
/// When TLS cannot be spoken at all.
pub async fn serve(
    listener: TcpListener,
    settings: Settings,
    client: Client,
    metrics: &Metrics,
) -> Result<(), rustls::Error> {
    let counts = metrics.counts();
    let shown = Arc::<Shown>::default();
    let tls = server::tls(Arc::clone(&shown))?;
    let judge = Judge::new(settings.scope, Arc::clone(&counts), server::PATIENCE);
    // Nothing of a Rollout is written here, and who writes a Secret or a configuration says which state it has seen.
    let server = Server::new(client.clone(), Fence::open(), Arc::clone(&counts));
    let keeping = Keeping::new(
        &client,
        server,
        settings.service,
        settings.configuration,
        settings.lives,
    );
    tokio::join!(
        server::serve(listener, tls, Arc::new(judge)),
        keeping.keep(&shown, &counts)
    );
    Ok(())
}
