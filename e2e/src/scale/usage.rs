//! What processes take of the machine, as the kernel counts it.

use anyhow::{Context as _, Result};
use procfs::process::{ClearRefs, Process, all_processes};
use std::{collections::BTreeMap, fs, process, time::Duration};

/// CPU time, user and system together, by what the processes in this network are.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Cpu(BTreeMap<String, Duration>);

impl Cpu {
    /// Since they began. `controller` is the process whose it is.
    pub(super) fn now(controller: i32) -> Result<Self> {
        let network = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/net"));
        let (here, me) = (network("self")?, process::id());
        let mut used = Self::default();
        for process in all_processes()? {
            // Those that end meanwhile are of no interest.
            let Ok((process, stat)) = process.and_then(|process| {
                let stat = process.stat()?;
                Ok((process, stat))
            }) else {
                continue;
            };
            if !network(&process.pid.to_string()).is_ok_and(|network| network == here) {
                continue;
            }
            let name = match &*stat.comm {
                _ if process.pid == controller => "controller",
                "e2e" if u32::try_from(process.pid) == Ok(me) => "this client",
                "e2e" => "nodes",
                other => other,
            };
            *used.0.entry(name.to_owned()).or_default() += ticks(stat.utime + stat.stime);
        }
        Ok(used)
    }

    /// What was used after `before`.
    pub(super) fn since(&self, before: &Self) -> Self {
        let used = self.0.iter().map(|(name, used)| {
            let before = before.0.get(name).copied().unwrap_or_default();
            (name.clone(), used.saturating_sub(before))
        });
        Self(used.collect())
    }

    /// Of the processes `name`.
    pub(super) fn of(&self, name: &str) -> Duration {
        self.0.get(name).copied().unwrap_or_default()
    }
}

fn ticks(ticks: u64) -> Duration {
    let each = Duration::from_secs(1) / u32::try_from(procfs::ticks_per_second()).unwrap_or(100);
    each * u32::try_from(ticks).unwrap_or(u32::MAX)
}

/// The resident set of a process, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Memory {
    /// Now.
    pub(super) now: u64,
    /// The most since [`forget_peak`].
    pub(super) peak: u64,
}

/// That of the process `pid`.
pub(super) fn memory(pid: i32) -> Result<Memory> {
    let status = Process::new(pid)?.status()?;
    let bytes = |kib: Option<u64>| Some(kib? * 1024);
    Ok(Memory {
        now: bytes(status.vmrss).context("VmRSS")?,
        peak: bytes(status.vmhwm).context("VmHWM")?,
    })
}

/// Lets the peak of the process `pid` begin anew.
pub(super) fn forget_peak(pid: i32) -> Result<()> {
    Ok(Process::new(pid)?.clear_refs(ClearRefs::PeakRSS)?)
}
