//! The `sluice` binary: the command line, and proxy and controller wired into one process.

mod admin;
mod api;
mod cli;
mod cluster_cli;
mod controller;
mod demo;
mod lint;
mod metrics;
mod proxy;
mod run;
mod simulate;
mod view;

use clap::Parser as _;
use cli::{Cli, Command};
use cluster_cli::Plugin;
use std::{
    io::{self, IsTerminal as _},
    process::ExitCode,
};
use tracing_subscriber::EnvFilter;

/// Gives memory that was freed back to the system within moments, which that of the C library does not: `memoryBytes`
/// would turn requests away long after there is room again.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    if cluster_cli::is_plugin() {
        return cluster_cli::run(&Plugin::parse().args, &mut io::stdout());
    }
    match Cli::parse().command {
        Command::Run(args) => {
            log();
            run::run(&args)
        }
        Command::Controller(args) => {
            log();
            controller::run(args)
        }
        Command::Proxy(args) => {
            log();
            proxy::run(&args)
        }
        Command::Cluster(args) => cluster_cli::run(&args, &mut io::stdout()),
        Command::Migrate(args) => cluster_cli::migrate(&args, &mut io::stdout()),
        Command::Lint(args) => {
            lint::lint(&args.files, &mut io::stdout().lock()).unwrap_or(ExitCode::FAILURE)
        }
        Command::Demo(args) => demo::run(&args),
        Command::Simulate(args) => simulate::run(&args, &mut io::stdout().lock()),
        Command::Client(command) => cli::client::execute(command, &mut io::stdout().lock()),
    }
}

/// Logs to standard error, from `info` on unless `SLUICE_LOG` says otherwise.
fn log() {
    let filter = EnvFilter::builder()
        .with_env_var("SLUICE_LOG")
        .from_env_lossy();
    let filter = if std::env::var_os("SLUICE_LOG").is_some() {
        filter
    } else {
        EnvFilter::new("info")
    };
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(io::stderr().is_terminal())
        .with_writer(io::stderr)
        // Told on standard error, too, that it takes nothing would end in a panic of whoever logs.
        .log_internal_errors(false)
        .init();
}
