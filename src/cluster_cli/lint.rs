//! `lint`: what the controller would say of the Rollouts in files.

use crate::cli::ending::{Exit, Failure};
use controller::document::{Severity, check_cluster};
use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
};

/// Checks files and prints what was found, one line each. Fails when there is an error among it.
pub(super) fn lint(files: &[PathBuf], out: &mut impl Write) -> Result<Exit, Failure> {
    let mut exit = Exit::Done;
    for file in files {
        let (name, text) = read(file)?;
        let (findings, rollouts) = check_cluster(&name, &text);
        for finding in &findings {
            writeln!(out, "{finding}")?;
        }
        if rollouts == 0 && findings.is_empty() {
            writeln!(out, "{name}: warning: holds no Rollout")?;
        }
        if findings.iter().any(|each| each.severity == Severity::Error) {
            exit = Exit::Failed;
        }
    }
    Ok(exit)
}

/// The name of a file in messages, and what is in it.
pub(super) fn read(file: &Path) -> Result<(String, String), Failure> {
    let name = file.display().to_string();
    match fs::read_to_string(file) {
        Ok(text) => Ok((name, text)),
        Err(why) => Err(Failure::unusable(format!("{name}: cannot be read: {why}"))),
    }
}
