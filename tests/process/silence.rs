//! A process whose log nobody reads any more.

use crate::support::{
    eventually,
    origin::Behaviour,
    process::sluice,
    site::{Site, Slot},
    wire,
};
use std::{
    io::{BufRead, BufReader},
    net::SocketAddr,
    process::{Child, Stdio},
};

/// Killed when dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_process_whose_log_nobody_reads_goes_on() {
    let mut site = Site::with_steps("setWeight: 50\npause: {}");
    let child = sluice()
        .arg("run")
        .args(site.files())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut running = Running(child);
    let log = BufReader::new(running.0.stderr.take().unwrap());
    let mut told = log.lines().map_while(Result::ok).filter_map(|line| {
        let (_, address) = line.split_once("requests come in at http://")?;
        address.trim().parse().ok()
    });
    let listener: SocketAddr = told.next().expect("where requests come in");
    // From now on, every line that is logged is an error.
    drop(told);
    site.ship("v2", Slot::Green, Behaviour::Good);
    eventually("v2 gets its share", || {
        wire::get(listener, "/", "").unwrap().version() == "v2"
    });
    assert_eq!(running.0.try_wait().unwrap(), None, "it runs");
}
