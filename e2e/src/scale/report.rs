//! What a run tells: lines for people as it goes on, and the same numbers as CSV.

use super::{
    Arguments,
    scrape::Scrape,
    usage::{Cpu, Memory},
};
use anyhow::{Context as _, Result};
use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::Write as _,
    time::Duration,
};

/// One phase, as it was measured.
#[derive(Clone, Debug)]
pub(super) struct Phase {
    pub(super) cycle: u32,
    pub(super) name: &'static str,
    pub(super) took: Duration,
    /// Until half of the Rollouts were as they were to be, where that was waited for.
    pub(super) half: Option<Duration>,
    pub(super) cpu: Cpu,
    /// The controller's.
    pub(super) memory: Memory,
    pub(super) scrape: Scrape,
    /// The requests of all that the API server has answered.
    pub(super) answered: BTreeMap<String, u64>,
}

impl Phase {
    /// How many requests of all the API server has answered.
    fn answered(&self) -> u64 {
        self.answered.values().sum()
    }
}

/// The processes whose CPU time is told, by what the kernel knows them as.
const MEMBERS: [(&str, &str); 7] = [
    ("controller", "controller"),
    ("API server", "kube-apiserver"),
    ("etcd", "etcd"),
    ("controller manager", "kube-controller"),
    ("scheduler", "kube-scheduler"),
    ("nodes", "nodes"),
    ("this client", "this client"),
];

/// Where it goes.
pub(super) struct Report {
    count: usize,
    csv: Option<File>,
}

impl Report {
    /// Says what is going to be measured, and how busy the machine is before.
    pub(super) fn begin(arguments: &Arguments) -> Result<Self> {
        let Arguments {
            count, replicas, ..
        } = arguments;
        let load = fs::read_to_string("/proc/loadavg").context("/proc/loadavg")?;
        let load = load.split(' ').next().unwrap_or_default();
        let cores = std::thread::available_parallelism()?;
        println!(
            "{count} Rollouts of {replicas} pods; {cores} cores, load average before it: {load}"
        );
        let csv = arguments.csv.as_ref().map(File::create).transpose()?;
        let report = Self { count: *count, csv };
        if let Some(mut csv) = report.csv.as_ref() {
            let members = MEMBERS.map(|(name, _)| format!("{name} CPU s"));
            writeln!(
                csv,
                "count,cycle,phase,s,half s,RSS MB,peak RSS MB,requests of all,requests,events,events lost,reconciles,{}",
                members.join(",")
            )?;
        }
        Ok(report)
    }

    /// Tells of a phase.
    pub(super) fn add(&mut self, phase: &Phase) -> Result<()> {
        print!("{}", self.text(phase));
        self.write(phase)
    }

    fn text(&self, phase: &Phase) -> String {
        let Phase {
            cycle,
            name,
            took,
            half,
            cpu,
            memory,
            scrape,
            answered,
        } = phase;
        let each = |count: u64| count as f64 / self.count as f64;
        let controller = cpu.of(MEMBERS[0].1).as_secs_f64();
        let half = half.map_or_else(String::new, |half| {
            format!(", half of them after {:.1}", half.as_secs_f64())
        });
        let mut text = format!(
            "\ncycle {cycle}, {name}: {:.1} s{half}\n",
            took.as_secs_f64()
        );
        text += &format!(
            "  controller: {controller:.2} s CPU ({:.2} ms for each, {:.2} % of a core), RSS {:.1} MB, at most {:.1}\n",
            controller * 1e3 / self.count as f64,
            controller * 1e2 / took.as_secs_f64(),
            megabytes(memory.now),
            megabytes(memory.peak),
        );
        text += &format!(
            "  for each: {:.2} requests of {:.2} by all, {:.2} of them events; {:.2} times taken; {} events lost\n",
            each(scrape.all()),
            each(phase.answered()),
            each(scrape.events()),
            each(scrape.reconciles),
            scrape.events_lost,
        );
        for (whose, requests) in [("its", &scrape.requests), ("of all", answered)] {
            let requests = requests.iter().map(|(name, count)| (name, each(*count)));
            let told = requests
                .filter(|(_, count)| *count >= 0.005)
                .map(|(request, count)| format!("{request} {count:.2}"));
            text += &format!("    {whose}: {}\n", told.collect::<Vec<_>>().join(", "));
        }
        let others = MEMBERS[1..]
            .iter()
            .map(|(name, comm)| format!("{name} {:.1}", cpu.of(comm).as_secs_f64()));
        text += &format!(
            "  s CPU of others: {}\n",
            others.collect::<Vec<_>>().join(", ")
        );
        text
    }

    fn write(&mut self, phase: &Phase) -> Result<()> {
        let Some(csv) = &mut self.csv else {
            return Ok(());
        };
        let members = MEMBERS.map(|(_, comm)| format!("{:.2}", phase.cpu.of(comm).as_secs_f64()));
        let half = phase
            .half
            .map_or_else(String::new, |half| format!("{:.2}", half.as_secs_f64()));
        writeln!(
            csv,
            "{},{},{},{:.2},{half},{:.1},{:.1},{},{},{},{},{},{}",
            self.count,
            phase.cycle,
            phase.name,
            phase.took.as_secs_f64(),
            megabytes(phase.memory.now),
            megabytes(phase.memory.peak),
            phase.answered(),
            phase.scrape.all(),
            phase.scrape.events(),
            phase.scrape.events_lost,
            phase.scrape.reconciles,
            members.join(","),
        )?;
        Ok(())
    }
}

fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}
