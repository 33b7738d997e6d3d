//! Active health checks: requests that the proxy itself sends to find out whether endpoints work.
//!
//! One thread does this for all workers and tells them by the shared state of each endpoint. [`schedule`] decides when
//! and what follows, [`probe`] asks, and this module runs them.

mod probe;
mod schedule;

pub(crate) use probe::local_header;

use crate::Clock;
use schedule::{Key, Schedule, Target};
use std::{
    hash::{BuildHasher, Hasher, RandomState},
    io,
    net::SocketAddr,
    rc::Rc,
    sync::Arc,
    thread,
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    runtime::{Builder, LocalOptions},
    sync::oneshot,
    task::JoinSet,
    time::{sleep, timeout},
};
use traffic::{BackendPolicy, Generation, RouteTable, Routes, state::backend::CheckResult};

/// How often the checker looks for another table.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Checks under way at the same time. The others wait; a check's own time begins when it does.
const AT_ONCE: usize = 256;

/// Makes connections to endpoints as their policy says: TLS and PROXY protocol included.
pub(crate) trait Connect: Send + 'static {
    /// A connection that requests can be sent on.
    type Stream: AsyncRead + AsyncWrite + Unpin + 'static;

    /// Connects to `address`.
    fn connect(
        &self,
        address: SocketAddr,
        policy: &BackendPolicy,
    ) -> impl Future<Output = io::Result<Self::Stream>>;
}

/// The thread that checks. Dropping it ends the checks.
#[derive(Debug)]
pub(crate) struct Checker {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Checker {
    /// Begins to check the endpoints of the table that `routes` has, and of those that follow, where a policy says so.
    ///
    /// # Errors
    /// When there can be no thread or no runtime.
    pub(crate) fn start(
        routes: Arc<Routes>,
        clock: Clock,
        connect: impl Connect,
    ) -> io::Result<Self> {
        let (stop, stopped) = oneshot::channel();
        let thread = thread::Builder::new()
            .name("health".to_owned())
            .spawn(move || {
                let runtime = Builder::new_current_thread()
                    .enable_io()
                    .enable_time()
                    .build_local(LocalOptions::default());
                match runtime {
                    Ok(runtime) => runtime.block_on(run(&routes, clock, connect, stopped)),
                    Err(error) => tracing::error!(%error, "health checks cannot run"),
                }
            })?;
        Ok(Self {
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

impl Drop for Checker {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic there has been reported; it must not become another one here.
            let _ = thread.join();
        }
    }
}

async fn run(
    routes: &Routes,
    clock: Clock,
    connect: impl Connect,
    mut stopped: oneshot::Receiver<()>,
) {
    let connect = Rc::new(connect);
    let random = || RandomState::new().build_hasher().finish();
    let mut schedule = Schedule::default();
    let mut seen = None;
    let mut under_way = JoinSet::new();
    loop {
        let now = clock.elapsed();
        if seen != Some(routes.published()) {
            let (generation, targets) =
                routes.look_at(|generation, table| (generation, targets(table, generation, now)));
            seen = Some(generation);
            schedule.sync(targets, now, random);
        }
        for target in schedule.due(now, AT_ONCE - under_way.len()) {
            let connect = Rc::clone(&connect);
            under_way.spawn_local(async move { (target.key(), check(&*connect, &target).await) });
        }
        let is_full = under_way.len() >= AT_ONCE;
        let next = schedule.next().filter(|_| !is_full);
        let wait = next.map_or(LOOK_EVERY, |at| at.saturating_sub(now).min(LOOK_EVERY));
        tokio::select! {
            _ = &mut stopped => return,
            Some(Ok((key, result))) = under_way.join_next() => {
                note(&mut schedule, key, result, clock.elapsed(), random());
            }
            () = sleep(wait) => {}
        }
    }
}

/// What is to be checked in `table`, of `generation`.
fn targets(table: &RouteTable, generation: Generation, now: Duration) -> Vec<Target> {
    let mut targets = Vec::new();
    for backend in table.backends() {
        let Some(check) = &backend.policy.health_check else {
            continue;
        };
        let (state, policy) = (&backend.state, &backend.policy);
        let endpoints = state.endpoints(&backend.endpoints, policy, generation.number(), now);
        targets.extend(endpoints.into_iter().map(|endpoint| Target {
            id: backend.id.clone(),
            state: Arc::clone(state),
            endpoint,
            policy: Arc::clone(policy),
            check: check.clone(),
        }));
    }
    targets
}

/// Checks `target` once.
async fn check(connect: &impl Connect, target: &Target) -> CheckResult {
    let (address, check) = (target.endpoint.address(), &target.check);
    let attempt = async {
        let stream = connect.connect(address, &target.policy).await?;
        let Some(path) = &check.path else {
            return Ok(None);
        };
        let own = address.to_string();
        let host = check.host.as_deref().unwrap_or(&own);
        probe::ask(stream, host, path, &target.policy)
            .await
            .map(Some)
    };
    match timeout(check.timeout, attempt).await {
        Ok(Ok(None | Some(200..=399))) => CheckResult::Success,
        Ok(Ok(status)) => {
            tracing::debug!(service = %target.id, %address, ?status, "a health check failed");
            CheckResult::Failure
        }
        Ok(Err(error)) => {
            tracing::debug!(service = %target.id, %address, %error, "a health check failed");
            CheckResult::Failure
        }
        Err(_) => CheckResult::Timeout,
    }
}

fn note(schedule: &mut Schedule, key: Key, result: CheckResult, now: Duration, random: u64) {
    let Some((target, is_healthy)) = schedule.ended(key, result, now, random) else {
        return;
    };
    let (service, endpoint) = (&target.id, target.endpoint.address());
    if is_healthy {
        tracing::info!(%service, %endpoint, "an endpoint is healthy again");
    } else {
        let last = result.as_str();
        tracing::warn!(%service, %endpoint, last, "an endpoint is unhealthy");
    }
}

#[cfg(test)]
mod tests;
