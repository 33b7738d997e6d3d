//! `sluice proxy` as a process, and who asks it.

use crate::{app::VERSION_HEADER, http, process::Controller as Process};
use anyhow::{Context as _, Result};
use std::{collections::BTreeMap, net::SocketAddr, path::Path};

/// A proxy, and where it is. It is killed when it is dropped.
pub struct Proxy {
    /// Its process.
    pub process: Process,
    /// Where requests come in.
    pub requests: SocketAddr,
    /// Where it tells of itself.
    pub admin: SocketAddr,
}

impl Proxy {
    /// Starts one where `requests` are to come in and it tells of itself at `admin`; a port of 0 is one that nobody else has.
    ///
    /// # Errors
    /// When there is no such binary, or it ends without listening.
    pub async fn start(
        [requests, admin]: [SocketAddr; 2],
        workers: usize,
        kubeconfig: &Path,
        arguments: &[&str],
    ) -> Result<Self> {
        let verb = [
            "proxy",
            &format!("--listen={requests}"),
            &format!("--admin={admin}"),
            &format!("--workers={workers}"),
        ];
        let process = Process::start_as(&verb, kubeconfig, arguments)?;
        let requests = address(&process.says("requests come in at http://").await?)?;
        let admin = address(&process.says("admin server at http://").await?)?;
        Ok(Self {
            process,
            requests,
            admin,
        })
    }

    /// The version that answers a request for `host`, or the status of who else does.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn ask(&self, host: &str) -> Result<String> {
        let answer = http::get_of(self.requests, host, "/").await?;
        let version = answer.headers().get(VERSION_HEADER);
        let version = version.map(|version| version.to_str().map(str::to_owned));
        Ok(version
            .transpose()?
            .unwrap_or_else(|| answer.status().as_u16().to_string()))
    }

    /// How many of `n` requests each version answers.
    ///
    /// # Errors
    /// When one has no answer.
    pub async fn share(&self, host: &str, n: usize) -> Result<BTreeMap<String, usize>> {
        let mut answered = BTreeMap::new();
        for _ in 0..n {
            *answered.entry(self.ask(host).await?).or_default() += 1;
        }
        Ok(answered)
    }

    /// The status of a page of its admin port.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn page(&self, path: &str) -> Result<u16> {
        Ok(http::get(self.admin, path).await?.status().as_u16())
    }
}

/// The address at the end of a line.
fn address(line: &str) -> Result<SocketAddr> {
    let (_, address) = line.rsplit_once("http://").context("a URL")?;
    Ok(address.parse()?)
}
