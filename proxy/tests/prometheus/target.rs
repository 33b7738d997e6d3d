//! What is scraped: an exporter behind the smallest HTTP server that will do.

use proxy::metrics::Exporter;
use std::{
    io::{BufRead, BufReader, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};
use traffic::{
    Backend, BackendId, Outcome, Role, RolloutId, RouteTable, Routes, Split, Stats, Weight,
};

/// A rollout with a quarter of its traffic on the canary, and its metrics.
pub(crate) struct Target {
    site: Arc<Site>,
    address: SocketAddr,
}

struct Site {
    stats: Arc<Stats>,
    rollout: RolloutId,
    table: RouteTable,
    exporter: Exporter,
    epoch: Instant,
}

impl Target {
    /// Serves until the process ends.
    pub(crate) fn start() -> Self {
        let site = Arc::new(Site::new());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let serving = Arc::clone(&site);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // A scraper that hangs up early is its own affair.
                let _ = serving.serve(&stream);
            }
        });
        Self { site, address }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Counts a request that took `latency`.
    pub(crate) fn record(&self, role: Role, latency: Duration, outcome: Outcome) {
        let series = self.site.stats.series(&self.site.rollout, role);
        series.shard(0).begin(Duration::ZERO, true);
        series.shard(0).end(Duration::ZERO, latency, outcome);
    }

    pub(crate) fn render(&self, accept: &str) -> Vec<u8> {
        self.site.exporter.render(accept).1
    }
}

impl Site {
    fn new() -> Self {
        let stats = Arc::new(Stats::new(1));
        let routes = Arc::new(Routes::default());
        let rollout = RolloutId::new("shop", "cart");
        let backend = |role: Role| {
            Backend::plain(
                BackendId::new("shop", role.as_str()),
                Arc::new([]),
                stats.series(&rollout, role),
            )
        };
        let split = Split {
            rollout: rollout.clone(),
            stable: backend(Role::Stable),
            canary: Some(backend(Role::Canary)),
            weight: Weight::from_percent(25).unwrap(),
            rules: Vec::new(),
            copies: Vec::new(),
            sticky: None,
            tickets: stats.tickets(&rollout),
            rescue: false,
            armed: None,
            counted: None,
        };
        let table = RouteTable::new(Vec::new(), vec![split]).unwrap();
        routes.publish(table.clone());
        // A worker that lives as long as the process.
        std::mem::forget(routes.reader());
        let exporter = Exporter::new(Arc::clone(&stats), routes);
        Self {
            stats,
            rollout,
            table,
            exporter,
            epoch: Instant::now(),
        }
    }

    /// Answers one request: under `/metrics` with what is asked for, elsewhere with the format of that name.
    fn serve(&self, mut stream: &TcpStream) -> std::io::Result<()> {
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        let mut lines = BufReader::new(stream).lines();
        let first = lines.next().transpose()?.unwrap_or_default();
        let mut accept = String::new();
        for line in lines {
            let line = line?;
            match line.split_once(':') {
                Some((name, value)) if name.eq_ignore_ascii_case("accept") => {
                    accept = value.trim().to_owned();
                }
                Some(_) => {}
                None => break,
            }
        }
        let accept = match first.split(' ').nth(1) {
            Some("/openmetrics") => "application/openmetrics-text;version=1.0.0",
            Some("/text") => "text/plain;version=0.0.4",
            _ => &accept,
        };
        self.exporter.observe(&self.table, self.epoch.elapsed());
        let (content_type, body) = self.exporter.render(accept);
        write!(
            stream,
            "HTTP/1.1 200 OK\r\ncontent-type: {content_type}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
            body.len()
        )?;
        stream.write_all(&body)
    }
}
