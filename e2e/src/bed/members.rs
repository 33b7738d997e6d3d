//! The running programs of a control plane.

use super::{RunDirectory, control_plane::Member};
use anyhow::{Context as _, Result, anyhow};
use futures_util::future::select_all;
use rustix::process::Signal;
use std::{os::unix::process::ExitStatusExt as _, path::PathBuf};
use tokio::process::{Child, Command};

/// The signal of who is killed.
const KILLED: i32 = Signal::KILL.as_raw();

/// Those that run, each with a log of its own. They are killed when this is dropped.
#[derive(Debug)]
pub(super) struct Members {
    directory: RunDirectory,
    binaries: PathBuf,
    running: Vec<(Member, Child)>,
}

impl Members {
    pub(super) fn new(directory: RunDirectory, binaries: PathBuf) -> Self {
        Self {
            directory,
            binaries,
            running: Vec::new(),
        }
    }

    pub(super) fn start(&mut self, member: Member) -> Result<()> {
        let child = self.spawn(&member)?;
        self.running.push((member, child));
        Ok(())
    }

    fn spawn(&self, member: &Member) -> Result<Child> {
        let log = self.directory.log(member.program)?;
        Command::new(self.binaries.join(member.program))
            .args(&member.arguments)
            .current_dir(self.directory.path())
            .stdin(std::process::Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .context(member.program)
    }

    /// Waits for one of them to end, which none should, and says how it did. One that somebody killed is started again, as a
    /// kubelet does.
    pub(super) async fn first_end(&mut self) -> anyhow::Error {
        loop {
            let ends = self
                .running
                .iter_mut()
                .map(|(_, child)| Box::pin(child.wait()));
            let (status, which, _) = select_all(ends).await;
            let program = self.running[which].0.program;
            let last = self.directory.last_words(program);
            let again = match status {
                Ok(status) if status.signal() == Some(KILLED) => self.spawn(&self.running[which].0),
                Ok(status) => return anyhow!("{program} ended ({status}): {last}"),
                Err(error) => return anyhow!("{program}: {error}"),
            };
            match again {
                Ok(child) => self.running[which].1 = child,
                Err(error) => return error,
            }
        }
    }
}
