//! A worker between a client and endpoints that do as they are told, all on one thread, over loopback.
//!
//! Nothing waits for time to pass: the play is over when nothing has moved for a number of turns of the runtime. Loopback
//! delivers within the call that sends, so that such a number is small.

use super::reader::{self, Message};
use crate::{
    Clock, Config, Counters,
    client::serve,
    shared::Shared,
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
    runtime::{Builder, LocalOptions},
    task::{spawn_local, yield_now},
};
use traffic::{
    Backend, BackendId, BackendPolicy, Role, RolloutId, Route, RouteTable, Routes, Stats, Target,
    matches::{HostMatch, PathMatch, RequestMatch},
    policy::Retry,
    stats::Totals,
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
    /// What was counted.
    pub(super) totals: Totals,
}

/// What an endpoint says to a request.
type Says = Rc<dyn Fn(&Message) -> Answer>;

/// What the actors share.
struct Stage {
    says: Says,
    seen: RefCell<Vec<(bool, Message)>>,
    moved: Cell<u64>,
    client: RefCell<Vec<u8>>,
    has_ended: Cell<bool>,
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
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build_local(LocalOptions::default())
        .expect("a runtime");
    let stage = Rc::new(Stage {
        says,
        seen: RefCell::default(),
        moved: Cell::new(0),
        client: RefCell::default(),
        has_ended: Cell::new(false),
    });
    let stats = Stats::new(1);
    let series = stats.series(&RolloutId::new("d", "s"), Role::Stable);
    runtime.block_on(act(&stage, pieces, expected, &stats));
    drop(runtime);
    let totals = series.totals();
    assert_eq!(totals.in_flight, 0, "a request has not ended");
    Played {
        client: stage.client.take(),
        seen: stage.seen.take(),
        totals,
    }
}

async fn act<'a>(
    stage: &Rc<Stage>,
    pieces: impl IntoIterator<Item = &'a [u8]>,
    expected: usize,
    stats: &Stats,
) {
    let routes = Routes::default();
    let mut table = Vec::new();
    for (path, is_first) in [("/a", true), ("/", false)] {
        let address = endpoint(Rc::clone(stage), is_first).await;
        table.push(route(path, address, stats));
    }
    routes.publish(RouteTable::new(table, Vec::new()).expect("routes without splits"));
    let listener = listen().await;
    let address = listener.local_addr().expect("an address");
    let config = Config::new(vec![address], NonZeroUsize::MIN);
    let shared = Arc::new(Shared::new(&config).expect("no certificates are needed"));
    let counters = Arc::new(Counters::new(1));
    let place = Place {
        index: 0,
        clock: Clock::start(),
        counters,
        shared,
        log: None,
        tracer: None,
    };
    let worker = Worker::new(place, &config, &routes);
    let worker = Rc::new(worker);
    let gate = Rc::new(Gate::new(&config, 0).expect("the listener"));

    let client = TcpStream::connect(address).await.expect("a connection");
    let (accepted, peer) = listener.accept().await.expect("the same");
    let session = spawn_local(serve(Rc::clone(&worker), gate, accepted, peer));
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
        reading
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
    let began = Instant::now();
    while !(session.is_finished() && stage.has_ended.get()) {
        yield_now().await;
        assert!(began.elapsed() < PATIENCE, "the client's connection hangs");
    }
    session.await.expect("the session does not panic");
    if let Ok(reading) = reads.await
        && let Ok(client) = reading.reunite(writing)
    {
        reset_at_end(&client);
    }
    stage.settle(|| false).await;
    // Connections hold the worker, and the worker them.
    worker.pool.clear();
    stage.settle(|| false).await;
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
            min_per_second: 1000,
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
            spawn_local(attend(Rc::clone(&stage), stream, is_first));
        }
    });
    address
}

/// Answers the requests on one connection.
async fn attend(stage: Rc<Stage>, mut stream: TcpStream, is_first: bool) {
    reset_at_end(&stream);
    let mut held = Vec::new();
    loop {
        let mut bytes = [0; 4096];
        match stream.read(&mut bytes).await {
            Ok(read) if read > 0 => held.extend_from_slice(&bytes[..read]),
            _ => return,
        }
        stage.moved();
        loop {
            let read = reader::request(&held)
                .unwrap_or_else(|fault| panic!("an endpoint got no HTTP: {fault}"));
            let Some((request, length)) = read else {
                break;
            };
            held.drain(..length);
            let answer = (stage.says)(&request);
            stage.seen.borrow_mut().push((is_first, request));
            stage.moved();
            if stream.write_all(&answer.bytes).await.is_err() {
                return;
            }
            if answer.closes {
                // A reset could take what was written with it.
                let _ = socket2::SockRef::from(&stream).set_linger(None);
                return;
            }
        }
    }
}
