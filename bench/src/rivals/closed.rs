//! The closed loop: every lane sends one request after the other. What it tells is CPU time per request.

use super::{PATIENCE, contender::Cpu, lane::Lane};
use anyhow::{Context as _, ensure};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};
use tokio::{task::JoinSet, time::sleep};

/// The load before a measurement begins, in which connections are made and buffers grow.
const WARM_UP: Duration = Duration::from_millis(300);

/// One contender in one round.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Busy {
    pub(crate) requests: u64,
    pub(crate) wall: Duration,
    /// CPU time of the contender.
    pub(crate) cpu: Duration,
    /// The share of it that was spent outside the kernel, 0 to 1.
    pub(crate) user_share: f64,
    /// What the contender holds of memory while all connections are open, in bytes.
    pub(crate) resident: u64,
}

impl Busy {
    /// Microseconds of CPU per request.
    pub(crate) fn per_request(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / self.requests as f64
    }

    /// Of them, outside the kernel.
    pub(crate) fn user(&self) -> f64 {
        self.per_request() * self.user_share
    }

    /// Of them, in the kernel.
    pub(crate) fn system(&self) -> f64 {
        self.per_request() - self.user()
    }

    /// The share of its core that it used.
    pub(crate) fn share(&self) -> f64 {
        self.cpu.as_secs_f64() / self.wall.as_secs_f64()
    }

    /// Requests a second.
    pub(crate) fn rate(&self) -> f64 {
        self.requests as f64 / self.wall.as_secs_f64()
    }
}

/// Keeps `lanes` busy for `span`, and tells what that cost by `cpu` and held by `resident`, in bytes.
///
/// # Errors
/// When a request fails, or none is answered.
pub(crate) async fn measure(
    lanes: Vec<Lane>,
    span: Duration,
    cpu: impl Fn() -> anyhow::Result<Cpu>,
    resident: impl Fn() -> anyhow::Result<u64>,
) -> anyhow::Result<Busy> {
    let load = Load::start(lanes);
    sleep(WARM_UP.min(span)).await;
    let (before, requests, began) = (cpu()?, load.requests(), Instant::now());
    sleep(span).await;
    // On a machine that has no time, the span is longer.
    while load.requests() == requests && began.elapsed() < PATIENCE {
        sleep(span).await;
    }
    let (after, requests_after, wall) = (cpu()?, load.requests(), began.elapsed());
    let resident = resident()?;
    load.finish().await?;
    let requests = requests_after - requests;
    ensure!(requests > 0, "no request was answered in {wall:?}");
    let user = after.user_ticks.saturating_sub(before.user_ticks);
    let system = after.system_ticks.saturating_sub(before.system_ticks);
    Ok(Busy {
        requests,
        wall,
        cpu: after.total.saturating_sub(before.total),
        user_share: user as f64 / (user + system).max(1) as f64,
        resident,
    })
}

/// Lanes that send one request after the other until they are told to end.
struct Load {
    requests: Arc<AtomicU64>,
    is_ending: Arc<AtomicBool>,
    lanes: JoinSet<anyhow::Result<()>>,
}

impl Load {
    fn start(lanes: Vec<Lane>) -> Self {
        let mut load = Self {
            requests: Arc::default(),
            is_ending: Arc::default(),
            lanes: JoinSet::new(),
        };
        for mut lane in lanes {
            let (requests, is_ending) = (Arc::clone(&load.requests), Arc::clone(&load.is_ending));
            load.lanes.spawn(async move {
                while !is_ending.load(Relaxed) {
                    lane.exchange().await?;
                    requests.fetch_add(1, Relaxed);
                }
                Ok(())
            });
        }
        load
    }

    fn requests(&self) -> u64 {
        self.requests.load(Relaxed)
    }

    /// Ends the load, and tells of a request that failed.
    async fn finish(mut self) -> anyhow::Result<()> {
        self.is_ending.store(true, Relaxed);
        let ended = async {
            while let Some(lane) = self.lanes.join_next().await {
                lane??;
            }
            Ok(())
        };
        tokio::time::timeout(PATIENCE, ended)
            .await
            .context("requests are never answered")?
    }
}
