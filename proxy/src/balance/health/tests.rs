use super::*;
use std::{
    io::{Read, Write},
    net::TcpListener,
    num::NonZeroU32,
    sync::{
        atomic::{AtomicU16, Ordering::SeqCst},
        mpsc,
    },
    time::Instant,
};
use traffic::{
    Backend, BackendId, Role, RolloutId, Route, Stats, Target as RouteTarget,
    matches::{HostMatch, RequestMatch},
    policy::HealthCheck,
    state::backend::EndpointState,
};

use tokio::{io::AsyncWriteExt, net::TcpStream};

/// Connects without TLS.
#[derive(Clone, Copy, Debug)]
struct Plain;

impl Connect for Plain {
    type Stream = TcpStream;

    async fn connect(&self, address: SocketAddr, policy: &BackendPolicy) -> io::Result<TcpStream> {
        let mut stream = TcpStream::connect(address).await?;
        if let Some(version) = policy.proxy_protocol {
            stream.write_all(local_header(version)).await?;
        }
        Ok(stream)
    }
}

/// A server that answers every request with the status that is set, and tells of each.
struct Server {
    address: SocketAddr,
    status: Arc<AtomicU16>,
    asked: mpsc::Receiver<String>,
}

/// Accepts and never answers.
const HANG: u16 = 0;

impl Server {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let status = Arc::new(AtomicU16::new(200));
        let (tell, asked) = mpsc::channel();
        let answers = Arc::clone(&status);
        thread::spawn(move || {
            let mut hanging = Vec::new();
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let status = answers.load(SeqCst);
                if status == HANG {
                    hanging.push(stream);
                    continue;
                }
                let mut request = [0; 1024];
                let read = stream.read(&mut request).unwrap();
                let _ = write!(stream, "HTTP/1.1 {status} x\r\ncontent-length: 0\r\n\r\n");
                if tell
                    .send(String::from_utf8_lossy(&request[..read]).into_owned())
                    .is_err()
                {
                    return;
                }
            }
        });
        Self {
            address,
            status,
            asked,
        }
    }
}

fn backend(stats: &Stats, address: SocketAddr) -> Backend {
    let check = HealthCheck {
        path: Some("/up".into()),
        host: Some("shop.example".into()),
        interval: Duration::from_millis(5),
        timeout: Duration::from_millis(200),
        unhealthy_after: NonZeroU32::new(2).unwrap(),
        healthy_after: NonZeroU32::new(2).unwrap(),
    };
    let id = BackendId::new("default", "shop");
    Backend {
        policy: Arc::new(BackendPolicy {
            health_check: Some(check),
            ..BackendPolicy::default()
        }),
        state: stats.backend(&id),
        ..Backend::plain(
            id,
            Arc::new([address]),
            stats.series(&RolloutId::new("default", "shop"), Role::Active),
        )
    }
}

fn table(backend: Backend) -> RouteTable {
    let target = RouteTarget::Backend(backend);
    let route = Route::plain(vec![HostMatch::Any], vec![RequestMatch::any()], target);
    RouteTable::new(vec![route], Vec::new()).unwrap()
}

/// Waits until the only endpoint of `backend` is as healthy as it should be.
fn wait_for(backend: &Backend, is_healthy: bool) -> Arc<EndpointState> {
    let patience = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(endpoint) = backend.state.known().pop()
            && endpoint.is_healthy() == is_healthy
        {
            return endpoint;
        }
        assert!(Instant::now() < patience, "it never became {is_healthy}");
        thread::yield_now();
    }
}

#[test]
fn a_server_that_turns_bad_is_left_out_until_it_is_good_again() {
    let server = Server::start();
    let (stats, routes) = (Stats::new(1), Arc::new(Routes::default()));
    let backend = backend(&stats, server.address);
    let checker = Checker::start(Arc::clone(&routes), Clock::start(), Plain).unwrap();
    routes.publish(table(backend.clone()));
    let asked = server.asked.recv().unwrap();
    assert!(
        asked.starts_with("GET /up HTTP/1.1\r\nhost: shop.example\r\n"),
        "{asked}"
    );
    for bad in [503, HANG] {
        wait_for(&backend, true);
        server.status.store(bad, SeqCst);
        wait_for(&backend, false);
        server.status.store(302, SeqCst);
    }
    let endpoint = wait_for(&backend, true);
    for result in CheckResult::ALL {
        assert!(backend.state.checks(result) > 1, "{result:?}");
    }
    // An endpoint that is no longer in a table is no longer checked, and counts as healthy.
    server.status.store(500, SeqCst);
    wait_for(&backend, false);
    routes.publish(RouteTable::default());
    while !endpoint.is_healthy() {
        thread::yield_now();
    }
    drop(checker);
}

#[test]
fn an_endpoint_that_refuses_is_unhealthy() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let (stats, routes) = (Stats::new(1), Arc::new(Routes::default()));
    let backend = backend(&stats, address);
    routes.publish(table(backend.clone()));
    let _checker = Checker::start(routes, Clock::start(), Plain).unwrap();
    wait_for(&backend, false);
}
