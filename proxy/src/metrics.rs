//! What a scrape shows.
//!
//! Workers count into their own shards (`traffic::stats`); nothing is computed for a scrape until one comes. Then the
//! scraping thread adds the shards up and encodes them. It never takes a lock that a worker takes, so that a scrape
//! cannot delay a request.
//!
//! `docs/metrics.md` lists every metric; a test compares that list with what is exposed.

mod accept;
mod backends;
mod certificates;
mod connections;
mod encode;
mod latency;
mod logs;
#[cfg(target_os = "linux")]
mod process;
mod requests;
mod routes;
mod shares;
mod splits;
mod table;
mod text;
mod trips;

pub use shares::{Share, Shares};

use crate::{Counters, LogCounters, Tls, TraceCounters};
use accept::Format;
use backends::Backends;
use certificates::Certificates;
use connections::Connections;
use logs::{AccessLog, Traces};
use prometheus_client::{
    encoding::{self, prometheus_protobuf},
    metrics::info::Info,
    registry::Registry,
};
use requests::Requests;
use splits::Splits;
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use table::Generations;
use traffic::{RolloutId, RouteTable, Routes, Stats};
use trips::Trips;

/// Renders the process's metrics for a scraper.
///
/// Once everything is registered, all calls take `&self`: it is to be shared as it is. A lock around it would let a
/// scrape, which takes long when there are many rollouts, hold up whoever observes.
#[derive(Debug)]
pub struct Exporter {
    registry: Registry,
    shares: Arc<Mutex<Shares>>,
    access_log: AccessLog,
    traces: Traces,
}

impl Exporter {
    /// An exporter of what `stats` counts, of the tables that go through `routes`, and of the process itself.
    pub fn new(stats: Arc<Stats>, routes: Arc<Routes>) -> Self {
        let shares = Arc::<Mutex<Shares>>::default();
        let (access_log, traces) = (AccessLog::default(), Traces::default());
        let mut registry = Registry::default();
        registry.register(
            "sluice_build",
            "The running build; always 1",
            Info::new(build()),
        );
        registry.register_collector(Box::new(Backends::new(Arc::clone(&stats))));
        registry.register_collector(Box::new(routes::Routes::new(Arc::clone(&stats))));
        registry.register_collector(Box::new(Trips::new(Arc::clone(&stats))));
        registry.register_collector(Box::new(Requests::new(stats)));
        registry.register_collector(Box::new(Splits::new(Arc::clone(&shares))));
        registry.register_collector(Box::new(Generations::new(routes)));
        registry.register_collector(Box::new(access_log.clone()));
        registry.register_collector(Box::new(traces.clone()));
        // What follows is read from /proc.
        #[cfg(target_os = "linux")]
        registry.register_collector(Box::new(process::Process::new()));
        Self {
            registry,
            shares,
            access_log,
            traces,
        }
    }

    /// Shows the connection counters of a proxy, too.
    pub fn add_connections(&mut self, counters: Arc<Counters>) {
        self.registry
            .register_collector(Box::new(Connections::new(counters)));
    }

    /// Shows the certificates of a proxy, too.
    pub fn add_tls(&mut self, tls: Arc<Tls>) {
        self.registry
            .register_collector(Box::new(Certificates::new(tls)));
    }

    /// Shows what became of the access log's lines. Only the first call counts.
    pub fn set_access_log(&self, counters: Arc<LogCounters>) {
        self.access_log.set(counters);
    }

    /// Shows what became of the traces' spans. Only the first call counts.
    pub fn set_traces(&self, counters: Arc<TraceCounters>) {
        self.traces.set(counters);
    }

    /// Where others register metrics of their own. Names are given in full; nothing is put in front of them.
    pub fn registry_mut(&mut self) -> &mut Registry {
        &mut self.registry
    }

    /// Notes the weights of `table` and what has been split under them so far, at `now` (from the process's epoch).
    ///
    /// To be called once a second with the table last published, and whenever one is published; see [`Shares`].
    pub fn observe(&self, table: &RouteTable, now: Duration) {
        self.lock().observe(table, now);
    }

    /// The weight and the measured share of `rollout`'s canary, as of the last [`Exporter::observe`].
    pub fn share(&self, rollout: &RolloutId) -> Option<Share> {
        self.lock().of(rollout)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Shares> {
        self.shares.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All metrics in the format that `accept` (the value of the request's `Accept` header; empty when it has none)
    /// likes best, and that format's content type.
    ///
    /// Protobuf carries the native histograms. Whoever names no format gets Prometheus text 0.0.4, which everything
    /// reads. The work grows with the number of series and blocks: not for a thread that serves requests.
    ///
    /// When a registered collector fails, the body is empty under the content type of OpenMetrics, which must end
    /// with an end mark: the scraper reports a failed scrape instead of taking a part for the whole.
    pub fn render(&self, accept: &str) -> (&'static str, Vec<u8>) {
        let format = Format::negotiate(accept);
        match self.encode(format) {
            Ok(body) => (format.content_type(), body),
            Err(error) => {
                tracing::error!(%error, "the metrics cannot be encoded");
                (Format::OpenMetrics.content_type(), Vec::new())
            }
        }
    }

    fn encode(&self, format: Format) -> Result<Vec<u8>, prometheus_protobuf::EncodeError> {
        match format {
            Format::Protobuf => prometheus_protobuf::encode_to_vec(&self.registry),
            Format::OpenMetrics => {
                let mut body = String::new();
                encoding::text::encode(&mut body, &self.registry)?;
                Ok(body.into_bytes())
            }
            Format::Text => {
                let mut body = String::new();
                text::write(&mut body, &prometheus_protobuf::encode(&self.registry)?)?;
                Ok(body.into_bytes())
            }
        }
    }
}

/// The labels of `sluice_build_info`.
fn build() -> Vec<(&'static str, &'static str)> {
    let profile = if cfg!(debug_assertions) {
        "debug"
    } else {
        "release"
    };
    vec![
        ("version", env!("CARGO_PKG_VERSION")),
        ("os", std::env::consts::OS),
        ("arch", std::env::consts::ARCH),
        // A debug build is many times slower; whoever wonders about latencies should see it here.
        ("profile", profile),
    ]
}

#[cfg(test)]
mod tests;
