//! Times the steps of a request's way and counts what they allocate; with `--repeat`, does one of them and nothing else.
//!
//! A program of its own, because the allocator that counts would slow down the proxy that `bench` measures.

use anyhow::Context as _;
use bench::micro;
use clap::Parser;
use stats_alloc::{Region, StatsAlloc};
use std::{alloc::System, time::Duration};

#[global_allocator]
static ALLOCATOR: StatsAlloc<System> = StatsAlloc::system();

/// Enough for a median that a few interruptions cannot move.
const REPETITIONS: usize = 41;
const REPETITION: Duration = Duration::from_millis(10);
/// Operations over which allocations are counted.
const COUNTED: u64 = 1_000;

/// Times the steps of a request's way.
#[derive(Debug, Parser)]
struct Args {
    /// Does one operation, by its name, so many times, and tells nothing: for a program that counts instructions.
    #[arg(long, num_args = 2, value_names = ["OPERATION", "TIMES"])]
    repeat: Vec<String>,
}

fn main() -> anyhow::Result<()> {
    match Args::parse().repeat.as_slice() {
        [name, times] => {
            let times = times.parse().context("TIMES is no number")?;
            micro::named(name)?.repeat(times);
            Ok(())
        }
        _ => time(),
    }
}

fn time() -> anyhow::Result<()> {
    println!("| operation | ns, median | least to most | allocations |");
    println!("|---|---:|---:|---:|");
    for mut case in micro::all()? {
        case.repeat(1);
        let region = Region::new(&ALLOCATOR);
        case.repeat(COUNTED);
        let change = region.change();
        let allocations = (change.allocations + change.reallocations) as f64 / COUNTED as f64;
        if let Some(time) = case.time(REPETITIONS, REPETITION) {
            let (median, least, most) = (time.median, time.least, time.most);
            let name = case.name;
            println!("| {name} | {median:.1} | {least:.1} to {most:.1} | {allocations} |");
        }
    }
    Ok(())
}
