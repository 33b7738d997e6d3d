//! A browser, which reports what it saw.

use crate::{
    asked_for,
    site::{RESOURCES, Site, TLS},
};
use serde_json::json;
use std::{
    process::{Child, Command, Stdio},
    time::Duration,
};
use tempfile::TempDir;

/// Long enough for a browser to start on a machine with much else to do.
const PATIENCE: Duration = Duration::from_secs(60);

/// A browser with a profile of its own, ended when dropped.
struct Browser {
    child: Child,
    _profile: TempDir,
}

impl Browser {
    /// Opens `https://shop.example/`, where all names lead to the proxy's listener at `port`.
    fn open(port: u16) -> Self {
        let profile = tempfile::tempdir().unwrap();
        let child = Command::new("chromium")
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-quic",
                "--disable-dev-shm-usage",
                "--no-first-run",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
                // curl looks at the certificate; chromium believes only what is in a database of its own.
                "--ignore-certificate-errors",
                "--remote-debugging-port=0",
            ])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg(format!(
                "--host-resolver-rules=MAP *:443 127.0.0.1:{port}, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"
            ))
            .arg("https://shop.example/")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|e| panic!("chromium, which .ci/install installs: {e}"));
        Self {
            child,
            _profile: profile,
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_browser_sees_a_page_as_it_is_over_http2() {
    if !asked_for() {
        return;
    }
    let site = Site::start();
    let _browser = Browser::open(site.world.proxy.addresses()[TLS].port());
    let report = site.reports.recv_timeout(PATIENCE).unwrap();
    let seen: serde_json::Value = serde_json::from_str(&report).unwrap();
    let expected = json!({
        "loaded": RESOURCES,
        "protocols": "h2",
        "posted": 1_000_000,
        "allowed": "crossed",
        "denied": "TypeError",
        "events": "1,2,3",
        "socket": "hello",
        "versions": 1,
    });
    assert_eq!(seen, expected);
}
