//! `sluice cluster VERB`, and `kubectl sluice VERB`: people look at the Rollouts of a cluster and tell them what to do,
//! with their own rights and by way of the API server alone, as with `kubectl argo rollouts`.

mod args;
mod create;
mod lint;
mod look;
mod migrate;
mod seen;
mod tell;

#[cfg(test)]
mod tests;

pub(crate) use args::{ClusterArgs, Plugin};
pub(crate) use migrate::{MigrateArgs, migrate};
pub(crate) use seen::{Pod, Role, Seen, Set, SetState, key};

use crate::cli::ending::{Exit, Failure, ended};
use ::cluster::{
    Client,
    operator::{Operator, OperatorError},
};
use args::{Connection, Get, ListKind, Retry, Set as SetWhat, Verb};
use controller::verbs;
use std::{io::Write, path::Path, process::ExitCode};

/// Under which name `kubectl` finds this program as `kubectl sluice`.
const PLUGIN: &str = "kubectl-sluice";

/// Whether this process was started under the name of the plugin of `kubectl`.
pub(crate) fn is_plugin() -> bool {
    let name = std::env::args_os().next().unwrap_or_default();
    Path::new(&name)
        .file_stem()
        .is_some_and(|stem| stem == PLUGIN)
}

/// Executes a verb, prints its result to `out` and its complaint to the standard error.
pub(crate) fn run(args: &ClusterArgs, out: &mut impl Write) -> ExitCode {
    if let Verb::Lint(lint) = &args.verb {
        return ended(lint::lint(&lint.filename, out));
    }
    ended(blocking(execute(args, out)))
}

/// Runs a verb on this thread.
fn blocking(verb: impl Future<Output = Result<Exit, Failure>>) -> Result<Exit, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime
        .map_err(|why| Failure::unusable(format!("this process cannot begin: {why}")))?
        .block_on(verb)
}

async fn execute(args: &ClusterArgs, out: &mut impl Write) -> Result<Exit, Failure> {
    let is_all = matches!(&args.verb, Verb::List(list) if list.kind().all_namespaces);
    let (client, own) = connect(&args.connection).await?;
    let namespace = args.connection.namespace.clone().unwrap_or(own);
    let operator = Operator::new(client, (!is_all).then_some(namespace));
    let operator = &operator;
    match &args.verb {
        Verb::Get(Get::Rollout(get)) => look::get(operator, get, out).await,
        Verb::List(ListKind::Rollouts(list)) => look::list(operator, list, out).await,
        Verb::Status(status) => look::status(operator, status, out).await,
        Verb::Promote(promote) => {
            let (verb, said) = match promote.full {
                true => (verbs::Verb::PromoteFull, "promoted to the end"),
                false => (verbs::Verb::Promote, "promoted"),
            };
            tell::tell(operator, &promote.rollout, &verb, said, out).await
        }
        Verb::Abort(names) => all(operator, names, &verbs::Verb::Abort, "aborted", out).await,
        Verb::Retry(Retry::Rollout(names)) => {
            all(operator, names, &verbs::Verb::Retry, "retried", out).await
        }
        Verb::Pause(names) => all(operator, names, &verbs::Verb::Pause, "paused", out).await,
        Verb::Restart(restart) => tell::restart(operator, restart, out).await,
        Verb::Undo(undo) => tell::undo(operator, undo, out).await,
        Verb::Set(SetWhat::Image(image)) => {
            let verb = verbs::Verb::SetImages(image.images.clone());
            tell::tell(operator, &image.rollout, &verb, "image updated", out).await
        }
        Verb::Create(what) => create::create(operator, what, out).await,
        Verb::Terminate(what) => create::terminate(operator, what, out).await,
        // Executed above, as it needs no cluster.
        Verb::Lint(lint) => lint::lint(&lint.filename, out),
    }
}

async fn all(
    operator: &Operator,
    names: &args::Names,
    verb: &verbs::Verb,
    said: &str,
    out: &mut impl Write,
) -> Result<Exit, Failure> {
    for name in &names.rollouts {
        tell::tell(operator, name, verb, said, out).await?;
    }
    Ok(Exit::Done)
}

/// The cluster that is meant, and the namespace of its context.
async fn connect(connection: &Connection) -> Result<(Client, String), Failure> {
    let (kubeconfig, context) = (&connection.kubeconfig, &connection.context);
    let connected = cluster::connect_as(kubeconfig.as_deref(), context.as_deref()).await;
    connected.map_err(|why| {
        Failure::unusable(format!(
            "nothing says how the cluster is reached (--kubeconfig, --context): {why}"
        ))
    })
}

impl From<OperatorError> for Failure {
    fn from(error: OperatorError) -> Self {
        let exit = match error {
            OperatorError::Missing { .. } | OperatorError::Unreachable { .. } => Exit::Unusable,
            OperatorError::Conflict { .. }
            | OperatorError::Refused { .. }
            | OperatorError::Unfit { .. } => Exit::Failed,
        };
        Self {
            exit,
            message: Some(error.to_string()),
        }
    }
}
