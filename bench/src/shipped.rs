//! The program as it is shipped, as a process of its own, and its admin API.

use crate::cores::Cores;
use anyhow::{Context as _, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::{
    io::{BufRead as _, BufReader},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, ChildStderr, Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// How long it may take to end.
const PATIENCE: Duration = Duration::from_secs(5);

/// A running `sluice run`, which is ended when dropped.
#[derive(Debug)]
pub(crate) struct Program {
    child: Child,
    /// Where requests come in.
    pub(crate) listener: SocketAddr,
    /// Where its admin API is.
    pub(crate) admin: SocketAddr,
}

impl Program {
    /// Starts `sluice` on `files`, on a core of its own where there are two, and waits until it says where it listens.
    pub(crate) fn start(
        sluice: &Path,
        files: &[PathBuf],
        cores: Option<&Cores>,
    ) -> anyhow::Result<Self> {
        let start = || {
            Command::new(sluice)
                .arg("run")
                .args(files)
                .env_remove("SLUICE_LOG")
                .env("NO_COLOR", "1")
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::piped())
                .spawn()
                .with_context(|| format!("cannot start {}", sluice.display()))
        };
        let child = match cores {
            Some(cores) => cores.start(start)??,
            None => start()?,
        };
        let nowhere = SocketAddr::from(([0; 4], 0));
        let mut program = Self {
            child,
            listener: nowhere,
            admin: nowhere,
        };
        let stderr = program.child.stderr.take().context("it has no stderr")?;
        (program.listener, program.admin) = addresses(stderr)?;
        Ok(program)
    }

    /// The process's id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// The rollout as operators see it.
    pub(crate) async fn view(&self, rollout: &str) -> anyhow::Result<Value> {
        let path = format!("/api/v1/rollouts/default/{rollout}");
        call(self.admin, &format!("GET {path}"), "").await
    }

    /// Aborts the rollout.
    pub(crate) async fn abort(&self, rollout: &str) -> anyhow::Result<Value> {
        let path = format!("/api/v1/rollouts/default/{rollout}/abort");
        call(self.admin, &format!("POST {path}"), "{}").await
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Asked for it, so that one that records its own profile writes that. It may have ended by itself.
        let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
        let begun = Instant::now();
        while matches!(self.child.try_wait(), Ok(None)) && begun.elapsed() < PATIENCE {
            sleep(Duration::from_millis(2));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads where it listens from what it logs; what it logs later is read and dropped, so that it never waits.
fn addresses(stderr: ChildStderr) -> anyhow::Result<(SocketAddr, SocketAddr)> {
    let mut lines = BufReader::new(stderr).lines();
    let (mut log, mut listener, mut admin) = (String::new(), None, None);
    while listener.is_none() || admin.is_none() {
        let Some(line) = lines.next() else {
            bail!("it ended before it served:\n{log}");
        };
        let line = line?;
        let found = |what: &str| {
            let (_, address) = line.split_once(what)?.1.split_once("://")?;
            address.trim().parse().ok()
        };
        listener = listener.or_else(|| found("requests come in at"));
        admin = admin.or_else(|| found("admin server at"));
        log += &line;
        log.push('\n');
    }
    std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
    listener.zip(admin).context("it listens nowhere")
}

/// One call of the admin API.
async fn call(admin: SocketAddr, line: &str, body: &str) -> anyhow::Result<Value> {
    let request = format!(
        "{line} HTTP/1.1\r\nhost: {admin}\r\nconnection: close\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut stream = TcpStream::connect(admin).await?;
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let (head, body) = answer
        .split_once("\r\n\r\n")
        .context("the admin API's answer has no end of its head")?;
    ensure!(head.starts_with("HTTP/1.1 200 "), "{line}: {answer}");
    serde_json::from_str(body).with_context(|| format!("{line}: {answer}"))
}
