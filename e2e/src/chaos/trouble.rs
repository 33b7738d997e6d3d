//! What fails beside requests: controllers are killed, the API server is killed and comes back, its store is slow.

use super::{Arguments, Faults, kept::Kept, observer::Observer, through};
use crate::process::Controller;
use anyhow::Result;
use procfs::process::{Process, Stat};
use rustix::process::{Pid, Signal, kill_process};
use std::{
    fs,
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    time::Duration,
};
use tempfile::NamedTempFile;
use tokio::{task::JoinSet, time::sleep};

/// Two controllers, one of which leads; or each its part, where there are shards.
const CONTROLLERS: usize = 2;
/// Leaders follow each other soon, as they are killed all the time.
const ARGUMENTS: [&str; 4] = [
    "--lease-namespace=sluice",
    "--lease-duration=3s",
    "--renew-deadline=2s",
    "--retry-period=500ms",
];
/// Between two deaths of controllers, in milliseconds.
const DEATHS: Range<u64> = 1_000..8_000;
/// Between two deaths of the API server.
const OUTAGES: Range<u64> = 15_000..40_000;
/// Between two times that the store stands still, and for how long it does.
const STALLS: Range<u64> = 3_000..10_000;
const STALL: Range<u64> = 300..2_000;

/// Trouble, until it is dropped.
pub(super) struct Trouble {
    counts: Arc<Counts>,
    _tasks: JoinSet<()>,
}

#[derive(Debug, Default)]
struct Counts {
    killed: AtomicU32,
    outages: AtomicU32,
    stalls: AtomicU32,
}

impl Trouble {
    /// Starts the controllers, which reach the API server through `faults`, and begins. What it finds to be broken it tells
    /// `observer`.
    pub(super) fn begin(
        faults: &Faults,
        observer: &Observer,
        arguments: &Arguments,
    ) -> Result<Self> {
        let counts = Arc::<Counts>::default();
        let controllers = Controllers {
            kubeconfig: through(faults)?,
            shards: format!("--shards={}", arguments.shards),
            running: Vec::new(),
            started: 0,
        };
        let mut random = fastrand::Rng::with_seed(!arguments.seed);
        let mut tasks = JoinSet::new();
        tasks.spawn(outages(random.fork(), Arc::clone(&counts)));
        tasks.spawn(stalls(random.fork(), Arc::clone(&counts)));
        let (told, all) = (observer.clone(), Arc::clone(&counts));
        tasks.spawn(async move {
            let error = kill_controllers(controllers, random, &all).await;
            told.tell(&format!("{error:?}"));
        });
        Ok(Self {
            counts,
            _tasks: tasks,
        })
    }

    /// In words, what there was.
    pub(super) fn told(&self) -> String {
        let counts = &self.counts;
        format!(
            "{} controllers killed, {} API servers; the store stood still {} times",
            counts.killed.load(Relaxed),
            counts.outages.load(Relaxed),
            counts.stalls.load(Relaxed)
        )
    }
}

/// The controllers that run, the last one started last.
struct Controllers {
    kubeconfig: NamedTempFile,
    shards: String,
    running: Vec<Kept>,
    started: u32,
}

impl Controllers {
    fn start(&mut self) -> Result<()> {
        let arguments = [&ARGUMENTS[..], &[&self.shards]].concat();
        let controller = Controller::start(self.kubeconfig.path(), &arguments)?;
        self.started += 1;
        let name = format!("controller-{}", self.started);
        self.running.push(Kept::new(controller, &name)?);
        Ok(())
    }
}

/// Kills controllers and starts others for them, for ever; returns what should not have been.
async fn kill_controllers(
    mut controllers: Controllers,
    mut random: fastrand::Rng,
    counts: &Counts,
) -> anyhow::Error {
    loop {
        while controllers.running.len() < CONTROLLERS {
            if let Err(error) = controllers.start() {
                return error;
            }
        }
        sleep(Duration::from_millis(random.u64(DEATHS))).await;
        let which = random.usize(..CONTROLLERS);
        if let Err(error) = controllers.running.remove(which).kill().await {
            return error;
        }
        counts.killed.fetch_add(1, Relaxed);
    }
}

/// Kills the API server now and then, which the test bed starts again.
async fn outages(mut random: fastrand::Rng, counts: Arc<Counts>) {
    loop {
        sleep(Duration::from_millis(random.u64(OUTAGES))).await;
        signal("kube-apiserver", Signal::KILL);
        counts.outages.fetch_add(1, Relaxed);
    }
}

/// Stops the store now and then, for a while.
async fn stalls(mut random: fastrand::Rng, counts: Arc<Counts>) {
    loop {
        sleep(Duration::from_millis(random.u64(STALLS))).await;
        signal("etcd", Signal::STOP);
        sleep(Duration::from_millis(random.u64(STALL))).await;
        signal("etcd", Signal::CONT);
        counts.stalls.fetch_add(1, Relaxed);
    }
}

/// Sends `signal` to this test bed's programs of a name.
fn signal(name: &str, signal: Signal) {
    let processes = procfs::process::all_processes();
    for process in processes.into_iter().flatten().flatten() {
        // The kernel keeps 15 letters of a name.
        let has_name = |stat: Stat| !stat.comm.is_empty() && name.starts_with(&stat.comm);
        if process.stat().is_ok_and(has_name)
            && is_here(&process)
            && let Some(pid) = Pid::from_raw(process.pid)
        {
            // One that has ended meanwhile is no matter.
            let _ = kill_process(pid, signal);
        }
    }
}

/// Whether a process is in the network of this one, which is the test bed's. Those of the whole machine are seen here.
fn is_here(process: &Process) -> bool {
    let network = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/net")).ok();
    let own = network("self");
    own.is_some() && own == network(&process.pid.to_string())
}
