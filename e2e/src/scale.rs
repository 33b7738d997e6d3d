//! Many Rollouts at once: how long they take, and what that costs the controller and all that it works with.

mod bed;
mod crowd;
mod report;
mod scrape;
mod usage;

use crate::bed::harness;
use anyhow::{Context as _, Result};
use bed::Bed;
use clap::Args;
use crowd::Crowd;
use report::{Phase, Report};
pub use scrape::Scrape;
use std::{
    collections::BTreeMap,
    env,
    path::{Path, PathBuf},
    process::ExitCode,
    time::{Duration, Instant},
};
use tokio::time::sleep;
use usage::Cpu;

/// How long it takes until nothing follows any more from what was done last: the longest that a Pod takes to end, and then
/// some.
const REST: Duration = Duration::from_secs(10);

/// What is measured.
#[derive(Clone, Debug, Args)]
pub struct Arguments {
    /// How many Rollouts there are
    #[arg(long, default_value_t = 1000)]
    count: usize,
    /// How many pods each has
    #[arg(long, default_value_t = 1)]
    replicas: u32,
    /// How often a new image is shipped to all of them
    #[arg(long, default_value_t = 1)]
    updates: u32,
    /// How often all of it is done: made, updated and deleted
    #[arg(long, default_value_t = 2)]
    cycles: u32,
    /// For how long nothing happens, with all Rollouts Healthy
    #[arg(long, value_name = "SECONDS")]
    idle: Option<u64>,
    /// Where the numbers go, too
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
    /// The controller's binary
    #[arg(
        long,
        env = "SLUICE_BIN",
        value_name = "FILE",
        default_value = "target/release/sluice"
    )]
    sluice: PathBuf,
}

/// Measures `arguments` in a test bed of its own, and tells on standard output.
///
/// # Errors
/// When something that it needs is missing, or does not come to its end.
pub fn run(arguments: &Arguments) -> Result<ExitCode> {
    if !harness::is_inside() {
        return harness::again_inside(&env::current_exe()?);
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(measure(arguments))?;
    Ok(ExitCode::SUCCESS)
}

async fn measure(arguments: &Arguments) -> Result<()> {
    let kubeconfig = env::var_os("KUBECONFIG").context("KUBECONFIG")?;
    let mut report = Report::begin(arguments)?;
    let bed = Bed::new(Path::new(&kubeconfig), &arguments.sluice).await?;
    let mut crowd = Crowd::new(&bed.client, arguments.count, arguments.replicas).await?;
    crowd.until_collected().await?;
    for cycle in 1..=arguments.cycles {
        let mut phase = Watched::begin(&bed, cycle, "create").await?;
        crowd.create().await?;
        phase.half = crowd.settle(1, phase.since).await?;
        report.add(&phase.end(&bed).await?)?;
        for revision in 2..arguments.updates + 2 {
            sleep(REST).await;
            let mut phase = Watched::begin(&bed, cycle, "update").await?;
            crowd.ship(revision).await?;
            phase.half = crowd.settle(revision, phase.since).await?;
            report.add(&phase.end(&bed).await?)?;
        }
        if let Some(seconds) = arguments.idle {
            sleep(REST).await;
            let phase = Watched::begin(&bed, cycle, "idle").await?;
            sleep(Duration::from_secs(seconds)).await;
            report.add(&phase.end(&bed).await?)?;
        }
        let phase = Watched::begin(&bed, cycle, "delete").await?;
        crowd.delete().await?;
        sleep(REST).await;
        report.add(&phase.end(&bed).await?)?;
    }
    Ok(())
}

/// A phase under way.
struct Watched {
    cycle: u32,
    name: &'static str,
    since: Instant,
    cpu: Cpu,
    scrape: Scrape,
    answered: BTreeMap<String, u64>,
    half: Option<Duration>,
}

impl Watched {
    async fn begin(bed: &Bed, cycle: u32, name: &'static str) -> Result<Self> {
        let scrape = Scrape::read(&bed.metrics().await?);
        let answered = bed.answered().await?;
        usage::forget_peak(bed.pid)?;
        Ok(Self {
            cycle,
            name,
            // After the scrape, which costs something, too.
            cpu: Cpu::now(bed.pid)?,
            since: Instant::now(),
            scrape,
            answered,
            half: None,
        })
    }

    async fn end(self, bed: &Bed) -> Result<Phase> {
        let took = self.since.elapsed();
        let cpu = Cpu::now(bed.pid)?.since(&self.cpu);
        let memory = usage::memory(bed.pid)?;
        let scrape = Scrape::read(&bed.metrics().await?).since(&self.scrape);
        let answered = scrape::since(&bed.answered().await?, &self.answered);
        Ok(Phase {
            cycle: self.cycle,
            name: self.name,
            took,
            half: self.half,
            cpu,
            memory,
            scrape,
            answered,
        })
    }
}
