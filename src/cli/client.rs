//! The verbs that talk to a running process: each makes its calls, prints, and ends with an exit code.

pub(crate) mod follow;
pub(crate) mod http;
mod sse;
mod watch;

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use clap::CommandFactory;
use serde::Serialize;

use self::http::{Client, Error, Verb};
use super::ending::{Exit, Failure, ended};
use super::replay;
use super::target::choose;
use super::{
    Cli, ClientCommand, Connection, ExplainArgs, GetArgs, ListArgs, Output, Selection, StatusArgs,
    VerbArgs,
};
use crate::api::RolloutView;
use crate::view;

/// Where `sluice run` has its admin API unless its document says otherwise.
pub(crate) const DEFAULT_ADDRESS: &str = "http://127.0.0.1:9901";

/// Executes `command`, prints its result to `out` and its complaint to the standard error.
pub(crate) fn execute(command: ClientCommand, out: &mut impl Write) -> ExitCode {
    ended(dispatch(command, out))
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let exit = match error {
            Error::Refused(_) => Exit::Failed,
            Error::Unreachable(_) => Exit::Unusable,
        };
        Self {
            exit,
            message: Some(error.to_string()),
        }
    }
}

fn dispatch(command: ClientCommand, out: &mut impl Write) -> Result<Exit, Failure> {
    match command {
        ClientCommand::List(args) => list(&args, out),
        ClientCommand::Get(args) => get(&args, out),
        ClientCommand::Explain(args) => explain(&args, out),
        ClientCommand::Promote(args) => verb(&args.verb, Verb::Promote { full: args.full }, out),
        ClientCommand::Abort(args) => verb(&args, Verb::Abort, out),
        ClientCommand::Retry(args) => verb(&args, Verb::Retry, out),
        ClientCommand::Pause(args) => verb(&args, Verb::Pause, out),
        ClientCommand::Resume(args) => verb(&args, Verb::Resume, out),
        ClientCommand::Undo(args) => {
            let to = args.to_revision.clone();
            verb(&args.verb, Verb::Undo { to }, out)
        }
        ClientCommand::Status(args) => status(&args, out),
        ClientCommand::Version => {
            writeln!(out, "sluice {}", env!("CARGO_PKG_VERSION"))?;
            Ok(Exit::Done)
        }
        ClientCommand::Completions { shell } => {
            // Rendered first, because the generator panics when the output is a closed pipe.
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "sluice", &mut script);
            out.write_all(&script)?;
            Ok(Exit::Done)
        }
    }
}

fn list(args: &ListArgs, out: &mut impl Write) -> Result<Exit, Failure> {
    let mut views = connect(&args.connection)?.list()?;
    views.retain(|view| {
        args.namespace
            .as_ref()
            .is_none_or(|namespace| view.namespace == *namespace)
    });
    match args.output {
        Output::Text => write!(out, "{}", view::list(&views))?,
        Output::Json => print_json(&views, out)?,
    }
    Ok(Exit::Done)
}

fn get(args: &GetArgs, out: &mut impl Write) -> Result<Exit, Failure> {
    let client = connect(&args.connection)?;
    let view = find(&client, &args.selection)?;
    if args.watch {
        return watch::get(client, view, args, out);
    }
    match args.output {
        Output::Text => write!(out, "{}", view::text(&view))?,
        Output::Json => print_json(&view, out)?,
    }
    Ok(Exit::Done)
}

fn explain(args: &ExplainArgs, out: &mut impl Write) -> Result<Exit, Failure> {
    if let Some(file) = &args.replay {
        return replayed(file, out);
    }
    let client = connect(&args.connection)?;
    let found = find(&client, &args.selection)?;
    let view = client.record(&found.namespace, &found.name)?;
    match args.output {
        Output::Text => write!(out, "{}", view::explain(&view))?,
        Output::Json => print_json(&view, out)?,
    }
    Ok(Exit::Done)
}

fn replayed(file: &Path, out: &mut impl Write) -> Result<Exit, Failure> {
    let stored = replay::read(file).map_err(Failure::unusable)?;
    let agrees = replay::replay(&stored, out)?;
    Ok(if agrees { Exit::Done } else { Exit::Failed })
}

fn verb(args: &VerbArgs, verb: Verb, out: &mut impl Write) -> Result<Exit, Failure> {
    let client = connect(&args.connection)?;
    let view = find(&client, &args.selection)?;
    let view = client.verb(&view.namespace, &view.name, verb)?;
    writeln!(out, "{}", view::headline(&view))?;
    Ok(Exit::Done)
}

fn status(args: &StatusArgs, out: &mut impl Write) -> Result<Exit, Failure> {
    let client = connect(&args.connection)?;
    let view = find(&client, &args.selection)?;
    if args.watch {
        return watch::status(client, &view, args.timeout, out);
    }
    writeln!(out, "{}", view::headline(&view))?;
    Ok(standing(&view))
}

/// How a rollout stands, as an exit code.
fn standing(view: &RolloutView) -> Exit {
    match view.phase.as_str() {
        "Healthy" => Exit::Done,
        "Degraded" => Exit::Failed,
        _ => Exit::Unfinished,
    }
}

fn connect(connection: &Connection) -> Result<Client, Failure> {
    Client::new(connection).map_err(Failure::unusable)
}

fn find(client: &Client, selection: &Selection) -> Result<RolloutView, Failure> {
    let all = client.list()?;
    choose(
        &all,
        selection.rollout.as_ref(),
        selection.namespace.as_deref(),
    )
    .cloned()
    .map_err(Failure::unusable)
}

fn print_json(value: &impl Serialize, out: &mut impl Write) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|error| Failure::unusable(format!("cannot print this as JSON: {error}")))?;
    writeln!(out, "{text}")?;
    Ok(())
}

#[cfg(test)]
mod tests;
