//! `sluice run`: proxy, controller and admin server, wired into one process.

mod control;
pub(crate) mod documents;
mod ending;
mod notify;
mod renew;
mod takeover;

use crate::{
    admin::{self, Admin},
    cli::RunArgs,
};
use controller::{
    engine::{Engine, Saved},
    files::Files,
    spec::{Edge, Spec, Timeouts},
    store::{self, Store},
};
use ending::{Ending, Event, Signals};
use notify::News;
use proxy::{Listeners, SocketGroup};
use std::{
    io,
    net::{SocketAddr, TcpListener},
    num::NonZeroUsize,
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{Arc, Mutex, PoisonError, atomic::Ordering},
    thread,
    time::{Duration, Instant},
};
use takeover::{Sockets, Taking};
use tokio::runtime::Runtime;
use traffic::{Routes, Stats};

/// For requests under way when the process is asked to end, unless the document says otherwise.
const DRAIN: Duration = Duration::from_secs(30);
/// How long the last state may take to the disk when another process takes over.
const LAST_STATE: Duration = Duration::from_secs(5);
/// How long a state file may be held by a process that was killed and has not quite ended.
const LAST_BREATH: Duration = Duration::from_secs(5);
/// Between two attempts to get a state file that another process holds.
const RETRY: Duration = Duration::from_millis(20);

/// A process under way. [`Running::shutdown`] ends it in good order.
pub(crate) struct Running {
    /// Where the admin server listens.
    pub(crate) admin: SocketAddr,
    /// Where requests come in.
    pub(crate) listeners: Vec<SocketAddr>,
    proxy: proxy::Proxy,
    control: control::Control,
    /// None while another process may have taken over.
    admin_server: Option<Admin>,
    /// The admin server's socket, for it and for whoever takes over.
    admin_socket: TcpListener,
    /// The address that it was bound to, as written.
    admin_configured: SocketAddr,
    shared: admin::Shared,
    state_file: PathBuf,
    drain: Duration,
}

/// Why the process did not start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    /// The documents cannot be acted on.
    #[error("{0}")]
    Documents(documents::Problems),
    /// The state file cannot be used.
    #[error("state file {path}: {why}")]
    State {
        /// The file.
        path: String,
        /// What is wrong, and what to do.
        why: String,
    },
    /// The token file cannot be used.
    #[error("token file {path}: {why}")]
    Token {
        /// The file.
        path: String,
        /// What is wrong.
        why: String,
    },
    /// The proxy cannot start.
    #[error(transparent)]
    Proxy(#[from] proxy::StartError),
    /// The admin server cannot start.
    #[error("admin server at {address}: {why}")]
    Admin {
        /// Its address.
        address: SocketAddr,
        /// What is wrong.
        why: io::Error,
    },
    /// The system gives no thread.
    #[error("no thread for the control loop: {0}")]
    Thread(io::Error),
    /// The process that runs goes on.
    #[error("cannot take over: {0}")]
    Takeover(#[from] takeover::Failed),
}

/// What is known before anything is touched.
struct Prepared {
    files: Files,
    spec: Spec,
    state_file: PathBuf,
    token: Option<Arc<str>>,
    config: proxy::Config,
}

/// Starts everything that `files` ask for.
///
/// # Errors
/// The documents, an address or the state file cannot be used; nothing runs then.
pub(crate) fn start(files: &[PathBuf]) -> Result<Running, StartError> {
    let prepared = prepare(files)?;
    let (listeners, admin) = prepared.listen(None)?;
    prepared.start(listeners, admin, None)
}

/// As [`start`], with the sockets and the rollouts of the process that has the state file in use.
///
/// # Errors
/// As with [`start`]; and the other process refuses, or there is none. It goes on then, as if nothing had happened.
pub(crate) fn take_over(files: &[PathBuf]) -> Result<Running, StartError> {
    let prepared = prepare(files)?;
    let (mut taking, sockets) = Taking::begin(&takeover::path(&prepared.state_file))?;
    let (listeners, admin) = prepared.listen(Some(sockets))?;
    taking.release()?;
    prepared.start(listeners, admin, Some(taking))
}

fn prepare(files: &[PathBuf]) -> Result<Prepared, StartError> {
    let mut files = Files::new(files.to_vec());
    let (spec, folder) = documents::load(&mut files).map_err(StartError::Documents)?;
    let edge = &spec.edge;
    let token = edge
        .token_file
        .as_ref()
        .map(|file| token(&folder.join(file)))
        .transpose()?;
    let workers = edge
        .workers
        .or_else(|| thread::available_parallelism().ok())
        .unwrap_or(NonZeroUsize::MIN);
    Ok(Prepared {
        state_file: state_file(edge, &folder),
        config: config(edge, workers),
        token,
        files,
        spec,
    })
}

impl Prepared {
    /// The sockets that requests and operators come in at: those that were handed on, and new ones for the rest.
    fn listen(&self, handed_on: Option<Sockets>) -> Result<(Listeners, TcpListener), StartError> {
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
    fn start(
        self,
        listeners: Listeners,
        admin_socket: TcpListener,
        taking: Option<Taking>,
    ) -> Result<Running, StartError> {
        let Self {
            files,
            spec,
            state_file,
            token,
            config,
        } = self;
        let edge = spec.edge.clone();
        let drain = edge.timeouts.drain.unwrap_or(DRAIN);
        let refused = |why: String| StartError::State {
            path: state_file.display().to_string(),
            why,
        };
        let patience = match &taking {
            Some(taking) if taking.is_alone() => LAST_BREATH,
            _ => Duration::ZERO,
        };
        let store = open(&state_file, patience).map_err(|error| refused(error.to_string()))?;
        let saved = saved(&state_file).map_err(refused)?;
        let stats = Arc::new(Stats::new(config.workers.get()));
        let routes = Arc::new(Routes::default());
        let clock = proxy::Clock::start();
        let mut engine = Engine::new(spec, saved, Arc::clone(&stats), Arc::clone(&routes), store);
        // The first table is there before the first request.
        engine.tick(jiff::Timestamp::now(), clock.elapsed());
        let proxy = proxy::start_on(&config, listeners, &routes, clock)?;
        if let Err(failed) = taking.map_or(Ok(()), Taking::finish) {
            // The other process waits for the state file, and has what these workers have not accepted.
            drop(engine);
            proxy.shutdown(drain);
            return Err(failed.into());
        }

        let mut exporter = proxy::metrics::Exporter::new(stats, Arc::clone(&routes));
        exporter.add_connections(proxy.counters());
        let engine = Arc::new(Mutex::new(engine));
        crate::metrics::register(exporter.registry_mut(), &engine);
        let exporter = Arc::new(exporter);
        let shared = admin::Shared {
            engine: Arc::clone(&engine),
            routes: Arc::clone(&routes),
            exporter: Arc::clone(&exporter),
            clock,
            token,
            is_draining: Arc::default(),
        };
        let failed = |why| StartError::Admin {
            address: edge.admin,
            why,
        };
        let admin = admin_socket.local_addr().map_err(failed)?;
        let admin_server = serve_admin(&admin_socket, &shared).map_err(failed)?;
        let control = control::start(control::Loop {
            engine,
            files,
            clock,
            exporter,
            routes,
        })
        .map_err(StartError::Thread)?;
        Ok(Running {
            admin,
            listeners: proxy.addresses().to_vec(),
            proxy,
            control,
            admin_server: Some(admin_server),
            admin_socket,
            admin_configured: edge.admin,
            shared,
            state_file,
            drain,
        })
    }
}

/// Starts the admin server beside `socket`, which stays for others.
fn serve_admin(socket: &TcpListener, shared: &admin::Shared) -> io::Result<Admin> {
    admin::start(socket.try_clone()?, shared.clone())
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

impl Running {
    /// Accepts nothing more, finishes the requests under way within the drain deadline, keeps the state, and ends.
    pub(crate) fn shutdown(self) {
        self.shared.is_draining.store(true, Ordering::Relaxed);
        report(self.proxy.shutdown(self.drain), self.drain);
        // Verdicts and scrapes go on until the last request has ended.
        self.control.stop();
        drop(self.admin_server);
    }

    /// As [`Running::shutdown`], but the signals that `ending` leaves cut what is under way.
    fn drain(self, runtime: &Runtime, signals: &mut Signals, ending: &Ending) {
        self.shared.is_draining.store(true, Ordering::Relaxed);
        let Self { proxy, drain, .. } = self;
        let (ended, drained) = tokio::sync::oneshot::channel();
        let shutdown = move || {
            // When a signal came first, nobody waits for it any more.
            let _ = ended.send(proxy.shutdown(drain));
        };
        if let Err(error) = thread::Builder::new().name("drain".into()).spawn(shutdown) {
            tracing::error!("no thread to drain from: {error}; all connections are cut");
        }
        let again = async {
            let mut name = "";
            for _ in 0..ending.signals_to_cut() {
                name = signals.end().await;
            }
            name
        };
        runtime.block_on(async {
            tokio::select! {
                Ok(drained) = drained => report(drained, drain),
                name = again => tracing::warn!("received {name} again; cutting what is still under way"),
            }
        });
        self.control.stop();
        drop(self.admin_server);
    }

    /// Hands everything on to the process behind `stream`. When this succeeds, what is left is to drain.
    fn hand_on(&mut self, stream: UnixStream) -> Result<(), takeover::Failed> {
        let sockets = match self.sockets() {
            Ok(sockets) => sockets,
            Err(error) => {
                let why = format!("the process that runs cannot hand its sockets on: {error}");
                return Err(takeover::refuse(stream, why));
            }
        };
        let (shared, admin_server) = (&self.shared, &mut self.admin_server);
        let mut is_released = false;
        let release = || {
            release(shared)?;
            is_released = true;
            Ok(())
        };
        let given = takeover::give(stream, &sockets, release, || drop(admin_server.take()));
        if given.is_err() {
            if is_released {
                resume(Arc::clone(&self.shared.engine), self.state_file.clone());
            }
            if self.admin_server.is_none() {
                match serve_admin(&self.admin_socket, &self.shared) {
                    Ok(server) => self.admin_server = Some(server),
                    Err(error) => tracing::error!("admin server at {}: {error}", self.admin),
                }
            }
        }
        given
    }

    fn sockets(&self) -> io::Result<Sockets> {
        let admin = vec![self.admin_socket.try_clone()?.into()];
        let admin = SocketGroup::from_descriptors("admin", self.admin_configured, admin);
        Ok(Sockets {
            listeners: self.proxy.sockets()?,
            admin: admin.map_err(io::Error::other)?,
        })
    }
}

/// Lets the rollouts go, when their last state is on the disk.
fn release(shared: &admin::Shared) -> Result<(), String> {
    let lock = || shared.engine.lock().unwrap_or_else(PoisonError::into_inner);
    let store = lock().release(shared.clock.elapsed());
    let Some(store) = store else {
        return Err("the process that runs does not have its rollouts back yet from the last takeover, which failed: try again".to_owned());
    };
    match store.settle(LAST_STATE) {
        Ok(()) => Ok(()),
        Err(why) => {
            lock().resume(store);
            Err(format!("the state could not be written: {why}"))
        }
    }
}

/// Takes the rollouts in hand again as soon as the state file is free, on a thread of its own.
fn resume(engine: Arc<Mutex<Engine>>, state_file: PathBuf) {
    let work = move || {
        let store = loop {
            match open(&state_file, LAST_BREATH) {
                Ok(store) => break store,
                Err(error) => {
                    tracing::error!(
                        "{error}: rollouts stand still; end the process that was to take over"
                    );
                    thread::sleep(LAST_BREATH);
                }
            }
        };
        engine
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .resume(store);
        tracing::info!("the rollouts go on in this process");
    };
    if let Err(error) = thread::Builder::new().name("resume".into()).spawn(work) {
        tracing::error!(
            "no thread to take the rollouts in hand again: {error}; restart the process"
        );
    }
}

fn report(drained: proxy::Drained, drain: Duration) {
    if drained.cut > 0 {
        tracing::warn!(
            "{} connections were cut at the drain deadline of {drain:.0?}",
            drained.cut
        );
    }
}

/// Runs the files until the process is asked to end, or another one takes over.
pub(crate) fn run(args: &RunArgs) -> ExitCode {
    let started = match args.takeover {
        true => take_over(&args.files),
        false => start(&args.files),
    };
    let mut running = match started {
        Ok(running) => running,
        Err(error) => {
            eprintln!("sluice: {error}");
            return ExitCode::from(2);
        }
    };
    let listening = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .and_then(|runtime| {
            let guard = runtime.enter();
            let signals = Signals::listen()?;
            drop(guard);
            Ok((runtime, signals))
        });
    let (runtime, mut signals) = match listening {
        Ok(listening) => listening,
        Err(error) => {
            let ending = Ending::Deaf(error.to_string());
            tracing::error!("{ending}; draining");
            running.shutdown();
            return ending.exit_code();
        }
    };
    let ending = serve(&mut running, &runtime, &mut signals, args);
    tracing::info!("{ending}; draining");
    if ending != Ending::Succeeded {
        notify::tell(News::Stopping);
    }
    running.drain(&runtime, &mut signals, &ending);
    ending.exit_code()
}

/// Serves until the process has to end.
fn serve(
    running: &mut Running,
    runtime: &Runtime,
    signals: &mut Signals,
    args: &RunArgs,
) -> Ending {
    let path = takeover::path(&running.state_file);
    let guard = runtime.enter();
    let successors = takeover::listen(&path).and_then(tokio::net::UnixListener::from_std);
    drop(guard);
    let successors = match successors {
        Ok(successors) => Some(successors),
        Err(error) => {
            tracing::warn!(
                "{}: {error}: no other process can take over",
                path.display()
            );
            None
        }
    };
    for address in &running.listeners {
        tracing::info!("requests come in at http://{address}");
    }
    tracing::info!("admin server at http://{}", running.admin);
    notify::tell(News::Ready);
    loop {
        match runtime.block_on(signals.next(&running.proxy, successors.as_ref())) {
            Event::Ending(ending) => return ending,
            Event::Renew => renew::renew(&args.files, &running.shared.is_draining),
            Event::Successor(stream) => match running.hand_on(stream) {
                Ok(()) => return Ending::Succeeded,
                Err(failed) => tracing::warn!("not taken over: {failed}; this process goes on"),
            },
        }
    }
}

fn state_file(edge: &Edge, folder: &Path) -> PathBuf {
    folder.join(
        edge.state_file
            .as_deref()
            .unwrap_or_else(|| Path::new("sluice-state.json")),
    )
}

fn saved(file: &Path) -> Result<Saved, String> {
    let Some(bytes) = store::read(file).map_err(|error| error.to_string())? else {
        return Ok(Saved::default());
    };
    Saved::from_bytes(&bytes).map_err(|error| {
        format!("{error}. Move it away to begin with all rollouts at the template of their file")
    })
}

fn token(file: &Path) -> Result<Arc<str>, StartError> {
    let refused = |why: String| StartError::Token {
        path: file.display().to_string(),
        why,
    };
    let token = std::fs::read_to_string(file).map_err(|error| refused(error.to_string()))?;
    match token.trim() {
        "" => Err(refused(
            "is empty; it must hold the token on one line".to_owned(),
        )),
        token => Ok(token.into()),
    }
}

fn config(edge: &Edge, workers: NonZeroUsize) -> proxy::Config {
    let mut config = proxy::Config::new(edge.listeners.clone(), workers);
    let Timeouts {
        connect,
        response_header,
        idle,
        keep_alive,
        request_header,
        drain: _,
    } = edge.timeouts;
    let set =
        |timeout: &mut Duration, written: Option<Duration>| *timeout = written.unwrap_or(*timeout);
    set(&mut config.timeouts.connect, connect);
    set(&mut config.timeouts.response_header, response_header);
    set(&mut config.timeouts.idle, idle);
    set(&mut config.timeouts.keep_alive, keep_alive);
    set(&mut config.timeouts.request_header, request_header);
    config
}
