//! Endpoints that stop and start under load, announced and not.

use crate::{
    asked_for,
    support::{eventually, http2, wire, world},
};
use std::{
    io::Write,
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    thread,
    time::{Duration, Instant},
};
use traffic::{BackendPolicy, policy::Retry};

const LASTS: Duration = Duration::from_secs(8);

/// A server that runs.
struct Running {
    address: SocketAddr,
    is_over: Arc<AtomicBool>,
    streams: Arc<Mutex<Vec<TcpStream>>>,
    accepting: thread::JoinHandle<()>,
}

impl Running {
    fn start(address: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        let address = listener.local_addr().unwrap();
        let (is_over, streams) = (
            Arc::<AtomicBool>::default(),
            Arc::<Mutex<Vec<_>>>::default(),
        );
        let (over, kept) = (Arc::clone(&is_over), Arc::clone(&streams));
        let accepting = thread::spawn(move || {
            for stream in listener.incoming() {
                if over.load(SeqCst) {
                    return;
                }
                let stream = stream.unwrap();
                kept.lock().unwrap().push(stream.try_clone().unwrap());
                thread::spawn(|| serve(stream));
            }
        });
        Self {
            address,
            is_over,
            streams,
            accepting,
        }
    }

    /// Listens no more, and ends its connections: when they have answered, or at once.
    fn stop(self, how: Shutdown) {
        self.is_over.store(true, SeqCst);
        // Wakes the thread that accepts.
        drop(TcpStream::connect(self.address));
        self.accepting.join().unwrap();
        for stream in self.streams.lock().unwrap().drain(..) {
            // It may have ended already.
            let _ = stream.shutdown(how);
        }
    }
}

fn serve(stream: TcpStream) {
    let mut wire = wire::Client::from(stream);
    while wire.try_message(false).is_some() {
        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
        if wire.stream.write_all(answer).is_err() {
            return;
        }
    }
}

/// Endpoints stop one after the other and start again, while clients are served. Every request is one that may be sent
/// twice, so that none may fail.
fn check(what: &str, is_announced: bool) {
    let world = world::start_with(2, |_| {});
    let mut endpoints: Vec<_> = (0..4)
        .map(|_| Running::start((Ipv4Addr::LOCALHOST, 0).into()))
        .collect();
    let serve = |endpoints: &[Running]| {
        let addresses: Vec<_> = endpoints.iter().map(|endpoint| endpoint.address).collect();
        let policy = BackendPolicy {
            retry: Retry {
                min_per_second: 10_000,
                ..Retry::default()
            },
            ..BackendPolicy::default()
        };
        world.serve_with(&addresses, policy);
        let published = world.routes.published();
        eventually("all workers serve it", || {
            world.routes.acknowledged() >= Some(published)
        });
    };
    serve(&endpoints);
    let is_over = AtomicBool::new(false);
    let sent = AtomicUsize::new(0);
    let restarts = thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut client = world.connect();
                while !is_over.load(SeqCst) {
                    let answer = client.get("/", "");
                    assert_eq!(answer.status(), 200, "{what}: {}", answer.text());
                    sent.fetch_add(1, SeqCst);
                }
            });
            scope.spawn(|| {
                while !is_over.load(SeqCst) {
                    let answer = http2::get(world.address(), "/").unwrap();
                    assert_eq!(answer.status, 200, "{what}");
                    sent.fetch_add(1, SeqCst);
                }
            });
        }
        let began = Instant::now();
        let mut restarts = 0;
        while began.elapsed() < LASTS {
            let stopped = endpoints.remove(0);
            let address = stopped.address;
            if is_announced {
                serve(&endpoints);
                stopped.stop(Shutdown::Read);
            } else {
                stopped.stop(Shutdown::Both);
                serve(&endpoints);
            }
            thread::park_timeout(Duration::from_millis(20));
            endpoints.push(Running::start(address));
            serve(&endpoints);
            restarts += 1;
        }
        is_over.store(true, SeqCst);
        restarts
    });
    let totals = world.stable();
    println!(
        "{restarts} restarts of endpoints in {LASTS:?}, {what}: {} requests, none failed; {} first attempts did",
        sent.load(SeqCst),
        totals.failed
    );
    assert_eq!(totals.dispatched, sent.load(SeqCst) as u64, "{what}");
}

#[test]
fn endpoints_that_restart_fail_no_request() {
    if !asked_for() {
        return;
    }
    check("announced", true);
    check("not announced", false);
}
