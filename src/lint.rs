//! `sluice lint`: everything that `run` would say of the files, and more strictly.

use crate::run::documents;
use controller::{document::Strictness, files::Files};
use std::{
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
};

/// Checks `files` together and prints what was found, one line each. Fails when there is an error among it.
pub(crate) fn lint(files: &[PathBuf], out: &mut impl Write) -> io::Result<ExitCode> {
    let checked = documents::check(&mut Files::new(files.to_vec()), Strictness::Lint);
    for line in &checked.unreadable {
        writeln!(out, "{line}")?;
    }
    for finding in &checked.findings {
        writeln!(out, "{finding}")?;
    }
    if checked.spec.is_some() {
        return Ok(ExitCode::SUCCESS);
    }
    Ok(ExitCode::FAILURE)
}
