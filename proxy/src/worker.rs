//! One worker: a thread with a runtime, listeners, pools and counters of its own.

use crate::{
    Clock, Config, Counters, Forwarding, Limits, Network, Timeouts,
    accept::{accept, receive},
    admission::{Admission, Begun},
    balance::Balancer,
    client,
    counters::WorkerCounters,
    drains::Drains,
    filter::mirror::Points,
    http1::HeadLimits,
    http2::Text,
    lane::Lanes,
    log::WorkerLog,
    pool::Pool,
    shared::Shared,
    spares::Spares,
    spread::{Allowance, Inbox, Load, Spread},
    tls::Tls,
    trace::WorkerTracer,
    turn::Turn,
    upstream::http2,
};
use std::{
    cell::{Cell, RefCell},
    convert::Infallible,
    fmt,
    hash::{BuildHasher, Hasher, RandomState},
    rc::Rc,
    sync::Arc,
    time::Duration,
};
use tokio::{
    net::TcpListener,
    sync::{Notify, oneshot},
    task::{JoinError, JoinSet},
    time::{Instant, sleep, timeout_at},
};
use traffic::{Reader, Routes, View};

/// A listener, as the connections that came in at it know it.
#[derive(Debug)]
pub(crate) struct Gate {
    /// Its name.
    pub(crate) name: Arc<str>,
    /// Its place among the listeners.
    pub(crate) index: usize,
    /// Whether HTTP/2 is spoken.
    pub(crate) http2: bool,
    /// Who begins connections with a PROXY protocol header.
    pub(crate) proxy_protocol: Vec<Network>,
}

impl Gate {
    /// The listener at place `index` of `config`.
    pub(crate) fn new(config: &Config, index: usize) -> Option<Self> {
        let listener = config.listeners.get(index)?;
        Some(Self {
            name: Arc::clone(&listener.name),
            index,
            http2: listener.http2,
            proxy_protocol: listener.proxy_protocol.clone(),
        })
    }
}

/// What a worker is given at its start.
#[derive(Debug)]
pub(crate) struct Place {
    /// Its number, from 0.
    pub(crate) index: usize,
    pub(crate) clock: Clock,
    pub(crate) counters: Arc<Counters>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) spread: Arc<Spread>,
    pub(crate) log: Option<WorkerLog>,
    pub(crate) tracer: Option<WorkerTracer>,
    /// Told by the worker's runtime when it rests.
    pub(crate) begun: Arc<Begun>,
}

/// What the connections of one worker share. It never leaves its thread.
pub(crate) struct Worker {
    /// The clock that outcomes are timed by.
    pub(crate) clock: Clock,
    /// The same clock, as a request's task reads it.
    pub(crate) turn: Rc<Turn>,
    /// The limits of every exchange.
    pub(crate) timeouts: Timeouts,
    /// Whom clients are believed, and what endpoints are told.
    pub(crate) forwarding: Rc<Forwarding>,
    /// Certificates.
    pub(crate) tls: Arc<Tls>,
    /// What all workers share.
    pub(crate) shared: Arc<Shared>,
    /// How connections spread over the workers.
    pub(crate) spread: Arc<Spread>,
    /// Its side of the access log.
    pub(crate) log: Option<WorkerLog>,
    /// Its side of the traces.
    pub(crate) tracer: Option<WorkerTracer>,
    /// Which of its connections go first.
    pub(crate) admission: Rc<Admission>,
    /// Which endpoint is next.
    pub(crate) balancer: Balancer,
    /// Which requests are copied.
    pub(crate) mirror_points: Points,
    /// Long-lived exchanges that end when their version has lost its weight.
    pub(crate) drains: Drains,
    /// Idle connections to endpoints.
    pub(crate) pool: Pool,
    /// The versions that requests were sent to.
    pub(crate) lanes: Lanes,
    /// What clients may ask for.
    pub(crate) limits: Limits,
    /// What heads may be like.
    pub(crate) head_limits: HeadLimits,
    /// How HTTP/2 is spoken with endpoints.
    pub(crate) http2_client: h2::client::Builder,
    /// What heads that come by HTTP/2 are put together in.
    pub(crate) text: RefCell<Text>,
    /// What connections of HTTP/2 clients may take in beyond their windows.
    pub(crate) purse: Rc<client::http2::Purse>,
    /// Wakes every connection when draining begins.
    pub(crate) drain: Notify,
    /// Set once it drains: until when connections stay open that nothing is under way on.
    draining: Cell<Option<Instant>>,
    /// Client connections that are open, tunnels included.
    open: Cell<usize>,
    /// Woken when the last of them has closed.
    all_closed: Notify,
    /// Memory to be used again.
    pub(crate) spares: Rc<Spares>,
    /// Where requests by HTTP/1 are answered.
    pub(crate) http1_desks: client::Desks<Rc<client::http1::Io>, client::http1::Next>,
    /// Where requests by HTTP/2 are.
    pub(crate) http2_desks: client::Desks<client::http2::Job, ()>,
    reader: RefCell<Reader>,
    random: Cell<u64>,
    counters: Arc<Counters>,
    index: usize,
    /// How many clients may connect to it.
    most: usize,
    /// How many connections it may pass on.
    allowance: Cell<Allowance>,
    /// The listeners, in the order of [`Config::listeners`].
    gates: Vec<Rc<Gate>>,
}

impl Worker {
    /// The worker at `place` of those that `config` asks for. Must be called on its thread.
    pub(crate) fn new(place: Place, config: &Config, routes: &Routes) -> Self {
        let Place {
            index,
            clock,
            counters,
            shared,
            spread,
            log,
            tracer,
            begun,
        } = place;
        let mut reader = routes.reader();
        let limits = config.limits;
        let head_limits = HeadLimits {
            head_bytes: limits.head_bytes,
            headers: limits.headers,
            uri_bytes: limits.uri_bytes,
        };
        let turn = Rc::new(Turn::new(clock));
        let random = || RandomState::new().build_hasher().finish();
        let gates = (0..config.listeners.len()).filter_map(|listener| Gate::new(config, listener));
        Self {
            forwarding: Rc::new(config.forwarding.clone()),
            tls: Arc::clone(&shared.tls),
            log,
            tracer,
            admission: Rc::new(Admission::new(begun)),
            shared,
            spread,
            gates: gates.map(Rc::new).collect(),
            most: (limits.connections as usize).div_ceil(config.workers.get()),
            allowance: Cell::default(),
            balancer: Balancer::new(index, config.workers.get(), random()),
            mirror_points: Points::new(random()),
            drains: Drains::default(),
            clock,
            timeouts: config.timeouts,
            pool: Pool::new(config.pool, Rc::clone(&turn)),
            lanes: Lanes::new(reader.view().worker(), Rc::clone(&turn)),
            turn,
            http2_client: http2_client(&limits),
            text: RefCell::default(),
            purse: Rc::new(client::http2::Purse::new(
                limits.memory_bytes,
                config.workers.get(),
            )),
            limits,
            head_limits,
            spares: Rc::default(),
            http1_desks: client::Desks::default(),
            http2_desks: client::Desks::default(),
            drain: Notify::new(),
            draining: Cell::new(None),
            open: Cell::new(0),
            all_closed: Notify::new(),
            reader: RefCell::new(reader),
            random: Cell::new(random()),
            counters,
            index,
        }
    }

    /// The table that was published last.
    pub(crate) fn view(&self) -> Rc<View> {
        Rc::clone(self.reader.borrow_mut().view())
    }

    /// The worker's cells of the counters.
    pub(crate) fn counters(&self) -> &WorkerCounters {
        self.counters.worker(self.index)
    }

    /// The next random number (SplitMix64), for what need not be secret.
    pub(crate) fn random(&self) -> u64 {
        let state = self.random.get().wrapping_add(0x9E37_79B9_7F4A_7C15);
        self.random.set(state);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// Whether connections are to end as soon as their exchange has.
    pub(crate) fn is_draining(&self) -> bool {
        self.draining.get().is_some()
    }

    /// Until when connections stay open that nothing is under way on; none while the worker does not drain.
    pub(crate) fn idle_until(&self) -> Option<Instant> {
        self.draining.get()
    }

    /// Whether the process holds more memory than it may.
    pub(crate) fn is_short_of_memory(&self) -> bool {
        self.shared.is_short_of_memory()
    }

    /// Whether this is the worker with this number.
    pub(crate) fn is(&self, worker: usize) -> bool {
        self.index == worker
    }

    /// The listener at place `listener`.
    pub(crate) fn gate(&self, listener: usize) -> Option<&Rc<Gate>> {
        self.gates.get(listener)
    }

    /// Whether one more client may connect: each worker keeps to its share of the limit.
    pub(crate) fn has_room(&self) -> bool {
        self.open.get() < self.most
    }

    /// Finds the worker that is to serve a connection which this one has accepted.
    pub(crate) fn place(&self) -> Load {
        let (now, allowance) = (self.clock.elapsed(), self.allowance.get());
        let load = self
            .spread
            .place(self.index, self.most, allowance.is_left(now));
        if !self.is(load.worker()) {
            self.allowance.set(allowance.taken(now));
        }
        load
    }

    /// Counts a connection as one of this worker.
    pub(crate) fn keep(&self) -> Load {
        self.spread.keep(self.index)
    }

    /// Counts a client's connection, which has its part of the worker's `load`, until the value is dropped.
    pub(crate) fn open(self: &Rc<Self>, load: Load) -> Open {
        self.counters().accepted.count();
        self.open.set(self.open.get() + 1);
        Open {
            worker: Rc::clone(self),
            _load: load,
        }
    }

    /// Counts a tunnel until the value is dropped.
    pub(crate) fn tunnel(&self) -> OpenTunnel<'_> {
        self.counters().tunnels_begun.count();
        OpenTunnel(self.counters())
    }
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker")
            .field("index", &self.index)
            .finish_non_exhaustive()
    }
}

/// How HTTP/2 is spoken with endpoints. The requests on a connection are of many clients, and one that does not read its
/// answer must not hold up the others: the connection takes in as much as all of its streams may.
fn http2_client(limits: &Limits) -> h2::client::Builder {
    /// RFC 9113 section 6.9.1.
    const LARGEST_WINDOW: u32 = (1 << 31) - 1;
    let window = limits.http2.stream_window.min(LARGEST_WINDOW);
    let all = window.saturating_mul(http2::MOST_STREAMS as u32);
    let all = all.min(LARGEST_WINDOW);
    let mut builder = h2::client::Builder::new();
    builder
        .initial_window_size(window)
        .initial_connection_window_size(all)
        .data_frame_budget(small_frames(all))
        .initial_max_send_streams(http2::UNSAID)
        .max_header_list_size(u32::try_from(limits.head_bytes).unwrap_or(u32::MAX))
        .enable_push(false);
    builder
}

/// What small DATA frames that were not taken yet may cost in memory beyond a window, in bytes, before the connection is
/// closed; the library counts up to 256 for each. They are taken as soon as the tasks of their streams run, so it is a bound
/// of what comes within one turn of the connection's task.
pub(crate) fn small_frames(connection_window: u32) -> usize {
    const LEAST: usize = 2 * 1024 * 1024;
    LEAST.max(connection_window as usize)
}

/// A client's connection that is open.
pub(crate) struct Open {
    /// The worker that serves it.
    pub(crate) worker: Rc<Worker>,
    _load: Load,
}

impl Drop for Open {
    fn drop(&mut self) {
        let worker = &self.worker;
        worker.counters().closed.count();
        worker.open.set(worker.open.get() - 1);
        if worker.open.get() == 0 {
            worker.all_closed.notify_one();
        }
    }
}

/// A tunnel that is open.
pub(crate) struct OpenTunnel<'a>(&'a WorkerCounters);

impl Drop for OpenTunnel<'_> {
    fn drop(&mut self) {
        self.0.tunnels_ended.count();
    }
}

/// How a worker is to end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stop {
    /// When what is still under way is cut.
    pub(crate) deadline: Instant,
    /// Until when connections stay open that nothing is under way on. A request that is on its way to such a connection
    /// would be lost if it were closed at once.
    pub(crate) idle_until: Instant,
}

impl Stop {
    fn at_once() -> Self {
        let now = Instant::now();
        Self {
            deadline: now,
            idle_until: now,
        }
    }
}

/// Serves until told to `stop`, then finishes what is under way. Gives the number of connections that were cut at the
/// deadline. That the other end of `stop` is gone means to end at once.
pub(crate) async fn run(
    worker: Rc<Worker>,
    listeners: Vec<(Rc<Gate>, TcpListener)>,
    inbox: Inbox,
    stop: oneshot::Receiver<Stop>,
) -> usize {
    let mut admitting = JoinSet::new();
    admitting.spawn_local(Rc::clone(&worker.admission).serve());
    let cut = tokio::select! {
        cut = accept_and_drain(&worker, listeners, inbox, stop) => cut,
        never = acknowledge(&worker) => match never {},
        never = sweep(&worker) => match never {},
        never = make_room(&worker) => match never {},
        never = worker.shared.watch_memory(worker.index) => match never {},
    };
    // Connections hold the worker, and the worker them.
    worker.pool.clear();
    cut
}

async fn accept_and_drain(
    worker: &Rc<Worker>,
    listeners: Vec<(Rc<Gate>, TcpListener)>,
    inbox: Inbox,
    stop: oneshot::Receiver<Stop>,
) -> usize {
    let mut accepting = JoinSet::new();
    accepting.spawn_local(receive(Rc::clone(worker), inbox));
    for (gate, listener) in listeners {
        accepting.spawn_local(accept(Rc::clone(worker), gate, listener));
    }
    let stop = tokio::select! {
        stop = stop => stop.unwrap_or_else(|_| Stop::at_once()),
        Some(ended) = accepting.join_next() => {
            pass_on_panic(ended);
            Stop::at_once()
        }
    };
    worker.draining.set(Some(stop.idle_until));
    worker.drain.notify_waiters();
    while let Some(ended) = accepting.join_next().await {
        pass_on_panic(ended);
    }
    let closed = async {
        while worker.open.get() > 0 {
            worker.all_closed.notified().await;
        }
    };
    let _ = timeout_at(stop.deadline, closed).await;
    worker.open.get()
}

/// A worker that no longer accepts is no worker: its thread ends by the panic, which the process is told of.
fn pass_on_panic(ended: Result<(), JoinError>) {
    if let Err(error) = ended
        && let Ok(panic) = error.try_into_panic()
    {
        std::panic::resume_unwind(panic);
    }
}

/// Takes up every table as soon as it is published, requests or none.
async fn acknowledge(worker: &Worker) -> Infallible {
    loop {
        let view = worker.view();
        let seen = view.generation();
        for _ in 0..worker.drains.look(view.table()) {
            worker.counters().drained.count();
        }
        drop(view);
        let changed = worker.reader.borrow().changed(seen);
        changed.await;
    }
}

/// Closes a connection that lies idle wherever a request waits for a place that it has: on this worker or another, which
/// looks again by itself.
async fn make_room(worker: &Worker) -> Infallible {
    loop {
        worker.shared.asked_for_room().await;
        for service in worker.balancer.waited_for() {
            worker.pool.close_idle(&service);
            service.share_idle();
        }
    }
}

/// Closes the connections to endpoints, and forgets the lanes, that nobody needed for a while.
async fn sweep(worker: &Worker) -> Infallible {
    /// Often enough, whatever the idle time is.
    const SHORTEST: Duration = Duration::from_millis(100);
    loop {
        sleep(worker.pool.idle_time().max(SHORTEST)).await;
        let view = worker.view();
        let now = worker.clock.elapsed();
        worker.balancer.sweep(view.table(), view.generation(), now);
        worker.pool.sweep();
        worker.lanes.sweep();
    }
}
