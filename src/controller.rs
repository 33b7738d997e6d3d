//! `sluice controller`: the controller of a cluster, with its metrics and its health.

mod pages;
mod traces;
mod webhook;

use crate::cli::duration;
use clap::{ArgAction, Args};
use cluster::{
    ConnectError, Election, Instance, NoInstance, Proxies, Scope, Settings, Shards,
    lease::{NoTiming, Timing},
    metrics::Metrics,
};
use std::{
    hash::{BuildHasher as _, RandomState},
    io,
    num::NonZeroUsize,
    path::PathBuf,
    process::{self, ExitCode},
    sync::Arc,
    time::Duration,
};
use tokio::signal::unix::{SignalKind, signal};
use traces::{NoTraces, Traces};
use webhook::WebhookArgs;

/// The Lease's name, before that of the instance.
const LEASE: &str = "sluice-controller-lock";
/// The Service of the proxies, where nothing else is said.
const PROXIES: &str = "sluice-proxy";

/// The arguments of `controller`.
#[derive(Debug, Args)]
pub(crate) struct ControllerArgs {
    /// Look after the Rollouts of this namespace only [default: all]
    #[arg(long)]
    namespace: Option<String>,
    /// Look after the Rollouts whose label argo-rollouts.argoproj.io/controller-instance-id is NAME [default: those
    /// without it]
    #[arg(long, value_name = "NAME", value_parser = instance)]
    instance_id: Option<Instance>,
    /// How the API server is reached [default: KUBECONFIG, ~/.kube/config, or the pod's service account]
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// Lead only while holding a Lease, as there may be other processes
    #[arg(long, action = ArgAction::Set, default_value_t = true, value_name = "BOOL")]
    leader_elect: bool,
    /// Divide the Rollouts into N shards, which the processes lead each in part; N is the same for all of them
    #[arg(long, value_name = "N", default_value = "1")]
    shards: Shards,
    /// Namespace of the Lease [default: the one that this process runs in]
    #[arg(long, value_name = "NAMESPACE", env = "POD_NAMESPACE")]
    lease_namespace: Option<String>,
    /// How long others wait for a renewal of the Lease before they take over, in whole seconds
    #[arg(long, value_name = "DURATION", default_value = "15s", value_parser = duration)]
    lease_duration: Duration,
    /// How long after its last renewal the leader still writes; less than the lease duration
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = duration)]
    renew_deadline: Duration,
    /// How long to wait between two attempts to get or renew the Lease; less than the renew deadline
    #[arg(long, value_name = "DURATION", default_value = "2s", value_parser = duration)]
    retry_period: Duration,
    /// The Service whose endpoints are the proxies that split requests, with a port named admin [default: sluice-proxy in
    /// the namespace of the Lease]
    #[arg(long, value_name = "NAMESPACE/SERVICE")]
    proxies: Option<Proxies>,
    /// How many Rollouts are worked on at a time, of each shard
    #[arg(long, value_name = "N", default_value = "10")]
    concurrency: NonZeroUsize,
    /// Port of /metrics; 0 for any
    #[arg(long, value_name = "PORT", default_value_t = 8090)]
    metrics_port: u16,
    /// Port of /healthz; 0 for any
    #[arg(long, value_name = "PORT", default_value_t = 8080)]
    healthz_port: u16,
    /// Where traces are sent by OTLP over HTTP, such as http://collector:4318/v1/traces [default: what
    /// OTEL_EXPORTER_OTLP_TRACES_ENDPOINT or OTEL_EXPORTER_OTLP_ENDPOINT says, or nowhere]
    #[arg(long, value_name = "URL")]
    traces: Option<String>,
    #[command(flatten)]
    webhook: WebhookArgs,
}

fn instance(name: &str) -> Result<Instance, NoInstance> {
    Instance::named(name)
}

/// Why the controller does not start.
#[derive(Debug, thiserror::Error)]
enum StartError {
    #[error("{0}")]
    Timing(#[from] NoTiming),
    #[error(
        "--shards: found {0} beside --leader-elect=false, allowed is 1: shards are divided by the Lease"
    )]
    Unelected(Shards),
    #[error("the API server cannot be reached: {0}")]
    Connect(#[from] ConnectError),
    #[error("port {port}: {why}")]
    Port { port: u16, why: io::Error },
    #[error("{0}")]
    Traces(#[from] NoTraces),
    #[error("{0}")]
    System(#[from] io::Error),
}

/// Runs the controller until the process is asked to end.
pub(crate) fn run(mut args: ControllerArgs) -> ExitCode {
    let ended = log(traces::endpoint(args.traces.take())).and_then(|traces| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let ended = runtime.block_on(control(args));
        drop(traces);
        ended
    });
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("sluice: {error}");
            ExitCode::from(2)
        }
    }
}

/// Logs, and sends traces to the collector at `endpoint`, if there is one.
fn log(endpoint: Option<String>) -> Result<Option<Traces>, StartError> {
    let Some(endpoint) = endpoint else {
        crate::log::begin();
        return Ok(None);
    };
    let (layer, traces) = traces::layer(&endpoint)?;
    crate::log::begin_with(layer);
    Ok(Some(traces))
}

async fn control(args: ControllerArgs) -> Result<(), StartError> {
    let stop = asked_to_end()?;
    let timing = Timing {
        duration: args.lease_duration,
        renew_deadline: args.renew_deadline,
        retry_period: args.retry_period,
    };
    let timing = timing.check()?;
    check_shards(args.shards, args.leader_elect)?;
    let (client, own_namespace) = cluster::connect(args.kubeconfig.as_deref()).await?;
    let metrics = Arc::new(Metrics::new(env!("CARGO_PKG_VERSION"), args.shards));
    let address = pages::serve_metrics(args.metrics_port, Arc::clone(&metrics)).await?;
    tracing::info!("metrics at http://{address}/metrics");
    let address = pages::serve_health(args.healthz_port).await?;
    tracing::info!("health at http://{address}/healthz");
    let instance = args.instance_id.unwrap_or_default();
    let me = name_of_this_process();
    let own_namespace = args.lease_namespace.unwrap_or(own_namespace);
    let scope = Scope {
        namespace: args.namespace,
        instance,
        ..Scope::default()
    };
    webhook::serve(args.webhook, &own_namespace, &scope, &client, &metrics).await?;
    let proxies = args.proxies.unwrap_or_else(|| Proxies {
        namespace: own_namespace.clone(),
        service: PROXIES.to_owned(),
    });
    let election = args.leader_elect.then(|| Election {
        namespace: own_namespace,
        name: lease_name(&scope.instance),
        me: me.clone(),
        timing,
        shards: args.shards,
    });
    let settings = Settings {
        scope,
        election,
        me,
        proxies,
        concurrency: args.concurrency,
    };
    let turn = controller::reconcile::turn;
    cluster::run(&settings, client, turn, &metrics, stop).await;
    tracing::info!("ends, as it was asked to");
    Ok(())
}

/// Whether the Rollouts can be divided so.
fn check_shards(shards: Shards, is_elected: bool) -> Result<(), StartError> {
    match is_elected || shards == Shards::ONE {
        true => Ok(()),
        false => Err(StartError::Unelected(shards)),
    }
}

fn lease_name(instance: &Instance) -> String {
    match instance.name() {
        None => LEASE.to_owned(),
        // A Lease's name has no upper case and no underscore.
        Some(name) => format!("{LEASE}-{}", name.to_ascii_lowercase().replace('_', "-")),
    }
}

/// Ready when the process is asked to end.
fn asked_to_end() -> io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

/// A name that no other process has: a pod's may be that of one before it whose container was started anew.
pub(crate) fn name_of_this_process() -> String {
    let host = std::env::var("POD_NAME")
        .or_else(|_| std::fs::read_to_string("/proc/sys/kernel/hostname"))
        .unwrap_or_default();
    let random = RandomState::new().hash_one(process::id());
    format!("{}_{random:016x}", host.trim())
}

#[cfg(test)]
mod tests {
    use super::{check_shards, lease_name};
    use cluster::{Instance, Shards};

    #[test]
    fn shards_are_divided_by_the_lease() {
        let four: Shards = "4".parse().unwrap();
        check_shards(four, true).unwrap();
        check_shards(Shards::ONE, false).unwrap();
        assert_eq!(
            check_shards(four, false).unwrap_err().to_string(),
            "--shards: found 4 beside --leader-elect=false, allowed is 1: shards are divided by the Lease"
        );
    }

    #[test]
    fn each_instance_has_a_lease_of_its_own() {
        for (instance, expected) in [
            (Instance::default(), "sluice-controller-lock"),
            (
                Instance::named("blue").unwrap(),
                "sluice-controller-lock-blue",
            ),
            (
                Instance::named("Blue_2").unwrap(),
                "sluice-controller-lock-blue-2",
            ),
        ] {
            assert_eq!(lease_name(&instance), expected);
        }
    }
}
