//! The CPU time of a forwarded request, of this proxy and of others.
//!
//! Every contender is a process of its own on one core; load and origin run on another, in this process. Rounds are
//! interleaved, so that what else happens on the machine hits all contenders alike, and ratios are taken within a
//! round.

mod contender;
pub(crate) mod cores;
mod report;
mod rival;

use crate::{client::Client, origin, sluice::HOST};
use anyhow::{Context as _, ensure};
use contender::{Contender, Start};
use cores::Cores;
use report::Row;
use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};
use tokio::{net::TcpListener, task::JoinSet, time::sleep};

/// What is measured.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The sizes of the response's body, in bytes. Each is measured by itself.
    pub bodies: Vec<usize>,
    /// Client connections, each with one request under way at any time.
    pub connections: usize,
    /// How many times every contender is measured.
    pub rounds: usize,
    /// How long each time.
    pub span: Duration,
}

/// The load before a measurement begins, in which connections are made and buffers grow.
const WARM_UP: Duration = Duration::from_millis(300);
/// How long a contender may take to do what it was told before it is given up.
const PATIENCE: Duration = Duration::from_secs(10);

/// One contender's CPU time in one round.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Measured {
    pub(crate) requests: u64,
    pub(crate) wall: Duration,
    /// CPU time.
    pub(crate) cpu: Duration,
    /// The share of it that was spent outside the kernel, 0 to 1.
    pub(crate) user_share: f64,
}

/// Measures, and prints tables in Markdown as it goes.
///
/// # Errors
/// When a contender that is installed does not work, or a request fails. A contender that is not installed is named.
pub fn run(plan: &Plan) -> anyhow::Result<()> {
    let cores = Cores::pick()?;
    println!("{}", report::machine(cores.as_ref()));
    for &body in &plan.bodies {
        println!("{}", report::heading(plan, body));
        // A runtime for each case: when it is dropped, its origins end.
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let rows = runtime.block_on(case(plan, body, cores.as_ref()))?;
        println!("{}", report::table(&rows));
    }
    Ok(())
}

async fn case(plan: &Plan, body: usize, cores: Option<&Cores>) -> anyhow::Result<Vec<Row>> {
    let stable = origin(body).await?;
    let canary = origin(body).await?;
    let mut starts = Vec::new();
    for kind in contender::Kind::ALL {
        starts.push(Start::of(kind, stable, canary, cores)?);
    }
    let mut rows: Vec<Row> = starts.iter().map(Row::new).collect();
    for start in &starts {
        if let Start::Running(contender) = start {
            wait_until_serving(contender).await?;
        }
    }
    for round in 0..plan.rounds {
        for turn in 0..starts.len() {
            // Rounds take turns in who begins, so that nobody always comes after the same other.
            let at = (round + turn) % starts.len();
            if let Start::Running(contender) = &starts[at] {
                let measured = measure(contender, plan).await;
                rows[at]
                    .rounds
                    .push(measured.with_context(|| contender.kind.name().to_owned())?);
            }
        }
    }
    Ok(rows)
}

async fn origin(body: usize) -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    tokio::spawn(origin::serve(listener, body));
    Ok(address)
}

/// A request as short as a client's with a few headers.
fn request() -> String {
    format!("GET /cart HTTP/1.1\r\nhost: {HOST}\r\nuser-agent: bench\r\naccept: */*\r\n\r\n")
}

async fn wait_until_serving(contender: &Contender) -> anyhow::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let served = async {
            Client::connect(contender.address, &request())
                .await?
                .exchange()
                .await
        };
        match served.await {
            Ok(()) => return Ok(()),
            Err(error) if Instant::now() > deadline => {
                let (name, output) = (contender.kind.name(), contender.output());
                return Err(error.context(format!("{name} does not serve; it wrote: {output}")));
            }
            Err(_) => sleep(Duration::from_millis(20)).await,
        }
    }
}

async fn measure(contender: &Contender, plan: &Plan) -> anyhow::Result<Measured> {
    let load = Load::start(contender.address, plan.connections).await?;
    sleep(WARM_UP).await;
    let (cpu, requests, began) = (contender.cpu()?, load.requests(), Instant::now());
    sleep(plan.span).await;
    let (cpu_after, requests_after, wall) = (contender.cpu()?, load.requests(), began.elapsed());
    load.finish().await?;
    let requests = requests_after - requests;
    ensure!(requests > 0, "no request was answered in {wall:?}");
    let user = cpu_after.user_ticks - cpu.user_ticks;
    let system = cpu_after.system_ticks - cpu.system_ticks;
    Ok(Measured {
        requests,
        wall,
        cpu: cpu_after.total.saturating_sub(cpu.total),
        user_share: user as f64 / (user + system).max(1) as f64,
    })
}

/// Clients that send one request after the other until they are told to end.
struct Load {
    requests: Arc<AtomicU64>,
    is_ending: Arc<AtomicBool>,
    clients: JoinSet<anyhow::Result<()>>,
}

impl Load {
    async fn start(address: SocketAddr, connections: usize) -> anyhow::Result<Self> {
        let mut load = Self {
            requests: Arc::default(),
            is_ending: Arc::default(),
            clients: JoinSet::new(),
        };
        for _ in 0..connections {
            let mut client = Client::connect(address, &request()).await?;
            let (requests, is_ending) = (Arc::clone(&load.requests), Arc::clone(&load.is_ending));
            load.clients.spawn(async move {
                while !is_ending.load(Relaxed) {
                    client.exchange().await?;
                    requests.fetch_add(1, Relaxed);
                }
                Ok(())
            });
        }
        Ok(load)
    }

    fn requests(&self) -> u64 {
        self.requests.load(Relaxed)
    }

    /// Ends the load, and tells of a request that failed.
    async fn finish(mut self) -> anyhow::Result<()> {
        self.is_ending.store(true, Relaxed);
        let ended = async {
            while let Some(client) = self.clients.join_next().await {
                client??;
            }
            Ok(())
        };
        tokio::time::timeout(PATIENCE, ended)
            .await
            .context("requests are never answered")?
    }
}
