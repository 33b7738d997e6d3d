//! Starting and stopping the proxy.

use crate::{
    Clock, Config, Counters, Listener, ListenerTlsError, Listeners, LogCounters, LogError,
    SocketGroup, Tls, TraceCounters, TraceError,
    admission::Begun,
    balance::health::Checker,
    listener::{Seated, Spare},
    log::{Log, WorkerLog},
    shared::Shared,
    spread::{Inbox, Spread},
    tls,
    trace::{Tracer, WorkerTracer},
    upstream::connect::Secured,
    worker::{self, Place, Stop, Worker},
};
use std::{
    io,
    net::SocketAddr,
    rc::Rc,
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};
use tokio::{
    runtime::{Builder, LocalOptions},
    sync::{oneshot, watch},
    time::Instant,
};
use traffic::Routes;

/// How often certificates are looked at.
const CERTIFICATES_LOOK: Duration = Duration::from_secs(1);

/// How long connections stay open that nothing is under way on, when the proxy ends for good.
const IDLE: Duration = Duration::from_secs(1);

/// How long the last lines of the access log, and the last spans, may take to be written when the proxy ends.
const LAST_LINES: Duration = Duration::from_secs(2);

/// Why the proxy cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// No address to listen on was given.
    #[error("no listener is configured; at least one address is needed")]
    NoListener,
    /// An address cannot be listened on.
    #[error("cannot listen on {address}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// The sockets cannot be shared between workers and whoever they are handed on to.
    #[error("cannot duplicate the descriptor of a listening socket")]
    Duplicate(#[source] io::Error),
    /// A listener cannot speak TLS.
    #[error(transparent)]
    Tls(#[from] ListenerTlsError),
    /// There can be no access log.
    #[error(transparent)]
    Log(#[from] LogError),
    /// There can be no traces.
    #[error(transparent)]
    Trace(#[from] TraceError),
    /// The system gives no thread for certificates or health checks.
    #[error("no thread: {0}")]
    Thread(io::Error),
    /// A worker cannot be started.
    #[error("cannot start worker {worker}")]
    Worker {
        /// Its number, from 0.
        worker: usize,
        /// Why not.
        source: io::Error,
    },
}

/// A worker's thread ended by a panic. Its connections were cut; new ones go to the other workers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("worker {worker} of the proxy ended by a panic")]
pub struct WorkerPanicked {
    /// Its number, from 0.
    pub worker: usize,
}

/// What became of the connections when the proxy was shut down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Drained {
    /// Client connections that were still busy at the deadline and were cut, tunnels included.
    pub cut: usize,
}

/// The running proxy. Dropping it cuts all connections; [`Proxy::shutdown`] lets them finish.
#[derive(Debug)]
pub struct Proxy {
    addresses: Vec<SocketAddr>,
    listeners: Vec<Listener>,
    spare: Arc<Spare>,
    counters: Arc<Counters>,
    shared: Arc<Shared>,
    log: Option<Log>,
    tracer: Option<Tracer>,
    _certificates: tls::Watch,
    _health: Checker,
    workers: Vec<Running>,
    panicked: watch::Receiver<Option<WorkerPanicked>>,
}

#[derive(Debug)]
struct Running {
    stop: oneshot::Sender<Stop>,
    thread: thread::JoinHandle<usize>,
}

/// Starts the proxy: listens on every address of `config`, and serves what `routes` publishes with one thread for each
/// worker. When it returns, all workers serve and have acknowledged the table as it is; with no table yet, every
/// request is answered with 404. Outcomes are counted at times of `clock`.
///
/// The [`Stats`](traffic::Stats) that the tables count into must have been made for as many workers as `config` has,
/// and no other proxy may read `routes`.
///
/// # Errors
/// When there is no address, an address cannot be listened on, or a thread cannot be started. Then nothing listens.
pub fn start(config: &Config, routes: &Arc<Routes>, clock: Clock) -> Result<Proxy, StartError> {
    start_on(config, Listeners::bind(config)?, routes, clock)
}

/// As [`start`], on sockets that are there already: `listeners` must have been made for this `config`.
///
/// # Errors
/// When an address cannot be listened on, or a thread cannot be started. Then nothing listens, unless another process has
/// the same sockets.
pub fn start_on(
    config: &Config,
    listeners: Listeners,
    routes: &Arc<Routes>,
    clock: Clock,
) -> Result<Proxy, StartError> {
    let workers = config.workers.get();
    let shared = Arc::new(Shared::new(config)?);
    let (log, tracing) = (config.access_log.as_ref(), config.tracing.as_ref());
    let certificates = tls::Watch::start(Arc::clone(&shared.tls), CERTIFICATES_LOOK);
    let connect = Secured(Arc::clone(shared.tls.client()));
    let health = Checker::start(Arc::clone(routes), clock, connect);
    let addresses = listeners.addresses();
    listeners.listen()?;
    let seats = listeners.deal(workers);
    let (alarm, panicked) = watch::channel(None);
    let mut proxy = Proxy {
        addresses,
        listeners: config.listeners.clone(),
        spare: Arc::new(Spare::beside(&seats).map_err(StartError::Duplicate)?),
        counters: Arc::new(Counters::new(workers)),
        shared,
        log: log.map(|log| Log::start(log, workers)).transpose()?,
        tracer: tracing
            .map(|tracing| Tracer::start(tracing, workers))
            .transpose()?,
        _certificates: certificates.map_err(StartError::Thread)?,
        _health: health.map_err(StartError::Thread)?,
        workers: Vec::with_capacity(workers),
        panicked,
    };
    let (spread, inboxes) = Spread::new(workers);
    for (worker, (sockets, inbox)) in seats.into_iter().zip(inboxes).enumerate() {
        let seat = Seat {
            worker,
            config: config.clone(),
            routes: Arc::clone(routes),
            clock,
            counters: Arc::clone(&proxy.counters),
            shared: Arc::clone(&proxy.shared),
            spread: Arc::clone(&spread),
            log: proxy.log.as_ref().map(|log| log.worker(worker)),
            tracer: proxy.tracer.as_ref().map(|tracer| tracer.worker(worker)),
            spare: Arc::clone(&proxy.spare),
            alarm: alarm.clone(),
        };
        // Workers start one after the other, so that each has the number that its counters have.
        let running = seat.start(sockets, inbox);
        let running = running.map_err(|source| StartError::Worker { worker, source })?;
        proxy.workers.push(running);
    }
    Ok(proxy)
}

impl Proxy {
    /// The addresses that are listened on, in the order of [`Config::listeners`], with the ports that were picked.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// The counters of connections, and of requests that went to no version.
    pub fn counters(&self) -> Arc<Counters> {
        Arc::clone(&self.counters)
    }

    /// The certificates of the listeners.
    pub fn tls(&self) -> Arc<Tls> {
        Arc::clone(&self.shared.tls)
    }

    /// What became of the access log's lines, if there is one.
    pub fn log_counters(&self) -> Option<Arc<LogCounters>> {
        self.log.as_ref().map(Log::counters)
    }

    /// What became of the traces' spans, if there are traces.
    pub fn trace_counters(&self) -> Option<Arc<TraceCounters>> {
        self.tracer.as_ref().map(Tracer::counters)
    }

    /// Opens the file of the access log anew.
    pub fn reopen_log(&self) {
        if let Some(log) = &self.log {
            log.reopen();
        }
    }

    /// A future that is ready when a worker has panicked. The others go on serving, but a core is lost: whoever runs
    /// the process should end it.
    pub fn panicked(&self) -> impl Future<Output = WorkerPanicked> + Send + use<> {
        let mut panicked = self.panicked.clone();
        async move {
            if let Ok(panicked) = panicked.wait_for(Option::is_some).await
                && let Some(panicked) = *panicked
            {
                return panicked;
            }
            // All workers have ended, and none of them by a panic.
            std::future::pending().await
        }
    }

    /// Descriptors of all sockets that are listened on, by listener, to be handed on to another process. As long as
    /// somebody has them, their connections that nobody has accepted yet outlive this proxy.
    ///
    /// # Errors
    /// The process may not have more descriptors.
    pub fn sockets(&self) -> io::Result<Vec<SocketGroup>> {
        self.spare.groups(&self.listeners)
    }

    /// Stops accepting, lets exchanges finish, and cuts what is left after `deadline`. Connections that nothing is under
    /// way on are closed after a moment, in which a request that was on its way to them is still answered. Blocks until
    /// all workers have ended.
    pub fn shutdown(self, deadline: Duration) -> Drained {
        self.stop(deadline, deadline.min(IDLE))
    }

    /// As [`Proxy::shutdown`], when another process serves on the same sockets: connections that nothing is under way on
    /// stay open until `deadline`, and end with the answer to their next request.
    pub fn hand_over(self, deadline: Duration) -> Drained {
        self.stop(deadline, deadline)
    }

    fn stop(self, deadline: Duration, idle: Duration) -> Drained {
        let now = Instant::now();
        let how = Stop {
            deadline: now + deadline,
            idle_until: now + idle,
        };
        self.spare.close_all();
        let (stops, threads): (Vec<_>, Vec<_>) = self
            .workers
            .into_iter()
            .map(|running| (running.stop, running.thread))
            .unzip();
        for stop in stops {
            // A worker that has ended already needs no telling.
            let _ = stop.send(how);
        }
        let cut = threads
            .into_iter()
            .filter_map(|thread| thread.join().ok())
            .sum();
        if let Some(log) = self.log {
            log.finish(LAST_LINES);
        }
        if let Some(tracer) = self.tracer {
            tracer.finish(LAST_LINES);
        }
        Drained { cut }
    }
}

/// What a worker's thread begins with.
struct Seat {
    worker: usize,
    config: Config,
    routes: Arc<Routes>,
    clock: Clock,
    counters: Arc<Counters>,
    shared: Arc<Shared>,
    spread: Arc<Spread>,
    log: Option<WorkerLog>,
    tracer: Option<WorkerTracer>,
    spare: Arc<Spare>,
    alarm: watch::Sender<Option<WorkerPanicked>>,
}

impl Seat {
    /// Starts the thread and waits until it serves.
    fn start(self, sockets: Vec<Seated>, inbox: Inbox) -> io::Result<Running> {
        let (stop, stopped) = oneshot::channel();
        let (ready, is_ready) = mpsc::channel();
        let thread = thread::Builder::new()
            .name(format!("worker-{}", self.worker))
            .spawn(move || self.run(sockets, inbox, stopped, &ready))?;
        // A thread that hung up without a word has panicked.
        let panicked = |_| Err(io::Error::other("the thread panicked"));
        is_ready.recv().unwrap_or_else(panicked)?;
        Ok(Running { stop, thread })
    }

    fn run(
        mut self,
        sockets: Vec<Seated>,
        inbox: Inbox,
        stop: oneshot::Receiver<Stop>,
        ready: &mpsc::Sender<io::Result<()>>,
    ) -> usize {
        let _alarm = PanicAlarm::new(&self);
        let begun = Arc::<Begun>::default();
        let resting = Arc::clone(&begun);
        let runtime = Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .on_thread_park(move || resting.rest())
            .build_local(LocalOptions::default());
        let served = runtime.and_then(|runtime| {
            runtime.block_on(async {
                let place = Place {
                    index: self.worker,
                    clock: self.clock,
                    counters: Arc::clone(&self.counters),
                    shared: Arc::clone(&self.shared),
                    spread: Arc::clone(&self.spread),
                    log: self.log.take(),
                    tracer: self.tracer.take(),
                    begun,
                };
                let worker = Worker::new(place, &self.config, &self.routes);
                let listeners = sockets
                    .into_iter()
                    .filter_map(|seated| {
                        let gate = Rc::clone(worker.gate(seated.listener)?);
                        let socket = tokio::net::TcpListener::from_std(seated.socket);
                        Some(socket.map(|socket| (gate, socket)))
                    })
                    .collect::<io::Result<Vec<_>>>()?;
                inbox.open();
                let _ = ready.send(Ok(()));
                Ok(worker::run(Rc::new(worker), listeners, inbox, stop).await)
            })
        });
        served.unwrap_or_else(|error| {
            let _ = ready.send(Err(error));
            0
        })
    }
}

/// Tells when its thread panics.
struct PanicAlarm {
    worker: usize,
    spare: Arc<Spare>,
    alarm: watch::Sender<Option<WorkerPanicked>>,
}

impl PanicAlarm {
    fn new(seat: &Seat) -> Self {
        Self {
            worker: seat.worker,
            spare: Arc::clone(&seat.spare),
            alarm: seat.alarm.clone(),
        }
    }
}

impl Drop for PanicAlarm {
    fn drop(&mut self) {
        if thread::panicking() {
            let worker = self.worker;
            // Nobody accepts from its sockets any more: new connections are to go to those of the other workers.
            self.spare.close(worker);
            self.alarm.send_replace(Some(WorkerPanicked { worker }));
        }
    }
}
