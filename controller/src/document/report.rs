//! Collecting findings about one document.

use super::{Finding, Severity, Source};

/// The findings about one document so far.
pub(super) struct Report<'s> {
    source: &'s Source,
    pub(super) findings: Vec<Finding>,
}

impl<'s> Report<'s> {
    pub(super) fn new(source: &'s Source) -> Self {
        Self {
            source,
            findings: Vec::new(),
        }
    }

    pub(super) fn error(&mut self, path: impl Into<String>, message: impl Into<String>) {
        self.add(Severity::Error, path.into(), message.into());
    }

    pub(super) fn warning(&mut self, path: impl Into<String>, message: impl Into<String>) {
        self.add(Severity::Warning, path.into(), message.into());
    }

    pub(super) fn note(&mut self, path: impl Into<String>, message: impl Into<String>) {
        self.add(Severity::Note, path.into(), message.into());
    }

    pub(super) fn add(&mut self, severity: Severity, path: String, message: String) {
        self.findings.push(Finding {
            severity,
            location: self.source.locate(&path),
            path,
            message,
        });
    }
}
