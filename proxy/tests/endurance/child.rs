//! A proxy in a process of its own, whose memory and descriptors can be looked at and bounded.

use crate::support::{eventually, world};
use rustix::process::{Resource, getrlimit, setrlimit};
use std::{
    env, fs,
    io::{BufRead, BufReader, Write},
    net::SocketAddr,
    path::Path,
    process::{self, Command, Stdio},
    time::Duration,
};
use traffic::{BackendPolicy, policy::Protocol};

/// Two workers, as the smallest machine has.
const WORKERS: usize = 2;

/// How the proxy is to be.
#[derive(Clone, Debug, Default)]
pub(crate) struct Plan {
    pub(crate) endpoint: Option<SocketAddr>,
    /// Whether the endpoint speaks HTTP/2.
    pub(crate) http2: bool,
    /// The PEM files of a certificate and its key.
    pub(crate) tls: Option<(String, String)>,
    /// The descriptors that it may have.
    pub(crate) descriptors: Option<u64>,
    /// The memory that it may have.
    pub(crate) memory: Option<u64>,
}

/// The process.
pub(crate) struct Child {
    process: process::Child,
    answers: BufReader<process::ChildStdout>,
    pub(crate) address: SocketAddr,
}

/// What the proxy has counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Counted {
    pub(crate) open: u64,
    pub(crate) in_flight: u64,
    pub(crate) failed: u64,
    pub(crate) accept_failures: u64,
    pub(crate) shed: u64,
}

impl Child {
    pub(crate) fn start(plan: &Plan) -> Self {
        let mut command = Command::new(env::current_exe().unwrap());
        command
            .args(["child::serve", "--exact", "--nocapture"])
            .env("SLUICE_CHILD", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut set = |name: &str, value: Option<String>| {
            if let Some(value) = value {
                command.env(format!("SLUICE_CHILD_{name}"), value);
            }
        };
        set("ENDPOINT", plan.endpoint.map(|address| address.to_string()));
        set("HTTP2", plan.http2.then(String::new));
        set("CHAIN", plan.tls.as_ref().map(|tls| tls.0.clone()));
        set("KEY", plan.tls.as_ref().map(|tls| tls.1.clone()));
        set("DESCRIPTORS", plan.descriptors.map(|n| n.to_string()));
        set("MEMORY", plan.memory.map(|n| n.to_string()));
        let mut process = command.spawn().unwrap();
        let mut answers = BufReader::new(process.stdout.take().unwrap());
        let address = answer(&mut answers, "listening ").parse().unwrap();
        Self {
            process,
            answers,
            address,
        }
    }

    pub(crate) fn counted(&mut self) -> Counted {
        let mut commands = self.process.stdin.as_ref().unwrap();
        commands.write_all(b"count\n").unwrap();
        let counted = answer(&mut self.answers, "counted ");
        let counted: Vec<u64> = counted.split(' ').map(|n| n.parse().unwrap()).collect();
        let [open, in_flight, failed, accept_failures, shed] = counted[..] else {
            panic!("{counted:?}")
        };
        Counted {
            open,
            in_flight,
            failed,
            accept_failures,
            shed,
        }
    }

    /// Memory that it holds, in KiB.
    pub(crate) fn resident(&self) -> u64 {
        let path = format!("/proc/{}/status", self.process.id());
        let status = fs::read_to_string(path).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:"));
        line.unwrap()
            .split_whitespace()
            .nth(1)
            .unwrap()
            .parse()
            .unwrap()
    }

    /// Processor time that it has used, in clock ticks.
    pub(crate) fn ticks(&self) -> u64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.process.id())).unwrap();
        let fields: Vec<&str> = stat
            .rsplit_once(')')
            .unwrap()
            .1
            .split_whitespace()
            .collect();
        fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
    }

    /// Waits until no client is connected to it.
    pub(crate) fn is_left_alone(&mut self) {
        eventually("all connections end", || {
            let counted = self.counted();
            (counted.open, counted.in_flight) == (0, 0)
        });
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}

fn answer(answers: &mut impl BufRead, begins: &str) -> String {
    loop {
        let mut line = String::new();
        assert!(answers.read_line(&mut line).unwrap() > 0, "the child ended");
        if let Some((_, rest)) = line.split_once(begins) {
            return rest.trim_end().to_owned();
        }
    }
}

/// Lets this process have as many descriptors as it may. How many those are.
pub(crate) fn all_descriptors() -> u64 {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).unwrap();
    limit.current.unwrap_or(u64::MAX)
}

/// The child's own main function.
#[test]
fn serve() {
    let told = |name: &str| env::var(format!("SLUICE_CHILD_{name}")).ok();
    if env::var_os("SLUICE_CHILD").is_none() {
        return;
    }
    // As the `sluice` binary does.
    proxy::use_small_pages();
    match told("DESCRIPTORS") {
        Some(most) => {
            let mut limit = getrlimit(Resource::Nofile);
            limit.current = Some(most.parse().unwrap());
            setrlimit(Resource::Nofile, limit).unwrap();
        }
        None => drop(all_descriptors()),
    }
    let world = world::start_with(WORKERS, |config| {
        config.timeouts.keep_alive = Duration::from_secs(600);
        config.limits.memory_bytes = told("MEMORY").map(|bytes| bytes.parse().unwrap());
        if let (Some(chain), Some(key)) = (told("CHAIN"), told("KEY")) {
            config.listeners[0].tls = Some(proxy::ListenerTls {
                certificates: vec![proxy::Certificate {
                    chain_file: Path::new(&chain).into(),
                    key_file: Path::new(&key).into(),
                    ocsp_file: None,
                }],
                client: None,
                min_version: proxy::TlsVersion::V1_2,
            });
        }
    });
    let mut policy = BackendPolicy {
        ejection: None,
        ..BackendPolicy::default()
    };
    if told("HTTP2").is_some() {
        policy.protocol = Protocol::Http2;
    }
    if let Some(endpoint) = told("ENDPOINT") {
        world.serve_with(&[endpoint.parse().unwrap()], policy);
    }
    println!("\nlistening {}", world.address());
    for command in std::io::stdin().lines() {
        assert_eq!(command.unwrap(), "count");
        let read = world.proxy.counters().read();
        let series = world.stable_now();
        println!(
            "counted {} {} {} {} {}",
            read.open, series.in_flight, series.failed, read.accept_failures, read.shed
        );
    }
}
