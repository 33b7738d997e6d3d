//! The demo app as Pods run it: answers every request with its version, and fails as often as it is told to.

use anyhow::{Context as _, Result};
use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    Request, Response, StatusCode, body::Incoming, server::conn::http1, service::service_fn,
};
use hyper_util::rt::TokioIo;
use std::{
    cell::Cell,
    convert::Infallible,
    env,
    net::{Ipv4Addr, SocketAddr},
    rc::Rc,
    time::Duration,
};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    task::LocalSet,
    time::sleep,
};

/// The header in which the app tells its version, as that of `sluice demo` does.
pub const VERSION_HEADER: &str = "x-demo-version";

/// The path whose requests never fail: for probes.
pub const HEALTH_PATH: &str = "/healthz";

/// How a version of the app behaves, which its Pod's environment says.
#[derive(Clone, Debug, PartialEq)]
pub struct Behaviour {
    /// The version's name.
    pub version: String,
    /// `DEMO_FAILURES`: the share of requests that are answered with 500, 0 to 1. Spread evenly: with 0.25 it is every
    /// fourth.
    pub failures: f64,
    /// `DEMO_LATENCY_MS`: how long every answer takes.
    pub latency: Duration,
}

impl Behaviour {
    /// That of `version`, as the environment says.
    ///
    /// # Errors
    /// Which variable is wrong, what was found and what is allowed.
    pub fn from_environment(version: &str) -> Result<Self> {
        let read = |name: &str| match env::var(name) {
            Ok(value) => value
                .parse::<f64>()
                .ok()
                .filter(|number| (0.0..=60_000.0).contains(number))
                .with_context(|| {
                    format!("{name}: found `{value}`, allowed is a number from 0 to 60000")
                }),
            Err(_) => Ok(0.0),
        };
        Ok(Self {
            version: version.to_owned(),
            failures: read("DEMO_FAILURES")?.min(1.0),
            latency: Duration::from_millis(read("DEMO_LATENCY_MS")? as u64),
        })
    }

    /// Whether the request after `earlier` others fails.
    fn fails(&self, earlier: u32) -> bool {
        let failed = |requests: u32| (f64::from(requests) * self.failures).floor();
        failed(earlier.saturating_add(1)) > failed(earlier)
    }
}

/// Serves on `address` until the process gets TERM.
///
/// # Errors
/// When the address cannot be listened on.
pub async fn serve(address: Ipv4Addr, port: u16, behaviour: Behaviour) -> Result<()> {
    let mut asked_to_end = signal(SignalKind::terminate())?;
    let address = SocketAddr::from((address, port));
    let listener = TcpListener::bind(address)
        .await
        .with_context(|| address.to_string())?;
    let app = Rc::new((behaviour, Cell::new(0)));
    let connections = LocalSet::new();
    let accepting = connections.run_until(async {
        loop {
            let (stream, _) = listener.accept().await?;
            let app = Rc::clone(&app);
            let service = service_fn(move |request| answer(Rc::clone(&app), request));
            // A client that breaks off is no matter of the app's.
            tokio::task::spawn_local(
                http1::Builder::new().serve_connection(TokioIo::new(stream), service),
            );
        }
    });
    tokio::select! {
        ended = accepting => ended,
        _ = asked_to_end.recv() => Ok(()),
    }
}

async fn answer(
    app: Rc<(Behaviour, Cell<u32>)>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (behaviour, earlier) = &*app;
    let is_probe = request.uri().path() == HEALTH_PATH;
    let fails = !is_probe
        && behaviour.fails(earlier.replace(earlier.get().saturating_add(u32::from(!is_probe))));
    sleep(behaviour.latency).await;
    let (status, word) = match fails {
        true => (StatusCode::INTERNAL_SERVER_ERROR, "failed"),
        false => (StatusCode::OK, "ok"),
    };
    let version = &behaviour.version;
    let mut response = Response::new(Full::new(format!("{version} {word}\n").into()));
    *response.status_mut() = status;
    // An image's tag has no character that a header must not have.
    if let Ok(version) = version.parse() {
        response.headers_mut().insert(VERSION_HEADER, version);
    }
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::Behaviour;
    use std::time::Duration;

    #[test]
    fn failures_are_spread_evenly() {
        let check = |failures: f64, expected: &[u32]| {
            let behaviour = Behaviour {
                version: "blue".to_owned(),
                failures,
                latency: Duration::ZERO,
            };
            let failed: Vec<u32> = (0..8).filter(|index| behaviour.fails(*index)).collect();
            assert_eq!(failed, expected, "{failures}");
        };
        check(0.0, &[]);
        check(0.25, &[3, 7]);
        check(0.5, &[1, 3, 5, 7]);
        check(1.0, &[0, 1, 2, 3, 4, 5, 6, 7]);
    }
}
