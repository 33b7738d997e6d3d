//! The directory of a test bed: its data, logs and credentials, and whether it runs.

use anyhow::{Context as _, Result, bail};
use std::{
    fs::{self, File, TryLockError},
    path::{Path, PathBuf},
};

/// A directory that a test bed runs in, or may run in.
#[derive(Clone, Debug)]
pub struct RunDirectory(PathBuf);

impl RunDirectory {
    /// The directory `path`, which is made if there is none.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn new(path: &Path) -> Result<Self> {
        fs::create_dir_all(path.join("logs"))
            .and_then(|()| path.canonicalize())
            .map(Self)
            .with_context(|| path.display().to_string())
    }

    /// Its absolute path.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The administrator's kubeconfig, which is good inside of the test bed's network.
    pub fn kubeconfig(&self) -> PathBuf {
        self.0.join("kubeconfig")
    }

    /// The kubeconfig of one of its members.
    pub fn kubeconfig_of(&self, member: &str) -> PathBuf {
        self.0.join("pki").join(format!("{member}.kubeconfig"))
    }

    /// A new log file for `name`.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn log(&self, name: &str) -> Result<File> {
        Ok(File::create(self.log_path(name))?)
    }

    /// Where and how the log of `name` ends.
    pub fn last_words(&self, name: &str) -> String {
        let path = self.log_path(name);
        let last = self.last_line(name);
        format!("{last} (the end of {})", path.display())
    }

    /// The last line in the log of `name`.
    pub fn last_line(&self, name: &str) -> String {
        let log = fs::read_to_string(self.log_path(name)).unwrap_or_default();
        log.lines().next_back().unwrap_or("(nothing)").to_owned()
    }

    fn log_path(&self, name: &str) -> PathBuf {
        self.0.join("logs").join(format!("{name}.log"))
    }

    /// Takes away what an earlier test bed left behind, except for its logs.
    pub(super) fn clean(&self) -> Result<()> {
        for name in ["etcd", "pki"] {
            match fs::remove_dir_all(self.0.join(name)) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(error.into());
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Makes it this process's, until the file is dropped.
    pub(super) fn lock(&self) -> Result<File> {
        let file = self.lock_file()?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(TryLockError::WouldBlock) => bail!("another test bed runs in {}", self.0.display()),
            Err(TryLockError::Error(error)) => Err(error.into()),
        }
    }

    fn lock_file(&self) -> Result<File> {
        let path = self.0.join("lock");
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path);
        file.with_context(|| path.display().to_string())
    }

    /// The process whose namespaces the running test bed has.
    pub(super) fn running(&self) -> Result<Option<u32>> {
        if self.lock_file()?.try_lock().is_ok() {
            return Ok(None);
        }
        let pid = fs::read_to_string(self.pid_path());
        let pid = pid.context("a test bed is being brought up there")?;
        Ok(Some(pid.trim().parse()?))
    }

    pub(super) fn keep_pid(&self, pid: u32) -> Result<()> {
        Ok(fs::write(self.pid_path(), pid.to_string())?)
    }

    fn pid_path(&self) -> PathBuf {
        self.0.join("pid")
    }
}

#[cfg(test)]
mod tests {
    use super::RunDirectory;

    #[test]
    fn whoever_holds_the_lock_runs() {
        let made = tempfile::tempdir().unwrap();
        let directory = RunDirectory::new(made.path()).unwrap();
        directory.keep_pid(7).unwrap();
        assert_eq!(directory.running().unwrap(), None);
        let held = directory.lock().unwrap();
        assert_eq!(directory.running().unwrap(), Some(7));
        let refused = directory.lock().unwrap_err().to_string();
        assert!(refused.contains("another test bed runs in"), "{refused}");
        drop(held);
        assert_eq!(directory.running().unwrap(), None);
    }
}
