//! The processes that are compared.

use super::{cores::Cores, rival};
use anyhow::{Context as _, bail};
use procfs::process::Process;
use std::{
    io::{BufRead as _, BufReader},
    net::SocketAddr,
    process::{Child, Command, Stdio},
    time::Duration,
};
use tempfile::TempDir;

/// The file that a rival writes its output to.
const OUTPUT: &str = "output";

/// Who is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Bytes only, of this program.
    Relay,
    /// This proxy, of this program.
    Sluice,
    /// nginx, where it is installed.
    Nginx,
    /// HAProxy, where it is installed.
    Haproxy,
}

impl Kind {
    pub(crate) const ALL: [Self; 4] = [Self::Relay, Self::Sluice, Self::Nginx, Self::Haproxy];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Relay => "TCP relay (floor)",
            Self::Sluice => "Sluice",
            Self::Nginx => "nginx",
            Self::Haproxy => "HAProxy",
        }
    }
}

/// What became of starting a contender.
#[derive(Debug)]
pub(crate) enum Start {
    Running(Contender),
    /// Its program is not installed.
    Missing(Kind),
}

/// A running contender, killed when dropped.
#[derive(Debug)]
pub(crate) struct Contender {
    pub(crate) kind: Kind,
    /// The version, as the program tells it.
    pub(crate) version: String,
    pub(crate) address: SocketAddr,
    child: Child,
    /// A rival's configuration and output, which go when it has ended.
    directory: Option<TempDir>,
}

/// CPU time that a process has used. The kernel counts the sum in nanoseconds, and both parts only in ticks of 10 ms.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cpu {
    pub(crate) total: Duration,
    pub(crate) user_ticks: u64,
    pub(crate) system_ticks: u64,
}

impl Start {
    /// Starts `kind` in front of both endpoints, on the contenders' core where there are two cores.
    pub(crate) fn of(
        kind: Kind,
        stable: SocketAddr,
        canary: SocketAddr,
        cores: Option<&Cores>,
    ) -> anyhow::Result<Self> {
        let start = || match kind {
            Kind::Relay | Kind::Sluice => own(kind, stable, canary).map(Self::Running),
            Kind::Nginx | Kind::Haproxy => rival(kind, stable, canary),
        };
        let started = match cores {
            Some(cores) => cores.start(start)?,
            None => start(),
        };
        started.with_context(|| format!("cannot start {}", kind.name()))
    }

    pub(crate) fn kind(&self) -> Kind {
        match self {
            Self::Running(contender) => contender.kind,
            Self::Missing(kind) => *kind,
        }
    }
}

/// Starts this program again as a proxy, which tells its address and ends when its input does.
fn own(kind: Kind, stable: SocketAddr, canary: SocketAddr) -> anyhow::Result<Contender> {
    let what = if kind == Kind::Relay {
        "relay"
    } else {
        "sluice"
    };
    let mut child = Command::new(std::env::current_exe()?)
        .args([
            "serve",
            what,
            "--stable",
            &stable.to_string(),
            "--canary",
            &canary.to_string(),
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut line = String::new();
    if let Some(output) = &mut child.stdout {
        BufReader::new(output).read_line(&mut line)?;
    }
    let Ok(address) = line.trim().parse() else {
        let _ = child.kill();
        let status = child.wait()?;
        bail!("it ended with {status} and did not tell its address");
    };
    Ok(Contender {
        kind,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        address,
        child,
        directory: None,
    })
}

fn rival(kind: Kind, stable: SocketAddr, canary: SocketAddr) -> anyhow::Result<Start> {
    let name = if kind == Kind::Nginx {
        "nginx"
    } else {
        "haproxy"
    };
    let Some(program) = rival::find(name) else {
        return Ok(Start::Missing(kind));
    };
    let directory = tempfile::tempdir()?;
    let address = rival::free_address()?;
    let version = rival::version(&program)?;
    let log = std::fs::File::create(directory.path().join(OUTPUT))?;
    let mut command = match kind {
        Kind::Nginx => rival::nginx(&program, directory.path(), address, [stable, canary])?,
        _ => rival::haproxy(&program, directory.path(), address, [stable, canary])?,
    };
    let child = command
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()?;
    Ok(Start::Running(Contender {
        kind,
        version,
        address,
        child,
        directory: Some(directory),
    }))
}

impl Contender {
    /// The CPU time that it has used so far.
    pub(crate) fn cpu(&self) -> anyhow::Result<Cpu> {
        let read = || -> anyhow::Result<Cpu> {
            let process = Process::new(self.child.id().try_into()?)?;
            let stat = process.stat()?;
            let mut nanos = 0;
            for task in process.tasks()? {
                nanos += task?.schedstat()?.sum_exec_runtime;
            }
            Ok(Cpu {
                total: Duration::from_nanos(nanos),
                user_ticks: stat.utime,
                system_ticks: stat.stime,
            })
        };
        read().with_context(|| format!("cannot read the CPU time of {}", self.kind.name()))
    }

    /// What it has written, for when it does not do what it should.
    pub(crate) fn output(&self) -> String {
        let directory = self.directory.as_ref();
        directory
            .and_then(|d| std::fs::read_to_string(d.path().join(OUTPUT)).ok())
            .unwrap_or_default()
    }
}

impl Drop for Contender {
    fn drop(&mut self) {
        // One that has ended already cannot be killed, which is as well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
