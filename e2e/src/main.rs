//! Brings test beds up and down. `e2e/up`, `e2e/down` and `e2e/in` build and call this.

use anyhow::Result;
use clap::{Parser, Subcommand};
use e2e::{
    app::{self, Behaviour},
    bed::{self, RunDirectory, supervise::supervise},
    chaos, scale,
};
use std::{
    env, ffi::OsString, net::Ipv4Addr, os::unix::process::CommandExt as _, path::PathBuf,
    process::ExitCode,
};

/// A Kubernetes control plane with simulated nodes, in a network of its own.
#[derive(Debug, Parser)]
#[command(name = "e2e", disable_help_subcommand = true)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Bring a test bed up in DIRECTORY, or in a new temporary one; it runs until it is brought down, or OWNER ends
    Up {
        directory: Option<PathBuf>,
        /// The process that it ends with
        #[arg(long)]
        owner: u32,
    },
    /// End the test bed in DIRECTORY and all that runs in it
    Down { directory: PathBuf },
    /// Run a command in the network of the test bed in DIRECTORY, as its administrator
    In {
        directory: PathBuf,
        program: PathBuf,
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Measure a controller with many Rollouts, in a test bed of its own
    Rollouts(scale::Arguments),
    /// Ship with everything around controllers and proxies failing, in a test bed of its own
    Chaos(chaos::Arguments),
    /// The first process of a test bed
    #[command(hide = true)]
    Supervise {
        directory: PathBuf,
        binaries: PathBuf,
    },
    /// The demo app
    #[command(hide = true)]
    App { address: Ipv4Addr, version: String },
}

fn main() -> ExitCode {
    match run(Arguments::parse().verb) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(verb: Verb) -> Result<ExitCode> {
    match verb {
        Verb::Rollouts(arguments) => return scale::run(&arguments),
        Verb::Chaos(arguments) => return chaos::run(&arguments),
        Verb::Up { directory, owner } => up(directory, owner),
        Verb::Down { directory } => bed::down(&RunDirectory::new(&directory)?),
        Verb::In {
            directory,
            program,
            arguments,
        } => {
            let mut command = bed::inside(&RunDirectory::new(&directory)?, &program)?;
            // It returns only where it could not become the command.
            Err(command.args(arguments).exec().into())
        }
        Verb::Supervise {
            directory,
            binaries,
        } => {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            runtime.block_on(supervise(RunDirectory::new(&directory)?, binaries))
        }
        Verb::App { address, version } => {
            let port = env::var("PORT")
                .ok()
                .and_then(|port| port.parse().ok())
                .unwrap_or(8080);
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            runtime.block_on(app::serve(
                address,
                port,
                Behaviour::from_environment(&version)?,
            ))
        }
    }?;
    Ok(ExitCode::SUCCESS)
}

fn up(directory: Option<PathBuf>, owner: u32) -> Result<()> {
    let directory = match directory {
        Some(directory) => directory,
        None => tempfile::Builder::new()
            .prefix("sluice-e2e-")
            .tempdir()?
            .keep(),
    };
    let directory = RunDirectory::new(&directory)?;
    bed::up(&env::current_exe()?, &directory, owner)?;
    let path = directory.path().display();
    println!(
        "a test bed runs in {path}; for example:\n  e2e/in {path} kubectl get nodes\n  e2e/down {path}"
    );
    Ok(())
}
