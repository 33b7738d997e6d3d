//! `create` and `terminate`: objects of the rollout API beside Rollouts.

use super::args::{Create, CreateAnalysisRun, CreateWhat, Ended, Terminate};
use super::lint::read;
use crate::cli::ending::{Exit, Failure};
use cluster::operator::{ApiKind, Operator};
use controller::document;
use controller::verbs::{RunName, analysis_run};
use serde_json::{Value, json};
use std::{io::Write, path::Path};

/// `create`: what files hold, or an AnalysisRun of a template. Nothing of files in which something cannot be created.
pub(super) async fn create(
    operator: &Operator,
    args: &Create,
    out: &mut impl Write,
) -> Result<Exit, Failure> {
    if let Some(CreateWhat::AnalysisRun(run)) = &args.what {
        return create_run(operator, run, out).await;
    }
    let mut all = Vec::new();
    for file in &args.filename {
        for object in objects(file)? {
            let kind = kind_of(&object).map_err(|why| unfit(file, &why))?;
            all.push((kind, object));
        }
    }
    for (kind, object) in all {
        let place = operator.beside(object["metadata"]["namespace"].as_str());
        let name = place.create(kind, &object).await?;
        writeln!(out, "{} {name:?} created", kind.name())?;
    }
    Ok(Exit::Done)
}

async fn create_run(
    operator: &Operator,
    args: &CreateAnalysisRun,
    out: &mut impl Write,
) -> Result<Exit, Failure> {
    let kind = match args.global {
        true => ApiKind::ClusterAnalysisTemplate,
        false => ApiKind::AnalysisTemplate,
    };
    let (template, origin) = match (&args.from, &args.from_file) {
        (Some(name), _) => {
            let origin = format!("{} {name:?}", kind.name());
            (operator.read(kind, name).await?, origin)
        }
        (None, Some(file)) => (only(file, kind)?, file.display().to_string()),
        (None, None) => return Err(refused("needs --from or --from-file".to_owned())),
    };
    let name = match (&args.name, &args.generate_name) {
        (Some(name), _) => RunName::Is(name.clone()),
        (None, Some(start)) => RunName::Begins(start.clone()),
        (None, None) => RunName::OfTemplate,
    };
    let run = analysis_run(&template, &args.argument, name);
    let mut run = run.map_err(|why| refused(format!("{origin}: {why}")))?;
    if let Some((label, value)) = args.instance_id.as_ref().and_then(|id| id.label()) {
        run["metadata"]["labels"][label] = json!(value);
    }
    let name = operator.create(ApiKind::AnalysisRun, &run).await?;
    writeln!(out, "{} {name:?} created", ApiKind::AnalysisRun.name())?;
    Ok(Exit::Done)
}

/// `terminate`.
pub(super) async fn terminate(
    operator: &Operator,
    what: &Terminate,
    out: &mut impl Write,
) -> Result<Exit, Failure> {
    let (kind, Ended { names }) = match what {
        Terminate::AnalysisRun(ended) => (ApiKind::AnalysisRun, ended),
        Terminate::Experiment(ended) => (ApiKind::Experiment, ended),
    };
    for name in names {
        operator.terminate(kind, name).await?;
        writeln!(out, "{} {name:?}: told to end", kind.name())?;
    }
    Ok(Exit::Done)
}

/// The only template of a file, which is to be of this `kind`.
fn only(file: &Path, kind: ApiKind) -> Result<Value, Failure> {
    let mut objects = objects(file)?;
    let count = objects.len();
    match (objects.pop(), count) {
        (Some(object), 1) if kind_of(&object) == Ok(kind) => Ok(object),
        (Some(object), 1) => {
            let found = &object["kind"];
            let other = match kind {
                ApiKind::AnalysisTemplate => "; --global is for a ClusterAnalysisTemplate",
                _ => "",
            };
            let why = format!("kind: found {found}, allowed {}{other}", kind.name());
            Err(unfit(file, &why))
        }
        _ => Err(unfit(file, &format!("found {count} objects, allowed one"))),
    }
}

fn objects(file: &Path) -> Result<Vec<Value>, Failure> {
    let (name, text) = read(file)?;
    document::objects(&name, &text).map_err(|findings| {
        let lines: Vec<_> = findings.iter().map(ToString::to_string).collect();
        refused(lines.join("\n"))
    })
}

fn kind_of(object: &Value) -> Result<ApiKind, String> {
    ApiKind::of(object).ok_or_else(|| {
        let (version, kind) = (&object["apiVersion"], &object["kind"]);
        let names = ApiKind::ALL.map(ApiKind::name).join(", ");
        format!(
            "found {kind} of {version}, allowed {names} of {:?}",
            crds::Rollout::API_VERSION
        )
    })
}

fn unfit(file: &Path, why: &str) -> Failure {
    refused(format!("{}: {why}", file.display()))
}

fn refused(message: String) -> Failure {
    Failure {
        exit: Exit::Failed,
        message: Some(message),
    }
}
