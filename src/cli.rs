//! The command line: every verb, its options and its help.
//!
//! `run`, `controller`, `proxy`, `lint`, `demo` and `simulate` start something in this process; `cluster` and `migrate` talk
//! to the API server of a cluster. All others ([`ClientCommand`]) talk to the admin API of a process that already runs, and
//! are executed by [`client::execute`].

pub(crate) mod client;
pub(crate) mod ending;
mod replay;
mod target;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use jiff::SignedDuration;

pub(crate) use target::Target;

use crate::{
    cluster_cli::{ClusterArgs, MigrateArgs},
    controller::ControllerArgs,
    demo::DemoArgs,
    proxy::ProxyArgs,
    simulate::SimulateArgs,
};

/// Shifts traffic to a new version step by step, and takes it away again when that version is bad.
#[derive(Debug, Parser)]
#[command(name = "sluice", version, about, disable_help_subcommand = true)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the proxy and the controller with the documents in FILEs
    Run(RunArgs),
    /// Run the controller of a Kubernetes cluster: Rollouts of argoproj.io, their ReplicaSets and Services
    Controller(ControllerArgs),
    /// Run a proxy of a Kubernetes cluster: requests for the Services of Rollouts, split as their statuses say
    Proxy(ProxyArgs),
    /// Look at Rollouts of a Kubernetes cluster, and tell them what to do; `kubectl sluice` does the same
    Cluster(ClusterArgs),
    /// Say what would change in a Kubernetes cluster if `sluice controller` took over now
    #[command(after_help = MIGRATE_EXIT_CODES)]
    Migrate(MigrateArgs),
    /// Check the documents in FILEs without running them
    Lint(LintArgs),
    /// Show a promotion and a rollback on this machine; needs no files
    Demo(DemoArgs),
    /// Try a rollout's plan and guard out on simulated traffic: how long, how often wrong, at what cost
    Simulate(SimulateArgs),
    /// What talks to a running process, or needs none.
    #[command(flatten)]
    Client(ClientCommand),
}

/// The verbs that talk to a process that already runs, and those that need none.
#[derive(Debug, Subcommand)]
pub(crate) enum ClientCommand {
    /// List all rollouts
    List(ListArgs),
    /// Show a rollout: steps, weight, both sides' traffic, evidence
    Get(GetArgs),
    /// Explain the last verdict on a rollout, and what its step needs to go on; with --replay recompute stored ones
    #[command(after_help = REPLAY_EXIT_CODES)]
    Explain(ExplainArgs),
    /// End the current pause or step; with --full skip all that is left of the plan
    Promote(PromoteArgs),
    /// Take all traffic away from the canary, now
    Abort(VerbArgs),
    /// Start an aborted or rolled-back rollout again at its first step
    Retry(VerbArgs),
    /// Give all traffic back to the version before, while it still runs
    Undo(UndoArgs),
    /// Hold a rollout where it is
    Pause(VerbArgs),
    /// Let a paused rollout go on
    Resume(VerbArgs),
    /// Tell by exit code how a rollout stands
    #[command(after_help = STATUS_EXIT_CODES)]
    Status(StatusArgs),
    /// Print the version
    Version,
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: Shell,
    },
}

const MIGRATE_EXIT_CODES: &str = "\
Exit codes:
  0  nothing would be written, and no Rollout held
  1  something would
  2  wrong usage, or the API server refuses or cannot be reached";

const STATUS_EXIT_CODES: &str = "\
Exit codes:
  0  Healthy: the version wanted is the stable one
  1  Degraded: rolled back or aborted
  2  wrong usage, no such rollout, or the process cannot be reached
  3  not done yet (Progressing or Paused), or --timeout has passed";

const REPLAY_EXIT_CODES: &str = "\
With --replay:
  sluice explain shop -o json > verdict.json
  sluice explain --replay verdict.json
needs no running process. Exit codes:
  0  every number that is recomputed agrees with what was stored
  1  one does not: which, and both numbers
  2  the file cannot be read: which field, and what was found";

/// The arguments of `run`.
#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// Take over the sockets and rollouts of the process that runs with the same state file; it finishes its requests
    /// and ends. When that is not possible, it goes on, and this one ends with exit code 2
    #[arg(long)]
    pub(crate) takeover: bool,
    /// YAML or JSON files with one Proxy document and any number of Rollouts; watched for changes
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
}

/// The arguments of `lint`.
#[derive(Debug, Args)]
pub(crate) struct LintArgs {
    /// YAML or JSON files, checked as `run` would take them: all together
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
}

/// Where the running process is and how to be let in.
#[derive(Clone, Debug, Args)]
pub(crate) struct Connection {
    /// Address of the admin API
    #[arg(long, value_name = "ADDRESS", env = "SLUICE_ADDRESS", default_value = client::DEFAULT_ADDRESS)]
    pub(crate) address: String,
    /// File that holds the admin API's bearer token
    #[arg(long, value_name = "FILE", env = "SLUICE_TOKEN_FILE")]
    pub(crate) token_file: Option<PathBuf>,
}

/// Which rollout is meant.
#[derive(Clone, Debug, Args)]
pub(crate) struct Selection {
    /// NAME or NAMESPACE/NAME; may be left out when there is only one rollout
    #[arg(value_name = "ROLLOUT")]
    pub(crate) rollout: Option<Target>,
    /// Look only in this namespace [default: all]
    #[arg(short, long)]
    pub(crate) namespace: Option<String>,
}

/// The arguments of `list`.
#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// List only this namespace [default: all]
    #[arg(short, long)]
    pub(crate) namespace: Option<String>,
    /// How to print
    #[arg(short, long, value_enum, default_value_t)]
    pub(crate) output: Output,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// The arguments of `get`.
#[derive(Debug, Args)]
pub(crate) struct GetArgs {
    #[command(flatten)]
    pub(crate) selection: Selection,
    /// Keep showing it as it changes: a live view, or one line per change when the output is no terminal
    #[arg(short, long)]
    pub(crate) watch: bool,
    /// With --watch: lines instead of the live view, also on a terminal
    #[arg(long, requires = "watch")]
    pub(crate) plain: bool,
    /// How to print
    #[arg(short, long, value_enum, default_value_t)]
    pub(crate) output: Output,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// The arguments of `explain`.
#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    #[command(flatten)]
    pub(crate) selection: Selection,
    /// Judge the blocks of requests in FILE again, which `explain -o json` wrote, and compare
    #[arg(long, value_name = "FILE", conflicts_with_all = ["rollout", "namespace", "output"])]
    pub(crate) replay: Option<PathBuf>,
    /// How to print
    #[arg(short, long, value_enum, default_value_t)]
    pub(crate) output: Output,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// The arguments of `promote`.
#[derive(Debug, Args)]
pub(crate) struct PromoteArgs {
    /// Skip all steps, pauses and evidence that are left
    #[arg(long)]
    pub(crate) full: bool,
    #[command(flatten)]
    pub(crate) verb: VerbArgs,
}

/// The arguments of `undo`.
#[derive(Debug, Args)]
pub(crate) struct UndoArgs {
    /// The revision to go back to; needed once the rollout is Healthy, and says that this version runs in the other
    /// Service
    #[arg(long, value_name = "REVISION")]
    pub(crate) to_revision: Option<String>,
    #[command(flatten)]
    pub(crate) verb: VerbArgs,
}

/// The arguments of the verbs that only name a rollout.
#[derive(Debug, Args)]
pub(crate) struct VerbArgs {
    #[command(flatten)]
    pub(crate) selection: Selection,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// The arguments of `status`.
#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    #[command(flatten)]
    pub(crate) selection: Selection,
    /// Wait until it is Healthy or Degraded
    #[arg(short, long)]
    pub(crate) watch: bool,
    /// With --watch: give up after this long, such as 90s or 5m [default: never]
    #[arg(long, requires = "watch", value_parser = duration)]
    pub(crate) timeout: Option<Duration>,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// How a result is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For people.
    #[default]
    Text,
    /// For programs: the API's JSON.
    Json,
}

/// Reads a duration such as `90s`, `5m` or `1h30m`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let signed: SignedDuration = text.parse().map_err(|_| {
        format!("found `{text}`, allowed is a duration such as 200ms, 90s, 5m or 1h30m")
    })?;
    Duration::try_from(signed)
        .map_err(|_| format!("found `{text}`, allowed is a duration that is not negative"))
}

#[cfg(test)]
mod tests;
