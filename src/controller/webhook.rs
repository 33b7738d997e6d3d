//! The webhook that refuses Rollouts, where it is asked for.

use super::{StartError, pages};
use crate::cli::duration;
use clap::Args;
use cluster::{
    Client, Scope,
    metrics::Metrics,
    webhook::{Lives, ServiceName, Settings},
};
use std::{sync::Arc, time::Duration};

/// What is said of the webhook.
#[derive(Debug, Args)]
pub(super) struct WebhookArgs {
    /// Serve a webhook that refuses Rollouts which would be held as invalid. This Service leads to it; NAME is one in the
    /// namespace of the Lease
    #[arg(long = "webhook-service", value_name = "NAMESPACE/NAME")]
    service: Option<ServiceName>,
    /// Port of the webhook; 0 for any
    #[arg(long = "webhook-port", value_name = "PORT", default_value_t = 8443)]
    port: u16,
    /// The ValidatingWebhookConfiguration that names the webhook
    #[arg(
        long = "webhook-configuration",
        value_name = "NAME",
        default_value = "sluice-controller"
    )]
    configuration: String,
    /// How long a certificate of the webhook lives, for tests [default: 90 days]
    #[arg(long = "webhook-certificate-life", value_name = "DURATION", value_parser = duration, hide = true)]
    certificate_life: Option<Duration>,
}

/// Serves the webhook, if it is asked for, beside everything else: whatever becomes of it, the controller goes on.
pub(super) async fn serve(
    args: WebhookArgs,
    own_namespace: &str,
    scope: &Scope,
    client: &Client,
    metrics: &Arc<Metrics>,
) -> Result<(), StartError> {
    let Some(service) = args.service else {
        return Ok(());
    };
    let listener = pages::listen(args.port)
        .await
        .map_err(|why| StartError::Port {
            port: args.port,
            why,
        })?;
    let address = listener.local_addr()?;
    tracing::info!("webhook at https://{address}/validate");
    let settings = Settings {
        scope: scope.clone(),
        service: service.within(own_namespace),
        configuration: args.configuration,
        lives: args.certificate_life.map_or_else(Lives::default, Lives::of),
    };
    let (client, metrics) = (client.clone(), Arc::clone(metrics));
    tokio::spawn(async move {
        if let Err(error) = cluster::webhook::serve(listener, settings, client, &metrics).await {
            tracing::error!("the webhook cannot be served: {error}");
        }
    });
    Ok(())
}
