//! `sluice simulate`: what a rollout's plan and guard would do to good and bad versions, tried out under virtual time.
//!
//! Everything that decides is the code that `run` decides with; only the requests are drawn at random.

mod cases;
mod chart;
mod fly;
mod load;
mod number;
mod record;
mod report;

use crate::{cli::Output, run::documents};
use anyhow::{Context as _, anyhow};
use clap::Args;
use controller::{
    document::Strictness,
    files::Files,
    spec::{RolloutSpec, Spec},
};
use load::{Load, Steady};
use report::Report;
use std::{
    fs,
    io::{self, IsTerminal as _, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

/// The arguments of `simulate`.
#[derive(Debug, Args)]
pub(crate) struct SimulateArgs {
    /// YAML or JSON files with one Proxy document and the Rollout, as for `run`
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// NAME or NAMESPACE/NAME of the rollout; may be left out when there is only one
    #[arg(long, value_name = "NAME")]
    rollout: Option<String>,
    /// The traffic, and how stable answers it
    #[arg(long, value_name = "TRAFFIC", default_value = load::DEFAULT)]
    traffic: Steady,
    /// CSV file of recorded traffic, instead of --traffic: columns time (seconds), rps, errors, p50, and p99 if known
    #[arg(long, value_name = "FILE", conflicts_with = "traffic")]
    record: Option<PathBuf>,
    /// What the bad versions fail of the requests that stable would have answered well
    #[arg(long, value_name = "SHARES", value_delimiter = ',', value_parser = number::share, default_value = "0.5%,2%,10%,50%,100%")]
    errors: Vec<f64>,
    /// How many times as slow as stable the slow versions are
    #[arg(long, value_name = "FACTORS", value_delimiter = ',', value_parser = number::factor, default_value = "2")]
    slower: Vec<f64>,
    /// How often each version is shipped
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    runs: u32,
    /// The same seed draws the same requests
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Also draw what became of the versions over time, into this SVG file
    #[arg(long, value_name = "FILE")]
    plot: Option<PathBuf>,
    /// How to print
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
}

/// Simulates and prints to `out`. Ends with 2 when that cannot be done.
pub(crate) fn run(args: &SimulateArgs, out: &mut impl Write) -> ExitCode {
    match simulate(args, out) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("sluice: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn simulate(args: &SimulateArgs, out: &mut impl Write) -> anyhow::Result<()> {
    let spec = read(&args.files)?;
    let rollout = choose(&spec, args.rollout.as_deref())?;
    let load = match &args.record {
        None => Load::Steady(args.traffic),
        Some(file) => Load::Recorded(recorded(file)?),
    };
    let cases = cases::cases(&args.errors, &args.slower);
    let mut flown = Vec::new();
    for (index, case) in cases.iter().enumerate() {
        progress(&format!("{} of {}: {case}", index + 1, cases.len()));
        flown.push(fly::all(rollout, &load, case, args.runs, args.seed));
    }
    progress("");
    let report = Report::new(rollout, &load, args, &cases, &flown);
    if let Some(file) = &args.plot {
        let chart = chart::svg(&cases, &flown);
        fs::write(file, chart).with_context(|| format!("{} cannot be written", file.display()))?;
    }
    match args.output {
        Output::Text => write!(out, "{report}")?,
        Output::Json => writeln!(out, "{}", serde_json::to_string_pretty(&report)?)?,
    }
    Ok(())
}

/// The files as `run` would take them.
fn read(files: &[PathBuf]) -> anyhow::Result<Spec> {
    let checked = documents::check(&mut Files::new(files.to_vec()), Strictness::Run);
    let errors = checked.findings.iter().filter(|f| documents::is_error(f));
    let lines: Vec<_> = checked
        .unreadable
        .iter()
        .cloned()
        .chain(errors.map(ToString::to_string))
        .collect();
    checked.spec.ok_or_else(|| anyhow!(lines.join("\n")))
}

fn choose<'s>(spec: &'s Spec, name: Option<&str>) -> anyhow::Result<&'s RolloutSpec> {
    let is_meant = |id: &str| {
        name.is_none_or(|name| id == name || id.split_once('/').is_some_and(|(_, id)| id == name))
    };
    let ids = spec.rollouts.keys();
    let all: Vec<_> = ids.map(ToString::to_string).collect();
    let mut meant = spec
        .rollouts
        .iter()
        .filter(|(id, _)| is_meant(&id.to_string()));
    match (meant.next(), meant.next()) {
        (Some((_, rollout)), None) => Ok(rollout),
        (None, _) => Err(anyhow!(
            "found no such rollout, allowed in --rollout: {}",
            all.join(", ")
        )),
        (Some(_), Some(_)) => Err(anyhow!(
            "found more than one rollout; say which with --rollout: {}",
            all.join(", ")
        )),
    }
}

fn recorded(file: &Path) -> anyhow::Result<record::Record> {
    let name = file.display();
    let text = fs::read_to_string(file).with_context(|| format!("{name} cannot be read"))?;
    record::Record::read(&text).map_err(|error| anyhow!("{name}:{error}"))
}

/// Tells a person who waits how far it is; the empty text takes that away.
fn progress(text: &str) {
    let mut err = io::stderr();
    if err.is_terminal() {
        // Nothing is lost with it.
        let _ = write!(err, "\r\x1b[K{text}");
        let _ = err.flush();
    }
}

#[cfg(test)]
mod tests;
