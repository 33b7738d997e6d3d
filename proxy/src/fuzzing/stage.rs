//! A worker between a client and endpoints that do as they are told, all on one thread, over loopback.
//!
//! Nothing waits for time to pass: the play is over when nothing has moved for a number of turns of the runtime. Loopback
//! delivers within the call that sends, so that such a number is small.
//!
//! The worker and the endpoints stay for all plays of a thread: to begin them takes a third of what a short play takes. Each play
//! has a client of its own, and ends when no connection is left of it.

use super::reader::{self, Message};
use crate::{
    Clock, Config, Counters,
    client::serve,
    shared::Shared,
    spread::Spread,
    worker::{Gate, Place, Worker},
};
use std::{
    cell::{Cell, RefCell},
    net::{Ipv4Addr, SocketAddr},
    num::NonZeroUsize,
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    runtime::{Builder, LocalOptions, LocalRuntime},
    task::{spawn_local, yield_now},
};
use traffic::{
    Backend, BackendId, BackendPolicy, Role, RolloutId, Route, RouteTable, Routes, Stats, Target,
    matches::{HostMatch, PathMatch, RequestMatch},
    policy::Retry,
    stats::{Series, Totals},
};

/// Turns without a byte after which nothing more comes.
const QUIET: usize = 24;

/// How long something is waited for that must come.
const OWED: Duration = Duration::from_millis(200);

/// How long a play may take; a longer one hangs.
const PATIENCE: Duration = Duration::from_secs(10);

/// What an endpoint does with a request.
pub(super) struct Answer {
    pub(super) bytes: Vec<u8>,
    pub(super) closes: bool,
}

/// What came of a play.
pub(super) struct Played {
    /// What the client got.
    pub(super) client: Vec<u8>,
    /// The whole requests that endpoints got, in their order, and at which: the one for paths below `/a`, or the other.
    pub(super) seen: Vec<(bool, Message)>,
    /// What was counted in this play and those before it on the same thread.
    pub(super) totals: Totals,
}

/// What an endpoint says to a request.
type Says = Rc<dyn Fn(&Message) -> Answer>;

/// What the actors of a play share.
#[derive(Default)]
struct Stage {
    says: RefCell<Option<Says>>,
    seen: RefCell<Vec<(bool, Message)>>,
    /// What an endpoint was sent that is no HTTP.
    fault: RefCell<Option<String>>,
    moved: Cell<u64>,
    client: RefCell<Vec<u8>>,
    has_ended: Cell<bool>,
    /// Connections that endpoints have open.
    attended: Cell<usize>,
}

impl Stage {
    fn moved(&self) {
        self.moved.set(self.moved.get() + 1);
    }

    /// About how many answers the client has got.
    fn answers(&self) -> usize {
        let client = self.client.borrow();
        let lines = client.windows(9).filter(|it| *it == b"HTTP/1.1 ");
        lines.count()
    }

    /// Waits until nothing moves any more. Loopback delivers within the call that sends, unless the machine is busy: while
    /// `is_owed` something, that is waited for.
    async fn settle(&self, is_owed: impl Fn() -> bool) {
        let (mut quiet, mut before, mut since) = (0, self.moved.get(), Instant::now());
        while quiet < QUIET || is_owed() && since.elapsed() < OWED {
            yield_now().await;
            quiet += 1;
            if self.moved.get() != before {
                (quiet, before, since) = (0, self.moved.get(), Instant::now());
            }
        }
    }
}

/// Lets a client send `pieces`, and endpoints answer as `says` has it. The client ends when all has settled, which is when
/// endpoints have got `expected` requests, or the connection has ended, or a while has passed.
pub(super) fn play<'a>(
    pieces: impl IntoIterator<Item = &'a [u8]>,
    expected: usize,
    says: Says,
) -> Played {
    thread_local! {
        // Never dropped: what a runtime's end needs may have ended before it when a thread ends.
        static THEATER: &'static Theater = Box::leak(Box::new(Theater::new()));
    }
    let theater = THEATER.with(|it| *it);
    let stage = &theater.stage;
    stage.says.replace(Some(says));
    stage.has_ended.set(false);
    theater.runtime.block_on(theater.act(pieces, expected));
    if let Some(fault) = stage.fault.take() {
        panic!("an endpoint got no HTTP: {fault}");
    }
    let totals = theater.series.totals();
    assert_eq!(totals.in_flight, 0, "a request has not ended");
    Played {
        client: stage.client.take(),
        seen: stage.seen.take(),
        totals,
    }
}

/// What stays from play to play.
struct Theater {
    runtime: LocalRuntime,
    stage: Rc<Stage>,
    worker: Rc<Worker>,
    gate: Rc<Gate>,
    listener: TcpListener,
    endpoints: [SocketAddr; 2],
    series: Arc<Series>,
}

impl Theater {
    fn new() -> Self {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build_local(LocalOptions::default())
            .expect("a runtime");
        let stage = Rc::new(Stage::default());
        let stats = Stats::new(1);
        let (endpoints, listener) = runtime.block_on(async {
            let first = endpoint(Rc::clone(&stage), true).await;
            let second = endpoint(Rc::clone(&stage), false).await;
            ([first, second], listen().await)
        });
        let table = vec![
            route("/a", endpoints[0], &stats),
            route("/", endpoints[1], &stats),
        ];
        let routes = Routes::default();
        routes.publish(RouteTable::new(table, Vec::new()).expect("routes without splits"));
        let address = listener.local_addr().expect("an address");
        let config = Config::new(vec![address], NonZeroUsize::MIN);
        let place = Place {
            index: 0,
            clock: Clock::start(),
            counters: Arc::new(Counters::new(1)),
            shared: Arc::new(Shared::new(&config).expect("no certificates are needed")),
            spread: Spread::new(1).0,
            log: None,
            tracer: None,
            begun: Arc::default(),
        };
        let worker = Rc::new(Worker::new(place, &config, &routes));
        runtime.spawn_local(Rc::clone(&worker.admission).serve());
        Self {
            worker,
            gate: Rc::new(Gate::new(&config, 0).expect("the listener")),
            series: stats.series(&RolloutId::new("d", "s"), Role::Stable),
            runtime,
            stage,
            listener,
            endpoints,
        }
    }

    async fn act<'a>(&self, pieces: impl IntoIterator<Item = &'a [u8]>, expected: usize) {
        let stage = &self.stage;
        let address = self.listener.local_addr().expect("an address");
        let client = TcpStream::connect(address).await.expect("a connection");
        let (accepted, peer) = self.listener.accept().await.expect("the same");
        let open = self.worker.open(self.worker.keep());
        let session = spawn_local(serve(open, Rc::clone(&self.gate), accepted, peer));
        let (mut reading, mut writing) = client.into_split();
        let actor = Rc::clone(stage);
        let reads = spawn_local(async move {
            let mut bytes = [0; 4096];
            while let Ok(read) = reading.read(&mut bytes).await
                && read > 0
            {
                actor.moved();
                actor.client.borrow_mut().extend_from_slice(&bytes[..read]);
            }
            actor.has_ended.set(true);
            actor.moved();
        });
        for piece in pieces {
            if writing.write_all(piece).await.is_err() {
                break;
            }
            stage.moved();
            yield_now().await;
        }
        let is_owed = || {
            let seen = stage.seen.borrow().len();
            !stage.has_ended.get() && (seen < expected || stage.answers() < seen.min(expected))
        };
        stage.settle(is_owed).await;
        let _ = writing.shutdown().await;
        until("the client's connection", || {
            session.is_finished() && reads.is_finished()
        })
        .await;
        session.await.expect("the session does not panic");
        reads.await.expect("the client does not panic");
        self.clear().await;
    }

    /// Waits until nothing is left of a play that the next one could meet.
    async fn clear(&self) {
        until("what a client began", || {
            // What lies idle holds the worker, too.
            self.worker.pool.clear();
            Rc::strong_count(&self.worker) == 1
        })
        .await;
        for endpoint in self.endpoints {
            // Connections are accepted in their order: when this one has been, all have.
            let mut last = TcpStream::connect(endpoint).await.expect("a connection");
            let _ = last.shutdown().await;
            let _ = last.read(&mut [0]).await;
        }
        until("an endpoint's connection", || {
            self.stage.attended.get() == 0
        })
        .await;
    }
}

/// Waits until `what` is over.
async fn until(what: &str, is_over: impl Fn() -> bool) {
    let began = Instant::now();
    while !is_over() {
        yield_now().await;
        assert!(began.elapsed() < PATIENCE, "{what} hangs");
    }
}

/// Keeps a closed connection from holding its port for a minute.
fn reset_at_end(stream: &TcpStream) {
    let _ = socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO));
}

async fn listen() -> TcpListener {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .await
        .expect("a free port")
}

/// Everything below `path`, to `address`. What fails is tried again, within a budget that never ends.
fn route(path: &str, address: SocketAddr, stats: &Stats) -> Route {
    let id = BackendId::new("d", path);
    let policy = BackendPolicy {
        ejection: None,
        retry: Retry {
            min_per_second: u32::MAX,
            ..Retry::default()
        },
        ..BackendPolicy::default()
    };
    let backend = Backend {
        policy: Arc::new(policy),
        ..Backend::plain(
            id,
            [address].into(),
            stats.series(&RolloutId::new("d", "s"), Role::Stable),
        )
    };
    Route::plain(
        vec![HostMatch::Any],
        vec![RequestMatch {
            path: PathMatch::Prefix(path.into()),
            ..RequestMatch::any()
        }],
        Target::Backend(backend),
    )
}

/// Begins an endpoint.
async fn endpoint(stage: Rc<Stage>, is_first: bool) -> SocketAddr {
    let listener = listen().await;
    let address = listener.local_addr().expect("an address");
    spawn_local(async move {
        while let Ok((stream, _)) = listener.accept().await {
            stage.moved();
            let stage = Rc::clone(&stage);
            stage.attended.set(stage.attended.get() + 1);
            spawn_local(async move {
                if let Err(fault) = attend(&stage, stream, is_first).await {
                    stage.fault.replace(Some(fault));
                }
                stage.attended.set(stage.attended.get() - 1);
            });
        }
    });
    address
}

/// Answers the requests on one connection.
async fn attend(stage: &Stage, mut stream: TcpStream, is_first: bool) -> Result<(), String> {
    reset_at_end(&stream);
    let mut held = Vec::new();
    loop {
        let mut bytes = [0; 4096];
        match stream.read(&mut bytes).await {
            Ok(read) if read > 0 => held.extend_from_slice(&bytes[..read]),
            _ => return Ok(()),
        }
        stage.moved();
        while let Some((request, length)) = reader::request(&held)? {
            held.drain(..length);
            let says = stage.says.borrow().clone().expect("a play");
            let answer = says(&request);
            stage.seen.borrow_mut().push((is_first, request));
            stage.moved();
            if stream.write_all(&answer.bytes).await.is_err() {
                return Ok(());
            }
            if answer.closes {
                // A reset could take what was written with it.
                let _ = socket2::SockRef::from(&stream).set_linger(None);
                return Ok(());
            }
        }
    }
}
