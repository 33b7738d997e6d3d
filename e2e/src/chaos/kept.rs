//! Processes that are to run until they are killed, and whose last words are kept.

use crate::process::Controller as Process;
use anyhow::{Context as _, Result, ensure};
use std::{
    env, fs,
    ops::Deref,
    path::{Path, PathBuf},
};

/// A process; when it is dropped, what it has said is in the test bed's logs.
pub(super) struct Kept {
    process: Process,
    log: PathBuf,
}

impl Kept {
    /// `process`, under a name of its own.
    pub(super) fn new(process: Process, name: &str) -> Result<Self> {
        let bed = env::var_os("KUBECONFIG").context("KUBECONFIG")?;
        let log = Path::new(&bed).with_file_name(format!("logs/{name}.log"));
        Ok(Self { process, log })
    }

    /// Kills it.
    ///
    /// # Errors
    /// When it was not running any more, or has panicked.
    pub(super) async fn kill(mut self) -> Result<()> {
        let before = self.process.ended()?;
        self.process.kill().await?;
        let (name, log) = (self.log.display(), self.process.log());
        ensure!(
            before.is_none(),
            "it ended by itself ({before:?}), {name}:\n{log}"
        );
        ensure!(!log.contains("panicked"), "it panicked, {name}:\n{log}");
        Ok(())
    }
}

impl Deref for Kept {
    type Target = Process;

    fn deref(&self) -> &Process {
        &self.process
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        if let Err(error) = fs::write(&self.log, self.process.log()) {
            eprintln!("{}: {error}", self.log.display());
        }
    }
}
