//! `sluice proxy`: a proxy of a cluster. It asks no controller, and writes nothing.

mod pages;
mod watching;

use crate::{
    admin::{self, Admin},
    cli::duration,
    controller::name_of_this_process,
    run::{self, Ending, Event, Signals, descriptors},
};
use clap::Args;
use cluster::ConnectError;
use controller::fleet::{Names, Publisher};
use pages::Pages;
use proxy::{Listeners, Proxy};
use std::{
    io,
    net::SocketAddr,
    num::NonZeroUsize,
    path::PathBuf,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::runtime::Runtime;
use traffic::{Routes, Stats};

/// The arguments of `proxy`.
#[derive(Debug, Args)]
pub(crate) struct ProxyArgs {
    /// Address of requests; may be given several times
    #[arg(long, value_name = "ADDRESS", default_value = "0.0.0.0:8080")]
    listen: Vec<SocketAddr>,
    /// Address of /healthz, /readyz, /metrics and of what controllers ask
    #[arg(long, value_name = "ADDRESS", default_value = "0.0.0.0:9091")]
    admin: SocketAddr,
    /// Route to the Services of this namespace only, by their bare names too [default: all]
    #[arg(long)]
    namespace: Option<String>,
    /// The end of the whole names of Services
    #[arg(long, value_name = "DOMAIN", default_value = "cluster.local")]
    cluster_domain: String,
    /// How the API server is reached [default: KUBECONFIG, ~/.kube/config, or the pod's service account]
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// How many workers serve requests [default: one for each core]
    #[arg(long, value_name = "N")]
    workers: Option<NonZeroUsize>,
    /// How long requests under way may take when the process is asked to end
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = duration)]
    drain: Duration,
}

/// Why the proxy does not start.
#[derive(Debug, thiserror::Error)]
enum StartError {
    #[error("the API server cannot be reached: {0}")]
    Connect(#[from] ConnectError),
    #[error(transparent)]
    Proxy(#[from] proxy::StartError),
    #[error("admin server at {address}: {why}")]
    Admin { address: SocketAddr, why: io::Error },
    #[error("{0}")]
    System(#[from] io::Error),
}

/// A proxy under way.
struct Running {
    proxy: Proxy,
    admin: Admin,
    is_draining: Arc<AtomicBool>,
}

/// Runs the proxy until the process is asked to end.
pub(crate) fn run(args: &ProxyArgs) -> ExitCode {
    descriptors::allow_all();
    let started = run::listen_to_signals()
        .map_err(StartError::from)
        .and_then(|listening| Ok((start(args)?, listening)));
    match started {
        Ok((running, (runtime, mut signals))) => {
            let ending = serve(&running, &runtime, &mut signals);
            tracing::info!("{ending}; draining");
            running.is_draining.store(true, Ordering::Relaxed);
            run::drain(running.proxy, args.drain, &ending, &runtime, &mut signals);
            drop(running.admin);
            ending.exit_code()
        }
        Err(error) => {
            eprintln!("sluice: {error}");
            ExitCode::from(2)
        }
    }
}

fn start(args: &ProxyArgs) -> Result<Running, StartError> {
    let workers = run::workers(args.workers);
    let config = proxy::Config::new(args.listen.clone(), workers);
    let failed = |why| StartError::Admin {
        address: args.admin,
        why,
    };
    let listeners = Listeners::bind(&config)?;
    let socket = admin::bind(args.admin).map_err(failed)?;
    let stats = Arc::new(Stats::new(workers.get()));
    let routes = Arc::new(Routes::default());
    let publisher = Arc::new(Publisher::new(
        name_of_this_process(),
        Arc::clone(&stats),
        Arc::clone(&routes),
    ));
    let clock = proxy::Clock::start();
    let proxy = proxy::start_on(&config, listeners, &routes, clock)?;
    let exporter = Arc::new(run::exporter(stats, &routes, &proxy));
    let observing = watching::Observing {
        exporter: Arc::clone(&exporter),
        routes,
        clock,
    };
    let pulse = watching::start(
        args.kubeconfig.clone(),
        args.names(),
        Arc::clone(&publisher),
        observing,
    )?;
    let is_draining = Arc::new(AtomicBool::new(false));
    let pages = Pages {
        publisher,
        exporter,
        clock,
        pulse,
        is_draining: Arc::clone(&is_draining),
    };
    let address = socket.local_addr().map_err(failed)?;
    let admin = admin::start_pages(&socket, |_| pages::router(pages)).map_err(failed)?;
    for address in proxy.addresses() {
        tracing::info!("requests come in at http://{address}");
    }
    tracing::info!("admin server at http://{address}");
    Ok(Running {
        proxy,
        admin,
        is_draining,
    })
}

/// Serves until the process has to end.
fn serve(running: &Running, runtime: &Runtime, signals: &mut Signals) -> Ending {
    loop {
        match runtime.block_on(signals.next(&running.proxy, None)) {
            Event::Ending(ending) => return ending,
            Event::Renew => tracing::warn!("this process is not renewed: its Deployment is"),
            // It listens for none.
            Event::Successor(_) => {}
        }
    }
}

impl ProxyArgs {
    fn names(&self) -> Names {
        Names {
            namespace: self.namespace.as_deref().map(Box::from),
            domain: self.cluster_domain.trim_matches('.').to_lowercase().into(),
        }
    }
}
