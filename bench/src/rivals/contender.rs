//! The processes that are compared.

use super::{
    PATIENCE,
    case::{Case, Transport},
    installed,
    lane::Dialer,
    setup::{self, Setup, Written},
    tls::{CHAIN, Certificate, KEY},
};
use crate::{cores::Cores, shipped::Program};
use anyhow::{Context as _, bail, ensure};
use procfs::process::Process;
use std::{
    fs,
    io::{BufRead as _, BufReader},
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};
use tempfile::TempDir;
use tokio::time::sleep;

/// The file that a contender writes its output to.
const OUTPUT: &str = "output";
/// How long to wait before it is looked again whether a contender does what it should.
const LOOK: Duration = Duration::from_millis(20);

/// Who is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Kind {
    /// Bytes only, of this program: the floor.
    Relay,
    /// This proxy as it is shipped, controller and guard included, where it is built.
    Sluice,
    /// This proxy without a controller, of this program.
    Proxy,
    /// HAProxy, where it is installed.
    Haproxy,
    /// nginx, where it is installed.
    Nginx,
    /// Envoy, where it is installed.
    Envoy,
    /// Pingora, where `bench/pingora` is built.
    Pingora,
}

impl Kind {
    /// Who is compared when nothing else is said.
    pub const DEFAULT: [Self; 6] = [
        Self::Relay,
        Self::Sluice,
        Self::Haproxy,
        Self::Nginx,
        Self::Envoy,
        Self::Pingora,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Relay => "TCP relay (floor)",
            Self::Sluice => "Sluice",
            Self::Proxy => "Sluice's proxy alone",
            Self::Haproxy => "HAProxy",
            Self::Nginx => "nginx",
            Self::Envoy => "Envoy",
            Self::Pingora => "Pingora",
        }
    }

    /// What it gets of `case`: the floor reads no HTTP and no TLS.
    pub(crate) fn case(self, case: Case) -> Case {
        match self {
            Self::Relay => case.in_plain_http1(),
            _ => case,
        }
    }

    /// Whether chance decides where its requests go in `case`, so that the canary's share can be checked.
    pub(crate) fn splits(self, case: &Case) -> bool {
        self != Self::Relay && !case.is_sticky
    }
}

/// A running contender, killed when dropped.
pub(crate) struct Contender {
    pub(crate) kind: Kind,
    /// The version, as the program tells it.
    pub(crate) version: String,
    /// How it is asked.
    pub(crate) dialer: Dialer,
    running: Running,
    /// Its files and output, which go when it has ended.
    directory: TempDir,
}

enum Running {
    Program(Program),
    Other(Killed),
}

/// A process that is killed when dropped.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        // One that has ended already cannot be killed, which is as well.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// CPU time that a process has used. The kernel counts the sum in nanoseconds, and both parts only in ticks of 10 ms.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cpu {
    pub(crate) total: Duration,
    pub(crate) user_ticks: u64,
    pub(crate) system_ticks: u64,
}

/// Where contenders send requests on to, and what else all of them share.
pub(crate) struct Place<'a> {
    pub(crate) case: Case,
    pub(crate) stable: SocketAddr,
    pub(crate) canary: SocketAddr,
    pub(crate) certificate: &'a Certificate,
    pub(crate) cores: Option<&'a Cores>,
}

impl Contender {
    /// Starts `kind` and waits until it serves; nothing when its program is not installed.
    pub(crate) async fn start(kind: Kind, place: &Place<'_>) -> anyhow::Result<Option<Self>> {
        let started = match place.cores {
            Some(cores) => cores.start(|| Self::launch(kind, place))?,
            None => Self::launch(kind, place),
        };
        let started = match started {
            Ok(Some(contender)) => contender.ready(place).await.map(Some),
            other => other,
        };
        started.with_context(|| format!("cannot start {}", kind.name()))
    }

    fn launch(kind: Kind, place: &Place<'_>) -> anyhow::Result<Option<Self>> {
        let directory = tempfile::tempdir()?;
        place.certificate.write(directory.path())?;
        let setup = Setup {
            case: place.case,
            listen: installed::free_address()?,
            stable: place.stable,
            canary: place.canary,
            directory: directory.path(),
        };
        let (running, address, version) = match kind {
            Kind::Relay | Kind::Proxy => own(kind, &setup)?,
            _ => match foreign(kind, &setup)? {
                Some((running, version)) => (running, setup.listen, version),
                None => return Ok(None),
            },
        };
        let dialer = Dialer {
            address,
            case: kind.case(place.case),
            tls: place.certificate.connector(),
        };
        Ok(Some(Self {
            kind,
            version,
            dialer,
            running,
            directory,
        }))
    }

    /// Waits until it does what it should.
    async fn ready(self, place: &Place<'_>) -> anyhow::Result<Self> {
        let until = Instant::now() + PATIENCE;
        while let Err(error) = self.serves().await {
            if Instant::now() > until {
                let output = self.output();
                return Err(error.context(format!("it does not serve; it wrote: {output}")));
            }
            sleep(LOOK).await;
        }
        if let Running::Program(program) = &self.running {
            let setup = Setup {
                case: place.case,
                listen: self.dialer.address,
                stable: place.stable,
                canary: place.canary,
                directory: self.directory.path(),
            };
            split(program, &setup).await?;
        }
        Ok(self)
    }

    async fn serves(&self) -> anyhow::Result<()> {
        let mut dialer = self.dialer.clone();
        dialer.case.connections = 1;
        for lane in &mut dialer.lanes().await? {
            lane.exchange().await?;
        }
        Ok(())
    }

    fn process(&self) -> anyhow::Result<Process> {
        let id = match &self.running {
            Running::Program(program) => program.id(),
            Running::Other(child) => child.0.id(),
        };
        Ok(Process::new(id.try_into()?)?)
    }

    /// The CPU time that it has used so far.
    pub(crate) fn cpu(&self) -> anyhow::Result<Cpu> {
        let process = self.process()?;
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
    }

    /// What it holds of memory now, in bytes.
    pub(crate) fn resident(&self) -> anyhow::Result<u64> {
        let kibibytes = self.process()?.status()?.vmrss;
        Ok(kibibytes.context("the kernel tells no VmRSS")? * 1_024)
    }

    /// What it has written, for when it does not do what it should.
    fn output(&self) -> String {
        fs::read_to_string(self.directory.path().join(OUTPUT)).unwrap_or_default()
    }
}

/// Begins the rollout, and waits until the canary has its weight.
async fn split(program: &Program, setup: &Setup<'_>) -> anyhow::Result<()> {
    let fresh = setup.directory.join("fresh");
    fs::write(&fresh, setup::rollout(setup, 2))?;
    fs::rename(fresh, setup.directory.join("rollout.yaml"))?;
    let [_, weight] = setup::weights();
    let until = Instant::now() + PATIENCE;
    loop {
        let view = program.view("shop").await?;
        if view["weight"] == f64::from(weight) && view["acknowledged"] == true {
            return Ok(());
        }
        ensure!(Instant::now() < until, "the canary gets no weight: {view}");
        sleep(LOOK).await;
    }
}

/// Starts this program again as a contender, which tells its address and ends when its input does.
fn own(kind: Kind, setup: &Setup<'_>) -> anyhow::Result<(Running, SocketAddr, String)> {
    let what = if kind == Kind::Relay {
        "relay"
    } else {
        "proxy"
    };
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["serve", what]);
    command.args(["--stable", &setup.stable.to_string()]);
    command.args(["--canary", &setup.canary.to_string()]);
    command.args(["--rules", &setup.case.rules.to_string()]);
    if setup.case.is_sticky {
        command.arg("--sticky");
    }
    if setup.case.transport == Transport::Tls {
        let directory = setup.directory;
        command
            .arg("--tls")
            .args([CHAIN, KEY].map(|file| directory.join(file)));
    }
    let mut child = Killed(
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?,
    );
    let mut line = String::new();
    if let Some(output) = &mut child.0.stdout {
        BufReader::new(output).read_line(&mut line)?;
    }
    let Ok(address) = line.trim().parse() else {
        bail!("it did not tell its address");
    };
    let version = env!("CARGO_PKG_VERSION").to_owned();
    Ok((Running::Other(child), address, version))
}

/// Starts a program that is not this one.
fn foreign(kind: Kind, setup: &Setup<'_>) -> anyhow::Result<Option<(Running, String)>> {
    type Write = fn(&Setup<'_>) -> Written;
    let (name, variable, argument, write): (_, _, _, Write) = match kind {
        Kind::Relay | Kind::Proxy => bail!("it is of this program"),
        Kind::Sluice => ("sluice", "SLUICE_BIN", "--version", setup::sluice),
        Kind::Haproxy => ("haproxy", "HAPROXY", "-v", setup::haproxy),
        Kind::Nginx => ("nginx", "NGINX", "-v", setup::nginx),
        Kind::Envoy => ("envoy", "ENVOY", "--version", setup::envoy),
        Kind::Pingora => ("bench-pingora", "PINGORA", "--version", setup::pingora),
    };
    let Some(program) = installed::find(name, variable) else {
        return Ok(None);
    };
    let version = installed::version(&program, argument)?;
    let written = write(setup);
    for (name, text) in &written.files {
        fs::write(setup.directory.join(name), text)?;
    }
    let running = if kind == Kind::Sluice {
        let files: Vec<_> = written.arguments.iter().map(Into::into).collect();
        Running::Program(Program::start(&program, &files, None)?)
    } else {
        Running::Other(spawn(&program, &written, setup.directory)?)
    };
    Ok(Some((running, version)))
}

fn spawn(program: &Path, written: &Written, directory: &Path) -> anyhow::Result<Killed> {
    let log = fs::File::create(directory.join(OUTPUT))?;
    let child = Command::new(program)
        .args(&written.arguments)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()?;
    Ok(Killed(child))
}
