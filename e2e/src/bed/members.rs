//! The running programs of a control plane.

use super::{RunDirectory, control_plane::Member};
use anyhow::{Context as _, Result, anyhow};
use futures_util::future::select_all;
use std::path::PathBuf;
use tokio::process::{Child, Command};

/// Those that run, each with a log of its own. They are killed when this is dropped.
#[derive(Debug)]
pub(super) struct Members {
    directory: RunDirectory,
    binaries: PathBuf,
    running: Vec<(&'static str, Child)>,
}

impl Members {
    pub(super) fn new(directory: RunDirectory, binaries: PathBuf) -> Self {
        Self {
            directory,
            binaries,
            running: Vec::new(),
        }
    }

    pub(super) fn start(&mut self, member: &Member) -> Result<()> {
        let log = self.directory.log(member.program)?;
        let child = Command::new(self.binaries.join(member.program))
            .args(&member.arguments)
            .current_dir(self.directory.path())
            .stdin(std::process::Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .context(member.program)?;
        self.running.push((member.program, child));
        Ok(())
    }

    /// Waits for one of them to end, which none should, and says how it did.
    pub(super) async fn first_end(&mut self) -> anyhow::Error {
        let ends = self
            .running
            .iter_mut()
            .map(|(program, child)| Box::pin(async move { (*program, child.wait().await) }));
        let ((program, status), ..) = select_all(ends).await;
        let last = self.directory.last_words(program);
        match status {
            Ok(status) => anyhow!("{program} ended ({status}): {last}"),
            Err(error) => anyhow!("{program}: {error}"),
        }
    }
}
