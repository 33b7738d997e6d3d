//! What runs in a container: a process group of this machine, or nothing that could be seen.

use super::{Host, environment::Environment};
use crate::pod::plan::{ContainerPlan, PodPlan, Program};
use anyhow::{Context as _, Result};
use rustix::process::{Pid, Signal, kill_process_group};
use std::{
    fs::File,
    net::Ipv4Addr,
    os::unix::process::ExitStatusExt as _,
    process::{ExitStatus, Stdio},
};
use tokio::{
    process::{Child, Command},
    sync::oneshot,
};

/// The exit code of what was ended by KILL.
const KILLED: i32 = 128 + 9;

/// What is told to end. What has not been told is killed when this is dropped.
#[derive(Debug)]
pub(super) enum Running {
    /// A process and all that it started.
    Group(Pid),
    /// Nothing: it ends with the code that it is sent.
    Idle(Option<oneshot::Sender<i32>>),
}

/// What is waited for.
#[derive(Debug)]
pub(super) enum Ending {
    /// A process.
    Process(Child),
    /// Nothing: a code comes, or whoever would send it is gone.
    Idle(oneshot::Receiver<i32>),
}

impl Running {
    /// Asks for the end.
    pub(super) fn term(&mut self) {
        match self {
            Self::Group(group) => signal(*group, Signal::TERM),
            Self::Idle(end) => end_idle(end, 0),
        }
    }

    /// Ends it.
    pub(super) fn kill(&mut self) {
        match self {
            Self::Group(group) => signal(*group, Signal::KILL),
            Self::Idle(end) => end_idle(end, KILLED),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
    }
}

fn signal(group: Pid, signal: Signal) {
    // It may have ended by itself.
    let _ = kill_process_group(group, signal);
}

fn end_idle(end: &mut Option<oneshot::Sender<i32>>, code: i32) {
    if let Some(end) = end.take() {
        // The Pod may have been forgotten.
        let _ = end.send(code);
    }
}

impl Ending {
    /// The exit code, once there is one: after a signal 128 and its number.
    pub(super) async fn code(self) -> i32 {
        let code = |status: ExitStatus| status.code().or_else(|| Some(128 + status.signal()?));
        match self {
            Self::Process(mut child) => child.wait().await.ok().and_then(code).unwrap_or(KILLED),
            Self::Idle(end) => end.await.unwrap_or(KILLED),
        }
    }
}

/// Starts the program of a container.
///
/// # Errors
/// When it cannot be started.
pub(super) fn start(
    host: &Host,
    pod: &PodPlan,
    container: &ContainerPlan,
    environment: &Environment,
    ip: Ipv4Addr,
) -> Result<(Running, Ending)> {
    let mut command = match &container.program {
        Program::Command(words) => {
            let mut words = words.iter().map(|word| environment.expand(word));
            let mut command = Command::new(words.next().context("the command is empty")?);
            command.args(words);
            command
        }
        Program::App { version } => {
            let mut command = Command::new(&host.program);
            command.args(["app", &ip.to_string(), version]);
            command
        }
        Program::Idle | Program::Missing => {
            let (end, ending) = oneshot::channel();
            return Ok((Running::Idle(Some(end)), Ending::Idle(ending)));
        }
    };
    let log = log(host, pod, container)?;
    command.env_clear().envs(&environment.0);
    command
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log);
    let child = command.current_dir("/").process_group(0).spawn()?;
    let pid = child.id().and_then(|pid| Pid::from_raw(pid.cast_signed()));
    let pid = pid.context("the process has ended already")?;
    Ok((Running::Group(pid), Ending::Process(child)))
}

/// What a container says is kept beside the control plane's logs.
fn log(host: &Host, pod: &PodPlan, container: &ContainerPlan) -> Result<File> {
    let directory = host.directory.path().join("logs/pods");
    std::fs::create_dir_all(&directory)?;
    let name = format!("{}_{}_{}.log", pod.namespace, pod.name, container.name);
    Ok(File::options()
        .create(true)
        .append(true)
        .open(directory.join(name))?)
}
