//! Compares the CPU time of a forwarded request with other proxies. See the crate's README.

use anyhow::Context as _;
use clap::{Parser, Subcommand, ValueEnum};
use std::{
    io::{Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr},
};
#[cfg(target_os = "linux")]
use {
    anyhow::ensure,
    bench::{forward, verdicts},
    std::{path::PathBuf, time::Duration},
};

/// Measures what the proxy costs.
#[derive(Debug, Parser)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// CPU time per forwarded request, beside a plain TCP relay and, where installed, nginx and HAProxy.
    #[cfg(target_os = "linux")]
    Forward(Forward),
    /// How long bad canaries live and whether good ones are spared, over real sockets.
    #[cfg(target_os = "linux")]
    Verdicts(Verdicts),
    /// One of the contenders, for `forward` to start. Prints its address and ends when its input does.
    Serve {
        what: Served,
        /// The endpoint of the stable version.
        #[arg(long)]
        stable: SocketAddr,
        /// The endpoint of the canary. The relay does without.
        #[arg(long)]
        canary: SocketAddr,
    },
}

#[cfg(target_os = "linux")]
#[derive(Debug, clap::Args)]
struct Forward {
    /// Sizes of the response's body, in bytes; each is measured by itself.
    #[arg(long, value_delimiter = ',', default_values_t = [64, 65_536])]
    bodies: Vec<usize>,
    /// Client connections, each with one request under way at any time.
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..=2_000))]
    connections: u16,
    /// How many times every contender is measured.
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u16).range(1..))]
    rounds: u16,
    /// How long each time, in milliseconds.
    #[arg(long, default_value_t = 1_500, value_parser = clap::value_parser!(u64).range(50..))]
    span: u64,
}

#[cfg(target_os = "linux")]
#[derive(Debug, clap::Args)]
struct Verdicts {
    /// The program under test. Left out: `sluice` beside this program.
    #[arg(long, env = "SLUICE_BIN")]
    sluice: Option<PathBuf>,
    /// How many canaries each cell ships.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..))]
    repeats: u16,
    /// No cell ships another canary after so many seconds.
    #[arg(long, default_value_t = 240)]
    budget: u64,
    /// How long the stable is alone before the first canary, in seconds.
    #[arg(long, default_value_t = 10)]
    warm_up: u64,
    /// Only the cells whose name contains this, such as "1000 rps".
    #[arg(long, default_value = "")]
    cells: String,
    /// A file for a line about each canary.
    #[arg(long)]
    csv: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Served {
    /// This proxy with a canary at 5 %.
    Sluice,
    /// A TCP relay.
    Relay,
}

fn main() -> anyhow::Result<()> {
    match Args::parse().command {
        #[cfg(target_os = "linux")]
        Command::Forward(args) => forward::run(&forward::Plan {
            bodies: args.bodies,
            connections: args.connections.into(),
            rounds: args.rounds.into(),
            span: Duration::from_millis(args.span),
        }),
        #[cfg(target_os = "linux")]
        Command::Verdicts(args) => verdicts(args),
        Command::Serve {
            what: Served::Sluice,
            stable,
            canary,
        } => {
            let sluice = bench::sluice::start(stable, canary, None)?;
            tell_and_wait(sluice.address().context("the proxy listens nowhere")?)
        }
        Command::Serve {
            what: Served::Relay,
            stable,
            ..
        } => relay(stable),
    }
}

#[cfg(target_os = "linux")]
fn verdicts(args: Verdicts) -> anyhow::Result<()> {
    let sluice = match args.sluice {
        Some(sluice) => sluice,
        None => std::env::current_exe()?.with_file_name("sluice"),
    };
    ensure!(
        sluice.is_file(),
        "there is no {}: build it with `cargo build --release -p sluice`, or name another by --sluice",
        sluice.display()
    );
    let plan = verdicts::Plan {
        sluice,
        repeats: args.repeats.into(),
        budget: Duration::from_secs(args.budget),
        warm_up: Duration::from_secs(args.warm_up),
    };
    let mut groups = verdicts::groups();
    for cells in &mut groups {
        cells.retain(|cell| cell.name().contains(&args.cells));
    }
    groups.retain(|cells| !cells.is_empty());
    ensure!(
        !groups.is_empty(),
        "no cell's name contains {:?}",
        args.cells
    );
    let csv = verdicts::run(&groups, &plan)?;
    match args.csv {
        Some(file) => std::fs::write(&file, csv).with_context(|| file.display().to_string()),
        None => Ok(()),
    }
}

fn relay(upstream: SocketAddr) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()?;
    let listener = runtime.block_on(tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))?;
    let address = listener.local_addr()?;
    std::thread::spawn(move || runtime.block_on(bench::relay::serve(listener, upstream)));
    tell_and_wait(address)
}

/// Prints `address` and waits until whoever reads it is gone.
fn tell_and_wait(address: SocketAddr) -> anyhow::Result<()> {
    println!("{address}");
    std::io::stdout().flush()?;
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}
