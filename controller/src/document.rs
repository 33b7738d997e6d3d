//! Documents: what operators write, read into types, with everything wrong with it told at once.
//!
//! [`parse`] reads one file, which may hold several documents, and checks each for itself;
//! [`check_together`] checks what only shows when all documents lie side by side. Both only look:
//! nothing is opened, connected or changed.

use std::sync::Arc;

use crds::schema::{self, Node};
use crds::sluice::ProxyOptions;
use crds::{FieldPath, Proxy, Rollout};
use serde::de::DeserializeOwned;
use serde_json::Value;

mod check;
mod cluster;
mod finding;
mod inert;
mod named;
mod report;
mod scalar;
mod source;
mod together;
mod yaml;

pub use cluster::{check_cluster, objects};
pub use finding::{Finding, Location, Severity};
pub use named::{NamedFile, named_files};
pub use source::Source;
pub use together::check_together;

pub(crate) use check::is_host;

use report::Report;

/// How bad an unknown field is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strictness {
    /// An error: somebody asked what is wrong with the file.
    Lint,
    /// A warning: a field of a newer version must not stop a process that can do without it.
    Run,
}

/// What a file holds.
#[derive(Clone, Debug, Default)]
pub struct Parsed {
    /// The documents that could be read, in their order. A document with errors may be among them.
    pub documents: Vec<Document>,
    /// Everything there is to tell, in the order of lines.
    pub findings: Vec<Finding>,
    /// Whether a part of the file could not be read as a document. What the documents name in each other may be there.
    pub is_partial: bool,
}

/// One document of a file.
#[derive(Clone, Debug)]
pub struct Document {
    /// What it says.
    pub kind: Kind,
    /// Where it says it.
    pub source: Source,
}

/// What a document describes.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// An application whose versions replace each other.
    Rollout(Box<Rollout>),
    /// Where the process listens, and where endpoints are.
    Proxy(Box<Proxy>),
    /// A kind of the rollout API that is not acted on.
    Other {
        /// Its group and version.
        api_version: String,
        /// Its name.
        kind: String,
    },
}

/// Kinds of the rollout API that may lie beside a Rollout and are not acted on.
const BYSTANDERS: [&str; 4] = [
    "AnalysisRun",
    "AnalysisTemplate",
    "ClusterAnalysisTemplate",
    "Experiment",
];

/// Reads the documents of one file. `file` is its name in messages; `text` is YAML or JSON.
pub fn parse(file: &str, text: &str, strictness: Strictness) -> Parsed {
    let file: Arc<str> = file.into();
    let stream = yaml::read(text);
    let mut parsed = Parsed {
        findings: cluster::problems(&file, stream.problems),
        ..Parsed::default()
    };
    parsed.is_partial = !parsed.findings.is_empty();
    let is_empty = stream.roots.is_empty() && parsed.findings.is_empty();
    for root in stream.roots {
        let (value, source) = source::split(Arc::clone(&file), root);
        let mut report = Report::new(&source);
        let kind = read_document(&value, strictness, &mut report);
        parsed.findings.extend(report.findings);
        parsed.is_partial |= kind.is_none();
        parsed
            .documents
            .extend(kind.map(|kind| Document { kind, source }));
    }
    if is_empty {
        parsed.findings.push(Finding {
            severity: Severity::Warning,
            location: Location {
                file,
                line: 1,
                column: 1,
            },
            path: String::new(),
            message: "the file holds no document".to_owned(),
        });
    }
    parsed
        .findings
        .sort_by_key(|finding| (finding.location.line, finding.location.column));
    parsed
}

/// The first fault of a canary that an API server holds: its field, what was found and what is allowed. An option that is
/// not known is one, as nobody reads warnings there.
pub(crate) fn canary_fault(canary: &crds::Canary) -> Option<String> {
    let source = Source::nowhere();
    let mut report = Report::new(&source);
    check::canary(canary, Strictness::Lint, &mut report);
    let mut findings = report.findings.into_iter();
    let fault = findings.find(|finding| finding.severity == Severity::Error)?;
    Some(format!("{}: {}", fault.path, fault.message))
}

fn read_document(value: &Value, strictness: Strictness, report: &mut Report<'_>) -> Option<Kind> {
    let api_version = text_field(value, "apiVersion", report)?;
    let kind = text_field(value, "kind", report)?;
    match (api_version, kind) {
        (Rollout::API_VERSION, Rollout::KIND) => {
            let rollout = read_typed::<Rollout>(value, "", strictness, report)?;
            check::rollout(&rollout, value, strictness, report);
            Some(Kind::Rollout(Box::new(rollout)))
        }
        (Proxy::API_VERSION, Proxy::KIND) => {
            let proxy = read_typed::<Proxy>(value, "", strictness, report)?;
            check::range(value, Node::root(schema::proxy()), "", report);
            check::proxy(&proxy, report);
            Some(Kind::Proxy(Box::new(proxy)))
        }
        (Rollout::API_VERSION, bystander) if BYSTANDERS.contains(&bystander) => {
            report.note("kind", format!("{kind} is not acted on yet"));
            Some(Kind::Other {
                api_version: api_version.to_owned(),
                kind: kind.to_owned(),
            })
        }
        _ => {
            report.error(
                "kind",
                format!(
                    "found {kind} of {api_version}, allowed {} of {} or {} of {}",
                    Rollout::KIND,
                    Rollout::API_VERSION,
                    Proxy::KIND,
                    Proxy::API_VERSION
                ),
            );
            None
        }
    }
}

fn text_field<'v>(value: &'v Value, field: &str, report: &mut Report<'_>) -> Option<&'v str> {
    if !value.is_object() {
        report.error(
            "",
            "found a document that is no mapping, allowed a Rollout or a Proxy",
        );
        return None;
    }
    let text = value.get(field).and_then(Value::as_str);
    if text.is_none() {
        report.error(field, "is missing, or is no string");
    }
    text
}

/// Reads Sluice's own options of a Rollout that comes from no file, as strictly as [`Strictness::Run`] is.
///
/// # Errors
/// Everything that is wrong with them: the field, and what was found and is allowed.
pub(crate) fn read_options(written: &Value) -> Result<ProxyOptions, Vec<(FieldPath, String)>> {
    let source = Source::nowhere();
    let mut report = Report::new(&source);
    let options = check::own_options(written, Strictness::Run, &mut report);
    let errors = report.findings.into_iter();
    let errors = errors.filter(|finding| finding.severity == Severity::Error);
    let errors: Vec<_> = errors
        .map(|finding| (FieldPath::parse(&finding.path), finding.message))
        .collect();
    match options {
        Some(options) if errors.is_empty() => Ok(options),
        _ => Err(errors),
    }
}

/// Reads a part of a document that lies at `path`, and tells its faults and unknown fields.
fn read_typed<T: DeserializeOwned>(
    value: &Value,
    path: &str,
    strictness: Strictness,
    report: &mut Report<'_>,
) -> Option<T> {
    let base = FieldPath::parse(path);
    let read = crds::read::<T>(value);
    for fault in read.faults {
        report.error(base.join(&fault.path).to_string(), fault.message);
    }
    for unknown in read.unknown {
        let path = base.join(&unknown).to_string();
        match strictness {
            Strictness::Lint => report.error(path, "is no known field"),
            Strictness::Run => report.warning(path, "is no known field, and is ignored"),
        }
    }
    read.value
}

#[cfg(test)]
mod tests;
