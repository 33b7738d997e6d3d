//! From files to what they ask for.

use controller::{
    document::{self, Document, Finding, Severity, Strictness},
    files::Files,
    spec::{self, Spec},
};
use std::{
    fmt,
    path::{Path, PathBuf},
};

/// What keeps a set of files from being acted on: one line each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problems(pub(crate) Vec<String>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("\n"))
    }
}

/// Everything that was found in a set of files.
pub(crate) struct Checked {
    /// Files that could not be read.
    pub(crate) unreadable: Vec<String>,
    /// What was found, in the order of files and lines.
    pub(crate) findings: Vec<Finding>,
    /// What the files ask for, when there is no error.
    pub(crate) spec: Option<Spec>,
    /// The folder of the file that holds the Proxy document: where its relative paths begin.
    pub(crate) folder: PathBuf,
}

/// Reads and checks `files`.
pub(crate) fn check(files: &mut Files, strictness: Strictness) -> Checked {
    let mut documents: Vec<Document> = Vec::new();
    let mut names = Vec::new();
    let mut is_whole = true;
    let mut checked = Checked {
        unreadable: Vec::new(),
        findings: Vec::new(),
        spec: None,
        folder: PathBuf::from("."),
    };
    for contents in files.read() {
        let name = contents.path.display().to_string();
        match contents.text {
            Err(error) => checked.unreadable.push(format!("{name}: {error}")),
            Ok(text) => {
                let parsed = document::parse(&name, &text, strictness);
                if parsed.documents.iter().any(is_proxy) {
                    let folder = contents.path.parent().map(Path::to_owned);
                    checked.folder = folder.unwrap_or_default();
                }
                is_whole &= !parsed.is_partial;
                checked.findings.extend(parsed.findings);
                documents.extend(parsed.documents);
            }
        }
        names.push(name);
    }
    // With a part of them missing, much would be said to be missing that is only not readable.
    if is_whole && checked.unreadable.is_empty() {
        checked
            .findings
            .extend(document::check_together(&documents));
        checked
            .findings
            .extend(missing_files(&documents, &checked.folder, strictness));
        if !has_errors(&checked.findings) {
            match spec::read(&documents, &checked.folder) {
                Ok(spec) => {
                    checked.findings.extend(spec::conflicts(&spec, &documents));
                    checked.spec = Some(spec);
                }
                Err(findings) => checked.findings.extend(findings),
            }
        }
    }
    let place = |finding: &Finding| {
        let file = names
            .iter()
            .position(|name| **name == *finding.location.file);
        (file, finding.location.line, finding.location.column)
    };
    checked.findings.sort_by_key(place);
    checked
}

/// Files that the Proxy in `folder` names and that are not there. While a process runs, a file that is missing for a
/// moment must not keep a change of routes from taking effect; one that is needed from the start is missed then.
fn missing_files(documents: &[Document], folder: &Path, strictness: Strictness) -> Vec<Finding> {
    let mut findings = Vec::new();
    for document in documents {
        let document::Kind::Proxy(proxy) = &document.kind else {
            continue;
        };
        for named in document::named_files(proxy) {
            let Err(error) = std::fs::metadata(folder.join(&named.file)) else {
                continue;
            };
            findings.push(Finding {
                severity: match strictness {
                    Strictness::Lint => Severity::Error,
                    Strictness::Run => Severity::Warning,
                },
                location: document.source.locate(&named.path),
                message: format!("found {:?}, which cannot be read: {error}", named.file),
                path: named.path,
            });
        }
    }
    findings
}

/// Whether it stands in the way.
pub(crate) fn is_error(finding: &Finding) -> bool {
    finding.severity == Severity::Error
}

fn is_proxy(document: &Document) -> bool {
    matches!(document.kind, document::Kind::Proxy(_))
}

pub(crate) fn has_errors(findings: &[Finding]) -> bool {
    findings.iter().any(is_error)
}

/// What `files` ask for, and the folder of their Proxy document. What does not stand in the way is logged.
///
/// # Errors
/// Everything that stands in the way.
pub(crate) fn load(files: &mut Files) -> Result<(Spec, PathBuf), Problems> {
    let checked = check(files, Strictness::Run);
    let Some(spec) = checked.spec else {
        let errors = checked.findings.iter().filter(|f| is_error(f));
        return Err(Problems(
            checked
                .unreadable
                .into_iter()
                .chain(errors.map(ToString::to_string))
                .collect(),
        ));
    };
    for finding in checked.findings {
        match finding.severity {
            Severity::Error | Severity::Warning => tracing::warn!("{finding}"),
            Severity::Note => tracing::info!("{finding}"),
        }
    }
    Ok((spec, checked.folder))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn missing_files_are_errors_to_lint_and_warnings_to_run() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("edge.yaml");
        let text = "apiVersion: sluice.dev/v1alpha1
kind: Proxy
metadata: {name: edge}
spec:
  listeners:
  - name: https
    address: '127.0.0.1:0'
    tls: {certificates: [{chainFile: here.crt, keyFile: not/there.key}]}
  accessLog: {file: made.log}
  services: [{name: a, endpoints: ['127.0.0.1:1'], tls: {caFile: here.crt}}]
  routes: [{service: a}]
";
        fs::write(&file, text).unwrap();
        fs::write(folder.path().join("here.crt"), "").unwrap();
        let mut files = Files::new(vec![file.clone()]);
        for (strictness, severity) in [
            (Strictness::Lint, Severity::Error),
            (Strictness::Run, Severity::Warning),
        ] {
            let checked = check(&mut files, strictness);
            let found: Vec<_> = checked.findings.iter().map(ToString::to_string).collect();
            assert_eq!(
                found,
                [format!(
                    "{}:8:48: {severity}: spec.listeners[0].tls.certificates[0].keyFile: found \"not/there.key\", \
                     which cannot be read: No such file or directory (os error 2)",
                    file.display()
                )]
            );
            assert_eq!(checked.spec.is_some(), severity == Severity::Warning);
        }
    }
}
