//! A test bed as a whole: how it is brought up, entered and ended.

pub mod control_plane;
pub mod credentials;
pub mod harness;
mod members;
pub mod namespace;
pub mod objects;
mod run_directory;
pub mod supervise;

pub use run_directory::RunDirectory;

use crate::binaries::Binaries;
use anyhow::{Context as _, Result, bail};
use namespace::Namespaces;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::retry_on_intr,
    process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open},
};
use std::{
    fs,
    io::{BufRead as _, BufReader},
    os::{fd::OwnedFd, unix::process::CommandExt as _},
    path::Path,
    process::{Child, Command, Stdio},
};

/// What a supervisor says when its test bed can be used.
const READY: &str = "ready";

/// Brings up a test bed in `directory`, unless one runs there. It ends with the process `parent`.
///
/// `program` is this package's binary, which supervises it.
///
/// # Errors
/// When something that it needs is missing, or a part of it does not start.
pub fn up(program: &Path, directory: &RunDirectory, parent: u32) -> Result<()> {
    if directory.running()?.is_some() {
        return Ok(());
    }
    let namespaces = Namespaces::find()?;
    let binaries = Binaries::find_or_build()?;
    let parent =
        pidfd_open(process(parent)?, PidfdFlags::empty()).context("whose test bed it is")?;
    directory.clean()?;
    let mut supervisor = namespaces
        .make(program)
        .arg("supervise")
        .arg(directory.path())
        .arg(binaries.directory())
        .stdin(parent)
        .stdout(Stdio::piped())
        .stderr(directory.log("bed")?)
        // What a terminal sends to its foreground is not meant for it.
        .process_group(0)
        .spawn()?;
    let is_ready = wait_for_ready(&mut supervisor)?;
    if !is_ready {
        supervisor.wait()?;
        bail!("{}", directory.last_line("bed"));
    }
    directory.keep_pid(supervisor.id())
}

fn wait_for_ready(supervisor: &mut Child) -> Result<bool> {
    let stdout = supervisor.stdout.take().context("it was asked for")?;
    let mut line = String::new();
    BufReader::new(stdout).read_line(&mut line)?;
    Ok(line.trim() == READY)
}

/// Ends the test bed of `directory`, if one runs there, and all that runs in it.
///
/// # Errors
/// When it does not end.
pub fn down(directory: &RunDirectory) -> Result<()> {
    let Some(outer) = Outer::of(directory)? else {
        return Ok(());
    };
    kill_process(outer.first_inside()?, Signal::KILL)?;
    outer.wait()
}

/// The process outside of a test bed's namespaces that made them, and ends when nothing runs in them any more.
#[derive(Debug)]
pub struct Outer {
    pid: Pid,
    descriptor: OwnedFd,
}

impl Outer {
    /// That of the test bed that runs in `directory`.
    ///
    /// # Errors
    /// When one is being brought up there.
    pub fn of(directory: &RunDirectory) -> Result<Option<Self>> {
        let Some(pid) = directory.running()? else {
            return Ok(None);
        };
        let pid = process(pid)?;
        let descriptor = pidfd_open(pid, PidfdFlags::empty())?;
        Ok(Some(Self { pid, descriptor }))
    }

    /// The supervisor. When it dies, the kernel kills all others before it lets this process know.
    fn first_inside(&self) -> Result<Pid> {
        let children = format!("/proc/{0}/task/{0}/children", self.pid);
        let children = fs::read_to_string(&children).context(children)?;
        process(children.trim().parse().context("the test bed has ended")?)
    }

    /// Waits until all of it has ended.
    ///
    /// # Errors
    /// When it does not, within ten seconds.
    pub fn wait(&self) -> Result<()> {
        let mut ended = [PollFd::new(&self.descriptor, PollFlags::IN)];
        let patience = Timespec {
            tv_sec: 10,
            tv_nsec: 0,
        };
        match retry_on_intr(|| poll(&mut ended, Some(&patience)))? {
            0 => bail!("the test bed does not end"),
            _ => Ok(()),
        }
    }
}

fn process(pid: u32) -> Result<Pid> {
    Pid::from_raw(pid.try_into()?).context("a process has a number above 0")
}

/// Runs `program` in the test bed's network, as its administrator, and with its `kubectl`.
///
/// # Errors
/// When no test bed runs in `directory`.
pub fn inside(directory: &RunDirectory, program: &Path) -> Result<Command> {
    let pid = directory.running()?;
    let pid = pid.with_context(|| format!("no test bed runs in {}", directory.path().display()))?;
    let mut command = namespace::enter(pid, program);
    command.env("KUBECONFIG", directory.kubeconfig());
    command.env("PATH", Binaries::find_or_build()?.search_path());
    Ok(command)
}
