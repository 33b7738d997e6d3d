//! The namespaces that a test bed lives in: a network of its own, whose pod range ends at its loopback device, and
//! process ids of its own, so that nothing outlives it.

use anyhow::{Context as _, Result, bail};
use std::{fs, path::Path, process::Command};

/// Addresses of Pods. Not of 127.0.0.0/8, which EndpointSlices refuse.
pub const POD_RANGE: &str = "10.244.0.0/16";

/// How this user may make namespaces.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Namespaces {
    /// As root.
    Privileged,
    /// As anybody, where the kernel allows it: root in a user namespace, which is the same user outside.
    Unprivileged,
}

impl Namespaces {
    /// The first way that works here.
    ///
    /// # Errors
    /// When there is none: what `unshare` said.
    pub fn find() -> Result<Self> {
        if Self::Privileged.works().is_ok() {
            return Ok(Self::Privileged);
        }
        Self::Unprivileged
            .works()
            .map(|()| Self::Unprivileged)
            .context("no network namespace can be made here")
    }

    fn works(self) -> Result<()> {
        let tried = self.make(Path::new("true")).output();
        let tried = tried.context("unshare cannot be run; it is in the package util-linux")?;
        if !tried.status.success() {
            bail!("{}", String::from_utf8_lossy(&tried.stderr).trim());
        }
        Ok(())
    }

    /// Runs `program` in new namespaces. It is the first process there: when it ends, or the returned command's process
    /// is killed, all others are.
    pub fn make(self, program: &Path) -> Command {
        let mut command = Command::new("unshare");
        if self == Self::Unprivileged {
            command.args(["--user", "--map-root-user"]);
        }
        command.args(["--net", "--pid", "--kill-child", "--"]);
        command.arg(program);
        command
    }
}

/// Runs `program` in the network of the process `pid`.
pub fn enter(pid: u32, program: &Path) -> Command {
    let mut command = Command::new("nsenter");
    command.args([format!("--target={pid}"), "--net".to_owned()]);
    let user = |process: &str| fs::read_link(format!("/proc/{process}/ns/user")).ok();
    if user(&pid.to_string()) != user("self") {
        command.args(["--user", "--preserve-credentials"]);
    }
    command.arg("--").arg(program);
    command
}

/// Makes the network of this process's namespace usable: a loopback device that also answers for every Pod.
///
/// # Errors
/// What `ip` said.
pub fn prepare() -> Result<()> {
    let commands = [
        "link set lo up".to_owned(),
        format!("route add local {POD_RANGE} dev lo"),
    ];
    for arguments in commands {
        let ip = Command::new("ip").args(arguments.split(' ')).output();
        let ip = ip.context("ip cannot be run; it is in the package iproute2")?;
        if !ip.status.success() {
            let said = String::from_utf8_lossy(&ip.stderr);
            bail!("ip {arguments}: {}", said.trim());
        }
    }
    Ok(())
}
