//! Which core runs what.

use anyhow::Context as _;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// A core for the contenders and another for load and origin.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cores {
    pub(crate) contenders: usize,
    pub(crate) load: usize,
}

impl Cores {
    /// The first and the last core that this process may use; nothing when there is only one.
    pub(crate) fn pick() -> anyhow::Result<Option<Self>> {
        let allowed = sched_getaffinity(None).context("cannot read which cores may be used")?;
        let mut allowed = (0..CpuSet::MAX_CPU).filter(|&core| allowed.is_set(core));
        let (first, last) = (allowed.next(), allowed.next_back());
        Ok(first
            .zip(last)
            .map(|(contenders, load)| Self { contenders, load }))
    }

    /// Runs `start` on the contenders' core, where the process that it starts will stay, and goes on on the other.
    pub(crate) fn start<T>(&self, start: impl FnOnce() -> T) -> anyhow::Result<T> {
        pin(self.contenders)?;
        let started = start();
        pin(self.load)?;
        Ok(started)
    }
}

/// Keeps the calling thread, and what it starts, on `core`.
fn pin(core: usize) -> anyhow::Result<()> {
    let mut set = CpuSet::new();
    set.set(core);
    sched_setaffinity(None, &set).with_context(|| format!("cannot run on core {core}"))
}
