//! What each contender is told, so that all do the same work: one thread, split 90 to 10 over two endpoints with
//! keep-alive connections, tell the endpoint who asked, write no log.
//!
//! Each does it in its own cheapest way, and with its own defaults where nothing is said here. The functions are pure:
//! files and arguments come out.

mod envoy;
mod haproxy;
mod nginx;
mod pingora;
mod sluice;

use super::case::{Case, Transport};
use crate::sluice::CANARY;
use std::{net::SocketAddr, path::Path};
use traffic::Weight;

pub(crate) use {
    envoy::envoy, haproxy::haproxy, nginx::nginx, pingora::pingora, sluice::rollout, sluice::sluice,
};

/// What a contender is to do. Files are in `directory`, and its certificate lies there as [`super::tls`] names it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setup<'a> {
    pub(crate) case: Case,
    pub(crate) listen: SocketAddr,
    pub(crate) stable: SocketAddr,
    pub(crate) canary: SocketAddr,
    pub(crate) directory: &'a Path,
}

/// What a contender reads.
#[derive(Clone, Debug)]
pub(crate) struct Written {
    /// Names and contents of files in its directory.
    pub(crate) files: Vec<(&'static str, String)>,
    /// The arguments of its program.
    pub(crate) arguments: Vec<String>,
}

/// Idle connections to an endpoint that are kept, by those that keep a limited number: more than there are clients.
const IDLE: usize = 512;

impl Setup<'_> {
    fn is_tls(&self) -> bool {
        self.case.transport == Transport::Tls
    }

    fn is_http2(&self) -> bool {
        self.case.transport == Transport::Http2
    }

    fn file(&self, name: &str) -> String {
        self.directory.join(name).display().to_string()
    }

    fn scheme(&self) -> &'static str {
        if self.is_tls() { "https" } else { "http" }
    }
}

/// The weights of stable and canary, in percent.
pub(crate) fn weights() -> [u16; 2] {
    let canary = Weight::from_basis_points(CANARY).unwrap_or_default();
    [canary.complement(), canary].map(|weight| weight.basis_points() / 100)
}

#[cfg(test)]
mod tests {
    use super::super::{case::CASES, installed, tls::Certificate};
    use super::*;
    use std::{fs, net::Ipv4Addr, process::Command};

    type Write = fn(&Setup<'_>) -> Written;

    /// Lets the program `name`, if it is installed, check what `write` tells it for every case; `checks` are the arguments that
    /// make it do so.
    fn check(name: &str, variable: &str, write: Write, checks: &[&str]) {
        let certificate = Certificate::make().unwrap();
        let endpoint = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        for case in CASES {
            let directory = tempfile::tempdir().unwrap();
            certificate.write(directory.path()).unwrap();
            let written = write(&Setup {
                case,
                listen: installed::free_address().unwrap(),
                stable: endpoint(1),
                canary: endpoint(2),
                directory: directory.path(),
            });
            for (name, text) in &written.files {
                fs::write(directory.path().join(name), text).unwrap();
            }
            let Some(program) = installed::find(name, variable) else {
                continue;
            };
            let output = Command::new(program)
                .args(&written.arguments)
                .args(checks)
                .output()
                .unwrap();
            let told = [output.stdout, output.stderr].concat();
            assert!(
                output.status.success(),
                "{}: {}\n{written:?}",
                case.name,
                String::from_utf8_lossy(&told)
            );
        }
    }

    #[test]
    fn rivals_understand_what_they_are_told() {
        check("haproxy", "HAPROXY", haproxy, &["-c"]);
        check("nginx", "NGINX", nginx, &["-t"]);
        check("envoy", "ENVOY", envoy, &["--mode", "validate"]);
    }

    #[test]
    fn all_split_alike() {
        assert_eq!(weights(), [90, 10]);
    }
}
