//! The `sluice` binary: the command line, and proxy and controller wired into one process.

mod admin;
mod api;
mod cli;
mod cluster_cli;
mod controller;
mod demo;
mod lint;
mod log;
mod metrics;
mod proxy;
mod run;
mod simulate;
mod view;

use clap::Parser as _;
use cli::{Cli, Command};
use cluster_cli::Plugin;
use std::{io, process::ExitCode};

/// Gives memory that was freed back to the system within moments, which that of the C library does not: `memoryBytes`
/// would turn requests away long after there is room again.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    ::proxy::use_small_pages();
    if cluster_cli::is_plugin() {
        return cluster_cli::run(&Plugin::parse().args, &mut io::stdout());
    }
    match Cli::parse().command {
        Command::Run(args) => {
            log::begin();
            run::run(&args)
        }
        Command::Controller(args) => controller::run(args),
        Command::Proxy(args) => {
            log::begin();
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
