//! Compares the CPU time of a forwarded request with other proxies. See the crate's README.

use anyhow::Context as _;
use clap::{Parser, Subcommand, ValueEnum};
use std::{
    io::{Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr},
};
#[cfg(target_os = "linux")]
use {bench::forward, std::time::Duration};

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
