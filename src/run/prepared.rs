//! The start, from documents that were read to a process that serves.

use super::{
    DRAIN, RETRY, Running, StartError, config, control, documents, saved, state_file,
    takeover::{Sockets, Taking},
    token,
};
use crate::admin;
use controller::{engine::Engine, files::Files, spec::Spec, store::Store};
use proxy::{Listeners, metrics::Exporter};
use std::{
    io,
    net::TcpListener,
    num::NonZeroUsize,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};
use traffic::{Routes, Stats};

/// How long a state file may be held by a process that was killed and has not quite ended.
const LAST_BREATH: Duration = Duration::from_secs(5);

/// What is known before anything is touched.
pub(super) struct Prepared {
    files: Files,
    spec: Spec,
    /// Where the state of rollouts is kept.
    pub(super) state_file: PathBuf,
    token: Option<Arc<str>>,
    config: proxy::Config,
}

impl Prepared {
    /// Reads and checks `files`.
    ///
    /// # Errors
    /// They cannot be acted on, or the token cannot be read.
    pub(super) fn read(files: &[PathBuf]) -> Result<Self, StartError> {
        let mut files = Files::new(files.to_vec());
        let (spec, folder) = documents::load(&mut files).map_err(StartError::Documents)?;
        let edge = &spec.edge;
        let token = edge
            .token_file
            .as_ref()
            .map(|file| token(&folder.join(file)))
            .transpose()?;
        let workers = workers(edge.workers);
        Ok(Self {
            state_file: state_file(edge, &folder),
            config: config::config(edge, workers),
            token,
            files,
            spec,
        })
    }

    /// The sockets that requests and operators come in at: those that were handed on, and new ones for the rest.
    pub(super) fn listen(
        &self,
        handed_on: Option<Sockets>,
    ) -> Result<(Listeners, TcpListener), StartError> {
        let (groups, admin) = handed_on.map_or_else(Default::default, |sockets| {
            (sockets.listeners, Some(sockets.admin))
        });
        let listeners = Listeners::take_over(&self.config, groups)?;
        let address = self.spec.edge.admin;
        let admin = admin.filter(|group| group.serves(group.name(), address));
        let admin = match admin.and_then(|group| group.into_sockets().pop()) {
            Some(socket) => Ok(socket),
            None => admin::bind(address),
        };
        let admin = admin.map_err(|why| StartError::Admin { address, why })?;
        Ok((listeners, admin))
    }

    /// Starts on these sockets. With `taking`, the process before is told when this one serves, and nothing that could
    /// be at odds with it begins before it has said goodbye.
    ///
    /// # Errors
    /// The state file cannot be used, the system gives no thread, or the process before goes on.
    pub(super) fn start(
        self,
        listeners: Listeners,
        admin_socket: TcpListener,
        taking: Option<Taking>,
    ) -> Result<Running, StartError> {
        let edge = self.spec.edge.clone();
        let drain = edge.timeouts.drain.unwrap_or(DRAIN);
        let refused = |why: String| StartError::State {
            path: self.state_file.display().to_string(),
            why,
        };
        let patience = match &taking {
            Some(taking) if taking.is_alone() => LAST_BREATH,
            _ => Duration::ZERO,
        };
        let store = open(&self.state_file, patience).map_err(|error| refused(error.to_string()))?;
        let saved = saved(&self.state_file).map_err(refused)?;
        let stats = Arc::new(Stats::new(self.config.workers.get()));
        let routes = Arc::new(Routes::default());
        let clock = proxy::Clock::start();
        let (counted, published) = (Arc::clone(&stats), Arc::clone(&routes));
        let mut engine = Engine::new(self.spec, saved, counted, published, store);
        // The first table is there before the first request.
        engine.tick(jiff::Timestamp::now(), clock.elapsed());
        let proxy = proxy::start_on(&self.config, listeners, &routes, clock)?;
        if let Err(failed) = taking.map_or(Ok(()), Taking::finish) {
            // The other process waits for the state file, and has what these workers have not accepted.
            drop(engine);
            proxy.shutdown(drain);
            return Err(failed.into());
        }

        let mut exporter = exporter(stats, &routes, &proxy);
        let engine = Arc::new(Mutex::new(engine));
        crate::metrics::register(exporter.registry_mut(), &engine);
        let shared = admin::Shared {
            engine,
            routes,
            exporter: Arc::new(exporter),
            clock,
            token: self.token,
            is_draining: Arc::default(),
        };
        let failed = |why| StartError::Admin {
            address: edge.admin,
            why,
        };
        let admin = admin_socket.local_addr().map_err(failed)?;
        let admin_server = admin::start(&admin_socket, shared.clone()).map_err(failed)?;
        let control = control::start(control::Loop {
            engine: Arc::clone(&shared.engine),
            files: self.files,
            clock,
            exporter: Arc::clone(&shared.exporter),
            routes: Arc::clone(&shared.routes),
        })
        .map_err(StartError::Thread)?;
        Ok(Running {
            admin,
            listeners: proxy.addresses().to_vec(),
            schemes: edge
                .listeners
                .iter()
                .map(|listener| {
                    if listener.tls.is_some() {
                        "https"
                    } else {
                        "http"
                    }
                })
                .collect(),
            proxy,
            control,
            admin_server: Some(admin_server),
            admin_socket,
            admin_configured: edge.admin,
            shared,
            state_file: self.state_file,
            drain,
        })
    }
}

/// As many workers as are `asked` for, else one for each core.
pub(crate) fn workers(asked: Option<NonZeroUsize>) -> NonZeroUsize {
    asked
        .or_else(|| thread::available_parallelism().ok())
        .unwrap_or(NonZeroUsize::MIN)
}

/// The metrics of `proxy`, which serves `routes` and counts into `stats`.
pub(crate) fn exporter(stats: Arc<Stats>, routes: &Arc<Routes>, proxy: &proxy::Proxy) -> Exporter {
    let mut exporter = Exporter::new(stats, Arc::clone(routes));
    exporter.add_connections(proxy.counters());
    exporter.add_tls(proxy.tls());
    if let Some(counters) = proxy.log_counters() {
        exporter.set_access_log(counters);
    }
    if let Some(counters) = proxy.trace_counters() {
        exporter.set_traces(counters);
    }
    exporter
}

/// Opens the state file; waits up to `patience` while another process has it.
fn open(state_file: &Path, patience: Duration) -> io::Result<Store> {
    let deadline = Instant::now() + patience;
    loop {
        match Store::open(state_file.to_owned()) {
            Err(error)
                if error.kind() == io::ErrorKind::ResourceBusy && Instant::now() < deadline =>
            {
                thread::sleep(RETRY);
            }
            opened => return opened,
        }
    }
}
