//! SIGUSR2: the process begins its own successor.

use super::notify::{self, News};
use std::{
    io,
    path::PathBuf,
    process::{Child, Command},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

/// Begins the program that lies now where this one was begun from, to take over with the same files and environment.
/// When it does not, the reason is in the log, and this process goes on.
pub(super) fn renew(files: &[PathBuf], is_draining: &Arc<AtomicBool>) {
    notify::tell(News::Reloading);
    if let Err(error) = begin(files, Arc::clone(is_draining)) {
        tracing::error!("no process that takes over can be begun: {error}; this one goes on");
        notify::tell(News::Ready);
    }
}

fn begin(files: &[PathBuf], is_draining: Arc<AtomicBool>) -> io::Result<()> {
    // As it was called, and not the file that runs: after an upgrade another one has its name, and links lead elsewhere.
    let program = std::env::args_os().next();
    let program = program.ok_or_else(|| io::Error::other("the program's name is not known"))?;
    let child = Command::new(program)
        .args(["run", "--takeover"])
        .args(files)
        .spawn()?;
    tracing::info!("received SIGUSR2; process {} is to take over", child.id());
    thread::Builder::new()
        .name("successor".into())
        .spawn(move || watch(child, &is_draining))?;
    Ok(())
}

/// Waits until `child` has ended. If it takes over, this process ends first, as a rule.
fn watch(mut child: Child, is_draining: &AtomicBool) {
    let id = child.id();
    match child.wait() {
        Ok(status) => tracing::warn!("process {id}, which was to take over, has ended: {status}"),
        Err(error) => tracing::warn!("process {id}, which was to take over, is lost: {error}"),
    }
    if !is_draining.load(Ordering::Relaxed) {
        notify::tell(News::Ready);
    }
}
