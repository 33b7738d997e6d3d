//! The verbs for Rollouts of a cluster, with the names and options that `kubectl argo rollouts` has for them.

use crate::cli::duration;
use clap::{ArgAction, Args, Parser, Subcommand};
use cluster::{Instance, NoInstance};
use controller::verbs::{ArgumentValue, ContainerImage};
use std::{path::PathBuf, time::Duration};

/// Looks at Rollouts of a Kubernetes cluster, and tells them what to do.
#[derive(Debug, Parser)]
#[command(
    name = "kubectl-sluice",
    bin_name = "kubectl sluice",
    version,
    about,
    disable_help_subcommand = true
)]
pub(crate) struct Plugin {
    #[command(flatten)]
    pub(crate) args: ClusterArgs,
}

/// A verb, and the cluster that it is for.
#[derive(Debug, Args)]
pub(crate) struct ClusterArgs {
    #[command(flatten)]
    pub(super) connection: Connection,
    #[command(subcommand)]
    pub(super) verb: Verb,
}

/// Which cluster and namespace are meant.
#[derive(Debug, Args)]
pub(super) struct Connection {
    /// Namespace of the Rollout [default: that of the kubeconfig's context]
    #[arg(short, long, global = true)]
    pub(super) namespace: Option<String>,
    /// Context of the kubeconfig [default: its current one]
    #[arg(long, global = true, value_name = "NAME")]
    pub(super) context: Option<String>,
    /// How the API server is reached [default: KUBECONFIG, ~/.kube/config, or the pod's service account]
    #[arg(long, global = true, value_name = "FILE")]
    pub(super) kubeconfig: Option<PathBuf>,
}

/// What is done.
#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Show a Rollout with its revisions, ReplicaSets and pods
    #[command(subcommand)]
    Get(Get),
    /// List Rollouts
    #[command(subcommand)]
    List(ListKind),
    /// Wait until a Rollout is Healthy or Degraded, and tell by exit code how it stands
    #[command(after_help = STATUS_EXIT_CODES)]
    Status(Status),
    /// End the current pause or step; with --full skip all that is left of the plan
    Promote(Promote),
    /// Give all requests back to the stable version
    Abort(Names),
    /// Start an aborted Rollout again at its first step
    #[command(subcommand)]
    Retry(Retry),
    /// Hold Rollouts where they are, until they are promoted
    Pause(Names),
    /// Replace a Rollout's pods, without a new version
    Restart(Restart),
    /// Go back to the pod template of an earlier revision
    Undo(Undo),
    /// Change a Rollout's pod template
    #[command(subcommand)]
    Set(Set),
    /// Create objects of the rollout API
    #[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
    Create(Create),
    /// End an AnalysisRun or an Experiment that is under way
    #[command(subcommand)]
    Terminate(Terminate),
    /// Check the Rollouts in files by the rules of the controller; needs no cluster
    Lint(Lint),
}

const STATUS_EXIT_CODES: &str = "\
Exit codes:
  0  Healthy: the version wanted is the stable one
  1  Degraded: aborted, invalid, or too late; or the API server refuses
  2  wrong usage, no such Rollout, or the API server cannot be reached
  3  not done yet (Progressing or Paused): --timeout has passed, or --watch=false";

/// What is shown.
#[derive(Debug, Subcommand)]
pub(super) enum Get {
    /// Show a Rollout
    #[command(visible_aliases = ["ro", "rollouts"])]
    Rollout(GetRollout),
}

/// The arguments of `get rollout`.
#[derive(Debug, Args)]
pub(super) struct GetRollout {
    /// The Rollout's name
    #[arg(value_name = "ROLLOUT")]
    pub(super) rollout: String,
    /// Keep showing it as it changes: anew on a terminal, otherwise one line for each change
    #[arg(short, long)]
    pub(super) watch: bool,
    /// No colours, on a terminal neither; NO_COLOR does the same
    #[arg(long)]
    pub(super) no_color: bool,
}

/// What is listed.
#[derive(Debug, Subcommand)]
pub(super) enum ListKind {
    /// List Rollouts
    #[command(visible_aliases = ["ro", "rollout"])]
    Rollouts(List),
}

impl ListKind {
    pub(super) fn kind(&self) -> &List {
        let Self::Rollouts(list) = self;
        list
    }
}

/// The arguments of `list rollouts`.
#[derive(Debug, Args)]
pub(super) struct List {
    /// Those of all namespaces
    #[arg(short = 'A', long, conflicts_with = "namespace")]
    pub(super) all_namespaces: bool,
    /// Go on with a line for each change
    #[arg(short, long)]
    pub(super) watch: bool,
}

/// The arguments of `status`.
#[derive(Debug, Args)]
pub(super) struct Status {
    /// The Rollout's name
    #[arg(value_name = "ROLLOUT")]
    pub(super) rollout: String,
    /// Wait until it is Healthy or Degraded; --watch=false does not
    #[arg(short, long, action = ArgAction::Set, num_args = 0..=1, require_equals = true, default_value_t = true,
          default_missing_value = "true", value_name = "BOOL")]
    pub(super) watch: bool,
    /// Give up after this long, such as 90s or 5m; 0 is never
    #[arg(short, long, value_parser = duration, default_value = "0s", value_name = "DURATION")]
    pub(super) timeout: Duration,
}

/// The arguments of `promote`.
#[derive(Debug, Args)]
pub(super) struct Promote {
    /// The Rollout's name
    #[arg(value_name = "ROLLOUT")]
    pub(super) rollout: String,
    /// Skip all steps and pauses that are left
    #[arg(long)]
    pub(super) full: bool,
}

/// The arguments of verbs for any number of Rollouts.
#[derive(Debug, Args)]
pub(super) struct Names {
    /// The Rollouts' names
    #[arg(value_name = "ROLLOUT", required = true)]
    pub(super) rollouts: Vec<String>,
}

/// What is tried again.
#[derive(Debug, Subcommand)]
pub(super) enum Retry {
    /// Start aborted Rollouts again
    #[command(visible_aliases = ["ro", "rollouts"])]
    Rollout(Names),
}

/// The arguments of `restart`.
#[derive(Debug, Args)]
pub(super) struct Restart {
    /// The Rollout's name
    #[arg(value_name = "ROLLOUT")]
    pub(super) rollout: String,
    /// So much later, such as 30s or 1h [default: now]
    #[arg(short, long, value_parser = duration, value_name = "DURATION")]
    pub(super) r#in: Option<Duration>,
}

/// The arguments of `undo`.
#[derive(Debug, Args)]
pub(super) struct Undo {
    /// The Rollout's name
    #[arg(value_name = "ROLLOUT")]
    pub(super) rollout: String,
    /// The revision to go back to [default: the one before the newest]
    #[arg(long, value_name = "REVISION")]
    pub(super) to_revision: Option<i64>,
}

/// What is changed.
#[derive(Debug, Subcommand)]
pub(super) enum Set {
    /// Run other images: `set image shop app=shop:1.2`
    Image(SetImage),
}

/// The arguments of `set image`.
#[derive(Debug, Args)]
pub(super) struct SetImage {
    /// The Rollout's name
    #[arg(value_name = "ROLLOUT")]
    pub(super) rollout: String,
    /// Which container runs which image; the container * is all of them
    #[arg(value_name = "CONTAINER=IMAGE", required = true)]
    pub(super) images: Vec<ContainerImage>,
}

/// The arguments of `create`.
#[derive(Debug, Args)]
pub(super) struct Create {
    /// YAML or JSON files with Rollouts, AnalysisTemplates, ClusterAnalysisTemplates, AnalysisRuns and Experiments
    #[arg(short, long, value_name = "FILE", num_args = 1.., required = true)]
    pub(super) filename: Vec<PathBuf>,
    #[command(subcommand)]
    pub(super) what: Option<CreateWhat>,
}

/// What is created of something else.
#[derive(Debug, Subcommand)]
pub(super) enum CreateWhat {
    /// Create an AnalysisRun of an AnalysisTemplate or a ClusterAnalysisTemplate
    #[command(name = "analysisrun", visible_alias = "ar")]
    AnalysisRun(CreateAnalysisRun),
}

/// The arguments of `create analysisrun`.
#[derive(Debug, Args)]
pub(super) struct CreateAnalysisRun {
    /// A template of the cluster
    #[arg(long, value_name = "TEMPLATE", required_unless_present = "from_file")]
    pub(super) from: Option<String>,
    /// A file with a template
    #[arg(long, value_name = "FILE", conflicts_with = "from")]
    pub(super) from_file: Option<PathBuf>,
    /// The template is a ClusterAnalysisTemplate
    #[arg(long)]
    pub(super) global: bool,
    /// The run's name
    #[arg(long, value_name = "NAME")]
    pub(super) name: Option<String>,
    /// How the run's name begins [default: as the template's]
    #[arg(long, value_name = "START", conflicts_with = "name")]
    pub(super) generate_name: Option<String>,
    /// Which controller is to look after it, where there are several
    #[arg(long, value_name = "ID", value_parser = instance)]
    pub(super) instance_id: Option<Instance>,
    /// A value for an argument of the template
    #[arg(short, long, value_name = "NAME=VALUE")]
    pub(super) argument: Vec<ArgumentValue>,
}

fn instance(name: &str) -> Result<Instance, NoInstance> {
    Instance::named(name)
}

/// What is ended.
#[derive(Debug, Subcommand)]
pub(super) enum Terminate {
    /// End AnalysisRuns
    #[command(name = "analysisrun", visible_aliases = ["ar", "analysisruns"])]
    AnalysisRun(Ended),
    /// End Experiments
    #[command(visible_aliases = ["exp", "experiments"])]
    Experiment(Ended),
}

/// The arguments of `terminate`.
#[derive(Debug, Args)]
pub(super) struct Ended {
    /// Their names
    #[arg(value_name = "NAME", required = true)]
    pub(super) names: Vec<String>,
}

/// The arguments of `lint`.
#[derive(Debug, Args)]
pub(super) struct Lint {
    /// YAML or JSON files, with Rollouts among other objects
    #[arg(short, long, value_name = "FILE", required = true, num_args = 1..)]
    pub(super) filename: Vec<PathBuf>,
}
