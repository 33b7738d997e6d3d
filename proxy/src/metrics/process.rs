//! The process's own use of the machine, under the names that Prometheus' client libraries agreed upon
//! (<https://prometheus.io/docs/instrumenting/writing_clientlibs/#process-metrics>).

use super::encode::{About, counter, gauge};
use procfs::process::{LimitValue, Process as Proc, Stat};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeGaugeValue},
    registry::Unit,
};
use std::fmt;

/// Shows what the kernel knows of this process.
#[derive(Debug)]
pub(super) struct Process {
    /// Read once: the kernel derives its boot time anew from the wall clock, and a start time that wavers looks like
    /// restarts.
    start_time: Option<f64>,
}

impl Process {
    pub(super) fn new() -> Self {
        Self {
            start_time: start_time().ok(),
        }
    }
}

/// When this process was started, in seconds since 1970.
fn start_time() -> procfs::ProcResult<f64> {
    let stat = Proc::myself()?.stat()?;
    Ok(procfs::boot_time_secs()? as f64 + seconds(stat.starttime))
}

fn seconds(ticks: u64) -> f64 {
    ticks as f64 / procfs::ticks_per_second() as f64
}

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let encoder = &mut encoder;
        if let Some(start) = self.start_time {
            let help = "When the process was started, in seconds since 1970";
            bare(
                encoder,
                "process_start_time",
                Some(Unit::Seconds),
                help,
                &start,
            )?;
        }
        // What cannot be read is left out rather than shown as zero.
        let Ok(process) = Proc::myself() else {
            return Ok(());
        };
        if let Ok(stat) = process.stat() {
            usage(encoder, &stat)?;
        }
        if let Ok(open) = process.fd_count() {
            bare(
                encoder,
                "process_open_fds",
                None,
                "Open file descriptors",
                &(open as u64),
            )?;
        }
        match process
            .limits()
            .map(|limits| limits.max_open_files.soft_limit)
        {
            Ok(LimitValue::Value(most)) => {
                let help = "How many file descriptors may be open";
                bare(encoder, "process_max_fds", None, help, &most)
            }
            Ok(LimitValue::Unlimited) | Err(_) => Ok(()),
        }
    }
}

fn usage(encoder: &mut DescriptorEncoder<'_>, stat: &Stat) -> fmt::Result {
    let cpu = About {
        name: "process_cpu",
        unit: Some(Unit::Seconds),
        help: "CPU time spent in user and system mode",
    };
    counter(encoder, &cpu, &seconds(stat.utime + stat.stime))?;
    let bytes = || Some(Unit::Bytes);
    let resident = stat.rss * procfs::page_size();
    bare(
        encoder,
        "process_resident_memory",
        bytes(),
        "Memory held in RAM",
        &resident,
    )?;
    bare(
        encoder,
        "process_virtual_memory",
        bytes(),
        "Size of the address space",
        &stat.vsize,
    )?;
    let threads = u64::try_from(stat.num_threads).unwrap_or(0);
    bare(
        encoder,
        "process_threads",
        None,
        "Operating system threads",
        &threads,
    )
}

fn bare(
    encoder: &mut DescriptorEncoder<'_>,
    name: &'static str,
    unit: Option<Unit>,
    help: &'static str,
    value: &impl EncodeGaugeValue,
) -> fmt::Result {
    gauge(encoder, &About { name, unit, help }, value)
}
